"""Files of weights in HDF5, as Keras writes them, checked before memory is taken for what they hold."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from luodi.errors import BrokenData
from luodi.nets.canonical import LARGEST
from luodi.system import lfs
from luodi.terminal import shown


def opened(path: Path) -> Any:
    """Open a file of weights. Raises BrokenData: it is none."""
    lfs.require_content(path, BrokenData)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise BrokenData(
            f"{path} cannot be read ({shown(str(error), 200)}): it did not come whole; get it again"
        ) from None


def shapes(path: Path, file: Any, size: int) -> Counter[tuple[int, ...]]:
    """Return how many arrays of each shape a file of so many bytes holds.

    Raises:
        BrokenData: One of them is in another file, or they are larger than the file or than luodi takes.
    """
    found: Counter[tuple[int, ...]] = Counter()
    total = 0
    for array in _arrays(path, file):
        total += math.prod(array.shape) * array.dtype.itemsize
        if array.external or array.is_virtual or array.compression or total > min(size, LARGEST):
            raise BrokenData(
                f"{path} holds arrays that are not plain, or larger than it is itself or than {LARGEST / 1e9:.1f} GB: "
                "save them anew"
            )
        found[array.shape] += 1
    return found


def _arrays(path: Path, group: Any) -> Iterator[Any]:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BrokenData(f"{path} leads to another file ({shown(name, 60)}): save it again, by itself")
        if isinstance(group[name], h5py.Group):
            yield from _arrays(path, group[name])
        else:
            yield group[name]
