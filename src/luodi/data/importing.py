"""Take in the data of a new model: rows from a table of texts or a folder of images, into Parquet shards.

Rows go in as they are, bad ones too: validation holds those back, with reasons.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from luodi.data import image_files, tables
from luodi.errors import BrokenData, EmptyData, MissingColumn, MissingData

ROWS = 50_000  # of a shard
BYTES = 64 * 2**20  # of a row group, about
TEXT = ("text", "review", "content", "sentence", "comment", "title", "文本", "评论", "内容", "标题")
LABEL = ("label", "class", "category", "cat", "sentiment", "target", "标签", "类别", "分类")
CLUTTER = ("Thumbs.db", "desktop.ini")  # that file managers leave

Row = tuple[Any, str | None]
"""A text (str) or an image (bytes), and its label; None where the data has none."""


@dataclass(frozen=True)
class Batch:
    """Rows that become one row group: `items` are texts or bytes; `shard` counts from 0."""

    shard: int
    items: list[Any]
    labels: list[str | None]


def choose_columns(found: Sequence[str], text: str | None, label: str | None, where: str) -> tuple[str, str]:
    """Return the columns of the texts and of the labels: those given, else guessed by name.

    Raises:
        MissingColumn: One is not there, or cannot be guessed.
    """
    for given in (text, label):
        if given is not None and given not in found:
            raise tables.missing(where, (given,), list(found))
    text = text or _named(found, TEXT, label)
    label = label or _named(found, LABEL, text) or _other(found, text)
    text = text or _other(found, label)
    if text is None or label is None or text == label:
        kind = "texts: name it with --text-column" if text is None else "labels: name it with --label-column"
        raise MissingColumn(f"{where}: cannot tell the column of the {kind}; found {tables.names(found)}")
    return text, label


def _named(found: Sequence[str], names: Sequence[str], taken: str | None) -> str | None:
    folded = {column.strip().lower(): column for column in reversed(found) if column != taken}
    return next((folded[name] for name in names if name in folded), None)


def _other(found: Sequence[str], taken: str | None) -> str | None:
    """Of two columns the one that is not `taken`."""
    left = [column for column in found if column != taken]
    return left[0] if taken and len(found) == 2 and len(left) == 1 else None


def texts(path: Path, text: str, label: str, encoding: str) -> Iterator[Row]:
    """Yield the rows of a CSV, JSONL or Parquet file; an empty label is none.

    Raises:
        DataError: As `tables.records`; or a row holds what is no text, or more fields than the header.
    """
    for where, row in tables.records(path, (text,), (label,), encoding):
        if None in row:
            raise BrokenData(f"{where}: more fields than the header names: put texts that hold commas in quotes")
        content, name = row.get(text), row.get(label)
        if content is not None and not isinstance(content, str):
            raise BrokenData(f"{where}: expected a text in quotes under `{text}`, found {content!r:.40}")
        if isinstance(name, dict | list):
            raise BrokenData(f"{where}: expected one label, in quotes, under `{label}`, found {name!r:.40}")
        yield None if content is None else _utf8(content), _label(name)


def _label(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else _utf8(str(value)).strip() or None


def _utf8(text: str) -> str:
    """JSON can hold halves of characters, which UTF-8 cannot: each becomes U+FFFD, which validation finds."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def labelled_images(folder: Path) -> list[tuple[Path, str]]:
    """Return the images of `folder`, laid out as CLASS/*.png or *.jpg, each with its class, in order of name.

    Raises:
        MissingData: There is no folder, or none in it.
        EmptyData: A class holds no image.
        BrokenData: Something else lies there, or a link leads out of the folder.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder} is not a folder: give one that holds a folder of images for each class")
    root = folder.resolve()
    found: list[tuple[Path, str]] = []
    for entry in _visible(folder):
        image_files.require_inside(entry, root)
        if not entry.is_dir():
            raise BrokenData(
                f"{entry} lies beside the folders of the classes: expected {folder}/CLASS/IMAGE.png; move it"
            )
        files = _class_files(entry, root)
        found += [(path, _class_name(entry)) for path in files]
    if not found:
        raise MissingData(f"{folder} holds no folder: expected one of images for each class, named after it")
    return found


def _class_files(folder: Path, root: Path) -> list[Path]:
    files = _visible(folder)
    for path in files:
        image_files.require_inside(path, root)
        if path.is_dir():
            raise BrokenData(f"{path} is a folder inside a class: expected images right in {folder}; move them there")
        if not image_files.is_image(path):
            kinds = ", ".join(image_files.SUFFIXES)
            raise BrokenData(f"{path} is no image by its name: expected {kinds}; convert it, or move it away")
    if not files:
        raise EmptyData(f"class {folder} holds no image: expected at least one, or remove the folder")
    return files


def _visible(folder: Path) -> list[Path]:
    return [path for path in image_files.visible(folder) if path.name not in CLUTTER]


def _class_name(folder: Path) -> str:
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        raise BrokenData(f"the name of class {str(folder)!r} is not UTF-8: rename the folder") from None
    return folder.name


def images(files: Sequence[tuple[Path, str]]) -> Iterator[Row]:
    """Yield the bytes of each file and its class.

    Raises:
        BrokenData: A file cannot be read, or is larger than `folders.LARGEST`.
    """
    return ((image_files.read(path), label) for path, label in files)


def batches(rows: Iterator[Row], where: str) -> Iterator[Batch]:
    """Gather rows into row groups of at most `ROWS` rows, and no more bytes than `BYTES` and one row.

    Raises:
        EmptyData: There is no row.
    """
    count = size = 0
    items: list[Any] = []
    labels: list[str | None] = []
    for item, label in rows:
        items.append(item)
        labels.append(label)
        count, size = count + 1, size + len(item or "")
        if count % ROWS == 0 or size >= BYTES:
            yield Batch((count - 1) // ROWS, items, labels)
            items, labels, size = [], [], 0
    if items:
        yield Batch((count - 1) // ROWS, items, labels)
    if not count:
        raise EmptyData(f"{where} holds no row: expected at least one")


class Writer:
    """Writes batches as `part-00000.parquet` and on into a folder: columns `modality`, label, source."""

    def __init__(self, folder: Path, modality: str, source: str) -> None:
        import pyarrow as pa

        kind = pa.string() if modality == "text" else pa.binary()
        self._schema = pa.schema([(modality, kind), ("label", pa.string()), ("source", pa.string())])
        self._folder, self._source = folder, _utf8(source)
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
        columns = [batch.items, batch.labels, [self._source] * len(batch.items)]
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
