"""Take in the data of a new model: rows from a table of texts, a table of images or a folder of them, into shards.

Rows go in as they are, bad ones too: validation holds those back, with reasons.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from luodi.data import image_files, packed, tables
from luodi.data.tables import Table
from luodi.errors import BrokenData, EmptyData, MissingColumn, MissingData
from luodi.terminal import shown

ROWS = 50_000  # of a shard
BYTES = 64 * 2**20  # of a row group, about
TEXT = ("text", "review", "content", "sentence", "comment", "title", "文本", "评论", "内容", "标题")
IMAGE = ("image", "path", "file", "filename", "file_name", "file_path", "image_path", "图片", "路径", "文件")
LABEL = ("label", "class", "category", "cat", "sentiment", "target", "标签", "类别", "分类")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
          "test": "test", "testing": "test"}  # fmt: skip
TEST = "test"
OWN = ("text", "image", "label", "source", "origin", "id", "revision", "shard", "row", "split", "reasons")
"""Columns of luodi's own, in shards and in what is made of them."""

WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+")
BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
TOLD = 3  # labels that are read as others, shown


class Row(NamedTuple):
    """A text (str) or an image (bytes), its label, and where it comes from; None where the data has none."""

    item: Any
    label: str | None
    source: str = ""
    origin: str | None = None
    """Within the source: "line 3", or the name of an image."""
    kept: tuple[str | None, ...] = ()
    """Values of the columns that are kept beside."""


class Picture(NamedTuple):
    """A row of which the image lies in a file yet; None where a table names none."""

    path: Path | None
    label: str | None
    source: str
    origin: str
    kept: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """The columns of a table that a person names; what is None is guessed (`item`, `label`) or left out.

    Attributes:
        item: Of the texts, or of the paths of images.
        keep: Stored beside, under their own names.
    """

    item: str | None = None
    label: str | None = None
    id: str | None = None
    revision: str | None = None
    keep: tuple[str, ...] = ()

    @property
    def stored(self) -> dict[str, str]:
        """Columns of shards -> columns of the table."""
        named = {"id": self.id, "revision": self.revision}
        return {own: name for own, name in named.items() if name} | {name: name for name in self.keep}


NOTHING = Wanted()


@dataclass
class Labels:
    """Reads labels: white space around them and `.0` behind whole numbers go, line breaks become spaces.

    Attributes:
        names: Labels as they are in the data -> as they are to be.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: set[str] = field(default_factory=set)
    same: set[str] = field(default_factory=set)
    """Labels that are read as themselves, known so that a million rows are quick."""

    def read(self, value: Any, where: str) -> str | None:
        """Return the label that a row has; None for none.

        Raises:
            BrokenData: It has several, or an object.
        """
        if isinstance(value, str) and value in self.same:
            return value
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, list) or (isinstance(value, str) and _is_list(value)):
            raise BrokenData(f"{where}: found a list of labels, {value!r:.60}; {tables.ONE_LABEL}")
        if isinstance(value, dict):
            raise BrokenData(f"{where}: expected one label, in quotes, found {value!r:.40}")
        if value is None:
            return None
        raw = _utf8(str(value))
        label = BREAKS.sub(" ", raw.strip()).strip()
        if whole := WHOLE_NUMBER.fullmatch(label):
            label = whole[1]
        if label in self.names:
            self.found.add(label)
            label = self.names[label]
        elif raw == label:
            if label and len(self.same) < ROWS:
                self.same.add(label)
        elif len(self.changed) < ROWS:
            self.changed[raw, label] += bool(label)
        return label or None

    def told(self) -> list[str]:
        """Return a line that says which labels are read as others; none if there are none.

        Raises:
            BrokenData: No row has a label that `names` names.
        """
        if absent := sorted(self.names.keys() - self.found):
            raise BrokenData(f"--label-map names {shown(absent[0], 60)}, which no row has for a label: correct it")
        pairs = [one for one in self.changed.most_common() if one[1]]
        some = ", ".join(
            f"{shown(repr(raw), 40)} as {shown(label, 40)} ({count:,})" for (raw, label), count in pairs[:TOLD]
        )
        more = f", and {len(pairs) - TOLD:,} more" if len(pairs) > TOLD else ""
        return [f"labels read as others: {some}{more}"] if pairs else []


def _is_list(value: str) -> bool:
    """Whether a cell holds a list of texts, as JSON or Python writes it."""
    if not (value[:1] == "[" and value[-1:] == "]" and len(value) < 1000):
        return False
    try:
        return all(isinstance(one, str) for one in ast.literal_eval(value))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


@dataclass(frozen=True)
class Batch:
    """Rows that become one row group: their items are texts or bytes; `shard` counts from 0."""

    shard: int
    rows: list[Row]

    @property
    def items(self) -> list[Any]:
        return [row.item for row in self.rows]

    @property
    def labels(self) -> list[str | None]:
        return [row.label for row in self.rows]


def choose_columns(table: Table, wanted: Wanted, usual: Sequence[str] = TEXT) -> Wanted:
    """Return the columns wanted, those of items and labels guessed by name where none is given.

    Raises:
        MissingColumn: One is not there, or cannot be guessed.
        BrokenData: One that is to be kept has a name that luodi uses itself.
    """
    if own := [name for name in wanted.keep if name in OWN]:
        raise BrokenData(
            f"--keep {own[0]}: shards have a column of that name for another use; rename it in {table.path}"
        )
    item, label = _guessed(table, wanted, usual)
    if item is None or label is None or item == label:
        what = "texts: name it with --text-column" if usual is TEXT else "images: name it with --image-column"
        raise _untold(table, "labels: name it with --label-column" if item is not None else what)
    return Wanted(item, label, wanted.id, wanted.revision, wanted.keep)


def choose_item(table: Table, item: str | None, usual: Sequence[str] = TEXT) -> str:
    """Return the column of the texts, or of the paths of images, as `choose_columns` would; it may be the only one.

    Raises:
        MissingColumn: It is not there, or cannot be guessed.
    """
    found = _guessed(table, Wanted(item), usual)[0]
    if found is None and len(table.columns) == 1:
        return table.columns[0]
    if found is None and table.keyed and not table.columns:
        return usual[0]  # of no row at all
    if found is None:
        what = "texts: name it with --text-column" if usual is TEXT else "images: name it with --image-column"
        raise _untold(table, what)
    return found


def _untold(table: Table, what: str) -> MissingColumn:
    header = "; if its first row is a row as the others, say --no-header" if table.headed else ""
    return MissingColumn(
        f"{table.path}: cannot tell the column of the {what}; found {tables.names(table.columns)}{header}"
    )


def _guessed(table: Table, wanted: Wanted, usual: Sequence[str]) -> tuple[str | None, str | None]:
    for given in (wanted.item, wanted.label, *wanted.stored.values()):
        if given is not None and not tables.has(table, given):
            raise tables.missing(str(table.path), (given,), table.columns)
    found = table.columns
    item = wanted.item or _named(found, usual, wanted.label)
    label = wanted.label or _named(found, LABEL, item) or _other(found, item)
    return item or _other(found, label), label


def _named(found: Sequence[str], names: Sequence[str], taken: str | None) -> str | None:
    folded = {column.strip().lower(): column for column in reversed(found) if column != taken}
    return next((folded[name] for name in names if name in folded), None)


def _other(found: Sequence[str], taken: str | None) -> str | None:
    """Of two columns the one that is not `taken`."""
    left = [column for column in found if column != taken]
    return left[0] if taken and len(found) == 2 and len(left) == 1 else None


def texts(table: Table, columns: Wanted, labels: Labels | None = None) -> Iterator[Row]:
    """Yield the rows of a table; an empty label is none, and without a column of labels every row has none.

    Raises:
        DataError: As `tables.records`; or a row holds what is no text, or more fields than the header.
    """
    assert columns.item is not None
    stored = tuple(columns.stored.values())
    others = [columns.label, *stored]
    source, path, labels = table.path.name, str(table.path), labels or Labels()
    for place, row in tables.records(table, (columns.item,), tuple(name for name in others if name)):
        where = f"{path}, {place}"
        if None in row:
            raise BrokenData(f"{where}: more fields than the header names: put texts that hold commas in quotes")
        content = tables.value(row, columns.item)
        if content is not None and not isinstance(content, str):
            raise BrokenData(f"{where}: expected a text in quotes under `{columns.item}`, found {content!r:.40}")
        label = labels.read(tables.value(row, columns.label), where) if columns.label else None
        kept = tuple(_plain(tables.value(row, name)) for name in stored)
        yield Row(None if content is None else _utf8(content), label, source, place, kept)


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and _utf8(value)
    return json.dumps(value, ensure_ascii=True)


def _utf8(text: str) -> str:
    """JSON can hold halves of characters, which UTF-8 cannot: each becomes U+FFFD, which validation finds."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def pictures(
    source: Path, images: Path | None, room: Path, *, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Picture], list[str]]:
    """Return the images of a folder, an archive or a table of paths, in order, and what is to be told of a table.

    Args:
        images: The folder or archive that the paths of a table start from; None is the folder that it lies in.
        room: An empty folder to unpack archives into.

    Raises:
        DataError: As `labelled_images` and `listed_images`, or an archive cannot be unpacked.
    """
    if images is None and packed.is_archive(source):
        packed.unpack(source, room)
        return _in_folder(room, source.name, given, wanted, labels)
    if source.is_file() or images is not None:
        return _listed_images(source, unpacked(images or source.parent, room), given, wanted, labels)
    return _in_folder(source, source.resolve().name, given, wanted, labels)


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
        return _listed_images(listing[0], top, given, wanted, labels)
    return labelled_images(folder, source), []


def _listed_images(
    path: Path, folder: Path, given: tables.Given, wanted: Wanted, labels: Labels
) -> tuple[list[Picture], list[str]]:
    table = tables.look(path, given)
    columns = choose_columns(table, wanted, IMAGE)
    said = f"read {shown(path.name)} as {table.said}, paths of column `{shown(columns.item, 60)}`"
    return listed_images(table, folder, columns, labels), [said]


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
    for row in texts(table, columns, labels):
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


def labelled_images(folder: Path, source: str | None = None) -> list[Picture]:
    """Return the images of `folder`, laid out as CLASS/**/IMAGE, each with its class, in order of name.

    Above the classes may lie `train`, `val` and `test`, which become the sources of their images, and one folder
    around all.

    Raises:
        MissingData: There is no folder, or none in it.
        EmptyData: A class holds no image.
        BrokenData: Something else lies there, or a link leads out of the folder.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one that holds a folder of images for each class")
    root, top = folder.resolve(), _unwrapped(folder)
    source = source or folder.resolve().name
    parts = {SPLITS[path.name.lower()]: path for path in _visible(top)} if _is_split(top) else {source: top}
    found = [one for name, part in parts.items() for one in _classes(part, root, name, top)]
    learnt = {one.label for one in found if one.source != TEST or len(parts) == 1}
    if strange := [one for one in found if one.label not in learnt]:
        raise BrokenData(f"{strange[0].path} is of a class that only {TEST} has: add images to learn it from")
    if not found:
        raise MissingData(f"{folder} holds no folder: expected one of images for each class, named after it")
    return found


def _is_split(folder: Path) -> bool:
    """Whether nothing but splits lies in `folder`, train and another, and in them nothing but folders."""
    inside = _visible(folder)
    found = [SPLITS.get(path.name.lower()) for path in inside]
    named = len(found) > 1 and "train" in found and None not in found and len(set(found)) == len(found)
    return named and all(path.is_dir() and all(one.is_dir() for one in _visible(path)) for path in inside)


def _unwrapped(folder: Path) -> Path:
    """The folder in `folder` where several things lie: an archive often holds one folder around all."""
    inside = _visible(folder)
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        within = _visible(inside[0])
        if any(path.is_dir() or packed.suffix(path.name) in TABLES for path in within):
            return _unwrapped(inside[0])
    return folder


def _classes(folder: Path, root: Path, source: str, top: Path) -> list[Picture]:
    found = []
    for entry in _visible(folder):
        image_files.require_inside(entry, root)
        if not entry.is_dir():
            raise BrokenData(
                f"{entry} lies beside the folders of the classes: expected {folder}/CLASS/IMAGE.png; move it"
            )
        files = list(_class_files(entry, root))
        if not files:
            raise EmptyData(f"class {entry} holds no image: expected at least one, or remove the folder")
        name = _class_name(entry)
        found += [Picture(path, name, source, path.relative_to(top).as_posix()) for path in files]
    return found


def _class_files(folder: Path, root: Path) -> Iterator[Path]:
    for path in _visible(folder):
        image_files.require_inside(path, root)
        if path.is_dir():
            yield from () if path.is_symlink() else _class_files(path, root)
        elif image_files.is_image(path):
            yield path
        else:
            kinds = ", ".join(image_files.KINDS)
            raise BrokenData(f"{path} is no image: expected {kinds}; convert it, or move it away")


def _visible(folder: Path) -> list[Path]:
    return [path for path in image_files.visible(folder) if path.name not in packed.CLUTTER]


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


def batches(rows: Iterator[Row], where: str) -> Iterator[Batch]:
    """Gather rows into row groups of at most `ROWS` rows, and no more bytes than `BYTES` and one row.

    Raises:
        EmptyData: There is no row.
    """
    count = size = 0
    gathered: list[Row] = []
    for row in rows:
        gathered.append(row)
        count, size = count + 1, size + len(row.item or "")
        if count % ROWS == 0 or size >= BYTES:
            yield Batch((count - 1) // ROWS, gathered)
            gathered, size = [], 0
    if gathered:
        yield Batch((count - 1) // ROWS, gathered)
    if not count:
        raise EmptyData(f"{where} holds no row: expected at least one")


class Writer:
    """Writes batches as `part-00000.parquet` and on into a folder: columns `modality`, label, source, origin, kept."""

    def __init__(self, folder: Path, modality: str, kept: Sequence[str] = ()) -> None:
        import pyarrow as pa

        kind = pa.string() if modality == "text" else pa.binary()
        names = ("label", "source", "origin", *kept)
        self._schema = pa.schema([(modality, kind), *((name, pa.string()) for name in names)])
        self._folder = folder
        self._file: Any = None
        self.shards = 0

    def write(self, batch: Batch) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if batch.shard == self.shards:
            self._close()
            path = self._folder / f"part-{batch.shard:05}.parquet"
            self._file = pq.ParquetWriter(
                path, self._schema, compression="zstd", store_schema=False, use_dictionary=["label", "source"]
            )
            self.shards += 1
        plain = [
            (row.item, row.label, _utf8(row.source), row.origin and _utf8(row.origin), *row.kept) for row in batch.rows
        ]
        columns = list(zip(*plain, strict=True))
        arrays = [pa.array(column, kind) for column, kind in zip(columns, self._schema.types, strict=True)]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
