"""Feed arrays to Keras batch by batch; they stay on disk when memory-mapped."""

import copy
import math
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from luodi.data.modality import Augment

TOGETHER = 50  # batches among which rows of like lengths are looked for


class Batches(keras.utils.PyDataset):
    """Batches of (rows of `x` [batch, ...], one-hot labels float32 [batch, classes], or these as `y` has them).

    With a seed the rows are shuffled anew for each epoch, and `augment`, if given, changes those of each batch
    with a generator that seed, epoch and batch decide. Without a seed they keep their order and stay as they are.

    With `parts` each of them comes in so many parts, one after the other, as equal as can be: for an optimizer that
    adds up their gradients.

    With `lengths`, and a seed, a batch has rows of like lengths: so many batches that follow each other are shuffled,
    sorted by length, divided again, and shuffled whole.

    Devices that share a batch take as many rows each: of a last one that does not divide some rows come twice.
    """

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        classes: int,
        batch_size: int,
        seed: int | None = None,
        *,
        augment: Augment | None = None,
        parts: int = 1,
        lengths: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__()
        self.lengths = lengths
        self.x, self.y, self.classes, self.batch_size, self.seed = x, y, classes, batch_size, seed
        self.augment, self.parts = augment, parts
        self.devices, self.hosts, self.host = 1, 1, 0
        self.epoch, self.first = 1, 0
        self.order = self._order()

    def begin(self, epoch: int) -> None:
        """Shuffle for `epoch`, counted from 1."""
        self.epoch = epoch
        self.order = self._order()

    def rest(self, batch: int) -> Self:
        """Return a copy that has of each epoch the batches from `batch` on."""
        rest = copy.copy(self)
        rest.first = batch
        return rest

    def among(self, devices: int, hosts: int, host: int) -> Self:
        """Return a copy for so many devices in all, which share each batch, of which this host reads its own rows."""
        shared = copy.copy(self)
        shared.devices, shared.hosts, shared.host = devices, hosts, host
        return shared

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.batch_size) * self.parts - self.first

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        index += self.first
        rows = self._rows(*divmod(index, self.parts))
        x = np.asarray(self.x[rows])
        if self.augment and self.seed is not None:
            x = self.augment(x, np.random.default_rng([self.seed, self.epoch, index]))
        size = len(rows) // self.hosts
        own = slice(self.host * size, (self.host + 1) * size)
        y = self.y[rows[own]]
        return x[own], y if y.ndim > 1 else np.eye(self.classes, dtype=np.float32)[y]

    def _rows(self, batch: int, part: int) -> NDArray[np.int64]:
        rows = self.order[batch * self.batch_size : (batch + 1) * self.batch_size]
        # A last batch may have fewer rows than parts: no part may be empty, so some rows come twice.
        rows = np.array_split(np.resize(rows, max(len(rows), self.parts)), self.parts)[part]
        return np.resize(rows, math.ceil(len(rows) / self.devices) * self.devices)

    def _order(self) -> NDArray[np.int64]:
        if self.seed is None:
            return np.arange(len(self.x))
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.x))
        if self.lengths is None:
            return order
        size = TOGETHER * self.batch_size
        pools = (order[start : start + size] for start in range(0, len(order), size))
        order = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        whole = len(order) - len(order) % self.batch_size
        batches = rng.permutation(order[:whole].reshape(-1, self.batch_size))
        return np.concatenate([batches.ravel(), order[whole:]])
