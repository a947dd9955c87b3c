"""Folders laid out as CLASS/**/FILE, a row each file: whose files count, and what was passed over.

Above the classes may lie `train`, `val` and `test`, which become the sources of their files, and one folder around all.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from luodi.data import image_files, packed, tables
from luodi.data.columns import NAME, SPLITS, Wanted
from luodi.data.labels import Labels
from luodi.errors import BrokenData, MissingColumn, MissingData, WrongValue
from luodi.terminal import shown

FOLDER = "folder"
"""Column of the folders that a file lies in below that of its class, for files that no table lists."""
TABLES = tuple(kind for kind in tables.KINDS if kind != ".txt")  # a README is none
PICTURES = (".svg", ".eps", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".ico", ".ppm", ".pgm", ".xpm", ".dcm")
"""Of images that are not read; some are texts, and none is a row of a model of texts."""
PART = re.compile(r"(?i)([a-z]+)(?:-(\d+)-of-\d+)?\.")
"""Begins the name of a table that holds a split, or a numbered part of one as Hugging Face's libraries write it."""
NAMED = 5  # files passed over that are named


class Kind(NamedTuple):
    """What files of folders are to be: `name` in words, with an article, and `expected`, those that are."""

    name: str
    expected: str
    holds: Callable[[Path], bool]


class Filed(NamedTuple):
    """A row of which the item lies in a file yet; None where a table names none."""

    path: Path | None
    label: str | None
    source: str
    origin: str
    kept: tuple[str | None, ...] = ()
    below: str | None = None
    """The folders that it lies in below that of its class."""


def labelled(
    folder: Path, kind: Kind, source: str, labels: Labels, *, by_folder: bool = False
) -> tuple[list[Filed], list[str]]:
    """Return the files of `folder`, each with its class, in order of name.

    Args:
        source: Of files that lie below none of `train`, `val` and `test`.
        by_folder: Whether column `FOLDER` is kept.

    Returns:
        The files, and a line that says what was passed over, if anything was.

    Raises:
        MissingData: There is no folder, or no such file in any.
        BrokenData: A link leads out of the folder.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one that holds a folder of {kind.name}s for each class")
    root, top = folder.resolve(), unwrapped(folder)
    passed, splits = _Passed(top, kind), _splits(top, kind)
    if splits:
        passed.files += [path for path in visible(top) if not path.is_dir()]
        passed.folders += [path for path in folders(top) if path not in splits.values()]
    parts = splits or {source: top}
    found = [one for name, part in parts.items() for one in _classes(part, root, name, passed, labels)]
    if by_folder:
        found = [one._replace(kept=(one.below,)) for one in found]
    if not found:
        raise MissingData(
            f"{folder} holds no folder with {_a(kind.name)}: expected one of {kind.name}s for each class, named after "
            f"it; {kind.expected}{passed.pictures()}"
        )
    return found, passed.told()


def split_tables(folder: Path) -> list[tuple[str, Path]]:
    """Return the tables of a folder that are called after a split, each with the split.

    They are train.csv or train-00000-of-00002.parquet, and their kind, or the one table in each of the folders train
    and test, as train/metadata.csv;
    none where none is called train, or two of a split are not numbered as parts of one.
    """
    return _called(folder) or _in_splits(folder)


def only_table(folder: Path) -> Path | None:
    """Return the table that lies in a folder if there is one alone."""
    found = [path for path in visible(folder) if packed.suffix(path.name) in TABLES and path.is_file()]
    return found[0] if len(found) == 1 else None


def _in_splits(folder: Path) -> list[tuple[str, Path]]:
    parts = [(SPLITS[path.name.lower()], path) for path in folders(folder) if path.name.lower() in SPLITS]
    found = [(part, table) for part, path in parts if (table := only_table(path))]
    named = [part for part, _ in found]
    return found if "train" in named and len({*named}) == len(named) == len(parts) else []


def _called(folder: Path) -> list[tuple[str, Path]]:
    files = [path for path in visible(folder) if path.is_file() and packed.suffix(path.name) in tables.KINDS]
    named = [(SPLITS[found[1].lower()], found[2], path) for path in files
             if (found := PART.match(path.name)) and found[1].lower() in SPLITS]  # fmt: skip
    distinct = {(part, number) for part, number, _ in named}
    whole = {part for part, number, _ in named if not number}
    clash = any(number and part in whole for part, number, _ in named) or len(distinct) < len(named)
    return [] if clash or "train" not in {part for part, _, _ in named} else [(part, path) for part, _, path in named]


def require_no_column(folder: Path, wanted: Wanted, kind: Kind) -> None:
    """Raise MissingColumn if a column is wanted that files without a table do not have."""
    if other := [name for name in wanted.stored.values() if name != FOLDER]:
        raise MissingColumn(
            f"{folder} has no column `{shown(other[0], 60)}`, for no table lists its {kind.name}s: give one, or name "
            f"the column {FOLDER}, of the folders below those of the classes; --group-pattern gives {NAME}"
        )


def by_pattern(files: list[Filed], pattern: str, kind: Kind) -> tuple[list[Filed], str]:
    """Keep what a pattern finds in the path of each file: its groups in brackets or, without any, all of it.

    Raises:
        WrongValue: It is found in none.
    """
    found = [re.search(pattern, one.origin) for one in files]
    parts = ["/".join(one.groups("") or (one[0],)) if one else None for one in found]
    without = [one.origin for one, part in zip(files, parts, strict=True) if part is None]
    if len(without) == len(files):
        raise WrongValue(
            f"--group-pattern {pattern}: no path of {_a(kind.name)} holds it, such as {shown(without[0])}; correct it"
        )
    told = f"--group-pattern finds {len({*parts} - {None}):,} groups"
    if without:
        alone = (
            f"1 {kind.name} that it does not match stands"
            if len(without) == 1
            else f"{len(without):,} that it does not match stand"
        )
        told += f"; {alone} alone ({shown(without[0])})"
    return [one._replace(kept=(*one.kept, part)) for one, part in zip(files, parts, strict=True)], told


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


class _Passed:
    """What is no item of a class, and is told."""

    def __init__(self, top: Path, kind: Kind) -> None:
        self.top, self.kind = top, kind
        self.files: list[Path] = []
        self.folders: list[Path] = []

    def told(self) -> list[str]:
        name = self.kind.name
        what = {f"file(s) that are no {name} of a class": self.files, f"folder(s) without {_a(name)}": self.folders}
        said = [f"{len(some):,} {kind} ({self._names(some)})" for kind, some in what.items() if some]
        return [f"passed over: {', '.join(said)}"] if said else []

    def pictures(self) -> str:
        """What to do with images that are not read, if there are some."""
        some = [path for path in self.files if path.suffix.lower() in PICTURES]
        return (
            f"; found {len(some):,} images of another kind ({self._names(some)}): convert them to PNG" if some else ""
        )

    def _names(self, some: list[Path]) -> str:
        names = [shown(path.relative_to(self.top).as_posix(), 60) for path in some[:NAMED]]
        return ", ".join([*names, *(["…"] if len(some) > NAMED else [])])


def below(folder: Path, kind: Kind) -> Iterator[Path]:
    """Yield the files of a kind below `folder`, at any depth, in order of name; hidden files are passed over.

    Raises:
        BrokenData: A link leads out of the folder, or nowhere.
    """
    return _below(folder, folder.resolve(), kind, [])


def _below(folder: Path, root: Path, kind: Kind, others: list[Path]) -> Iterator[Path]:
    """As `below`, of the folder `root` that links may not leave; what is none of the kind goes to `others`."""
    for path in visible(folder):
        image_files.require_inside(path, root)
        if path.is_dir():
            if not path.is_symlink():  # what it holds is found where it lies
                yield from _below(path, root, kind, others)
        elif kind.holds(path):
            yield path
        else:
            others.append(path)


def _splits(folder: Path, kind: Kind) -> dict[str, Path]:
    """The folders of the splits, train and another, each with folders of files in it; else none."""
    inside = [path for path in folders(folder) if next(below(path, kind), None)]
    named = {name: path for path in inside if (name := SPLITS.get(path.name.lower()))}
    deep = all(any(next(below(one, kind), None) for one in folders(path)) for path in inside)
    return named if "train" in named and 1 < len(named) == len(inside) and deep else {}


def folders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, in order of name."""
    return [path for path in visible(folder) if path.is_dir()]


def unwrapped(folder: Path) -> Path:
    """Return the folder in `folder` where several things lie: an archive often holds one folder around all."""
    inside = [path for path in visible(folder) if path.is_dir() or _counts(path)]
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        within = visible(inside[0])
        if any(path.is_dir() or packed.suffix(path.name) in TABLES for path in within):
            return unwrapped(inside[0])
    return folder


def _counts(path: Path) -> bool:
    """Whether a file may hold rows: a README does not."""
    return packed.suffix(path.name) in TABLES or image_files.is_image(path)


def _classes(folder: Path, root: Path, source: str, passed: _Passed, labels: Labels) -> Iterator[Filed]:
    for entry in visible(folder):
        image_files.require_inside(entry, root)
        if not entry.is_dir():
            passed.files.append(entry)
            continue
        files = list(_below(entry, root, passed.kind, passed.files))
        if not files:
            passed.folders.append(entry)
            continue
        label = labels.read(_class_name(entry), str(entry))
        for path in files:
            inner = path.parent.relative_to(entry).as_posix()
            origin = path.relative_to(passed.top).as_posix()
            yield Filed(path, label, source, origin, below=None if inner == "." else inner)


def visible(folder: Path) -> list[Path]:
    """Return what lies in `folder`, in order of name, without hidden files and what file managers leave."""
    return [path for path in image_files.visible(folder) if path.name.lower() not in packed.CLUTTER]


def _class_name(folder: Path) -> str:
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        raise BrokenData(f"the name of class {str(folder)!r} is not UTF-8: rename the folder") from None
    return folder.name
