"""Tell whether a source of which nobody said so holds texts or images."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

from luodi.data import image_files, packed, tables

LOOKED_AT = 200  # files, or rows of a table


def modality(source: Path, given: tables.Given = tables.PLAIN) -> Literal["text", "image"]:
    """Return "image" where most of the first files are images, or a column of a table names an image in each row.

    Raises:
        DataError: The source is not there, or cannot be read.
    """
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
    columns = tuple(tables.plain(table))
    rows = [row for _, row in islice(tables.records(table, (), columns), LOOKED_AT)]
    return bool(rows) and any(all(_is_named_as_image(tables.value(row, name)) for row in rows) for name in columns)
