"""Read rows of named columns from CSV, JSONL or Parquet, one at a time: no file is held whole."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from luodi.errors import BrokenData, MissingColumn, MissingData
from luodi.terminal import shown

BATCH = 4096
UTF8 = "utf-8-sig"  # with or without a byte order mark
KINDS = (".csv", ".jsonl", ".parquet")

Record = Mapping[str, Any]


class NotText(BrokenData):
    """A file or stream is not in the encoding that it was read in."""


def records(
    path: Path, texts: tuple[str, ...], scalars: tuple[str, ...] = (), encoding: str = UTF8
) -> Iterator[tuple[str, Record]]:
    """Yield each row with the words that say where it stands ("a.csv, line 3").

    A row of CSV or Parquet has the columns `texts` (of strings) and `scalars` (of anything that reads as one),
    their values strings or None. A row of JSONL has what it has. A row of CSV with more fields than the header
    has them under None.

    Raises:
        MissingData: No such file, or a suffix that is not known.
        BrokenData: It is not in `encoding`, or not what its suffix says.
        MissingColumn: A column is not there.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise MissingData(f"{path}: expected .csv, .jsonl or .parquet, found {path.suffix or 'no suffix'}")
    try:
        if kind == ".parquet":
            yield from _parquet(path, texts, scalars)
            return
        with path.open(encoding=encoding, newline="") as file:
            yield from _csv(file, path, (*texts, *scalars)) if kind == ".csv" else jsonl(file, str(path))
    except (FileNotFoundError, IsADirectoryError):
        raise MissingData(f"{path} is not a file: give a .csv, .jsonl or .parquet file") from None
    except UnicodeError:
        raise not_text(str(path), encoding) from None


def not_text(name: str, encoding: str) -> NotText:
    """The error for a file or stream that is not in `encoding`."""
    expected = "UTF-8" if encoding == UTF8 else encoding
    return NotText(f"{name} is not {expected}: convert it, from GBK with `iconv -f gb18030 -t utf-8`")


def json_object(line: str, where: str) -> Record:
    """Parse one line of JSONL.

    Raises:
        BrokenData: It is not JSON.
        MissingColumn: It is no object: it has no keys.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenData(f"{where}: expected a JSON object, found {line[:40]!r} ({error})") from None
    return row if isinstance(row, dict) else {}


def columns(path: Path, encoding: str = UTF8) -> list[str]:
    """Return the names of the columns, in JSONL the keys of the first row. Raises as `records`."""
    if path.suffix.lower() == ".parquet" and path.is_file():
        import pyarrow.parquet as pq

        with _parquet_errors(path), pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names)
    first = next(records(path, (), encoding=encoding), None)
    if first is None and path.suffix.lower() == ".csv":  # a header alone
        with path.open(encoding=encoding, newline="") as file:
            return next(csv.reader(file), [])
    return [name for name in first[1] if name is not None] if first else []


def missing(where: str, wanted: tuple[str, ...], found: list[str]) -> MissingColumn:
    """The error for a table, or a row, without one of the columns `wanted`."""
    expected = ", ".join(f"`{shown(name, 60)}`" for name in wanted)
    return MissingColumn(f"{where}: expected a column or key {expected}, found {names(found)}")


def names(found: Sequence[str]) -> str:
    """Return some columns of a table, as they stand in a message."""
    return ", ".join(shown(name, 60) for name in found[:9]) or "none"


def jsonl(file: TextIO, name: str) -> Iterator[tuple[str, Record]]:
    """Yield the object of each line that is not blank. Raises as `json_object`."""
    for number, line in enumerate(file, 1):
        if line.strip():
            where = f"{name}, line {number}"
            yield where, json_object(line, where)


def _csv(file: TextIO, path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, Record]]:
    rows = csv.DictReader(file)
    try:
        header = list(rows.fieldnames or ())
        if absent := [name for name in names if name not in header]:
            raise missing(str(path), tuple(absent), header)
        for row in rows:
            yield f"{path}, line {rows.line_num}", row
    except csv.Error as error:
        raise BrokenData(f"{path}, line {rows.line_num}: {error}; correct that line") from None


def _parquet(path: Path, texts: tuple[str, ...], scalars: tuple[str, ...]) -> Iterator[tuple[str, Record]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.is_dir():
        raise IsADirectoryError
    names = [*texts, *scalars]
    with _parquet_errors(path), pq.ParquetFile(path) as file:
        _require_strings(path, file.schema_arrow, texts, scalars)
        start = 0
        for batch in file.iter_batches(BATCH, columns=names):
            rows = [batch[name].cast(pa.string()).to_pylist() for name in names]
            for place, values in enumerate(zip(*rows, strict=True), start):
                yield f"{path}, row {place}", dict(zip(names, values, strict=True))
            start += batch.num_rows


def _require_strings(path: Path, schema: Any, texts: tuple[str, ...], scalars: tuple[str, ...]) -> None:
    import pyarrow as pa

    from luodi.data.shards import is_text

    if absent := [name for name in (*texts, *scalars) if name not in schema.names]:
        raise missing(str(path), tuple(absent), schema.names)
    for name in (*texts, *scalars):
        kind = schema.field(name).type
        if not is_text(kind) and (name in texts or pa.types.is_nested(kind)):
            raise BrokenData(f"{path}: expected a column `{name}` of strings, found {kind}")


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a broken file into BrokenData; an error of the disk stays what it is."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BrokenData(
            f"{path} is not a readable Parquet file ({str(error).splitlines()[0]}): write it again"
        ) from None
