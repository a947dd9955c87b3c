"""preprocess: clean, drop duplicates and contradictions, split by content hash, encode, measure how near splits are.

What is clean goes to a file, which is read again for all that is made of it: memory holds a few bytes a row.
"""

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import config
from luodi.checks import nearest
from luodi.checks.nearest import Places
from luodi.data import modality, splits
from luodi.data.modality import Encoder
from luodi.errors import ArtifactError, DataError
from luodi.files import replacing, replacing_folder, write_array, write_facts, write_json, write_text
from luodi.project.paths import ModelPaths, maker
from luodi.report import page

WAITING = min(8, 1 + (os.cpu_count() or 1))  # chunks read ahead of the one that is asked for
CACHE = 2**18  # bytes of rows encoded at a time: what is larger comes fresh from the system each time, page by page
CHUNK = 2**24  # bytes of rows cleaned at a time, if they come to them before the rows that their modality says
GROUP = 2**17, 2**27  # rows and bytes of a row group of rows.parquet, which memory holds
SOURCES = 20  # counted by name in the summary
SHOWN = 10  # rows of the samples in the report
DROPPED = -1
Taken = TypeVar("Taken")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Marks:
    """What memory holds of the rows [n]."""

    content: NDArray[np.uint64]
    """See `luodi.data.splits.digests`."""
    label: NDArray[np.int32]
    rank: NDArray[np.int8]
    """See `luodi.data.splits.rank`: of equal rows the lowest is kept."""
    placed: NDArray[np.int8]
    """Where validate put it, as `Clean.split` has it; -1 where what a row holds alone says that."""


@dataclass(frozen=True)
class Clean:
    """Clean rows, text or image, label, source and, if they are known, origin and group, in a file of Arrow's."""

    path: Path
    label: NDArray[np.int32]
    split: NDArray[np.int8]
    """A place in `splits.ALL`, or `DROPPED` [n]."""

    def labels(self, split: str) -> NDArray[np.int32]:
        """Return the labels of a split."""
        found: NDArray[np.int32] = self.label[self.split == splits.ALL.index(split)]
        return found

    def kept(self) -> Iterator[pa.Table]:
        """Yield the rows kept, some at a time, with "split" behind their source."""
        for batch, split in self._batches():
            rows = pa.table(_filter(batch, split != DROPPED))
            yield rows.add_column(3, "split", pa.array(splits.ALL).take(pa.array(split[split != DROPPED])))

    def items(self, split: str) -> Iterator[pa.Array]:
        """Yield the texts or images of a split, some at a time and never none."""
        for batch, found in self._batches():
            if items := _filter(batch.select([0]), found == splits.ALL.index(split)):
                yield items.column(0)

    def at(self, split: str, places: Places) -> pa.Table:
        """Return the rows at `places` of a split, in their order."""
        wanted = np.flatnonzero(self.split == splits.ALL.index(split))[places]
        distinct, place = np.unique(wanted, return_inverse=True)
        found, start = [], 0
        for batch, _ in self._batches():
            first, last = np.searchsorted(distinct, (start, start + len(batch)))
            found.append(pa.table(batch.take(pa.array(distinct[first:last] - start))))
            start += len(batch)
        return pa.concat_tables(found).take(pa.array(place))

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int8]]]:
        start = 0
        with pa.OSFile(str(self.path)) as file:
            for batch in pa.ipc.open_stream(file):
                yield batch, self.split[start : start + len(batch)]
                start += len(batch)


def _filter(batch: pa.RecordBatch, mask: NDArray[np.bool_]) -> pa.RecordBatch:
    return batch if mask.all() else batch.filter(pa.array(mask))


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Turn clean.parquet into rows.parquet, arrays, the encoder, a summary and the report.

    Raises:
        ArtifactError: validate has not run.
        DataError: A split would be empty.
    """
    kind = modality.of(settings.modality)
    with _opened(paths.clean) as file, replacing_folder(paths.arrays) as folder:
        path = folder / "clean.arrow"
        marks = clean(file, path, settings)
        split, dropped = select(marks, settings)
        rows = Clean(path, marks.label, split)
        encoder = kind.fit_encoder(rows.items("train"), settings.preprocess, settings.labels)
        with ThreadPoolExecutor(2) as beside:  # Parquet compresses while others encode
            sources = beside.submit(_write_rows, paths.rows, rows)
            near = beside.submit(_nearest, rows, settings.modality)
            for name in splits.NAMES:
                _write_arrays(folder, name, rows, encoder, settings)
        shown, pairs = _samples(rows), _pairs(rows, near.result(), settings)
        path.unlink()
    _write_table(paths.nearest, near.result())
    write_json(paths.encoder, encoder.as_json())
    summary = summarise(rows, sources.result(), dropped, settings.labels)
    summary["nearest"] = nearest.counts(near.result(), nearest.of(settings.modality).LEVELS)
    write_facts(paths.preprocess_summary, summary)
    write_text(paths.preprocess_report, report(paths.model, shown, summary, encoder, settings, pairs=pairs))
    print(
        f"preprocess: {len(split):,} rows in, {summary['rows']:,} kept; dropped "
        + ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()),
        flush=True,
    )


def clean(file: pq.ParquetFile, path: Path, settings: config.ModelSettings) -> Marks:
    """Clean the texts or images of a file, and write its rows to another, see `Clean`."""
    kind = modality.of(settings.modality)
    names = [settings.modality, "label", "source"]
    names += [name for name in ("origin", "group") if name in file.schema_arrow.names]
    placed = ["split"] if "split" in file.schema_arrow.names else []
    cleaner, labels, seed = kind.cleaner(settings.preprocess), pa.array(settings.labels), settings.preprocess.seed

    def made(raw: pa.RecordBatch) -> tuple[pa.RecordBatch, list[NDArray[Any]]]:
        items, label = cleaner(raw[settings.modality]), pc.index_in(raw["label"], labels)
        columns = [items, label, *(raw[name] for name in names[2:])]
        split = pc.index_in(raw["split"], pa.array(splits.ALL)) if placed else pa.nulls(len(raw), pa.int32())
        marks = [splits.digests(items, seed), label.to_numpy(), splits.rank(raw["source"], settings.preprocess)]
        return pa.record_batch(columns, names), [*marks, split.fill_null(-1).to_numpy().astype(np.int8)]

    found: list[list[NDArray[Any]]] = [[np.zeros(0, kind) for kind in (np.uint64, np.int32, np.int8, np.int8)]]
    with pa.OSFile(str(path), "wb") as sink:
        writer = None
        for batch, marks in _in_threads(made, _read(file, kind.CHUNK, names + placed)):
            writer = writer or pa.ipc.new_stream(sink, batch.schema)
            writer.write_batch(batch)
            found.append(marks)
        if writer:
            writer.close()
    return Marks(*map(np.concatenate, zip(*found, strict=True)))


def _read(file: pq.ParquetFile, rows: int, names: list[str]) -> Iterator[pa.RecordBatch]:
    # One row group at a time: until it has read all that it was asked for, Arrow keeps every page.
    groups = (file.iter_batches(rows, row_groups=[group], columns=names) for group in range(file.num_row_groups))
    for table in _joined(map(pa.table, chain.from_iterable(groups)), rows, CHUNK):
        yield from table.to_batches()


def _in_threads(step: Callable[[Taken], Made], chunks: Iterable[Taken]) -> Iterator[Made]:
    """Yield what `step` makes of each chunk, in their order, and read but a few ahead: all may be more than memory."""
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor() as pool:  # Arrow, NumPy and Pillow release the GIL
        for chunk in chunks:
            pending.append(pool.submit(step, chunk))
            if len(pending) > WAITING:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def select(marks: Marks, settings: config.ModelSettings) -> tuple[NDArray[np.int8], dict[str, int]]:
    """Drop and split rows: return the split of each, see `Clean`, and the rows dropped by reason.

    Raises:
        DataError: A split would be empty.
    """
    split_by = settings.preprocess
    empty = marks.content == splits.digests(pa.array([""]), split_by.seed)
    kept, dropped = splits.keep_unique(marks.content, empty, marks.label, marks.rank)
    found = splits.assign(marks.content[kept], split_by.shares)
    for place, name in enumerate(splits.OFFICIAL):
        found[marks.rank[kept] == place] = splits.NAMES.index(name)
    found = np.where(marks.placed[kept] >= 0, marks.placed[kept], found)
    if missing := [name for index, name in enumerate(splits.NAMES) if not (found == index).any()]:
        raise DataError(
            f"no row falls into split {', '.join(missing)}: {len(kept)} rows are left after cleaning; "
            "add data, or change preprocess.shares in params.yaml"
        )
    split = np.full(len(marks.content), DROPPED, np.int8)
    split[kept] = found
    return split, dropped


def summarise(rows: Clean, sources: Counter[str], dropped: dict[str, int], labels: tuple[str, ...]) -> dict[str, Any]:
    """Counts of rows kept by split and label, of rows kept by source (the largest), and of rows dropped by reason."""
    counts = {name: np.bincount(rows.labels(name), minlength=len(labels)).tolist() for name in splits.ALL}
    if not sum(counts[splits.NEWEST]):
        del counts[splits.NEWEST]
    kept = {name: dict(zip(labels, count, strict=True)) for name, count in counts.items()}
    largest = dict(sources.most_common(SOURCES))
    return {"kept": kept, "sources": largest, "dropped": dropped, "rows": int((rows.split != DROPPED).sum())}


def report(
    model: str,
    shown: tuple[pa.Array, NDArray[np.int32]],
    summary: dict[str, Any],
    encoder: Encoder,
    settings: config.ModelSettings,
    *,
    pairs: list[dict[str, Any]],
) -> str:
    """Return the report page; `shown` are a few train rows, clean, and their labels, `pairs` see `_pairs`."""
    items, label = shown
    rng = np.random.default_rng(settings.preprocess.seed)
    samples = modality.of(settings.modality).samples(items, settings.preprocess, rng)
    return page.render(
        f"preprocess_{settings.modality}",
        model=model,
        summary=summary,
        encoder=encoder.as_json() | {"shape": encoder.shape, "dtype": encoder.dtype},
        config=settings,
        labels=settings.labels,
        names=[settings.labels[one] for one in label],
        pairs=pairs,
        meaning=nearest.of(settings.modality).MEANING,
        samples={name: page.data_uri(one) if isinstance(one, bytes) else one for name, one in samples.items()},
    )


def _samples(rows: Clean) -> tuple[pa.Array, NDArray[np.int32]]:
    """A few train rows, and their labels."""
    chosen = _turns(rows.labels("train"))
    return rows.at("train", chosen).column(0).combine_chunks(), rows.labels("train")[chosen]


def _nearest(rows: Clean, modality: str) -> pa.Table:
    """See `nearest.table`."""
    kind, test = nearest.of(modality), nearest.looked_at(len(rows.labels("test")))

    def at(split: str, places: Places) -> pa.Array:
        return rows.at(split, places).column(0).combine_chunks()

    found = kind.nearest(at("test", test), lambda: rows.items("train"), lambda places: at("train", places))
    return nearest.table(test, *found, kind.LEVELS)


def _pairs(rows: Clean, found: pa.Table, settings: config.ModelSettings) -> list[dict[str, Any]]:
    """The nearest pairs: similarity, and of the test row and the train row the item, its label and where it is from."""
    worst = nearest.worst(found)
    shown = [
        rows.at(split, np.array([one[split] for one in worst], np.int64)).to_pylist() for split in ("test", "train")
    ]
    return [
        {"similarity": pair["similarity"], "rows": [
            {"item": page.data_uri(item) if isinstance(item := row[settings.modality], bytes) else item,
             "label": settings.labels[row["label"]], "where": row.get("origin") or row["source"]} for row in both]}
        for pair, *both in zip(worst, *shown, strict=True)
    ]  # fmt: skip


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


def _write_rows(path: Path, rows: Clean) -> Counter[str]:
    """Write the rows kept, and count them by source."""
    sources: Counter[str] = Counter()
    with replacing(path) as temporary, ExitStack() as stack:
        writer = None
        for table in _joined(rows.kept(), *GROUP):
            writer = writer or stack.enter_context(
                pq.ParquetWriter(temporary, table.schema, compression="zstd", store_schema=False)
            )
            writer.write_table(table)
            sources.update(table["source"].to_pylist())
    return sources


def _write_table(path: Path, table: pa.Table) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)


def _joined(tables: Iterable[pa.Table], rows: int, size: int) -> Iterator[pa.Table]:
    """Join tables until they have so many rows, or bytes."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= rows or sum(one.nbytes for one in waiting) >= size:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _write_arrays(
    folder: Path,
    split: str,
    rows: Clean,
    encoder: Encoder,
    settings: config.ModelSettings,
) -> None:
    kind = modality.of(settings.modality)
    copies = kind.copies(lambda: rows.items(split), settings.preprocess) if split == "train" else []
    label = np.tile(rows.labels(split), 1 + len(copies))
    items = chain(rows.items(split), *copies)
    _write_encoded(folder / f"{split}_x.npy", items, len(label), encoder, kind.CHUNK)
    write_array(folder / f"{split}_y.npy", label)


def _write_encoded(path: Path, columns: Iterable[pa.Array], rows: int, encoder: Encoder, chunk: int) -> None:
    """Encode and write chunk by chunk: the array may be larger than memory.

    Not through a memory map: there a full disk is no error but the end of the process.
    """
    shape = (rows, *encoder.shape)
    chunk = min(chunk, max(1, CACHE // (math.prod(encoder.shape) * np.dtype(encoder.dtype).itemsize)))
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(encoder.dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        chunks = (column.slice(start, chunk) for column in columns for start in range(0, len(column), chunk))
        for encoded in _in_threads(encoder.encode_clean, chunks):
            file.write(np.ascontiguousarray(encoded).data)
