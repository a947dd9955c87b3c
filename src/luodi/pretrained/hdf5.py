"""Files of weights in HDF5, as Keras writes them, checked before memory is taken for what they hold."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from luodi.errors import BrokenData
from luodi.system import lfs
from luodi.terminal import shown

DEEPEST = 20  # groups in each other


def opened(path: Path) -> Any:
    """Open a file of weights. Raises BrokenData: it is none."""
    lfs.require_content(path, BrokenData)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise BrokenData(
            f"{path} cannot be read ({shown(str(error), 200)}): it did not come whole; get it again"
        ) from None


def arrays(path: Path, file: Any, most: int) -> dict[str, Any]:
    """Return the arrays of a file by their places in it, none of them read, of at most so many bytes together.

    Raises:
        BrokenData: One of them is in another file, or not stored as it is, or they are larger.
    """
    found = dict(_arrays(path, file, ""))
    total = 0
    for place, array in found.items():
        plain = isinstance(array, h5py.Dataset) and array.shape is not None
        if not plain or array.external or array.is_virtual or array.compression:
            raise BrokenData(f"{path} holds arrays that are not plain ({shown(place, 60)}): save them anew")
        total += math.prod(array.shape) * array.dtype.itemsize
        if total > most:
            raise BrokenData(f"{path} holds arrays of more than {most:,} bytes together: save them anew, or fewer")
    return found


def _arrays(path: Path, group: Any, place: str) -> Iterator[tuple[str, Any]]:
    if place.count("/") > DEEPEST:  # a group may lead to one that it is in
        raise BrokenData(f"{path} holds groups without an end ({shown(place, 60)}): save it again, by itself")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BrokenData(f"{path} leads to another file ({shown(name, 60)}): save it again, by itself")
        if isinstance(group[name], h5py.Group):
            yield from _arrays(path, group[name], f"{place}{name}/")
        else:
            yield place + name, group[name]
