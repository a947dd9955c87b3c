"""preprocess: clean, drop duplicates and contradictions, split by content hash, encode."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from luodi import config
from luodi.data import splits, text
from luodi.errors import ArtifactError, DataError
from luodi.files import replacing, replacing_folder, write_array, write_json
from luodi.paths import ModelPaths

CHUNK = 8192  # rows encoded at a time: the ids of a chunk stay in the processor's cache


def run(config: config.Model, paths: ModelPaths) -> None:
    """Turn clean.parquet into rows.parquet, arrays, the encoder and a summary.

    Raises:
        ArtifactError: validate has not run.
        DataError: A split would be empty.
    """
    table = _read(paths.clean)
    rows, dropped = select(table, config)
    encoder = text.Encoder.fit(_texts(rows, "train"), config.preprocess, config.labels)
    with replacing(paths.rows) as temporary:
        pq.write_table(rows, temporary, compression="zstd", store_schema=False)
    with replacing_folder(paths.arrays) as folder:
        for split in splits.NAMES:
            _write_arrays(folder, split, rows, encoder, config.preprocess)
    write_json(paths.encoder, encoder.as_json())
    summary = summarise(rows, dropped, config.labels)
    write_json(paths.preprocess_summary, summary)
    print(
        f"preprocess: {table.num_rows:,} rows in, {rows.num_rows:,} kept; dropped "
        + ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()),
        flush=True,
    )


def select(table: pa.Table, config: config.Model) -> tuple[pa.Table, dict[str, int]]:
    """Clean and filter rows.

    Returns:
        Table of text, label (int32), source, split, in the order of the input; and rows dropped by reason.
    """
    # Chunk by chunk: each step of cleaning holds a copy of what it cleans. In threads: Arrow releases the GIL.
    with ThreadPoolExecutor() as pool:
        chunks = list(pool.map(text.clean, (batch["text"] for batch in table.to_batches(max_chunksize=CHUNK))))
    texts = pa.chunked_array(chunks, pa.string()).combine_chunks()
    labels = pc.index_in(table["label"], pa.array(config.labels)).to_numpy().astype(np.int32)
    kept, dropped = splits.keep_unique(texts, labels)
    texts = texts.take(pa.array(kept))
    split = splits.assign(texts, config.preprocess.seed, config.preprocess.shares)
    columns = {
        "text": texts,
        "label": pa.array(labels[kept], pa.int32()),
        "source": table["source"].take(pa.array(kept)),
        "split": pa.array(np.array(splits.NAMES)[split].tolist(), pa.string()),
    }
    empty = [name for index, name in enumerate(splits.NAMES) if not (split == index).any()]
    if empty:
        raise DataError(
            f"no row falls into split {', '.join(empty)}: {len(kept)} rows are left after cleaning; "
            "add data, or change preprocess.shares in params.yaml"
        )
    return pa.table(columns), dropped


def summarise(rows: pa.Table, dropped: dict[str, int], labels: tuple[str, ...]) -> dict[str, object]:
    """Counts of rows kept by split and label, and of rows dropped by reason."""
    counts = {
        split: np.bincount(_column(rows, split, "label").to_numpy(), minlength=len(labels)).tolist()
        for split in splits.NAMES
    }
    kept = {split: dict(zip(labels, count, strict=True)) for split, count in counts.items()}
    return {"kept": kept, "dropped": dropped, "rows": rows.num_rows}


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `luodi validate` first") from None
    except pa.ArrowInvalid as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `luodi validate` again") from None


def _column(rows: pa.Table, split: str, name: str) -> pa.Array:
    return rows.filter(pc.equal(rows["split"], split))[name].combine_chunks()


def _texts(rows: pa.Table, split: str) -> pa.Array:
    return _column(rows, split, "text")


def _write_arrays(folder: Path, split: str, rows: pa.Table, encoder: text.Encoder, config: config.Preprocess) -> None:
    texts, labels = _texts(rows, split), _column(rows, split, "label").to_numpy()
    copies = config.augment.copies if split == "train" else 0
    rng = np.random.default_rng(config.seed)
    _write_ids(
        folder / f"{split}_x.npy",
        [texts] + [text.augment(texts, config.augment, rng) for _ in range(copies)],
        encoder,
    )
    write_array(folder / f"{split}_y.npy", np.tile(labels, 1 + copies).astype(np.int32))


def _write_ids(path: Path, columns: list[pa.Array], encoder: text.Encoder) -> None:
    """Encode and write chunk by chunk: the matrix may be larger than memory.

    Not through a memory map: there a full disk is no error but the end of the process.
    """
    shape = (sum(len(column) for column in columns), encoder.length)
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.int32)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for column in columns:
            for start in range(0, len(column), CHUNK):
                file.write(encoder.encode_clean(column.slice(start, CHUNK)).tobytes())
