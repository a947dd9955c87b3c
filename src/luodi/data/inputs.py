"""Read texts to predict from CSV, JSONL, Parquet or plain lines, a batch at a time."""

import csv
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from luodi.errors import BrokenData, MissingColumn, MissingData

BATCH = 4096


def batches(source: str) -> Iterator[list[str]]:
    """Yield lists of up to `BATCH` texts from a file, by its suffix, or from standard input ("-").

    CSV, JSONL and Parquet have a column or key `text`; standard input holds one text a line, or JSONL.

    Raises:
        MissingData: No such file, or a suffix that is not known.
        BrokenData: It is not UTF-8, or not what its suffix says.
        MissingColumn: It has no `text`.
    """
    try:
        texts = _texts(source)
        while batch := list(islice(texts, BATCH)):
            yield batch
    except FileNotFoundError:
        raise MissingData(
            f"{source} does not exist: give a .csv, .jsonl or .parquet file, or - for standard input"
        ) from None
    except UnicodeDecodeError as error:
        raise BrokenData(
            f"{source} is not UTF-8 (byte {error.start}): convert it with `iconv -t utf-8`"
        ) from None


def _texts(source: str) -> Iterator[str]:
    if source == "-":
        yield from _lines(sys.stdin)
        return
    path = Path(source)
    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    readers = {".csv": _csv, ".jsonl": _jsonl}
    if path.suffix not in readers:
        raise MissingData(f"{source}: expected .csv, .jsonl or .parquet, found {path.suffix or 'no suffix'}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from readers[path.suffix](file, source)


def _lines(file: TextIO) -> Iterator[str]:
    for line in file:
        text = line.rstrip("\r\n")
        yield from _jsonl(iter([text]), "standard input") if text.startswith("{") else [text]


def _csv(file: TextIO, source: str) -> Iterator[str]:
    rows = csv.DictReader(file)
    if "text" not in (rows.fieldnames or ()):
        raise _no_text(source, list(rows.fieldnames or ()))
    try:
        for row in rows:
            yield row["text"] or ""
    except csv.Error as error:
        raise BrokenData(f"{source}, line {rows.line_num}: {error}") from None


def _jsonl(file: Iterator[str] | TextIO, source: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BrokenData(
                f"{source}, line {number}: expected a JSON object, found {line[:40]!r} ({error})"
            ) from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise _no_text(f"{source}, line {number}", list(row) if isinstance(row, dict) else [])
        yield row["text"]


def _parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if "text" not in file.schema_arrow.names:
                raise _no_text(str(path), file.schema_arrow.names)
            for batch in file.iter_batches(BATCH, columns=["text"]):
                yield from (text or "" for text in batch["text"].cast(pa.string()).to_pylist())
    except pa.ArrowInvalid as error:
        raise BrokenData(f"{path} is not a readable Parquet file ({str(error).splitlines()[0]})") from None


def _no_text(source: str, found: list[str]) -> MissingColumn:
    return MissingColumn(f"{source}: expected a column or key `text`, found {', '.join(found) or 'none'}")
