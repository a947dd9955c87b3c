"""Clean the rows that validate let through, drop equal ones, and say which split owns each.

What is clean goes to a file, which is read again for all that is made of it: memory holds a few bytes a row.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import config
from luodi.data import modality, splits
from luodi.errors import ArtifactError, DataError
from luodi.project.paths import maker
from luodi.system import progress
from luodi.system.threads import in_threads
from luodi.terminal import shown

CHUNK = 2**24  # bytes of rows cleaned at a time, if they come to them before the rows that their modality says
LEARNED = 2**18  # train rows that an encoder is fitted on: it keeps what many rows have, and these tell what that is
DROPPED = -1


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
        yield from self._items(self.split == splits.ALL.index(split))

    def learned(self) -> Iterator[pa.Array]:
        """Yield the train texts or images that an encoder is fitted on: all, or `LEARNED`, see `splits.of_each`."""
        mask = self.split == splits.ALL.index("train")
        if mask.sum() > LEARNED:
            train, mask = np.flatnonzero(mask), np.zeros(len(mask), np.bool_)
            mask[train[splits.of_each(self.label[train], LEARNED)]] = True
        yield from self._items(mask)

    def at(self, split: str, places: NDArray[np.int64]) -> pa.Table:
        """Return the rows at `places` of a split, in their order."""
        wanted = np.flatnonzero(self.split == splits.ALL.index(split))[places]
        distinct, place = np.unique(wanted, return_inverse=True)
        found, start = [], 0
        for batch, _ in self._batches():
            first, last = np.searchsorted(distinct, (start, start + len(batch)))
            found.append(pa.table(batch.take(pa.array(distinct[first:last] - start))))
            start += len(batch)
        return pa.concat_tables(found).take(pa.array(place))

    def _items(self, mask: NDArray[np.bool_]) -> Iterator[pa.Array]:
        start = 0
        for batch, _ in self._batches():
            if items := _filter(batch.select([0]), mask[start : start + len(batch)]):
                yield items.column(0)
            start += len(batch)

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int8]]]:
        start = 0
        with pa.OSFile(str(self.path)) as file:
            for batch in pa.ipc.open_stream(file):
                yield batch, self.split[start : start + len(batch)]
                start += len(batch)


def _filter(batch: pa.RecordBatch, mask: NDArray[np.bool_]) -> pa.RecordBatch:
    return batch if mask.all() else batch.filter(pa.array(mask))


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
        cleaned = in_threads(made, _read(file, kind.CHUNK, names + placed))
        for batch, marks in progress.steps("cleaning", cleaned, file.metadata.num_rows, lambda one: len(one[0])):
            writer = writer or pa.ipc.new_stream(sink, batch.schema)
            writer.write_batch(batch)
            found.append(marks)
        if writer:
            writer.close()
    return Marks(*map(np.concatenate, zip(*found, strict=True)))


def _read(file: pq.ParquetFile, rows: int, names: list[str]) -> Iterator[pa.RecordBatch]:
    # One row group at a time: until it has read all that it was asked for, Arrow keeps every page.
    groups = (file.iter_batches(rows, row_groups=[group], columns=names) for group in range(file.num_row_groups))
    for table in joined(map(pa.table, chain.from_iterable(groups)), rows, CHUNK):
        yield from table.to_batches()


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
        by = ", ".join(shown(name, 60) for name in split_by.split.by)
        together = f", and those that share a value of {by} stand together (preprocess.split.by)" if by else ""
        new = int((found == splits.ALL.index(splits.NEWEST)).sum())
        newest = f", {new} of them apart as the newest (preprocess.split.newest)" if new else ""
        remedies = ["group by a column of more values, "] * bool(by) + ["shorten that time, "] * bool(new)
        raise DataError(
            f"no row falls into split {', '.join(missing)}: {len(kept)} rows are left after cleaning{newest}{together}"
            f"; add data, {''.join(remedies)}or change preprocess.shares in params.yaml"
        )
    if split_by.rows is not None and len(kept) > split_by.rows:
        dropped["left out"] = len(kept) - split_by.rows
        taken = splits.some(marks.content[kept], marks.label[kept], found, split_by.rows)
        kept, found = kept[taken], found[taken]
    split = np.full(len(marks.content), DROPPED, np.int8)
    split[kept] = found
    return split, dropped


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open what validate let through. Raises ArtifactError if it is missing or broken."""
    try:
        with pq.ParquetFile(path, buffer_size=2**20) as file:  # else a column chunk is read as a whole
            yield file
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except pa.ArrowInvalid as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `{maker(path)}` again") from None


def joined(tables: Iterable[pa.Table], rows: int, size: int) -> Iterator[pa.Table]:
    """Join tables until they have so many rows, or bytes."""
    waiting: list[pa.Table] = []
    count = held = 0
    for table in tables:
        waiting.append(table)
        count, held = count + len(table), held + table.nbytes
        if count >= rows or held >= size:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, count, held = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
