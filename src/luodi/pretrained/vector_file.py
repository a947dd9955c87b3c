"""Vectors in a file without a name: memory holds of them what there is room for, the system reads the others again."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PART = 1024  # rows that are worked on at a time
Vectors = NDArray[np.float32]


def empty(folder: Path, rows: int, width: int) -> Vectors:
    """Return room for vectors, float32 [rows, width], on the disk of `folder`; in memory where it has none."""
    size = 4 * rows * width
    # The file goes with the last that reads it; macOS cannot promise room in one.
    with suppress(OSError, AttributeError), tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))  # or a full disk would end the process, at any row
        return np.asarray(np.memmap(file, np.float32, "r+", shape=(rows, width)))
    return np.empty((rows, width), np.float32)


def parts(vectors: Vectors) -> Iterator[Vectors]:
    """Go through vectors, some at a time; what is changed of them stays."""
    return (vectors[start : start + PART] for start in range(0, len(vectors), PART))
