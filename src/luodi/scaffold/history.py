"""What became of a model's data, in order, and which commit has it first."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from luodi import files, yaml12
from luodi.data import arrivals
from luodi.data.arrivals import Arrival
from luodi.project import programs
from luodi.project.paths import ModelPaths
from luodi.system.processes import CommandFailed, Runner

POINTER = "data.dvc"


@dataclass(frozen=True)
class Event:
    """What came, or was changed.

    Attributes:
        arrival: What was recorded; of shards without a record their rows alone.
        rows: That the shards of it hold.
        commit: The first that has it, its day and subject; None if none has, or nobody here knows.
    """

    arrival: Arrival
    rows: int
    commit: tuple[str, str, str] | None

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        commit = dict(zip(("id", "day", "subject"), self.commit, strict=True)) if self.commit else None
        return {**asdict(self.arrival), "in_shards": self.rows, "commit": commit}


def log(root: Path, paths: ModelPaths) -> list[Event]:
    """Return what became of a model's data, in the order of its rows.

    Raises:
        BrokenData: A record is broken.
    """
    records = arrivals.read(paths.data)
    recorded = {shard for one in records for shard in one.shards}
    alone = [path.name for path in sorted(paths.data.glob("*.parquet")) if path.name not in recorded]
    events = [Arrival("", [], 0, 0, 0, {}, {}, [name], "added") for name in alone] + records
    commits = _commits(root, paths)
    return [Event(one, _rows(paths.data, one), commits.get(_file(one))) for one in events]


def _file(one: Arrival) -> str:
    """A file that came with an event: its record, or its shard."""
    return one.batch[: arrivals.DIGITS] if one.batch else one.shards[0]


def _rows(folder: Path, one: Arrival) -> int:
    return sum(pq.read_metadata(folder / shard).num_rows for shard in one.shards)


def _commits(root: Path, paths: ModelPaths) -> dict[str, tuple[str, str, str]]:
    """The first commit of each file that the lists in DVC's cache name."""
    found: dict[str, tuple[str, str, str]] = {}
    for commit, names in _listed(root, paths.model):
        for name in names:
            record = name.startswith("batch-") and name.endswith(".json")
            found.setdefault(name.rpartition("-")[2].removesuffix(".json") if record else name, commit)
    return found


def _listed(root: Path, model: str) -> Iterator[tuple[tuple[str, str, str], list[str]]]:
    """Each commit that changed data.dvc, the first first, and the files of the model that it has."""
    runner = Runner(lambda line: None)
    try:
        told = runner.run("git", "log", "--reverse", "--format=%h%x00%cs%x00%s", "--", POINTER, cwd=root).splitlines()
        cache = root / programs.dvc(runner, root, "cache", "dir").strip()
    except CommandFailed:
        return  # not in git
    for line in told:
        short, day, subject = line.split("\0", 2)
        pointer = yaml12.parse(runner.run("git", "show", f"{short}:./{POINTER}", cwd=root))
        for md5 in (str(out["md5"]) for out in pointer.get("outs", ())):
            path = cache / "files" / "md5" / md5[:2] / md5[2:]
            if path.exists():
                entries = (one["relpath"] for one in files.read_json(path))
                yield (
                    (short, day, subject),
                    [name.partition("/")[2] for name in entries if name.startswith(f"{model}/")],
                )
