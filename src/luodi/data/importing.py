"""Take in the data of a model: the rows of its tables, gathered and written into shards.

Rows go in as they are, bad ones too: validation holds those back, with reasons.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, Self

from luodi.data import encodings, tables
from luodi.data.columns import SPLITS, Wanted
from luodi.data.labels import Labels
from luodi.data.tables import Table
from luodi.errors import BrokenData, EmptyData

ROWS = 50_000  # of a shard
BYTES = 64 * 2**20  # of a row group, about


class Row(NamedTuple):
    """A text (str) or an image (bytes), its label, and where it comes from; None where the data has none."""

    item: Any
    label: str | None
    source: str = ""
    origin: str | None = None
    """Where it stood: "hotels.csv, line 3", or the name of an image."""
    kept: tuple[str | None, ...] = ()
    """Values of the columns that are kept beside."""


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


def texts(
    table: Table, columns: Wanted, labels: Labels | None = None, source: str = "", *, images: bool = False
) -> Iterator[Row]:
    """Yield the rows of a table; an empty label is none, and without a column of labels every row has none.

    Args:
        images: The items are the bytes of images, see `tables.holds_images`.
        source: Of rows of which no column of splits says train, val or test; the name of the table if empty.

    Raises:
        DataError: As `tables.records`; or a row holds what is no text, or more fields than the header.
    """
    assert columns.item is not None
    stored = tuple(columns.stored.values())
    file, path, labels = table.path.name, str(table.path), labels or Labels()
    counted = labels.beside.names(table, columns) if columns.label else []
    others = [columns.label, columns.split, *stored, *counted]
    scalars = tuple(name for name in dict.fromkeys(others) if name)
    if table.by_columns and not images:
        yield from _by_columns(table, columns, labels, source, scalars)
        return
    items, bare = ((), columns.item) if images else ((columns.item,), None)
    for place, row in tables.records(table, items, scalars, images=bare):
        where = f"{path}, {place}"
        if None in row:
            raise tables.too_many_fields(table, place)
        content = tables.value(row, columns.item)
        if content is not None and not isinstance(content, bytes if images else str):
            raise BrokenData(f"{where}: expected a text in quotes under `{columns.item}`, found {content!r:.40}")
        label = labels.read(tables.value(row, columns.label), where) if columns.label else None
        if label is not None:
            labels.beside.add(row, counted, label)
        part = SPLITS.get(str(tables.value(row, columns.split)).strip().lower()) if columns.split else None
        kept = tuple(_plain(tables.value(row, name)) for name in stored)
        item = encodings.storable(content) if isinstance(content, str) else content
        yield Row(item, label, part or source or file, f"{file}, {place}", kept)


def _by_columns(table: Table, columns: Wanted, labels: Labels, source: str, scalars: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a table whose values are strings or None."""
    assert columns.item is not None
    file, path, same = table.path.name, str(table.path), labels.same
    counted = labels.beside.names(table, columns) if columns.label else []
    for places, found in tables.blocks(table, (columns.item,), scalars):
        label: Sequence[str | None] = [None] * len(places)
        if columns.label:
            values = found[columns.label]
            label = [
                one if one in same else labels.read(one, f"{path}, {place}")
                for one, place in zip(values, places, strict=True)
            ]
            labels.beside.add_all({name: found[name] for name in counted}, label)
        part: Iterable[str] = repeat(source or file, len(places))
        if columns.split:
            known = {one: SPLITS.get(str(one).strip().lower()) or source or file for one in {*found[columns.split]}}
            part = [known[one] for one in found[columns.split]]
        kept = [_storable(found[name]) for name in columns.stored.values()]
        origins = [f"{file}, {place}" for place in places]
        own = zip(*kept, strict=True) if kept else repeat((), len(places))
        rows = zip(_storable(found[columns.item]), label, part, origins, own, strict=True)
        yield from map(Row._make, rows)


def _storable(values: Sequence[str | None]) -> Sequence[str | None]:
    try:
        "".join(filter(None, values)).encode()
    except UnicodeEncodeError:
        return [one and encodings.storable(one) for one in values]
    return values


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and encodings.storable(value)
    return json.dumps(value, ensure_ascii=True)


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
    """Writes batches as `part-00000.parquet` and on into a folder: columns `modality`, label, source, origin, kept.

    What is written with `corrects` corrects the labels of rows that came before.
    """

    def __init__(self, folder: Path, modality: str, kept: Sequence[str] = (), *, corrects: bool = False) -> None:
        import pyarrow as pa

        from luodi.data.shards import CORRECTS

        kind = pa.string() if modality == "text" else pa.binary()
        names = ("label", "source", "origin", *kept)
        self._metadata = {CORRECTS: b"yes"} if corrects else {}
        self._schema = pa.schema([(modality, kind), *((name, pa.string()) for name in names)])
        self._folder = folder
        self._file: Any = None
        self.paths: list[Path] = []

    def write(self, batch: Batch) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if batch.shard == len(self.paths):
            self._close()
            path = self._folder / f"part-{batch.shard:05}.parquet"
            self._file = pq.ParquetWriter(
                path, self._schema, compression="zstd", store_schema=False, use_dictionary=["label", "source"]
            )
            self._file.add_key_value_metadata(self._metadata)
            self.paths.append(path)
        items, labels, sources, origins, kept = zip(*batch.rows, strict=True)
        columns = [items, labels, _storable(sources), _storable(origins), *zip(*kept, strict=True)]
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
