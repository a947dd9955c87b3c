"""The rows that validation held back, as a person reads them who corrects them where they come from."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from luodi import files
from luodi.checks import findings
from luodi.checks.findings import EXAMPLES, Example
from luodi.data import arrivals
from luodi.data.arrivals import Arrival
from luodi.errors import ArtifactError, MissingData
from luodi.project.paths import maker
from luodi.terminal import shown

NAMED = 8  # batches


@dataclass(frozen=True)
class Reason:
    """Why rows are held back; `examples` are the first of them."""

    name: str
    rows: int
    examples: tuple[Example, ...]


def read(path: Path) -> pa.Table:
    """Return the rows of quarantine.parquet, images without their bytes.

    Raises:
        ArtifactError: It is missing or broken.
    """
    try:
        file = pq.ParquetFile(path)
        return file.read(columns=[one.name for one in file.schema_arrow if not pa.types.is_binary(one.type)])
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except pa.ArrowInvalid as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `{maker(path)}` again") from None


def rows_checked(summary: Path) -> int | None:
    """Return how many rows validation looked at, those too that count no longer; None if it left no summary."""
    if not summary.exists():
        return None
    facts = files.read_facts(summary)
    return int(facts["rows"]) + int(facts.get("history", 0))


def by_reason(held: pa.Table) -> list[Reason]:
    """Return every reason, that of most rows first; a row with several is counted for each."""
    lists = held["reasons"].combine_chunks()
    names, places = pc.list_flatten(lists), pc.list_parent_indices(lists)
    item = next(name for name in held.column_names if name not in ("shard", "row", "label"))  # of images, the source
    found = []
    for name in pc.unique(names).to_pylist():
        rows = places.filter(pc.equal(names, name)).to_pylist()
        found.append(Reason(name, len(rows), findings.examples(held, rows[:EXAMPLES], item)))
    return sorted(found, key=lambda reason: (-reason.rows, reason.name))


def of_batch(held: pa.Table, folder: Path, name: str) -> tuple[Arrival, list[tuple[str, str, str, str]]]:
    """Return a batch by the name of a file it came in, or its own, and of its rows place, reasons, label and item.

    Raises:
        MissingData: There is none of that name.
    """
    came = [one for one in arrivals.read(folder) if one.shards]
    known = [one for one in came if not name or name in one.files or (len(name) > 3 and one.batch.startswith(name))]
    if not known:
        some = ", ".join(shown(file, 60) for one in came[-NAMED:] for file in one.files)
        raise MissingData(f"no batch {shown(name, 60) or 'came'}: expected one of {some or 'those that ingest brings'}")
    rows = held.filter(pc.is_in(held["shard"], pa.array(known[-1].shards, pa.string()))).to_pylist()
    item = next(column for column in held.column_names if column not in ("shard", "row", "label"))
    return known[-1], [
        (str(row.get("origin") or f"{row['shard']} row {row['row']}"), "; ".join(row["reasons"]), str(row["label"]),
         str(row[item])) for row in rows
    ]  # fmt: skip


def write_csv(held: pa.Table, path: Path) -> None:
    """Write a line a row for a spreadsheet: its place first, its reasons, and last what names it to luodi."""
    files.write_sheet(path, *_sheet(held))


def csv(held: pa.Table, room: int) -> tuple[bytes, int]:
    """Return the same of the first rows, as many as have `room` (bytes, at least one), and their number."""
    rows = len(held)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "held.csv"
        write_csv(held, path)
        while (size := path.stat().st_size) > room and rows > 1:
            rows = max(1, min(rows - 1, rows * room // size))
            write_csv(held.slice(0, rows), path)
        return path.read_bytes(), rows


def _sheet(held: pa.Table) -> tuple[list[str], Iterator[list[object]]]:
    known = [name for name in held.column_names if name not in ("shard", "row", "origin", "reasons")]
    lines = (
        [
            row.get("origin") or f"{row['shard']} row {row['row']}",
            *(row[name] for name in known),
            "; ".join(row["reasons"]),
            arrivals.key([(row["shard"], row["row"])]),
        ]
        for row in held.to_pylist()
    )
    return ["place", *known, "reasons", arrivals.KEY], lines
