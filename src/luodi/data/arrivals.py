"""What came with each batch that was ingested: a record beside the shards that hold its rows, recorded with them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from luodi.errors import BrokenData
from luodi.files import read_facts, write_facts

DIGITS = 12  # of the name of a batch in that of its record


@dataclass(frozen=True)
class Arrival:
    """A batch.

    Attributes:
        batch: Names its rows, new or not, in their order.
        files: The names of what they came in.
        rows: How many came; `new` of them were added, of which validation would hold back `held`, for `reasons`.
        labels: Counts of the new rows by label.
        shards: Names of the files that hold these.
    """

    batch: str
    files: Sequence[str]
    rows: int
    new: int
    held: int
    reasons: dict[str, int]
    labels: dict[str, int]
    shards: Sequence[str]


def read(folder: Path) -> list[Arrival]:
    """Return the batches of a model's data, in the order in which their rows stand."""
    return [_read(path) for path in sorted(folder.glob("batch-*.json"))]


def of(folder: Path, batch: str) -> Arrival | None:
    """Return the batch of that name; None if it did not come."""
    return next((one for one in read(folder) if one.batch == batch), None)


def write(staging: Path, folder: Path, arrival: Arrival) -> tuple[Path, Path]:
    """Write the record of a batch into `staging`; return its path, and that which it is to have beside the shards."""
    name = f"batch-{arrival.shards[0].split('-')[1]}-{arrival.batch[:DIGITS]}.json"
    write_facts(staging / name, asdict(arrival))
    return staging / name, folder / name


def _read(path: Path) -> Arrival:
    try:
        facts = read_facts(path)
        return Arrival(**{name: facts[name] for name in Arrival.__annotations__})
    except (ValueError, KeyError):
        raise BrokenData(
            f"{path} is no record of a batch: bring it again with `dvc checkout --force data.dvc`, or remove it if it "
            "is a file of your own"
        ) from None
