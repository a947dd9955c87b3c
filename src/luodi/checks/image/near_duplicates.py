"""Images that look alike: a perceptual hash, and the pairs whose hashes differ in a few bits; and copies of one image.

What a hash calls alike is enough for a warning, and not for a split: of Fashion-MNIST's images three in ten have a hash
at most 4 bits from that of another. A copy that was scaled or stored again differs less, in all of the lowest
frequencies: see `links`.
"""

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from PIL import Image

SIDE = 32  # pixels of the small grey picture that is looked at
DISTANCE = 3  # bits that may differ: JPEG, a little noise or another size change fewer, another drawing more
BLOCKS = 6
WINDOW = 256  # neighbours that a row is held against in one table
WAVES = 64  # the lowest frequencies of a picture, its brightness among them
UNIT = 10_000  # length of all but that one
LEVEL = 2 * SIDE**2 / 4  # of a wave whose root mean square is one grey level, of 255
FAINT = 12.8 * LEVEL  # what has less contrast is not scaled up to UNIT: JPEG would tell it from itself

COPY = 0.0625 * UNIT  # how far the frequencies of a copy may lie from those of the image, see benchmarks/copies.py
BRIGHTER = 64  # sixteenths of a grey level, of 255, by which a copy may be brighter or darker
TABLES, CUTS = 16, 10  # each table has a cell for all pictures that so many cuts leave together
CELL = 0.4 * UNIT  # breadth of a cell; along one axis copies lie a sixth of that apart at most, on average
AXIS = 1024 / 3**0.5  # what an axis makes of a step of 1 in any direction, on average
LINKED = 16  # pictures of the same cell, which came before, that each is held against
ENOUGH = 2 * TABLES  # copies found: further tables then say little that is new
ODD = np.uint64(0x9E3779B97F4A7C15)

# Rounded to integers of 11 bits, so that every sum is exact: no order of adding can turn a bit of the hash.
_WAVES = np.round(1024 * np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE)))


def small(grey: Image.Image) -> bytes:
    """Return SIDE x SIDE grey pixels; Lanczos' filter keeps what is coarse of an image that is smaller than that."""
    return grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3).tobytes()


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
    frequencies = _frequencies(small)
    above = frequencies > np.median(frequencies[:, 1:], axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8")[:, 0].astype(np.uint64)


def waves(small: Any) -> Any:
    """Return the brightness of each picture, in sixteenths of a grey level, and the direction of its other frequencies.

    Args:
        small: Grey pictures, uint8 [n, 32, 32].

    Returns:
        int16 [n, WAVES]; all but the first are of length UNIT, about, or less where there is little contrast.
    """
    frequencies = _frequencies(small)
    found = np.rint(frequencies / (_NORM * 2**20))  # whole numbers, of which every sum of squares is exact
    length = np.sqrt((found[:, 1:] ** 2).sum(axis=1, keepdims=True))
    length = np.maximum(length, FAINT)
    brightness = np.rint(frequencies[:, :1] / (SIDE * 1024) ** 2 * 16)
    return np.concatenate([brightness, np.rint(UNIT * found[:, 1:] / np.maximum(length, 1))], axis=1).astype(np.int16)


# Of waves that are not constant the mean square is a half.
_NORM = np.outer(*[np.sqrt(np.where(np.arange(8) > 0, 1, 2))] * 2).ravel()


def _frequencies(small: Any) -> Any:
    return (_WAVES @ small.astype(np.float64) @ _WAVES.T).reshape(len(small), WAVES)


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


def links(seen: Any) -> Any:
    """Return what ties copies of one picture: places in `seen`, and a number that copies share, int64 [m, 2].

    Each picture has a number of its own, and those of copies that were there before it. They are found by p-stable
    hashing (M. Datar et al., Locality-Sensitive Hashing Scheme Based on p-Stable Distributions, 2004): cells between
    cuts across axes drawn at random, and of each cell at most LINKED pictures before it. So none changes as others come
    behind.

    Args:
        seen: What `waves` returns, int16 [n, WAVES].
    """
    rows = np.ascontiguousarray(seen).view(np.dtype((np.void, seen.dtype.itemsize * WAVES)))[:, 0]
    _, first, place = np.unique(rows, return_index=True, return_inverse=True)
    first = first[place]  # of the pictures that are equal to each
    at = np.unique(first)
    later, before = at[_copies(seen[at])].T
    start, end = np.searchsorted(later, first), np.searchsorted(later, first, "right")
    row = np.repeat(np.arange(len(seen)), end - start)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(end - start) - (end - start), end - start)
    own = np.stack([np.arange(len(seen)), first], axis=1)
    return np.concatenate([own, np.stack([row, before[start[row] + turn]], axis=1)])


def _cells(seen: Any) -> Iterator[Any]:
    """Yield the cell of each picture in each table, uint64 [n]; exact, as the sums are of whole numbers."""
    bits, breadth = np.random.PCG64(0), round(CELL * AXIS)  # the bits stay as they are, whatever NumPy's version
    for _ in range(TABLES):
        axes = (bits.random_raw((WAVES - 1) * CUTS) >> 53).astype(np.float64).reshape(-1, CUTS) - 1024
        start = bits.random_raw(CUTS) % breadth
        cuts = np.floor((seen[:, 1:].astype(np.float64) @ axes + start) / breadth).astype(np.int64).view(np.uint64)
        cell = np.zeros(len(seen), np.uint64)
        for cut in cuts.T:
            cell = cell * ODD + cut
        yield cell


def _copies(seen: Any) -> Any:
    """Return the places of pictures and of copies that came before them, int64 [m, 2], ascending."""
    pairs, met = [np.empty(0, np.int64)], np.zeros(len(seen), np.int64)
    for cell in _cells(seen):
        order = np.argsort(cell, kind="stable")
        ordered = cell[order]
        for step in range(1, LINKED + 1):
            same = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not len(same):
                break
            later, before = order[same + step], order[same]
            found = np.flatnonzero(met[later] < ENOUGH)
            found = found[_are_copies(seen[later[found]], seen[before[found]])]
            met[later[found]] += 1
            pairs.append(later[found] * len(seen) + before[found])
    return np.stack(np.divmod(np.unique(np.concatenate(pairs)), max(len(seen), 1)), axis=1)


def _are_copies(one: Any, other: Any) -> Any:
    apart = one.astype(np.int32) - other
    waves = apart[:, 1:]  # of a square sum of at most (2 UNIT)^2: it needs no larger numbers
    return (np.abs(apart[:, 0]) <= BRIGHTER) & (np.einsum("ij,ij->i", waves, waves) <= COPY**2)


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
