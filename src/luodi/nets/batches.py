"""Feed arrays to Keras batch by batch; the ids stay on disk when memory-mapped."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from luodi.errors import ArtifactError


class Batches(keras.utils.PyDataset):
    """Batches of (ids int32 [batch, length], one-hot labels float32 [batch, classes]).

    With a seed the rows are shuffled anew for each epoch; without one they keep their order.
    """

    def __init__(
        self,
        x: NDArray[np.int32],
        y: NDArray[np.int32],
        classes: int,
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.x, self.y, self.classes, self.batch_size, self.seed = x, y, classes, batch_size, seed
        self.epoch = 0
        self.order = self._order()

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return np.asarray(self.x[rows]), np.eye(self.classes, dtype=np.float32)[self.y[rows]]

    def on_epoch_end(self) -> None:
        """Keras calls this between epochs."""
        self.epoch += 1
        self.order = self._order()

    def _order(self) -> NDArray[np.int64]:
        if self.seed is None:
            return np.arange(len(self.x))
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.x))


def load(x: Path, y: Path, length: int, size: int, classes: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Memory-map the ids int32 [rows, length] of `x`; read the labels int32 [rows] of `y`.

    Raises:
        ArtifactError: A file is missing or broken, empty, or not of the encoder's shape and ranges.
    """
    ids, labels = _read(x, "r"), _read(y, None)
    if ids.ndim != 2 or ids.shape[1] != length or labels.shape != ids.shape[:1]:
        found = f"found {list(ids.shape)} and {list(labels.shape)}"
        raise _unfit(x, f"expected ids [rows, {length}] and labels [rows], {found}")
    if len(ids) == 0:
        raise _unfit(x, "it holds no row")
    for name, array, limit in ((x, ids, size), (y, labels, classes)):
        if array.dtype != np.int32 or array.min() < 0 or array.max() >= limit:
            found = f"{array.dtype} in [{array.min()}, {array.max()}]"
            raise _unfit(name, f"expected int32 in [0, {limit - 1}], found {found}")
    return ids, labels


def _read(path: Path, mode: Any) -> NDArray[np.int32]:
    try:
        array: NDArray[np.int32] = np.load(path, mmap_mode=mode, allow_pickle=False)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `luodi preprocess` first") from None
    except (ValueError, EOFError) as error:
        raise _unfit(path, str(error)) from None
    return array


def _unfit(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(f"{path} does not fit the encoder: {reason}; run `luodi preprocess` again")
