"""preprocess: clean, drop duplicates and contradictions, split by content hash, encode."""

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import config
from luodi.data import modality, splits
from luodi.data.modality import Encoder
from luodi.errors import ArtifactError, DataError
from luodi.files import replacing, replacing_folder, write_array, write_facts, write_json, write_text
from luodi.project.paths import ModelPaths, maker
from luodi.report import page

WAITING = min(8, 1 + (os.cpu_count() or 1))  # chunks read ahead of the one that is asked for
CACHE = 2**20  # bytes of rows encoded at a time: of more, most of the time goes into getting memory
SOURCES = 20  # counted by name in the summary
SHOWN = 10  # rows of the samples in the report
FACTS = ("label", "source", "origin")
Made = TypeVar("Made")


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Turn clean.parquet into rows.parquet, arrays, the encoder, a summary and the report.

    Raises:
        ArtifactError: validate has not run.
        DataError: A split would be empty.
    """
    with _opened(paths.clean) as file:
        facts = file.read(columns=[name for name in FACTS if name in file.schema_arrow.names])
        items = clean(file, settings)
    rows, dropped = select(items, facts, settings)
    del items  # the rows hold a copy
    train = _column(rows, "train", settings.modality)
    encoder = modality.of(settings.modality).fit_encoder(train, settings.preprocess, settings.labels)
    with replacing(paths.rows) as temporary:
        pq.write_table(rows, temporary, compression="zstd", store_schema=False)
    with replacing_folder(paths.arrays) as folder:
        for split in splits.NAMES:
            _write_arrays(folder, split, rows, encoder, settings)
    write_json(paths.encoder, encoder.as_json())
    summary = summarise(rows, dropped, settings.labels)
    write_facts(paths.preprocess_summary, summary)
    write_text(paths.preprocess_report, report(paths.model, rows, summary, encoder, settings))
    print(
        f"preprocess: {facts.num_rows:,} rows in, {rows.num_rows:,} kept; dropped "
        + ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()),
        flush=True,
    )


def clean(file: pq.ParquetFile, settings: config.ModelSettings) -> pa.Array:
    """Clean the texts or images of a file [n]; what is not clean yet is never in memory as a whole."""
    kind = modality.of(settings.modality)
    step = kind.cleaner(settings.preprocess)
    batches = (batch.column(0) for batch in file.iter_batches(kind.CHUNK, columns=[settings.modality]))
    return pa.chunked_array(list(_in_threads(step, batches)), kind.CLEAN).combine_chunks()


def _in_threads(step: Callable[[pa.Array], Made], chunks: Iterable[pa.Array]) -> Iterator[Made]:
    """Yield what `step` makes of each chunk, in their order, and read but a few ahead: all may be more than memory."""
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor() as pool:  # Arrow, NumPy and Pillow release the GIL
        for chunk in chunks:
            pending.append(pool.submit(step, chunk))
            if len(pending) > WAITING:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def select(items: pa.Array, facts: pa.Table, settings: config.ModelSettings) -> tuple[pa.Table, dict[str, int]]:
    """Drop and split rows of clean items, of which `facts` has label, source and, if it is known, origin.

    Returns:
        Table of text or image, label (int32), source, split, and the origin if `facts` has it, in the order of the
        input; and rows dropped by reason.
    """
    source = facts["source"]
    labels = pc.index_in(facts["label"], pa.array(settings.labels)).to_numpy().astype(np.int32)
    split_by = settings.preprocess
    named = [split_by.test_source, split_by.validation_source]  # a row of both is a test row
    rank = np.full(len(labels), len(named), np.int8)
    for place, name in enumerate(named):
        if name is not None:
            rank[pc.fill_null(pc.equal(source, name), False).to_numpy()] = place
    kept, dropped = splits.keep_unique(items, labels, rank)
    items = items.take(pa.array(kept))
    split = splits.assign(items, split_by.seed, split_by.shares)
    for place, name in enumerate(("test", "validation")):
        split[rank[kept] == place] = splits.NAMES.index(name)
    columns = {
        settings.modality: items,
        "label": pa.array(labels[kept], pa.int32()),
        "source": source.take(pa.array(kept)),
        "split": pa.array(np.array(splits.NAMES)[split].tolist(), pa.string()),
    }
    if "origin" in facts.column_names:
        columns["origin"] = facts["origin"].take(pa.array(kept))
    empty = [name for index, name in enumerate(splits.NAMES) if not (split == index).any()]
    if empty:
        raise DataError(
            f"no row falls into split {', '.join(empty)}: {len(kept)} rows are left after cleaning; "
            "add data, or change preprocess.shares in params.yaml"
        )
    return pa.table(columns), dropped


def summarise(rows: pa.Table, dropped: dict[str, int], labels: tuple[str, ...]) -> dict[str, Any]:
    """Counts of rows kept by split and label, of rows kept by source (the largest), and of rows dropped by reason."""
    counts = {
        split: np.bincount(_column(rows, split, "label").to_numpy(), minlength=len(labels)).tolist()
        for split in splits.NAMES
    }
    kept = {split: dict(zip(labels, count, strict=True)) for split, count in counts.items()}
    sources = Counter(rows["source"].to_pylist()).most_common(SOURCES)
    return {"kept": kept, "sources": dict(sources), "dropped": dropped, "rows": rows.num_rows}


def report(
    model: str, rows: pa.Table, summary: dict[str, Any], encoder: Encoder, settings: config.ModelSettings
) -> str:
    """Return the report page."""
    label = _column(rows, "train", "label").to_numpy()
    chosen = _turns(label)
    shown = _column(rows, "train", settings.modality).take(pa.array(chosen))
    rng = np.random.default_rng(settings.preprocess.seed)
    samples = modality.of(settings.modality).samples(shown, settings.preprocess, rng)
    return page.render(
        f"preprocess_{settings.modality}",
        model=model,
        summary=summary,
        encoder=encoder.as_json() | {"shape": encoder.shape, "dtype": encoder.dtype},
        config=settings,
        labels=settings.labels,
        names=[settings.labels[one] for one in label[chosen]],
        samples={name: page.data_uri(one) if isinstance(one, bytes) else one for name, one in samples.items()},
    )


def _turns(label: NDArray[np.int32]) -> NDArray[np.int64]:
    """Up to `SHOWN` rows by label: the first row of each label, then the second of each, until they are enough."""
    order = np.argsort(label, kind="stable")
    turn = np.arange(len(label)) - np.searchsorted(label[order], label[order])
    first: NDArray[np.int64] = order[np.sort(np.argsort(turn, kind="stable")[:SHOWN])]
    return first


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, buffer_size=2**20) as file:  # else a column chunk is read as a whole
            yield file
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except pa.ArrowInvalid as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `{maker(path)}` again") from None


def _column(rows: pa.Table, split: str, name: str) -> pa.Array:
    return rows[name].filter(pc.equal(rows["split"], split)).combine_chunks()


def _write_arrays(folder: Path, split: str, rows: pa.Table, encoder: Encoder, settings: config.ModelSettings) -> None:
    items, labels = _column(rows, split, settings.modality), _column(rows, split, "label").to_numpy()
    kind = modality.of(settings.modality)
    columns = [items, *(kind.copies(items, settings.preprocess) if split == "train" else ())]
    _write_rows(folder / f"{split}_x.npy", columns, encoder, kind.CHUNK)
    write_array(folder / f"{split}_y.npy", np.tile(labels, len(columns)).astype(np.int32))


def _write_rows(path: Path, columns: list[pa.Array], encoder: Encoder, chunk: int) -> None:
    """Encode and write chunk by chunk: the array may be larger than memory.

    Not through a memory map: there a full disk is no error but the end of the process.
    """
    shape = (sum(len(column) for column in columns), *encoder.shape)
    chunk = min(chunk, max(1, CACHE // (math.prod(encoder.shape) * np.dtype(encoder.dtype).itemsize)))
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(encoder.dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        chunks = (column.slice(start, chunk) for column in columns for start in range(0, len(column), chunk))
        for rows in _in_threads(encoder.encode_clean, chunks):
            file.write(np.ascontiguousarray(rows).data)
