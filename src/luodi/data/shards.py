"""Read the raw Parquet shards of a model; every way they can be unusable has its own error."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from luodi.errors import BrokenData, EmptyData, MissingColumn, MissingData
from luodi.terminal import shown

COLUMNS = {
    "text": {"text": pa.string(), "label": pa.string(), "source": pa.string()},
    "image": {"image": pa.binary(), "label": pa.string(), "source": pa.string()},
}
ORIGIN = "origin"  # a column that shards may have: where a row stood before it came here, "hotels.csv, line 3"
OF_GROUP = "of group "  # in front of the name of a column whose equal values keep rows together
CORRECTS = b"luodi.corrects"
"""Of the metadata of a shard: its rows correct the labels of those that came before."""
PART = 2**24  # bytes of a part that `parts` gives, about
LARGER = 50_000  # rows


def read(folder: Path, modality: str, by: Sequence[str] = ()) -> pa.Table:
    """Read all shards of `folder`, in order of name.

    Args:
        by: Columns kept beside that are read too: each must be in some shard.

    Returns:
        The modality's columns, strings but for the bytes of an image, `origin` if any shard has it, those of `by`
        behind `OF_GROUP`, strings, null where a shard has none, and `shard` (file name) and `row` (int64, place in the
        file).

    Raises:
        MissingData: No folder, or no shard in it.
        EmptyData: The shards hold no row.
        BrokenData: A shard is not Parquet, is cut short, or holds a column that is not text (or bytes).
        MissingColumn: A shard lacks a column, or every shard one of `by`.
    """
    shards = _shards(folder)
    columns = _columns(shards, modality, by)
    table = pa.concat_tables([_read_shard(shard, columns) for shard in shards])
    if table.num_rows == 0:
        raise _empty(folder, shards)
    return table


def parts(folder: Path, modality: str, by: Sequence[str] = ()) -> Iterator[pa.Table]:
    """Read what `read` does a few rows at a time, raising as it does: memory holds one row group of a shard."""
    shards = _shards(folder)
    columns, rows = _columns(shards, modality, by), 0
    for shard in shards:
        for part in _parts_of_shard(shard, columns):
            rows += part.num_rows
            yield part
    if rows == 0:
        raise _empty(folder, shards)


def larger(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield what `parts` gives in tables of `LARGER` rows or more: to measure a few costs as much."""
    gathered: list[pa.Table] = []
    for part in parts:
        gathered.append(part)
        if sum(map(len, gathered)) >= LARGER or sum(one.nbytes for one in gathered) >= PART:
            yield pa.concat_tables(gathered)
            gathered = []
    if gathered:
        yield pa.concat_tables(gathered)


def rows(folder: Path) -> int:
    """Return how many rows the shards hold, by their footers alone."""
    total = 0
    for path in _shards(folder):
        with _readable(path), pq.ParquetFile(path) as file:
            total += file.metadata.num_rows
    return total


def kept(folder: Path, modality: str) -> list[str]:
    """Return the columns of words, numbers or days that shards have beside the items, labels and origins."""
    found: dict[str, bool] = {}
    for path in _shards(folder):
        with _readable(path), pq.ParquetFile(path) as file:
            here = [(field.name, _is_told(field.type)) for field in file.schema_arrow]
        twice = {name for name, count in Counter(name for name, _ in here).items() if count > 1}
        found |= {name: is_told and name not in twice and found.get(name, True) for name, is_told in here}
    return [name for name, fits in found.items() if fits and name not in (modality, "label", ORIGIN)]


def correcting(folder: Path) -> set[str]:
    """Return the names of the shards of which the rows correct what came before."""
    found = set()
    for path in _shards(folder):
        with _readable(path), pq.ParquetFile(path) as file:
            if CORRECTS in (file.metadata.metadata or {}):
                found.add(path.name)
    return found


def column(folder: Path, name: str) -> pa.ChunkedArray:
    """Return a column of all shards as strings, null where a shard has none."""
    found = []
    for path in _shards(folder):
        with _readable(path), pq.ParquetFile(path) as file:
            there = name in file.schema_arrow.names
            part = file.read(columns=[name])[name] if there else pa.chunked_array([pa.nulls(file.metadata.num_rows)])
            found += part.cast(pa.string()).chunks
    return pa.chunked_array(found, pa.string())


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds text: strings, bytes to be read as UTF-8, or nothing but nulls."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or is_bytes(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds bytes, or nothing but nulls."""
    if pa.types.is_dictionary(kind):
        return is_bytes(kind.value_type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind))


def _shards(folder: Path) -> list[Path]:
    shards = sorted(folder.glob("*.parquet"))
    if not shards:
        raise MissingData(
            f"no *.parquet in {folder}: `dvc pull` brings what data.dvc records, `luodi fetch` makes the embedded "
            "datasets; or put your shards there"
        )
    return shards


def _columns(shards: list[Path], modality: str, by: Sequence[str]) -> dict[str, pa.DataType]:
    """The columns that are read of all shards; of those that a shard may lack, the ones that some shard has."""
    found: dict[str, None] = {}
    for path in shards:
        with _readable(path), pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            found |= dict.fromkeys(name for name in schema.names if name != ORIGIN or is_text(schema.field(name).type))
    if missing := [name for name in by if name not in found]:
        raise MissingColumn(
            f"{shards[0].parent}: no shard has the column `{shown(missing[0], 60)}` that preprocess.split names; "
            f"found {', '.join(shown(name, 60) for name in [*found][:9])}; correct preprocess.split in params.yaml, "
            "or write the shards with that column"
        )
    origin = {ORIGIN: pa.string()} if ORIGIN in found else {}
    return COLUMNS[modality] | origin | {OF_GROUP + name: pa.string() for name in by}


def _empty(folder: Path, shards: list[Path]) -> EmptyData:
    return EmptyData(
        f"the {len(shards)} shard(s) in {folder} hold no row: expected at least one; put one with rows there"
    )


def _read_shard(path: Path, columns: dict[str, pa.DataType]) -> pa.Table:
    with _readable(path):
        file, here = _open(path, columns)
        table = _cast(file.read(columns=_stored_names(here)), here, columns)
    return _placed(table, path, 0)


def _parts_of_shard(path: Path, columns: dict[str, pa.DataType]) -> Iterator[pa.Table]:
    start = 0
    with _readable(path):
        file, here = _open(path, columns)
        size = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
        rows = min(4096, max(1, file.metadata.num_rows * PART // max(1, size)))
        # One row group at a time: until it has read all that it was asked for, Arrow keeps every page.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(rows, row_groups=[group], columns=_stored_names(here)):
                yield _placed(_cast(pa.Table.from_batches([batch]), here, columns), path, start)
                start += batch.num_rows


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a broken file into BrokenData; an error of the disk stays what it is."""
    try:
        yield
    except (ValueError, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0]
        raise BrokenData(
            f"{path} is not a readable Parquet file ({reason}): bring it again with `dvc pull --force`, "
            "or `luodi fetch` if it is of an embedded dataset, or write it again"
        ) from None


def _open(path: Path, columns: dict[str, pa.DataType]) -> tuple[pq.ParquetFile, dict[str, pa.DataType]]:
    """Open a shard, and tell which of the columns it has: all, but for the origin and those of groups."""
    file = pq.ParquetFile(path, buffer_size=2**20)  # else a whole column of a row group is read at once
    schema = file.schema_arrow
    known = [name for name in columns if not _may_lack(name)]
    missing = [name for name in known if name not in schema.names]
    if missing:
        raise MissingColumn(
            f"{path}: expected columns {', '.join(known)}; missing {', '.join(missing)}; "
            f"found {', '.join(shown(name, 60) for name in file.schema_arrow.names[:9]) or 'none'}; "
            "write it again with them"
        )
    lacks = [] if ORIGIN in schema.names and is_text(schema.field(ORIGIN).type) else [ORIGIN]
    lacks += [name for name in columns if _stored(name) not in schema.names]
    return file, {name: kind for name, kind in columns.items() if name not in lacks}


def _may_lack(name: str) -> bool:
    return name == ORIGIN or name.startswith(OF_GROUP)


def _stored_names(columns: dict[str, pa.DataType]) -> list[str]:
    return list(dict.fromkeys(map(_stored, columns)))


def _stored(name: str) -> str:
    """The name of a column in a shard."""
    return name.removeprefix(OF_GROUP)


def _cast(table: pa.Table, here: dict[str, pa.DataType], columns: dict[str, pa.DataType]) -> pa.Table:
    """Bring what a shard has to its types, numbers of a group too; what it may lack is null where it does."""
    if twice := [name for name, count in Counter(table.column_names).items() if count > 1]:
        raise pa.ArrowInvalid(f"two columns {twice[0]}")
    table = pa.Table.from_arrays([table[_stored(name)] for name in here], list(here))
    fits = {name: is_bytes if kind == pa.binary() else is_text for name, kind in here.items()}
    fits |= {name: _is_plain for name in here if name.startswith(OF_GROUP)}
    if strange := [f"{field.name} is {field.type}" for field in table.schema if not fits[field.name](field.type)]:
        kind = "strings" if pa.binary() not in here.values() else "strings, and of bytes for an image"
        raise pa.ArrowInvalid(f"expected columns of {kind}, found {', '.join(strange)}")
    table = table.cast(pa.schema(list(here.items())))
    table.validate(full=True)
    for name in [name for name in columns if name not in here]:
        table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table.select(list(columns))


def _is_plain(kind: pa.DataType) -> bool:
    return is_text(kind) or not (pa.types.is_nested(kind) or pa.types.is_dictionary(kind))


def _is_told(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_told(kind.value_type)
    is_number = pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind)
    is_day = pa.types.is_date(kind) or pa.types.is_boolean(kind)
    return bool(is_number or is_day or (is_text(kind) and not is_bytes(kind)))


def _placed(table: pa.Table, path: Path, start: int) -> pa.Table:
    """Append where each row stands: the name of the shard, and its row in it."""
    count = table.num_rows
    table = table.append_column("shard", pa.repeat(pa.scalar(path.name, pa.string()), count))
    return table.append_column("row", pa.array(np.arange(start, start + count)))
