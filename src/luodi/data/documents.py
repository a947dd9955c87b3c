"""The texts of a new model: a table, those of a folder, a folder of files for each class, or an archive of these."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from luodi.data import class_folders, encodings, image_files, importing, packed, tables
from luodi.data.class_folders import Filed, Kind
from luodi.data.columns import SPLITS, Wanted, choose_columns
from luodi.data.importing import Row
from luodi.data.labels import Labels
from luodi.errors import BrokenData, MissingData, WrongValue
from luodi.system import lfs
from luodi.terminal import shown

HEAD = 8192  # bytes that tell whether a file is a text


def is_text(path: Path) -> bool:
    """Tell a file of one text, compressed or not, from an image, a table, an archive and whatever holds no text."""
    if packed.suffix(path.name) in (*class_folders.TABLES, *class_folders.PICTURES) or packed.is_archive(path):
        return False
    try:
        if not path.is_file() or image_files.is_image(path):
            return False
        with packed.opened(path) as (file, _):
            head = file.read(HEAD)
    except OSError:
        return False
    except BrokenData:
        return lfs.is_pointer(path)  # whoever reads it is told
    return encodings.marked(head) is not None or not (b"\0" in head or head.startswith(b"%PDF-"))


TEXTS = Kind("text", "a text is a file that holds no more, such as 1.txt", is_text)


@dataclass
class Documents:
    """The rows of a source, read as they are asked for, and how they are read.

    Attributes:
        notes: A line each on how it was read.
        item: The column of the texts; None of files.
        said: In words where the texts and their labels stand.
        label: In words where the labels stand, and `renamed` how others are had.
    """

    rows: Iterator[Row]
    notes: list[str] = field(default_factory=list)
    item: str | None = None
    said: str = "texts of a file each, labels of their folders"
    label: str = "folders"
    renamed: str = "make a folder for each class"


def opened(source: Path, given: tables.Given, wanted: Wanted, labels: Labels, room: Path) -> Documents:
    """Open the texts of `source`: a table, a folder of tables or of a folder for each class, or an archive.

    Args:
        room: An empty folder to unpack archives into.

    Raises:
        DataError: As `tables.look`, `choose_columns`, `class_folders.labelled`; an archive cannot be unpacked. As
            they are read, so of the rows.
        WrongValue: A pattern is wanted of what has no paths, or no path has it.
    """
    folder = source
    if packed.is_archive(source) and packed.several(source):
        packed.unpack(source, folder := room)
    if not folder.is_dir():
        return _of_tables([(source.name, source)], given, wanted, labels)
    if found := _parts(class_folders.unwrapped(folder), source):
        return _of_tables(found, given, wanted, labels)
    return _of_files(folder, source, given, wanted, labels)


def _parts(folder: Path, source: Path) -> list[tuple[str, Path]]:
    """As `class_folders.split_tables`; none where it has folders alone.

    Raises:
        MissingData: No table is called train, or two tables are called alike.
    """
    if found := class_folders.split_tables(folder):
        return found
    files = [path for path in class_folders.visible(folder) if path.is_file()]
    inside = [path for path in files if packed.suffix(path.name) in tables.KINDS]
    named = [path for path in inside if path.name.partition(".")[0].lower() in SPLITS]
    if not named and class_folders.folders(folder):
        return []
    raise MissingData(
        f"{source}: expected a table, a folder with one table each of train, val and test, such as train.csv, or one "
        f"with a folder of texts for each class; found {tables.names([path.name for path in inside])}; name one of "
        "them with --from"
    )


def _of_tables(found: list[tuple[str, Path]], given: tables.Given, wanted: Wanted, labels: Labels) -> Documents:
    if wanted.pattern:
        raise WrongValue(
            "--group-pattern looks at the paths of files, and a table has none: name a column with --group"
        )
    looked = [(part, tables.look(path, given)) for part, path in found]
    chosen = [choose_columns(table, wanted) for _, table in looked]
    each = (importing.texts(table, of, labels, part) for (part, table), of in zip(looked, chosen, strict=True))
    notes = tables.told([(table.path, table.said) for _, table in looked])
    item, label = (f"column `{shown(name, 60)}`" for name in (chosen[0].item, chosen[0].label))
    return Documents(
        chain.from_iterable(each), notes, chosen[0].item, f"texts of {item}, labels of {label}", label,
        "name another with --label-column",
    )  # fmt: skip


def _of_files(folder: Path, source: Path, given: tables.Given, wanted: Wanted, labels: Labels) -> Documents:
    if named := [option for option, value in _of_columns(given, wanted).items() if value]:
        raise WrongValue(f"{named[0]} is of tables, and {source} holds none: take it away")
    class_folders.require_no_column(source, replace(wanted, pattern=""), TEXTS)
    by_folder = class_folders.FOLDER in wanted.stored
    files, notes = class_folders.labelled(folder, TEXTS, source.resolve().name, labels, by_folder=by_folder)
    if wanted.pattern:
        files, told = class_folders.by_pattern(files, wanted.pattern, TEXTS)
        notes.append(told)
    rows, said = read(files, given.encoding, str(source))
    return Documents(rows, [said, *notes])


def read(files: Sequence[Filed], given: str | None, where: str) -> tuple[Iterator[Row], str]:
    """Return the text of each file, and a line that says how they are read.

    Args:
        given: The encoding of those that are not UTF-8; None is what their lines together tell.

    Raises:
        BrokenData: The encoding is in doubt.
    """
    other = given or _encoding(files, where)
    name = f", others in {encodings.words(other)}" if other else ""
    return _rows(files, other), f"read {len(files):,} files in {encodings.words(encodings.UTF8)}{name}"


def _of_columns(given: tables.Given, wanted: Wanted) -> dict[str, object]:
    return {"--text-column": wanted.item, "--label-column": wanted.label, "--split-column": wanted.split,
            "--delimiter": given.delimiter, "--no-header": not given.header, "--sheet": given.sheet}  # fmt: skip


def _encoding(files: Sequence[Filed], where: str) -> str | None:
    """Return the encoding of the files that are not UTF-8, told by their lines together; None if there are none.

    Raises:
        BrokenData: Their letters leave it in doubt.
    """
    lines: list[bytes] = []
    names: list[str] = []
    for one in files:
        data = _read(one)
        if not encodings.marked(data) and not encodings.is_in(data, "utf-8"):
            lines += [line for line in data.splitlines() if not encodings.is_in(line, "utf-8")]
            names.append(one.origin)
        if sum(map(len, lines)) > encodings.TELLING:
            break
    if not lines:
        return None
    try:
        return encodings.detect(io.BytesIO(b"\n".join(lines)), f"{shown(names[0])} of {where}")
    except BrokenData as error:
        more = f"{len(names):,} or more files are not UTF-8; " if len(names) > 1 else ""
        raise BrokenData(f"{error}; {more}those that are UTF-8 are read as that") from None


def _rows(files: Sequence[Filed], other: str | None) -> Iterator[Row]:
    """Yield the text of each file: as UTF-8, else as `other`; what is none of that becomes U+FFFD."""
    for one in files:
        data = _read(one)
        encoding = encodings.of_one(data, other or encodings.UTF8)
        yield Row(data.decode(encoding, "replace"), one.label, one.source, one.origin, one.kept)


def _read(one: Filed) -> bytes:
    assert one.path is not None
    if one.path.suffix.lower() not in packed.COMPRESSED:
        lfs.require_content(one.path, BrokenData)
        return image_files.read(one.path, "a text")
    with packed.opened(one.path) as (file, _):
        return image_files.bounded(file, one.path, "a text")
