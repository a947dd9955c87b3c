"""The images of a new model: a folder for each class, a table of paths, or an archive of either."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePath

from luodi.data import class_folders, columns, image_files, importing, packed, tables
from luodi.data.class_folders import Filed, Kind
from luodi.data.columns import Wanted
from luodi.data.importing import Row
from luodi.data.labels import Labels
from luodi.data.tables import Table
from luodi.errors import BrokenData, DataError, MissingData
from luodi.system import lfs
from luodi.terminal import shown

IMAGES = Kind("image", f"images are {', '.join(image_files.KINDS)}", image_files.is_image)


def pictures(
    source: Path, images: Path | None, room: Path, *, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Filed], list[str]]:
    """Return the images of a folder, an archive or a table of paths, in order, and what is to be told of them.

    Args:
        images: The folder or archive that the paths of a table start from; None is the folder that it lies in.
        room: An empty folder to unpack archives into.

    Raises:
        DataError: As `class_folders.labelled` and `listed_images`, or an archive cannot be unpacked.
        WrongValue: No path has the pattern that is wanted.
    """
    files, notes = _pictures(source, images, room, given=given, wanted=replace(wanted, pattern=""), labels=labels)
    if not wanted.pattern:
        return files, notes
    files, told = class_folders.by_pattern(files, wanted.pattern, IMAGES)
    return files, [*notes, told]


def _pictures(
    source: Path, images: Path | None, room: Path, *, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Filed], list[str]]:
    if images is None and packed.is_archive(source):
        packed.unpack(source, room)
        return _in_folder(room, source.name, given, wanted, labels, room=room)
    if source.is_file() or images is not None:
        files, how = _listed_images(source, unpacked(images or source.parent, room), given, wanted, labels, room=room)
        return files, tables.told([(source, how)])
    return _in_folder(source, source.resolve().name, given, wanted, labels, room=room)


def unpacked(source: Path, room: Path) -> Path:
    """Return the folder of images `source`, or the empty folder `room` if it is an archive, unpacked there."""
    if packed.is_archive(source):
        packed.unpack(source, room)
        return room
    return source


def _in_folder(
    folder: Path, source: str, given: tables.Given, wanted: Wanted, labels: Labels, *, room: Path
) -> tuple[list[Filed], list[str]]:
    """By tables of the splits, by the one table that lies beside the images, or by the folders of the classes."""
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one that holds a folder of images for each class")
    top = class_folders.unwrapped(folder)
    listing = class_folders.split_tables(top) or [("", path) for path in [class_folders.only_table(top)] if path]
    if listing:
        try:
            each = [
                _listed_images(path, path.parent, given, wanted, labels, source=part, room=room)
                for part, path in listing
            ]
            read = [(path, how) for (_, path), (_, how) in zip(listing, each, strict=True)]
            return [one for files, _ in each for one in files], tables.told(read)
        except _Astray:
            raise
        except DataError:  # so it may be no list of the images at all, but of the classes
            if (wanted, given) != (columns.NOTHING, tables.PLAIN) or not class_folders.folders(top)[1:]:
                raise
    class_folders.require_no_column(folder, wanted, IMAGES)
    return class_folders.labelled(folder, IMAGES, source, labels, by_folder=bool(wanted.stored))


def _listed_images(
    path: Path, folder: Path, given: tables.Given, wanted: Wanted, labels: Labels, *, source: str = "", room: Path
) -> tuple[list[Filed], str]:
    """Return the images, and how the table was read."""
    table = tables.look(path, given)
    chosen = columns.choose_columns(table, wanted, columns.IMAGE)
    found = listed_images(table, folder, chosen, labels, source, room=room)
    what = "images" if tables.holds_images(table, str(chosen.item)) else "paths"
    return found, f"{table.said}, {what} of column `{shown(chosen.item, 60)}`"


def listed_images(
    table: Table, folder: Path, columns: Wanted, labels: Labels | None = None, source: str = "", *, room: Path
) -> list[Filed]:
    """Return the images that a table names by their paths in `folder`, or holds, see `tables.holds_images`.

    Args:
        source: As of `importing.texts`.
        room: Where images that the table holds are laid down, in a folder of their own.

    Raises:
        DataError: As `texts`.
        BrokenData: A path leads out of the folder, or nowhere.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one with --images, where the paths of {table.path} start")
    if tables.holds_images(table, str(columns.item)):
        return list(_held_images(table, columns, labels, source, Path(tempfile.mkdtemp(dir=room))))
    found, place = [], _Place(folder, table.path.name)
    for row in importing.texts(table, columns, labels, source):
        name = (row.item or "").strip()
        path = place.file(name, f"{table.path}, {row.origin}") if name else None
        found.append(Filed(path, row.label, row.source, name or str(row.origin), row.kept))
    return found


def _held_images(table: Table, columns: Wanted, labels: Labels | None, source: str, folder: Path) -> Iterator[Filed]:
    for place, row in enumerate(importing.texts(table, columns, labels, source, images=True)):
        path = None if row.item is None else folder / str(place)
        if path:
            path.write_bytes(row.item)
        yield Filed(path, row.label, row.source, str(row.origin), row.kept)


def _bases(folder: Path) -> list[Path]:
    """The folder that paths start from, and while one alone lies in that, the one."""
    bases = [folder]
    while len(inside := class_folders.visible(bases[-1])) == 1 and inside[0].is_dir():
        bases.append(inside[0])
    return bases


class _Astray(BrokenData):
    """A table names an image that is not there."""


class _Place:
    """The folder that the paths of a table start from: there, or deeper where one image alone is of that path's end."""

    def __init__(self, folder: Path, table: str) -> None:
        self.folder, self.root = folder, folder.resolve()
        self.bases = [*_bases(folder), folder / PurePath(table).stem]  # train.csv beside train/

    def file(self, name: str, where: str) -> Path:
        """Return the file that a table names; that may leave out the folders above it, and the suffix of an image.

        Raises:
            BrokenData: There is none, there are several, or it is a link that leads out of the folder.
        """
        name = name.replace("\\", "/")
        for path in (base / name for base in self.bases):
            try:
                target = path.resolve(strict=True)
            except (OSError, RuntimeError, ValueError):  # none of that name, or none can have it
                continue
            if not target.is_relative_to(self.root):
                raise BrokenData(f"{where}: {shown(name)} leads out of {self.folder}: put the image itself there")
            if path.is_file():
                return path
        return self._deeper(name, where)

    def _deeper(self, name: str, where: str) -> Path:
        ends = PurePath(name).parts
        named = self._by_name.get(ends[-1] if ends else "", [])
        found = [one for one in named if one.relative_to(self.folder).parts[-len(ends) : -1] == ends[:-1]]
        if len(found) > 1:
            both = " and ".join(shown(one.relative_to(self.folder).as_posix()) for one in found[:2])
            raise _Astray(
                f"{where}: {shown(name)} may be {both}: write its path from {self.folder}, or name the folder that it "
                "starts from with --images"
            )
        if not found:
            raise _Astray(
                f"{where}: no image {shown(name)} in {self.folder}; correct it, or name its folder with --images"
            )
        return found[0]

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """Every image below the folder, by its name with and without the suffix."""
        found: dict[str, list[Path]] = {}
        for path in image_files.images(self.folder):
            for name in {path.name, path.stem}:
                found.setdefault(name, []).append(path)
        return found


def images(files: Sequence[Filed]) -> Iterator[Row]:
    """Yield the bytes of each file and what is known of it.

    Raises:
        BrokenData: A file cannot be read, or is larger than `image_files.LARGEST`.
    """
    for one in files:
        if one.path:
            lfs.require_content(one.path, BrokenData)
        yield Row(image_files.read(one.path) if one.path else None, one.label, one.source, one.origin, one.kept)
