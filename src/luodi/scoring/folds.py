"""Rows scored by models of the same recipe that were not fitted on them: a class of few test rows is judged by all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi.errors import ArtifactError
from luodi.files import replacing
from luodi.project.paths import maker

FOLDS = 3
ENOUGH = 30  # test rows of a class that prove it alone
VARIANCE = 1 + FOLDS / (FOLDS - 1)
"""That of a mean over all rows, each scored without its fold, as a multiple of what it were of as many test rows.

The folds' models share rows, and differ from the one that is judged: 1 + folds * held / fitted (Nadeau & Bengio 2003,
Machine Learning 52, 239-281; `benchmarks/folds.py` measures it).
"""
JUDGED = 8  # one in so many of the rows outside of a fold chooses and calibrates, as validation rows do
Rows: TypeAlias = NDArray[np.int64]
Fit: TypeAlias = Callable[[Rows, Rows, Rows], NDArray[np.float32]]
"""From the rows to fit on, those to choose and calibrate by, and those to score: scores [scored, classes]."""


def wanted(label: NDArray[np.int32], group: Rows, test: NDArray[np.int32], classes: int) -> bool:
    """Whether a class has too few test rows, and every fold leaves two classes to learn."""
    few = bool((np.bincount(test, minlength=classes) < ENOUGH).any())
    return few and all(len(np.unique(label[fitted])) > 1 for fitted, _, _ in _parts(label, group))


def scores(label: NDArray[np.int32], group: Rows, classes: int, fit: Fit) -> NDArray[np.float32]:
    """Return what `fit` says of every row, each time without its fold: float32 [rows, classes].

    Rows of a group, see `luodi.data.split_rows.groups`, are of one fold: none is judged by what resembles it.
    """
    found = np.zeros((len(label), classes), np.float32)
    for fitted, judged, held in _parts(label, group):
        found[held] = fit(fitted, judged, held)
    return found


def knowing(label: NDArray[np.int32], split: NDArray[np.str_], group: Rows) -> NDArray[np.bool_]:
    """Return whether what scores a row was fitted on rows of its class: bool [rows].

    Where all rows of a class are of one group nothing was, and the class is never found, whatever the recipe is worth.

    Args:
        label, split, group: Of all rows of rows.parquet [rows]. Those of train and validation are scored as `scores`
            does, all others by a model of the train rows.
    """
    found: NDArray[np.bool_] = np.isin(label, label[split == "train"])
    place = np.concatenate([np.flatnonzero(split == name) for name in ("train", "validation")])
    found[place] = learned(label[place], group[place])
    return found


def learned(label: NDArray[np.int32], group: Rows) -> NDArray[np.bool_]:
    """Return whether what scored a row as `scores` does was fitted on rows of its class: bool [rows]."""
    found = np.zeros(len(label), np.bool_)
    for fitted, _, held in _parts(label, group):
        found[held] = np.isin(label[held], label[fitted])
    return found


def _parts(label: NDArray[np.int32], group: Rows) -> list[tuple[Rows, Rows, Rows]]:
    """The rows of each fit, of which each class has its share; of few groups some rows choose, not whole groups."""
    turn, alone = _turns(label, group), _turns(label, np.arange(len(label)))
    parts = []
    for fold in np.unique(turn % FOLDS):  # of two groups there are two
        held = turn % FOLDS == fold
        chosen = next((some for one in (turn, alone) if (some := ~held & _judged(one)).any()), ~held)
        fitted = ~held & ~chosen if (chosen < ~held).any() else ~held
        parts.append((np.flatnonzero(fitted), np.flatnonzero(chosen), np.flatnonzero(held)))
    return parts


def _turns(label: NDArray[np.int32], group: Rows) -> Rows:
    """The place of each row's group among those of its class, the largest first; its class is that of its first row."""
    _, first, of_row, size = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -size, label[first]))
    turn = np.empty(len(first), np.int64)
    turn[order] = np.arange(len(first)) - np.searchsorted(label[first][order], label[first][order])
    return turn[of_row]


def _judged(turn: Rows) -> NDArray[np.bool_]:
    """Not the first ones: a rare class has no others."""
    judged: NDArray[np.bool_] = (turn // FOLDS) % JUDGED == JUDGED - 1
    return judged


def write(path: Path, row: Rows, group: Rows, found: NDArray[np.float32]) -> None:
    """Write row, a position in rows.parquet (int64), its group, and its probabilities (list of float32)."""
    probabilities = pa.array(list(found), pa.list_(pa.float32()))
    table = pa.table({"row": row, "group": group, "probabilities": probabilities})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)


def read(path: Path, classes: int) -> tuple[Rows, Rows, NDArray[np.float32]]:
    """Inverse of `write`. Raises ArtifactError if there is no such file, or it is none."""
    try:
        table: Any = pq.ParquetFile(path).read(columns=["row", "group", "probabilities"])
        row, group, nested = (table[name].combine_chunks() for name in ("row", "group", "probabilities"))
        arrays: Any = [np.from_dlpack(one) for one in (row, group, nested.flatten())]  # to_numpy imports pandas
        return arrays[0], arrays[1], arrays[2].reshape(-1, classes)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `{maker(path)}` again") from None
