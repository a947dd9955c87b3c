"""The images of a new model: a folder for each class, a table of paths, or an archive of either."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from luodi.data import columns, image_files, importing, packed, tables
from luodi.data.columns import SPLITS, Wanted
from luodi.data.importing import Row
from luodi.data.labels import Labels
from luodi.data.tables import Table
from luodi.errors import BrokenData, DataError, MissingColumn, MissingData, WrongValue
from luodi.terminal import shown

FOLDER = "folder"
"""Column of the folders that an image lies in below that of its class, for images that no table lists."""
NAMED = 5  # files passed over that are named


class Picture(NamedTuple):
    """A row of which the image lies in a file yet; None where a table names none."""

    path: Path | None
    label: str | None
    source: str
    origin: str
    kept: tuple[str | None, ...] = ()
    below: str | None = None
    """The folders that it lies in below that of its class."""


def pictures(
    source: Path, images: Path | None, room: Path, *, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Picture], list[str]]:
    """Return the images of a folder, an archive or a table of paths, in order, and what is to be told of them.

    Args:
        images: The folder or archive that the paths of a table start from; None is the folder that it lies in.
        room: An empty folder to unpack archives into.

    Raises:
        DataError: As `labelled_images` and `listed_images`, or an archive cannot be unpacked.
        WrongValue: No path has the pattern that is wanted.
    """
    files, notes = _pictures(source, images, room, given=given, wanted=replace(wanted, pattern=""), labels=labels)
    return _by_pattern(files, wanted.pattern, notes) if wanted.pattern else (files, notes)


def _pictures(
    source: Path, images: Path | None, room: Path, *, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Picture], list[str]]:
    if images is None and packed.is_archive(source):
        packed.unpack(source, room)
        return _in_folder(room, source.name, given, wanted, labels)
    if source.is_file() or images is not None:
        return _listed_images(source, unpacked(images or source.parent, room), given, wanted, labels)
    return _in_folder(source, source.resolve().name, given, wanted, labels)


def _by_pattern(files: list[Picture], pattern: str, notes: list[str]) -> tuple[list[Picture], list[str]]:
    """Keep what a pattern finds in the path of each image: its groups in brackets or, without any, all of it."""
    found = [re.search(pattern, one.origin) for one in files]
    parts = ["/".join(one.groups("") or (one[0],)) if one else None for one in found]
    without = [one.origin for one, part in zip(files, parts, strict=True) if part is None]
    if len(without) == len(files):
        raise WrongValue(
            f"--group-pattern {pattern}: no path of an image holds it, such as {shown(without[0])}; correct it"
        )
    told = f"--group-pattern finds {len({*parts} - {None}):,} groups"
    if without:
        alone = (
            "1 image that it does not match stands"
            if len(without) == 1
            else f"{len(without):,} that it does not match stand"
        )
        told += f"; {alone} alone ({shown(without[0])})"
    kept = [one._replace(kept=(*one.kept, part)) for one, part in zip(files, parts, strict=True)]
    return kept, [*notes, told]


def unpacked(source: Path, room: Path) -> Path:
    """Return the folder of images `source`, or the empty folder `room` if it is an archive, unpacked there."""
    if packed.is_archive(source):
        packed.unpack(source, room)
        return room
    return source


def _in_folder(
    folder: Path, source: str, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Picture], list[str]]:
    """By the one table that lies beside the images, or by the folders of the classes."""
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one that holds a folder of images for each class")
    top = _unwrapped(folder)
    listing = [path for path in _visible(top) if packed.suffix(path.name) in TABLES and path.is_file()]
    if len(listing) == 1:
        try:
            return _listed_images(listing[0], top, given, wanted, labels)
        except DataError:
            if (wanted, given) != (columns.NOTHING, tables.PLAIN) or not _folders(top):
                raise
    if other := [name for name in wanted.stored.values() if name != FOLDER]:
        raise MissingColumn(
            f"{folder} has no column `{shown(other[0], 60)}`, for no table lists its images: give one, or name the "
            f"column {FOLDER}, of the folders below those of the classes; --group-pattern gives {columns.NAME}"
        )
    return labelled_images(folder, source, labels, by_folder=bool(wanted.stored))


def _listed_images(
    path: Path, folder: Path, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Picture], list[str]]:
    table = tables.look(path, given)
    chosen = columns.choose_columns(table, wanted, columns.IMAGE)
    said = f"read {shown(path.name)} as {table.said}, paths of column `{shown(chosen.item, 60)}`"
    return listed_images(table, folder, chosen, labels), [said]


TABLES = tuple(kind for kind in tables.KINDS if kind != ".txt")  # a README is none


def listed_images(table: Table, folder: Path, columns: Wanted, labels: Labels | None = None) -> list[Picture]:
    """Return the images that a table names by their paths in `folder`.

    Raises:
        DataError: As `texts`.
        BrokenData: A path leads out of the folder, or nowhere.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one with --images, where the paths of {table.path} start")
    found = []
    for row in importing.texts(table, columns, labels):
        name = (row.item or "").strip()
        path = _listed(name, folder, f"{table.path}, {row.origin}") if name else None
        found.append(Picture(path, row.label, row.source, name or str(row.origin), row.kept))
    return found


def _listed(name: str, folder: Path, where: str) -> Path:
    """The file that a table names by its path in `folder`, or in the one folder that lies in that."""
    bases = [folder]
    while len(inside := _visible(bases[-1])) == 1 and inside[0].is_dir():
        bases.append(inside[0])
    for path in (base / name.replace("\\", "/") for base in bases):
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):  # none of that name, or none can have it
            continue
        if not target.is_relative_to(folder.resolve()):
            raise BrokenData(f"{where}: {shown(name)} leads out of {folder}: put the image itself there")
        return path
    raise BrokenData(f"{where}: no image {shown(name)} in {folder}; correct it, or name its folder with --images")


def labelled_images(
    folder: Path, source: str | None = None, labels: Labels | None = None, *, by_folder: bool = False
) -> tuple[list[Picture], list[str]]:
    """Return the images of `folder`, laid out as CLASS/**/IMAGE, each with its class, in order of name.

    Above the classes may lie `train`, `val` and `test`, which become the sources of their images, and one folder
    around all.

    Args:
        by_folder: Whether column `FOLDER` is kept.

    Returns:
        The images, and a line that says what was passed over, if anything was.

    Raises:
        MissingData: There is no folder, or no image in any.
        BrokenData: A link leads out of the folder.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one that holds a folder of images for each class")
    root, top = folder.resolve(), _unwrapped(folder)
    source = source or folder.resolve().name
    passed, splits, labels = _Passed(top), _splits(top), labels or Labels()
    if splits:
        passed.files += [path for path in _visible(top) if not path.is_dir()]
        passed.folders += [path for path in _folders(top) if path not in splits.values()]
    parts = splits or {source: top}
    found = [one for name, part in parts.items() for one in _classes(part, root, name, passed, labels)]
    if by_folder:
        found = [one._replace(kept=(one.below,)) for one in found]
    if not found:
        raise MissingData(
            f"{folder} holds no folder with an image: expected one of images for each class, named after it; "
            f"images are {', '.join(image_files.KINDS)}"
        )
    return found, passed.told()


class _Passed:
    """What is no image of a class, and is told."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.files: list[Path] = []
        self.folders: list[Path] = []

    def told(self) -> list[str]:
        what = {"file(s) that are no image of a class": self.files, "folder(s) without an image": self.folders}
        said = [f"{len(some):,} {kind} ({self._names(some)})" for kind, some in what.items() if some]
        return [f"passed over: {', '.join(said)}"] if said else []

    def _names(self, some: list[Path]) -> str:
        names = [shown(path.relative_to(self.top).as_posix(), 60) for path in some[:NAMED]]
        return ", ".join([*names, *(["…"] if len(some) > NAMED else [])])


def _splits(folder: Path) -> dict[str, Path]:
    """The folders of the splits, train and another, with nothing but folders of images in them; else none."""
    inside = [path for path in _folders(folder) if next(image_files.images(path), None)]
    found = {SPLITS.get(path.name.lower()): path for path in inside}
    bare = any(image_files.is_image(one) for path in inside for one in _visible(path))
    named = {name: path for name, path in found.items() if name}
    return named if "train" in named and 1 < len(named) == len(inside) and not bare else {}


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _unwrapped(folder: Path) -> Path:
    """The folder in `folder` where several things lie: an archive often holds one folder around all."""
    inside = [path for path in _visible(folder) if path.is_dir() or _counts(path)]
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        within = _visible(inside[0])
        if any(path.is_dir() or packed.suffix(path.name) in TABLES for path in within):
            return _unwrapped(inside[0])
    return folder


def _counts(path: Path) -> bool:
    """Whether a file may hold rows: a README does not."""
    return packed.suffix(path.name) in TABLES or image_files.is_image(path)


def _classes(folder: Path, root: Path, source: str, passed: _Passed, labels: Labels) -> Iterator[Picture]:
    for entry in _visible(folder):
        image_files.require_inside(entry, root)
        if not entry.is_dir():
            passed.files.append(entry)
            continue
        files = list(_class_files(entry, root, passed))
        if not files:
            passed.folders.append(entry)
            continue
        label = labels.read(_class_name(entry), str(entry))
        for path in files:
            below = path.parent.relative_to(entry).as_posix()
            origin = path.relative_to(passed.top).as_posix()
            yield Picture(path, label, source, origin, below=None if below == "." else below)


def _class_files(folder: Path, root: Path, passed: _Passed) -> Iterator[Path]:
    for path in _visible(folder):
        image_files.require_inside(path, root)
        if path.is_dir():
            yield from () if path.is_symlink() else _class_files(path, root, passed)
        elif image_files.is_image(path):
            yield path
        else:
            passed.files.append(path)


def _visible(folder: Path) -> list[Path]:
    return [path for path in image_files.visible(folder) if path.name.lower() not in packed.CLUTTER]


def _class_name(folder: Path) -> str:
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        raise BrokenData(f"the name of class {str(folder)!r} is not UTF-8: rename the folder") from None
    return folder.name


def images(files: Sequence[Picture]) -> Iterator[Row]:
    """Yield the bytes of each file and what is known of it.

    Raises:
        BrokenData: A file cannot be read, or is larger than `image_files.LARGEST`.
    """
    for one in files:
        yield Row(image_files.read(one.path) if one.path else None, one.label, one.source, one.origin, one.kept)
