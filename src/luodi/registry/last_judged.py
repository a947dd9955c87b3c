"""What was judged last of each model, landed or held: a ref of the git origin, by which a run tells what is new.

refs/luodi/judged/reviews names a blob that says of which shards, settings and code that model was, and what came of it.
Who removes the ref has the next run judge once more.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from luodi import config, yaml12
from luodi.config import user_code
from luodi.errors import NoVersion, RemoteError
from luodi.files import write_text
from luodi.project import fingerprints, graph, programs, workspace
from luodi.project.origin import Origin
from luodi.project.paths import PARAMS
from luodi.project.workspace import Workspace
from luodi.registry import tags
from luodi.registry.records import Decision
from luodi.system.processes import CommandFailed, Runner
from luodi.terminal import shown

PLACE = "refs/luodi/judged"
ASIDE = {"schedule", "owner", "column", "card", "airflow", "drift", "ingest", "notify"}
"""Settings that change neither a model nor what the gate says of it."""


@dataclass(frozen=True)
class Subject:
    """What a run of a model works on.

    Attributes:
        rows: Name -> MD5 of what lies in data/MODEL.
        settings: Digest of those in effect, and of code of the project's own that they name.
        code: Digest of luodi's code and libraries as luodi.lock has them, and of the graph.
    """

    rows: Mapping[str, str]
    settings: str
    code: str

    @classmethod
    def of(cls, root: Path, model: str, rows: Mapping[str, str]) -> Self:
        """Tell it of a checkout or clone."""
        block = config.settings_of(config.load(root / PARAMS), model)
        settings = {key: value for key, value in user_code.effective(block, root).items() if key not in ASIDE}
        stages = graph.stages(root / "dvc.yaml", model, block.modality)
        return cls(dict(rows), _digest(settings), _digest([_code(root, block.modality), stages]))


@dataclass(frozen=True)
class Judged:
    """What came of it.

    Attributes:
        champion: In production after it; None if nothing was.
        version: The one that this model is, if it landed.
        verdict, reasons: Of the gate.
    """

    subject: Subject
    champion: str | None
    version: str | None
    verdict: str
    reasons: Sequence[str]

    @property
    def said(self) -> str:
        """Why another run has nothing to do."""
        if self.version:
            return f"nothing changed since {self.version} landed; production stays as it is"
        why = "; ".join(map(shown, [self.verdict, *self.reasons]))
        return f"nothing changed since the last model of these rows and settings was held: {why}"


def of_clone(clone: Workspace, model: str) -> Subject | None:
    """Return what a run of the clone's commit works on; None where nobody here can tell its rows.

    The list of them may be away, or damaged, in the DVC remote: that stops no model whose rows nobody reads again.
    """
    try:
        rows = clone.recorded(f"data/{model}")
    except (RemoteError, CommandFailed):
        return None
    return Subject.of(clone.root, model, rows)


def refs(clone: Workspace, model: str, decision: Decision, version: str | None = None) -> list[str]:
    """Return the ref to push of a model that was judged, forced: the last one counts; none where nobody can tell it."""
    if (subject := of_clone(clone, model)) is None:
        return []
    found = Judged(subject, version or decision.champion, version, decision.verdict.value, decision.reasons)
    note = clone.root / ".git" / "judged"
    write_text(note, json.dumps(asdict(found), ensure_ascii=False, sort_keys=True, indent=1) + "\n")
    blob = clone.git("hash-object", "-w", "--no-filters", str(note)).strip()
    return [f"+{blob}:{PLACE}/{model}"]


def last(origin: Origin, model: str, runner: Runner) -> Judged | None:
    """Return what was judged last; None where nothing was, or this luodi cannot read what its ref says."""
    try:
        text = programs.git(origin, runner, tags.mirror(origin, runner), "cat-file", "blob", f"{PLACE}/{model}")
        found = json.loads(text)
        judged = Judged(**{**found, "subject": Subject(**found["subject"])})
    except (CommandFailed, ValueError, TypeError, KeyError):
        return None
    return replace(judged, reasons=tuple(judged.reasons))


def nothing_new(origin: Origin, model: str, subject: Subject | None, runner: Runner) -> Judged | None:
    """Return what was judged last where that is this very subject, and production is as it was left; else None."""
    known = last(origin, model, runner)
    if known is None or known.subject != subject:
        return None
    try:
        champion = tags.find(tags.mirror(origin, runner), model).name
    except NoVersion:
        champion = None
    return known if known.champion == champion else None


def new_rows(origin: Origin, model: str, commit: str, runner: Runner) -> tuple[str, int]:
    """Return the commit at the head of the branch, and how many files of rows it has that `commit` has not."""
    head = programs.head(origin, runner)
    if head == commit:
        return head, 0
    return head, len(rows_of(origin, model, head, runner) - rows_of(origin, model, commit, runner))


def rows_of(origin: Origin, model: str, commit: str, runner: Runner) -> set[str]:
    """Return the MD5s of the shards of a model that a commit records."""
    with workspace.clone(origin, commit, runner) as clone:
        files = clone.recorded(f"data/{model}")
    return {md5 for path, md5 in files.items() if path.endswith(".parquet")}


def _code(root: Path, modality: str) -> Any:
    path = root / fingerprints.NAME
    found = yaml12.parse(path.read_text(encoding="utf-8"), strict=False) if path.exists() else {}
    return found["stages"][modality] if found else None


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
