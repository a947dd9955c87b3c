"""Read the raw Parquet shards of a model; every way they can be unusable has its own error."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from luodi.errors import BrokenData, EmptyData, MissingColumn, MissingData

COLUMNS = {"text": ("text", "label", "source")}


def read(folder: Path, modality: str) -> pa.Table:
    """Read all shards of `folder`, in order of name.

    Returns:
        The modality's columns as strings, and `shard` (file name) and `row` (int64, place in the file).

    Raises:
        MissingData: No folder, or no shard in it.
        EmptyData: The shards hold no row.
        BrokenData: A shard is not Parquet, is cut short, or holds a column that is not text.
        MissingColumn: A shard lacks a column.
    """
    shards = sorted(folder.glob("*.parquet"))
    if not shards:
        raise MissingData(
            f"no *.parquet in {folder}: run `luodi fetch {folder.name}` or `dvc pull`, or put your shards there"
        )
    table = pa.concat_tables([_read_shard(shard, COLUMNS[modality]) for shard in shards])
    if table.num_rows == 0:
        raise EmptyData(f"the {len(shards)} shard(s) in {folder} hold no row: expected at least one")
    return table


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds text: strings, bytes to be read as UTF-8, or nothing but nulls."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_null(kind)
    )


def _read_shard(path: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise MissingColumn(
                f"{path}: expected columns {', '.join(columns)}; missing {', '.join(missing)}; "
                f"found {', '.join(file.schema_arrow.names) or 'none'}"
            )
        table = file.read(columns=list(columns))
        if strange := [f"{field.name} is {field.type}" for field in table.schema if not is_text(field.type)]:
            raise pa.ArrowInvalid(f"expected columns of strings, found {', '.join(strange)}")
        table = table.cast(pa.schema([(name, pa.string()) for name in columns]))
        table.validate(full=True)
    except (ValueError, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0]
        raise BrokenData(f"{path} is not a readable Parquet file ({reason}): fetch or write it again") from None
    count = table.num_rows
    table = table.append_column("shard", pa.array([path.name] * count, pa.string()))
    return table.append_column("row", pa.array(range(count), pa.int64()))
