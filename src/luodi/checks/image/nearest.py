"""The nearest train image of each test image, by perceptual hashes: each is held against all."""

import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from luodi.checks.image import near_duplicates
from luodi.checks.nearest import Batches, Places, Similar

BITS = 64
LEVELS = {f"at most {bits} bits differ": 1 - bits / BITS for bits in (0, 4, 8)}
MEANING = f"how many of the {BITS} bits of the perceptual hashes of two images are equal"
CHUNK = 256  # train images at a time


def nearest(test: pa.Array, train: Batches, at: Callable[[Places], pa.Array]) -> tuple[Places, Similar]:
    """See `luodi.checks.nearest.Nearest`."""
    looks, start = _looks(test), 0
    found, least = np.full(len(test), -1), np.full(len(test), BITS + 1)
    for items in train():
        for first in range(0, len(items), CHUNK):
            bits = np.bitwise_count(looks[:, None] ^ _looks(items.slice(first, CHUNK)))
            place, fewest = bits.argmin(axis=1), bits.min(axis=1)
            found = np.where(fewest < least, start + first + place, found)
            least = np.minimum(fewest, least)
        start += len(items)
    return found, np.maximum(1 - least / BITS, 0)


def _looks(items: pa.Array) -> NDArray[np.uint64]:
    side = near_duplicates.SIDE
    opened = (Image.open(io.BytesIO(item), formats=["PNG"]).convert("L") for item in items.to_pylist())
    pixels = np.frombuffer(b"".join(map(near_duplicates.small, opened)), np.uint8)
    found: NDArray[np.uint64] = near_duplicates.hashes(pixels.reshape(-1, side, side))
    return found
