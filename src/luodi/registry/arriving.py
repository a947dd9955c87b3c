"""Rows that come to the origin: a file is ingested in a private clone, and data.dvc lands as a version does.

Files go to the DVC remote first, then the commit to the branch. Where others push meanwhile it is done anew on what
they pushed: rows that are there by then add nothing, so whatever dies on the way, each row is there once.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from luodi.data import arrivals
from luodi.errors import DataError, SourceMismatch
from luodi.files import read_facts
from luodi.project import commits, programs, workspace
from luodi.project.origin import Origin
from luodi.project.workspace import Workspace
from luodi.registry import last_judged, pushing
from luodi.system import processes
from luodi.system.processes import CommandFailed, Runner

POINTER = "data.dvc"


class Refused(DataError):
    """A file cannot be taken in, as `luodi ingest` said."""


@dataclass(frozen=True)
class Came:
    """What came of a file.

    Attributes:
        said: By `luodi ingest`, in lines.
        commit: That has its rows; None if none of them was new.
        rows: New ones.
        drift: "none", "warning" or "drift".
        waiting: Rows in files that no model was judged on yet.
    """

    said: str
    commit: str | None = None
    rows: int = 0
    drift: str = "none"
    waiting: int = 0


def land(origin: Origin, model: str, file: Path, runner: Runner) -> Came:
    """Take the rows of a file into the data of a model at the origin.

    Raises:
        Refused: `luodi ingest` does not take the file.
        NoIdentity: git does not know who commits.
        RemoteError: The git origin or the DVC remote cannot be used.
        PushRejected: Others pushed at each of the attempts, or the git origin refuses the push.
    """
    return pushing.until_first(origin, lambda: _land(origin, model, file, runner))


def _land(origin: Origin, model: str, file: Path, runner: Runner) -> Came | None:
    """Try once, on the head of the branch; None if others were faster."""
    head = programs.head(origin, runner)
    with workspace.clone(origin, head, runner) as clone:
        who = commits.identity(clone.git, "COMMITTER").rstrip(">").partition(" <")
        clone.pull_rows(model)
        said = _ingest(clone, model, file, runner)
        if not clone.git("status", "--porcelain", "--", POINTER).strip():
            return Came(said, waiting=_waiting(clone, model, runner))
        clone.dvc("push", "--quiet", POINTER)
        clone.git("config", "user.name", who[0])
        clone.git("config", "user.email", who[2])
        clone.git("commit", "--quiet", "--message", f"Ingest into {model}: {file.name}", "--", POINTER)
        commit = clone.git("rev-parse", "HEAD").strip()
        if not pushing.push(clone, [f"{commit}:refs/heads/{origin.branch}"]):
            return None
        came = arrivals.read(clone.root / "data" / model)[-1]
        return Came(said, commit, came.new, _drift(clone, model), _waiting(clone, model, runner))


def _ingest(clone: Workspace, model: str, file: Path, runner: Runner) -> str:
    environment = {"PATH": processes.path(), **clone.origin.environment()}
    try:
        return runner.run("luodi", "ingest", model, str(file), cwd=clone.root, env=environment)
    except CommandFailed as error:
        of_the_file = DataError.exit_code <= error.code < SourceMismatch.exit_code
        if not of_the_file:
            raise
        said = error.output.partition("error: ")[2].strip()
        raise Refused(said.replace(str(file), file.name)) from None


def _drift(clone: Workspace, model: str) -> str:
    (facts,) = (clone.root / "artifacts" / model / "batches").glob("*.json")
    return str(read_facts(facts)["verdict"])


def _waiting(clone: Workspace, model: str, runner: Runner) -> int:
    """Rows of the files that what was judged last did not have."""
    folder = clone.root / "data" / model
    known = last_judged.last(clone.origin, model, runner)
    rows = known.subject.rows if known else {}
    return sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet") if path.name not in rows)
