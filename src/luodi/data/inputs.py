"""Read texts or images to predict, a batch at a time, by the readers that `luodi add` has."""

import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from luodi.data import class_folders, columns, documents, encodings, image_files, importing, packed, pictures, tables
from luodi.data.class_folders import Filed
from luodi.errors import BrokenData, MissingData
from luodi.system import lfs

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 4096
ROWS = 4 * BATCH  # of a part
IMAGES, BYTES = 256, 64 * 2**20  # of a batch of images, at most

Tell = Callable[[str], object]


def batches(
    source: str,
    given: tables.Given = tables.PLAIN,
    column: str | None = None,
    tell: Tell = str,
    *,
    known: str | None = None,
) -> Iterator[list[str]]:
    """Yield lists of up to `BATCH` texts from a table, or from standard input ("-"); a row without a text gives "".

    The column of the texts is guessed as `luodi add` does; standard input holds one text a line, or JSONL, in UTF-8
    if no other encoding is given.

    Args:
        tell: Takes a line that says what was found.
        known: The column that the model was made from, see `luodi.data.columns.choose_item`.

    Raises:
        DataError: As `tables.look` and `importing.texts`.
    """
    if source == "-":
        texts = _stdin(given.encoding or encodings.UTF8)
    else:
        table = tables.look(Path(source), given)
        texts = _table(table, columns.choose_item(table, column, known=known), tell)
    while batch := list(islice(texts, BATCH)):
        yield batch


@dataclass(frozen=True)
class Part:
    """Some of what is to be classified, and the rows that it stands in: a table, or objects of JSON."""

    items: Sequence[Any]
    rows: "pa.Table | list[tables.Record]"


def text_parts(
    source: str,
    given: tables.Given = tables.PLAIN,
    column: str | None = None,
    tell: Tell = str,
    *,
    known: str | None = None,
    read: Callable[[float], object] = id,
) -> Iterator[Part]:
    """Yield what `batches` or `files` does, with all columns that the input has: `ROWS` rows or `BYTES` at a time.

    Texts of files, and those of standard input, have one column: "file", or "text".

    Args:
        read: Takes the share that was read of a table, before each part.

    Raises:
        DataError: As `batches` and `files`.
    """
    if source == "-":
        for lines in batches(source, given, column, tell):
            yield Part(lines, [{"text": line} for line in lines])
    elif is_of_files(source):
        for found in files(source, given, tell):
            yield Part([text for _, text in found], [{"file": name} for name, _ in found])
    else:
        table = tables.look(Path(source), given)
        chosen = columns.choose_item(table, column, known=known)
        _tell_table(table, chosen, tell)
        for texts, rows in tables.parts(table, chosen, ROWS, BYTES, read):
            yield Part([text or "" for text in texts], rows)


def is_of_files(source: str) -> bool:
    """Tell whether `source` holds texts of a file each: a folder, or an archive of several files."""
    path = Path(source)
    return path.is_dir() or (path.is_file() and packed.is_archive(path) and packed.several(path))


def files(source: str, given: tables.Given = tables.PLAIN, tell: Tell = str) -> Iterator[list[tuple[str, str]]]:
    """Yield lists of texts of a file each, name and text, of a folder and the folders in it, or of an archive.

    Args:
        tell: Takes a line that says how they are read.

    Raises:
        MissingData: There is none.
        BrokenData: A file cannot be read, or a link leads out of the folder.
    """
    with tempfile.TemporaryDirectory(prefix="luodi-") as room:
        folder = pictures.unpacked(Path(source), Path(room))
        found = list(class_folders.below(folder, documents.TEXTS))
        if not found:
            raise MissingData(f"no text in {source}: {documents.TEXTS.expected}")
        names = [path.relative_to(folder).as_posix() if folder == Path(room) else str(path) for path in found]
        named = [Filed(path, None, "", name) for path, name in zip(found, names, strict=True)]
        rows, said = documents.read(named, given.encoding, source)
        tell(said)
        while batch := [(str(row.origin), row.item) for row in islice(rows, BATCH)]:
            yield batch


def images(
    source: str,
    listed: Path | None = None,
    given: tables.Given = tables.PLAIN,
    column: str | None = None,
    *,
    known: str | None = None,
) -> Iterator[list[tuple[str, bytes]]]:
    """Yield lists of images, name and content: of a file, a folder and the folders in it, an archive or a table.

    Args:
        listed: The folder or archive that the paths of a table start from; None is the folder that it lies in.
        known: As of `batches`.

    Raises:
        MissingData: No such file or folder, or a folder without an image.
        BrokenData: A file cannot be read, or a link leads out of the folder.
    """
    path = Path(source)
    if not path.is_file() and not path.is_dir():
        raise MissingData(f"{source} is not a file or folder: give an image, or a folder of images")
    with tempfile.TemporaryDirectory(prefix="luodi-") as room:
        found = _images(path, listed, Path(room), given, (column, known))
        yielded = False
        for batch in _gathered(found):
            yielded = True
            yield batch
    if not yielded:
        raise MissingData(f"no image in {source}: expected {', '.join(image_files.KINDS)} files")


def image_parts(
    source: str,
    listed: Path | None = None,
    given: tables.Given = tables.PLAIN,
    column: str | None = None,
    *,
    known: str | None = None,
) -> Iterator[Part]:
    """Yield what `images` does as parts with one column, "file"; arguments and errors as there."""
    for found in images(source, listed, given, column, known=known):
        yield Part([content for _, content in found], [{"file": name} for name, _ in found])


def _images(
    path: Path, listed: Path | None, room: Path, given: tables.Given, column: tuple[str | None, str | None]
) -> Iterator[tuple[str, Path]]:
    """The names and the places of images; `column` is the one named, and the one known."""
    if listed is not None or (path.is_file() and packed.suffix(path.name) in tables.KINDS):
        table = tables.look(path, given)
        wanted = columns.Wanted(columns.choose_item(table, column[0], columns.IMAGE, column[1]))
        folder = pictures.unpacked(listed or path.parent, room)
        for one in pictures.listed_images(table, folder, wanted, room=room):
            yield one.origin, one.path or Path()
    elif packed.is_archive(path):
        packed.unpack(path, room)
        for file in image_files.images(room):
            yield file.relative_to(room).as_posix(), file
    else:
        yield from ((str(file), file) for file in (image_files.images(path) if path.is_dir() else [path]))


def _gathered(found: Iterable[tuple[str, Path]]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    size = 0
    for name, path in found:
        lfs.require_content(path, BrokenData)
        data = image_files.read(path)
        if batch and (len(batch) == IMAGES or size + len(data) > BYTES):
            yield batch
            batch, size = [], 0
        batch.append((name, data))
        size += len(data)
    if batch:
        yield batch


def _table(table: tables.Table, chosen: str, tell: Tell) -> Iterator[str]:
    _tell_table(table, chosen, tell)
    for row in importing.texts(table, columns.Wanted(chosen)):
        yield row.item or ""


def _tell_table(table: tables.Table, chosen: str, tell: Tell) -> None:
    tell(f"read {table.path.name} as {table.said}, texts of column `{chosen}`")


def _stdin(encoding: str) -> Iterator[str]:
    try:
        # Not sys.stdin itself: in the C locale that lets bytes through that are not UTF-8.
        yield from _lines(io.TextIOWrapper(sys.stdin.buffer, encoding=encoding))
    except UnicodeError:
        raise encodings.not_text("standard input", encoding) from None


def _lines(file: TextIO) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        text, where = line.rstrip("\r\n"), f"standard input, line {number}"
        yield _text(tables.json_object(text, where), where) if text.startswith("{") else text


def _text(row: Any, where: str) -> str:
    if not isinstance(row.get("text"), str):
        raise tables.missing(where, ("text",), list(row))
    return str(row["text"])
