"""Read the columns of a Parquet file of anyone's as strings."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from luodi.errors import BrokenData

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 4096
ONE_LABEL = "a row has one label: keep the one that counts, or add a model of yes and no for each"

Block = tuple[list[str], dict[str, Sequence[Any]]]
"""The words that say where each of some rows stands, and the values of columns, strings or None."""


def columns(file: BinaryIO, path: Path, *, plain: bool = False) -> list[str]:
    """Return the names of the columns; if `plain`, of those that hold one text, number or yes or no a row."""
    import pyarrow.parquet as pq

    with readable(path), pq.ParquetFile(file) as opened:
        schema = opened.schema_arrow
        return [one.name for one in schema if not plain or (_is_plain(one.type) and schema.names.count(one.name) == 1)]


def class_names(file: BinaryIO, path: Path) -> dict[str, list[str]]:
    """Return what the numbers of a column of classes stand for, by its name, as Hugging Face's `datasets` writes it."""
    import pyarrow.parquet as pq

    with readable(path):
        schema = pq.read_schema(file)
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        named = {name: one["names"] for name, one in features.items() if one.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: list(map(str, found)) for name, found in named.items() if name in schema.names and found}


def is_image(kind: Any) -> bool:
    """Return whether a type of Arrow holds images: bytes or, from Hugging Face's libraries, bytes and a path."""
    from pyarrow import types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and is_image(kind.field("bytes").type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    tests = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    return any(test(kind) for test in tests)


def records(
    file: BinaryIO, path: Path, texts: tuple[str, ...], scalars: tuple[str, ...], images: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what `blocks` does row by row."""
    for places, columns in blocks(file, path, texts, scalars, images):
        for place, values in zip(places, zip(*columns.values(), strict=True), strict=True):
            yield place, dict(zip(columns, values, strict=True))


def blocks(
    file: BinaryIO, path: Path, texts: tuple[str, ...], scalars: tuple[str, ...], images: str | None = None
) -> Iterator[Block]:
    """Yield some rows at a time: the words that say where each stands, and the values of columns, strings or None.

    Those of the column `images` are bytes or None.

    Raises:
        BrokenData: It is no Parquet file, or a column is not of strings or what can be read as such.
    """
    import pyarrow.parquet as pq

    names = list(dict.fromkeys([*texts, *scalars, *([images] if images else [])]))
    classes = class_names(file, path)
    with readable(path), pq.ParquetFile(file) as opened:
        _require_strings(path, opened.schema_arrow, texts, scalars)
        start = 0
        for batch in opened.iter_batches(BATCH, columns=names):
            yield (
                [f"row {place}" for place in range(start, start + batch.num_rows)],
                {
                    name: _images(batch[name]) if name == images else _strings(batch[name], classes.get(name))
                    for name in names
                },
            )
            start += batch.num_rows


def parts(
    file: BinaryIO, path: Path, item: str, *, rows: int, size: int, read: Callable[[float], object]
) -> Iterator[tuple[list[str | None], "pa.Table"]]:
    """Yield the texts of column `item` and their rows, all columns as they stand; see `tables.parts`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start, classes = 0, class_names(file, path).get(item)
    with readable(path), pq.ParquetFile(file, buffer_size=2**20) as opened:  # see `shards.parts`
        _require_strings(path, opened.schema_arrow, (item,), ())
        about, count = opened.metadata, max(1, opened.metadata.num_rows)
        bytes_ = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        most = min(rows, max(1, count * size // max(1, bytes_)))
        for group in range(opened.num_row_groups):
            for batch in opened.iter_batches(most, row_groups=[group]):
                read((start := start + batch.num_rows) / count)
                yield _strings(batch[item], classes), pa.Table.from_batches([batch])


def _images(column: Any) -> list[bytes | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found: list[bytes | None] = (
        pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
    ).to_pylist()
    return found


def _strings(column: Any, classes: list[str] | None = None) -> list[str | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if classes and pa.types.is_integer(column.type):  # -1 where there is no label
        known = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(classes)))
        column = pa.array(classes).take(pc.if_else(known, column, None))
    if pa.types.is_floating(column.type):  # pandas has NaN where nothing is
        column = pc.if_else(pc.is_nan(column), None, column)
    found: list[str | None] = column.cast(pa.string()).to_pylist()
    return found


def _require_strings(path: Path, schema: Any, texts: tuple[str, ...], scalars: tuple[str, ...]) -> None:
    import pyarrow as pa

    from luodi.data.shards import is_text

    for name in (*texts, *scalars):
        kind = schema.field(name).type
        if not is_text(kind) and (name in texts or pa.types.is_nested(kind)):
            remedy = ONE_LABEL if pa.types.is_nested(kind) and name not in texts else "write it as strings"
            raise BrokenData(f"{path}: expected a column `{name}` of strings, found {kind}; {remedy}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a broken file into BrokenData; an error of the disk stays what it is."""
    import pyarrow as pa

    try:
        yield
    except UnicodeError:
        raise BrokenData(f"{path} holds a text that is not UTF-8: write it again") from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BrokenData(
            f"{path} is not a readable Parquet file ({str(error).splitlines()[0]}): write it again"
        ) from None
