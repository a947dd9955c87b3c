"""Texts of like lengths go through an encoder together."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from luodi.data.subwords import Encoder, padded
from luodi.pretrained.vector_file import PART
from luodi.pretrained.vectors import ROWS, Parts

STEP = 8  # tokens
TOKENS = 4096  # of a batch, at most


def together(texts: Sequence[str], encoder: Encoder) -> Parts:
    """Say which go together, see `vectors.Together`."""
    parts = (texts[start : start + PART] for start in range(0, len(texts), PART))
    steps = [_steps(row) for part in parts for row in encoder.ids(part)]  # of all rows the ids would fill memory

    def encode(places: Sequence[int]) -> NDArray[np.int32]:
        return padded(encoder.ids([texts[place] for place in places]), encoder.pad, STEP)[:, : encoder.length]

    for places in _batches(steps):
        yield places, _size(min(steps[places[0]], encoder.length)), partial(encode, places)


def _size(tokens: int) -> int:
    """Rows of a batch of that many tokens each."""
    return max(1, min(ROWS, TOKENS // tokens))


def _steps(row: Sequence[int]) -> int:
    """Tokens that a row is padded to."""
    return -(-max(len(row), 1) // STEP) * STEP


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of equal lengths, as many as go together."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == _size(lengths[place]) or lengths[place] != lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
