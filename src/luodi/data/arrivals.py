"""What became of a model's data, event by event: a record beside the shards, recorded with them.

A batch that was ingested, rows that a person corrected, discarded or looked at. What a record takes out stays in the
shards, as history, and counts for nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from luodi.errors import BrokenData
from luodi.files import read_facts, write_facts

RECORDS = "batch-*.json"
"""Names of the files that say what became of the rows beside which they lie."""
DIGITS = 12  # of the name of a batch in that of its record
KEY = "row"
"""Column of a sheet that names rows to luodi."""
Places = Mapping[str, Sequence[int]]
"""Rows by the name of their shard."""


@dataclass(frozen=True)
class Arrival:
    """An event.

    Attributes:
        batch: Names its rows, new or not, in their order.
        files: The names of what they came in.
        rows: How many came; `new` of them were added, of which validation would hold back `held`, for `reasons`.
        labels: Counts of the new rows by label.
        shards: Names of the files that hold these.
        what: "ingested", or what a person did.
        out: Rows that count no longer.
        kept: Rows whose label a person found right.
    """

    batch: str
    files: Sequence[str]
    rows: int
    new: int
    held: int
    reasons: dict[str, int]
    labels: dict[str, int]
    shards: Sequence[str]
    what: str = "ingested"
    out: Places = field(default_factory=dict)
    kept: Places = field(default_factory=dict)


def read(folder: Path) -> list[Arrival]:
    """Return what became of a model's data, in order."""
    return [_read(path) for path in _paths(folder)]


def of(folder: Path, batch: str) -> Arrival | None:
    """Return the event of that name; None if there is none."""
    return next((one for one in read(folder) if one.batch == batch), None)


def out(folder: Path) -> dict[str, set[int]]:
    """Return the rows that were taken out, by their shard."""
    return _places([one.out for one in read(folder)])


def kept(folder: Path) -> dict[str, set[int]]:
    """Return the rows whose label a person found right, by their shard."""
    return _places([one.kept for one in read(folder)])


def key(places: Iterable[tuple[str, int]]) -> str:
    """Return what names rows in a sheet that a person hands back."""
    return " ".join(f"{quote(shard, safe='')}:{row}" for shard, row in places)


def places(key: str) -> list[tuple[str, int]]:
    """Inverse of `key`, in a cell that is no formula too. Raises ValueError if it is none."""
    found = [one.rpartition(":") for one in key.removeprefix("'").split()]
    return [(unquote(shard), int(row)) for shard, _, row in found]


def following(folder: Path) -> int:
    """Return the number of the next shard and event: above all that are there."""
    found = (*folder.glob("part-*.parquet"), *_paths(folder), *folder.glob("forgotten-*.json"))
    names = [path.stem.split("-") for path in found]
    return max((int(name[1]) for name in names if name[1].isdecimal()), default=-1) + 1


def write(staging: Path, folder: Path, number: int, arrival: Arrival) -> tuple[Path, Path]:
    """Write a record into `staging`; return its path, and that which it is to have beside the shards."""
    name = f"batch-{number:05}-{arrival.batch[:DIGITS]}.json"
    write_facts(staging / name, asdict(arrival))
    return staging / name, folder / name


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob(RECORDS))


def _places(found: Sequence[Places]) -> dict[str, set[int]]:
    places: dict[str, set[int]] = {}
    for one in found:
        for shard, rows in one.items():
            places.setdefault(shard, set()).update(rows)
    return places


def _read(path: Path) -> Arrival:
    try:
        return Arrival(**read_facts(path))
    except (ValueError, TypeError):
        raise BrokenData(
            f"{path} is no record of a batch: bring it again with `dvc checkout --force data.dvc`, or remove it if it "
            "is a file of your own"
        ) from None
