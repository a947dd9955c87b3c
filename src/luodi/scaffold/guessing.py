"""Tell whether a source of which nobody said so holds texts or images."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

from luodi.data import class_folders, image_files, packed, tables

LOOKED_AT = 200  # files, or rows of a table


def modality(source: Path, given: tables.Given = tables.PLAIN) -> Literal["text", "image"]:
    """Return "image" where most of the first files are images, or a column of a table holds or names one in each row.

    Raises:
        DataError: The source is not there, or cannot be read.
    """
    if source.is_dir() and (parts := class_folders.split_tables(class_folders.unwrapped(source))):
        source = parts[0][1]
    several = packed.is_archive(source) and packed.names(source, 2)[1:]
    if not source.is_dir() and not several:
        return "image" if _names_images(tables.look(source, given)) else "text"
    files = list(islice(_files(source) if source.is_dir() else _packed(source), LOOKED_AT))
    return "image" if 2 * sum(files) > len(files) else "text"


def _files(folder: Path) -> Iterator[bool]:
    """Of each file below a folder whether it is an image; links are followed nowhere."""
    for path in image_files.visible(folder):
        if path.is_dir():
            if not path.is_symlink():
                yield from _files(path)
        else:
            yield image_files.is_image(path)


def _packed(archive: Path) -> Iterator[bool]:
    return (_is_named_as_image(name) for name in packed.names(archive, LOOKED_AT))


def _is_named_as_image(name: object) -> bool:
    return isinstance(name, str) and PurePosixPath(name.strip()).suffix.lower() in image_files.SUFFIXES


def _names_images(table: tables.Table) -> bool:
    if any(_holds_images(table, name) for name in table.columns if tables.holds_images(table, name)):
        return True
    columns = tuple(tables.plain(table))
    rows = [row for _, row in islice(tables.records(table, (), columns), LOOKED_AT)]
    return bool(rows) and any(all(_is_named_as_image(tables.value(row, name)) for row in rows) for name in columns)


def _holds_images(table: tables.Table, name: str) -> bool:
    """Whether the bytes of a column are those of images: some write texts so."""
    first = (row[name] for _, row in tables.records(table, (), images=name) if row[name])
    return image_files.kind(next(first, b"")[: image_files.HEAD]) is not None
