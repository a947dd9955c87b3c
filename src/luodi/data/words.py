"""Words and pairs of words of scripts that put spaces between them, as hashed features beside n-grams of characters."""

import unicodedata
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Row = TypeVar("Row", bound=np.integer[Any])

MULTIPLIER = np.uint64(0x100000001B3)
PAIR = np.uint64(0x9E3779B97F4A7C15)
# Letters, marks and digits there belong to words, but for the scripts of South East Asia, which run words together.
SPACED = (range(0x0E00), range(0x0F00, 0x1000), range(0x10A0, 0x1780), range(0x1800, 0x3000), range(0xAC00, 0xD7A4))


def of_rows(points: NDArray[np.uint32], row: NDArray[Row]) -> tuple[NDArray[np.uint64], NDArray[Row]]:
    """Hash the words, lower-cased, of texts end to end, and each pair of neighbours in one text.

    Args:
        points: Code points [total].
        row: The text that each belongs to, by any number of its own, ascending [total].

    Returns:
        The hashes, uint64 [words + pairs], and the row of each.
    """
    folded = _table()[np.minimum(points, 0xFFFF)]
    inside = (folded > 0) & (points <= 0xFFFF)
    first = inside & ~(np.roll(inside, 1) & (np.roll(row, 1) == row))
    if len(points):
        first[0] = inside[0]
    starts = np.flatnonzero(first)
    place = np.flatnonzero(inside)
    if not len(starts):
        return np.zeros(0, np.uint64), row[:0]
    word = np.cumsum(first)[place] - 1
    within = place - starts[word]
    power = _powers(int(within.max()) + 1)[within]
    begin = np.searchsorted(word, np.arange(len(starts)))
    hashes = np.add.reduceat(folded[place].astype(np.uint64) * power, begin)
    owner = row[starts]
    same = owner[1:] == owner[:-1]
    pairs = (hashes[:-1] * PAIR + hashes[1:] * MULTIPLIER + PAIR)[same]
    return np.concatenate([hashes * PAIR, pairs]), np.concatenate([owner, owner[1:][same]])


@cache
def _powers(count: int) -> NDArray[np.uint64]:
    return np.cumprod(np.full(count, MULTIPLIER, np.uint64), dtype=np.uint64)


@cache
def _table() -> NDArray[np.uint32]:
    """Code point in lower case by code point, 0 of what is in no word: uint32 [65536]."""
    table = np.zeros(0x10000, np.uint32)
    for part in SPACED:
        for point in part:
            if unicodedata.category(chr(point))[0] in "LMN":
                table[point] = ord(chr(point).lower()[0])
    return table
