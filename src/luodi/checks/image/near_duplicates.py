"""Images that look alike: a perceptual hash, and the pairs whose hashes differ in a few bits."""

from itertools import combinations, pairwise
from typing import Any

import numpy as np

SIDE = 32  # pixels of the small grey picture that is hashed
DISTANCE = 3  # bits that may differ: JPEG, a little noise or another size change fewer, another drawing more
BLOCKS = 6
WINDOW = 256  # neighbours that a row is held against in one table
ALIKE = (
    4  # bits that may differ of pictures that are to stand in one split: half or double the size, JPEG of quality 75
)
LINKED = 16  # neighbours that a row is held against then, in each table

# Rounded to integers of 11 bits, so that every sum is exact: no order of adding can turn a bit of the hash.
_WAVES = np.round(1024 * np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE)))


def hashes(small: Any) -> Any:
    """Return the pHash of each picture: which of its 64 lowest frequencies are above their median.

    C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1: the
    discrete cosine transform of a grey picture of 32 x 32, its 8 x 8 lowest frequencies, one bit each; the
    median is that of the 63 without the mean intensity.

    Args:
        small: Grey pictures, uint8 [n, 32, 32].

    Returns:
        uint64 [n].
    """
    frequencies = (_WAVES @ small.astype(np.float64) @ _WAVES.T).reshape(len(small), 64)
    above = frequencies > np.median(frequencies[:, 1:], axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8")[:, 0].astype(np.uint64)


def earlier(found: Any) -> Any:
    """Return for each hash the place of an earlier one at most DISTANCE bits away, or -1 [n].

    G. S. Manku, A. Jain, A. Das Sarma, Detecting Near-Duplicates for Web Crawling, 2007: of 6 blocks of bits, 3
    are equal in any two hashes that differ in 3 bits. So for each of the 20 choices of 3 blocks the hashes are
    sorted by those, and only hashes with equal ones are compared: time n log n, not n squared. Of more than
    WINDOW equal ones only the nearest WINDOW in order are: that bounds the time for pictures that share a
    border, and may then miss a pair.

    Args:
        found: Hashes, uint64 [n].
    """
    distinct, first, place = np.unique(found, return_index=True, return_inverse=True)
    twin = np.full(len(distinct), -1)
    for mask in _masks(BLOCKS, BLOCKS - DISTANCE):
        _compare(distinct, first, distinct & mask, twin)
    answer = np.where(first[place] < np.arange(len(found)), first[place], twin[place])
    return answer if len(found) else np.empty(0, np.int64)


def links(found: Any) -> Any:
    """Return what ties pictures of near hashes: places in `found`, and a number that near ones share, int64 [m, 2].

    Each hash is a number; a picture has its own and those of hashes at most ALIKE bits away that were there before it.
    They are found as in `earlier`, in 35 choices of 3 of 7 blocks: none changes as others come behind.

    Args:
        found: Hashes, uint64 [n].
    """
    distinct, first, place = np.unique(found, return_index=True, return_inverse=True)
    masks = _masks(ALIKE + BLOCKS - DISTANCE, BLOCKS - DISTANCE)
    pairs = np.unique(np.concatenate([_near(distinct & mask, distinct, first) for mask in masks]))
    later, before = pairs // len(distinct), pairs % len(distinct)
    counts = np.bincount(later, minlength=len(distinct))
    ends = np.cumsum(counts)
    row = np.repeat(np.arange(len(found)), counts[place])
    turn = np.arange(len(row)) - np.repeat(np.cumsum(counts[place]) - counts[place], counts[place])
    near = before[(ends - counts)[place[row]] + turn]
    own = np.stack([np.arange(len(found)), place], axis=1)
    return np.concatenate([own, np.stack([row, near], axis=1)])


def _near(keys: Any, distinct: Any, first: Any) -> Any:
    """Pairs of near hashes among those of equal keys: the place of the later one times n, and that of the other [m]."""
    order = np.lexsort((first, keys))
    keys, values = keys[order], distinct[order]
    pairs = [np.empty(0, np.int64)]
    for step in range(1, LINKED + 1):
        same = keys[step:] == keys[:-step]
        if not same.any():
            break
        near = np.flatnonzero(same & (np.bitwise_count(values[step:] ^ values[:-step]) <= ALIKE))
        pairs.append(order[near + step] * len(distinct) + order[near])
    return np.concatenate(pairs)


def _masks(blocks: int, chosen: int) -> list[np.uint64]:
    """Each choice of so many of so many blocks, as the bits they cover."""
    edges = np.linspace(0, 64, blocks + 1).round().astype(int).tolist()
    bits = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    return [np.uint64(sum(some)) for some in combinations(bits, chosen)]


def _compare(distinct: Any, first: Any, keys: Any, twin: Any) -> None:
    """Note in `twin` an earlier row for each hash that has one among those of an equal key."""
    order = np.lexsort((first, keys))  # within a key, the earlier row first
    keys, values, first = keys[order], distinct[order], first[order]
    start = np.searchsorted(keys, keys)  # where the run of each key begins
    open_ = np.flatnonzero((twin[order] < 0) & (start < np.arange(len(keys))))
    for step in range(1, WINDOW + 1):
        if not len(open_):
            return
        near = np.bitwise_count(values[open_] ^ values[open_ - step]) <= DISTANCE
        twin[order[open_[near]]] = first[open_[near] - step]
        open_ = open_[~near]
        open_ = open_[open_ - step > start[open_]]
