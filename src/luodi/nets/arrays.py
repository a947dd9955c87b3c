"""The arrays of a split, as preprocess wrote them, checked against the encoder. Read without Keras."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.data.modality import Encoder
from luodi.errors import ArtifactError
from luodi.project.paths import maker


def load(x: Path, y: Path, encoder: Encoder) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Memory-map the rows of `x`, encoded [rows, ...]; read the labels int32 [rows] of `y`.

    Raises:
        ArtifactError: A file is missing or broken, empty, or not of the encoder's shape, type and ranges.
    """
    rows, labels = _read(x, "r"), _read(y, None)
    if rows.shape[1:] != encoder.shape or labels.shape != rows.shape[:1]:
        expected = f"expected rows [rows, {', '.join(map(str, encoder.shape))}] and labels [rows]"
        raise _unfit(x, f"{expected}, found {list(rows.shape)} and {list(labels.shape)}")
    if len(rows) == 0:
        raise _unfit(x, "it holds no row")
    ranges = ((x, rows, encoder.dtype, encoder.size), (y, labels, "int32", len(encoder.labels)))
    for name, array, kind, limit in ranges:
        if array.dtype != kind or array.min() < 0 or array.max() >= limit:
            found = f"{array.dtype} in [{array.min()}, {array.max()}]"
            raise _unfit(name, f"expected {kind} in [0, {limit - 1}], found {found}")
    return rows, labels


def _read(path: Path, mode: Any) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode=mode, allow_pickle=False)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (ValueError, EOFError):
        raise _unfit(path, "it is no array of NumPy") from None
    return array


def _unfit(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(f"{path} does not fit the encoder: {reason}; run `{maker(path)}` again")
