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
JUDGED = 8  # one in so many of the rows outside of a fold chooses and calibrates, as validation rows do
Rows: TypeAlias = NDArray[np.int64]
Fit: TypeAlias = Callable[[Rows, Rows, Rows], NDArray[np.float32]]
"""From the rows to fit on, those to choose and calibrate by, and those to score: scores [scored, classes]."""


def wanted(label: NDArray[np.int32], test: NDArray[np.int32], classes: int) -> bool:
    """Whether a class has too few test rows, and every fold leaves two classes to learn."""
    few = bool((np.bincount(test, minlength=classes) < ENOUGH).any())
    return few and all(len(np.unique(label[fitted])) > 1 for fitted, _, _ in _parts(label))


def scores(label: NDArray[np.int32], classes: int, fit: Fit) -> NDArray[np.float32]:
    """Return what `fit` says of every row, each time without its fold: float32 [rows, classes]."""
    found = np.zeros((len(label), classes), np.float32)
    for fitted, judged, held in _parts(label):
        found[held] = fit(fitted, judged, held)
    return found


def _parts(label: NDArray[np.int32]) -> list[tuple[Rows, Rows, Rows]]:
    """The rows of each fit, of which each class has its share."""
    order = np.argsort(label, kind="stable")
    turn = np.empty(len(label), np.int64)
    turn[order] = np.arange(len(label)) - np.searchsorted(label[order], label[order])
    judged = (turn // FOLDS) % JUDGED == JUDGED - 1  # not the first ones: a rare class has no others
    parts = []
    for fold in range(FOLDS):
        held = turn % FOLDS == fold
        fitted = np.flatnonzero(~held & ~judged)
        chosen = np.flatnonzero(~held & judged)
        parts.append((fitted, chosen if len(chosen) else fitted, np.flatnonzero(held)))
    return parts


def write(path: Path, row: Rows, found: NDArray[np.float32]) -> None:
    """Write row, a position in rows.parquet (int64), and its probabilities (list of float32); none where none is."""
    probabilities = pa.array(list(found), pa.list_(pa.float32()))
    table = pa.table({"row": pa.array(row, pa.int64()), "probabilities": probabilities})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)


def read(path: Path, classes: int) -> tuple[Rows, NDArray[np.float32]]:
    """Inverse of `write`. Raises ArtifactError if there is no such file, or it is none."""
    try:
        table: Any = pq.ParquetFile(path).read(columns=["row", "probabilities"])
        flat = table["probabilities"].combine_chunks().flatten().to_numpy()
        return table["row"].to_numpy(), flat.reshape(-1, classes)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `{maker(path)}` again") from None
