"""Read texts to predict from CSV, JSONL, Parquet or plain lines, a batch at a time."""

import csv
import io
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
    All are UTF-8, with or without a byte order mark.

    Raises:
        MissingData: No such file, or a suffix that is not known.
        BrokenData: It is not UTF-8, or not what its suffix says.
        MissingColumn: It has no `text`.
    """
    try:
        texts = _texts(source)
        while batch := list(islice(texts, BATCH)):
            yield batch
    except (FileNotFoundError, IsADirectoryError):
        raise MissingData(
            f"{source} is not a file: give a .csv, .jsonl or .parquet file, or - for standard input"
        ) from None
    except UnicodeDecodeError:
        name = "standard input" if source == "-" else source
        raise BrokenData(f"{name} is not UTF-8: convert it with `iconv -t utf-8`") from None


def _texts(source: str) -> Iterator[str]:
    if source == "-":
        # Not sys.stdin itself: in the C locale that lets bytes through that are not UTF-8.
        yield from _lines(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig"))
        return
    path = Path(source)
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path)
        return
    readers = {".csv": _csv, ".jsonl": _jsonl}
    if kind not in readers:
        raise MissingData(f"{source}: expected .csv, .jsonl or .parquet, found {path.suffix or 'no suffix'}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from readers[kind](file, source)


def _lines(file: TextIO) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        text = line.rstrip("\r\n")
        yield _json_text(text, f"standard input, line {number}") if text.startswith("{") else text


def _csv(file: TextIO, source: str) -> Iterator[str]:
    rows = csv.DictReader(file)
    try:
        if "text" not in (rows.fieldnames or ()):
            raise _no_text(source, list(rows.fieldnames or ()))
        for row in rows:
            yield row["text"] or ""
    except csv.Error as error:
        raise BrokenData(f"{source}, line {rows.line_num}: {error}") from None


def _jsonl(file: TextIO, source: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield _json_text(line, f"{source}, line {number}")


def _json_text(line: str, where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenData(f"{where}: expected a JSON object, found {line[:40]!r} ({error})") from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise _no_text(where, list(row) if isinstance(row, dict) else [])
    return str(row["text"])


def _parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from luodi.data.shards import is_text

    if path.is_dir():
        raise IsADirectoryError
    try:
        with pq.ParquetFile(path) as file:
            if "text" not in file.schema_arrow.names:
                raise _no_text(str(path), file.schema_arrow.names)
            if not is_text(kind := file.schema_arrow.field("text").type):
                raise BrokenData(f"{path}: expected a column `text` of strings, found {kind}")
            for batch in file.iter_batches(BATCH, columns=["text"]):
                yield from (text or "" for text in batch["text"].cast(pa.string()).to_pylist())
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BrokenData(f"{path} is not a readable Parquet file ({str(error).splitlines()[0]})") from None


def _no_text(source: str, found: list[str]) -> MissingColumn:
    return MissingColumn(f"{source}: expected a column or key `text`, found {', '.join(found[:9]) or 'none'}")
