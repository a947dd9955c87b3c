"""The rows of one split, from rows.parquet."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi.errors import ArtifactError
from luodi.project.paths import maker

ROWS = 8192  # read at a time


@dataclass(frozen=True)
class Rows:
    """The rows of one split, in the order of the file."""

    items: list[Any]
    """Texts (str) or images (bytes of a PNG)."""
    label: NDArray[np.int32]
    """Index into the labels of the model, int32 [rows]."""
    source: list[str]
    origin: list[str | None] = field(default_factory=list)
    """Where each row stood before it was added, "hotels.csv, line 3"; empty where nobody knows."""
    group: NDArray[np.int64] | None = None
    """A number that rows share which stand together, int64 [rows]; None where none does."""

    def __len__(self) -> int:
        return len(self.items)

    def some(self, places: NDArray[np.int64]) -> "Rows":
        """The rows at `places` alone."""
        items, source, origin = (
            [one[row] for row in places] if one else [] for one in (self.items, self.source, self.origin)
        )
        return Rows(
            items, self.label[places], source, origin, None if self.group is None else _tied(self.group[places])
        )


def read(path: Path, modality: str, split: str, classes: int) -> Rows:
    """Read the rows of `modality` ("text" or "image") that belong to `split` ("train", "validation" or "test").

    Raises:
        ArtifactError: The file is missing or broken, lacks a column, holds no row of the split, or holds a
            label outside 0 to `classes` - 1.
    """
    table = _load(path, [modality, "label", "source", "split"], maybe=("origin", "group"))
    # Filtered here and not by Arrow: pyarrow.compute imports pandas, which costs a second.
    picked = [row for row, name in enumerate(table["split"].to_pylist()) if name == split]
    items, labels, sources = ([table[name][row].as_py() for row in picked] for name in (modality, "label", "source"))
    label = _checked(path, split, labels, classes)
    origin = [table["origin"][row].as_py() for row in picked] if "origin" in table.column_names else []
    return Rows(items, label, sources, origin, _tied(_groups(table)[picked]))


def columns(path: Path, modality: str, split: str) -> Iterator[pa.Array]:
    """Yield the texts or images of a split, some at a time and never none, in the order of `read`.

    Raises:
        ArtifactError: The file is missing or broken, or lacks a column.
    """
    for batch in _batches(path, [modality, "split"]):
        if picked := [row for row, name in enumerate(batch["split"].to_pylist()) if name == split]:
            whole = len(picked) == len(batch)
            yield batch[modality] if whole else batch[modality].take(pa.array(picked))


def labels(path: Path, split: str, classes: int) -> NDArray[np.int32]:
    """Return the labels of a split, int32 [rows], in the order of `read`, and raise as it does."""
    found: list[int] = []
    for batch in _batches(path, ["label", "split"]):
        pairs = zip(batch["label"].to_pylist(), batch["split"].to_pylist(), strict=True)
        found += [label for label, name in pairs if name == split]
    return _checked(path, split, found, classes)


def _checked(path: Path, split: str, labels: list[int], classes: int) -> NDArray[np.int32]:
    if not labels:
        raise ArtifactError(
            f"{path} holds no row of split {split!r}: add data, or raise preprocess.shares.{split} in "
            f"params.yaml, and run `{maker(path)}` again"
        )
    label = np.array(labels, np.int32)
    if label.min() < 0 or label.max() >= classes:
        raise ArtifactError(
            f"{path}: expected labels from 0 to {classes - 1}, found {label.min()} to {label.max()}: "
            f"run `{maker(path)}` again"
        )
    return label


def _batches(path: Path, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    # By pages, else a column chunk is read as a whole.
    with _reading(path), pq.ParquetFile(path, buffer_size=2**20) as file:
        for group in range(file.num_row_groups):  # until it has read all it was asked for, Arrow keeps every page
            for batch in file.iter_batches(ROWS, row_groups=[group], columns=wanted):
                yield batch.select(wanted)


def test_share(path: Path) -> float:
    """Return the share of all rows that the test split has."""
    splits: list[str] = _load(path, ["split"])["split"].to_pylist()
    return splits.count("test") / len(splits)


def out_of_fold(
    path: Path, rows: Path, classes: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64] | None, NDArray[np.int64]]:
    """Return the labels, int32 [n], and the out-of-fold probabilities, float32 [n, classes], of rows that are no test.

    The others are their groups, as those of `Rows`, and their places in `rows`, int64 [n].

    Args:
        path: See `luodi.project.paths.ModelPaths.out_of_fold`; where there is no such file there are no rows.
        rows: The rows that it points at.
        classes: How many probabilities a row has.

    Raises:
        ArtifactError: The files do not fit together.
    """
    if not path.exists():
        return np.zeros(0, np.int32), np.zeros((0, classes), np.float32), None, np.zeros(0, np.int64)
    found, known = _load(path, ["row", "probabilities"]), _load(rows, ["label", "split"])
    places = np.array(found["row"].to_pylist(), np.int64)  # `to_numpy` of Arrow imports pandas
    splits, labels = np.array(known["split"].to_pylist()), np.array(known["label"].to_pylist(), np.int32)
    scores = found["probabilities"].to_pylist()
    fits = not len(places) or (
        all(len(row) == classes for row in scores) and places.min() >= 0 and places.max() < len(splits)
        and (splits[places] != "test").all() and len(np.unique(places)) == len(places)
    )  # fmt: skip
    if not fits:
        raise ArtifactError(
            f"{path} is not of the rows in {rows}, {classes} classes, each row once and none of test: run "
            f"`{maker(path)}` again"
        )
    found_scores = np.array(scores, np.float32).reshape(-1, classes)
    return labels[places], found_scores, _tied(groups(rows)[places]), places


def positions(path: Path, split: str) -> NDArray[np.int64]:
    """Return where the rows of `split` stand in rows.parquet, int64, in the order that `read` gives them."""
    names = _load(path, ["split"])["split"].to_pylist()
    return np.array([row for row, name in enumerate(names) if name == split], np.int64)


def groups(path: Path) -> NDArray[np.int64]:
    """Return a number for each row of rows.parquet, int64, which rows that stand together share."""
    return _groups(_load(path, ["split"], maybe=("group",)))


def standing(path: Path) -> tuple[NDArray[np.int32], NDArray[np.str_], NDArray[np.int64]]:
    """Return the label, int32 [rows], split, str, and group, see `groups`, of every row of rows.parquet."""
    table = _load(path, ["label", "split"], maybe=("group",))
    return np.array(table["label"].to_pylist(), np.int32), np.array(table["split"].to_pylist(), str), _groups(table)


def _groups(table: pa.Table) -> NDArray[np.int64]:
    found = table["group"].to_pylist() if "group" in table.column_names else range(len(table))
    return np.array(found, np.int64)


def _tied(found: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return found if len(np.unique(found)) < len(found) else None


def nearest(path: Path) -> tuple[NDArray[np.int64], list[str | None]]:
    """Return the places of rows in the test split, and how near a train row comes to each, None if none is near.

    Raises:
        ArtifactError: The file is missing or broken.
    """
    table = _load(path, ["test", "similarity", "level"])
    order = np.argsort([-value for value in table["similarity"].to_pylist()], kind="stable")
    level = table["level"].to_pylist()
    return np.array(table["test"].to_pylist(), np.int64)[order], [level[row] for row in order]


def _load(path: Path, columns: list[str], maybe: Sequence[str] = ()) -> pa.Table:
    with _reading(path):
        file = pq.ParquetFile(path)
        wanted = [*columns, *(name for name in maybe if name in file.schema_arrow.names)]
        return file.read(columns=wanted).select(wanted)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (pa.ArrowInvalid, KeyError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `{maker(path)}` again") from None
