"""Read texts or images to predict, a batch at a time."""

import io
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from luodi.data import image_files, tables
from luodi.errors import MissingData

BATCH = 4096
IMAGES, BYTES = 256, 64 * 2**20  # of a batch of images, at most


def batches(source: str) -> Iterator[list[str]]:
    """Yield lists of up to `BATCH` texts from a file, by its suffix, or from standard input ("-").

    CSV, JSONL and Parquet have a column or key `text`; standard input holds one text a line, or JSONL.
    All are UTF-8, with or without a byte order mark.

    Raises:
        MissingData: No such file, or a suffix that is not known.
        BrokenData: It is not UTF-8, or not what its suffix says.
        MissingColumn: It has no `text`.
    """
    texts = _stdin() if source == "-" else _file(Path(source))
    while batch := list(islice(texts, BATCH)):
        yield batch


def images(source: str) -> Iterator[list[tuple[str, bytes]]]:
    """Yield lists of image files, name and content, from one file or from a folder and the folders in it.

    Raises:
        MissingData: No such file or folder, or a folder without an image.
        BrokenData: A file cannot be read, or a link leads out of the folder.
    """
    path = Path(source)
    if not path.is_file() and not path.is_dir():
        raise MissingData(f"{source} is not a file or folder: give an image, or a folder of images")
    found = image_files.images(path) if path.is_dir() else iter([path])
    batch: list[tuple[str, bytes]] = []
    size = 0
    for name in found:
        data = image_files.read(name)
        if batch and (len(batch) == IMAGES or size + len(data) > BYTES):
            yield batch
            batch, size = [], 0
        batch.append((str(name), data))
        size += len(data)
    if not batch:
        raise MissingData(f"no image in {source}: expected files {', '.join(image_files.SUFFIXES)}")
    yield batch


def _file(path: Path) -> Iterator[str]:
    for where, row in tables.records(path, ("text",)):
        yield _text(row, where) if path.suffix.lower() == ".jsonl" else row["text"] or ""


def _stdin() -> Iterator[str]:
    try:
        # Not sys.stdin itself: in the C locale that lets bytes through that are not UTF-8.
        yield from _lines(io.TextIOWrapper(sys.stdin.buffer, encoding=tables.UTF8))
    except UnicodeDecodeError:
        raise tables.not_text("standard input", tables.UTF8) from None


def _lines(file: TextIO) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        text, where = line.rstrip("\r\n"), f"standard input, line {number}"
        yield _text(tables.json_object(text, where), where) if text.startswith("{") else text


def _text(row: Any, where: str) -> str:
    if not isinstance(row.get("text"), str):
        raise tables.missing(where, ("text",), list(row))
    return str(row["text"])
