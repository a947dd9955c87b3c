"""Texts that are nearly alike: MinHash over n-grams, in bands.

Two texts are near-copies if a band of their signatures is equal, which says nothing of other texts: what is one stays
one as data grows. Texts that share a share s of all their n-grams are found with probability 1 - (1 - s^ROWS)^BANDS
(A. Broder, On the resemblance and containment of documents, 1997; J. Leskovec, A. Rajaraman, J. Ullman, Mining of
Massive Datasets, 2014, section 3.4): 0.98 at s = 0.9, 0.64 at 0.8, one in 70 at 0.5, one in 37,000 at 0.25.

A signature is made by one permutation, whose empty places are filled from others of it (A. Shrivastava, Optimal
Densification for Fast and Accurate Minwise Hashing, 2017), for many texts at a time: datasketch, which makes an object
for each, took six times as long.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.data.ngrams import points_of

GRAM = 4  # letters
BANDS, ROWS = 7, 9
PLACES = 64  # of a signature, a power of 2; BANDS * ROWS of them are used
BITS = np.uint64(58)  # of a hash below those that tell its place
CHUNK = 1536  # texts at a time: their signatures fit into the cache of a core
NONE, LARGEST = 2**32 - 1, np.uint64(2**64 - 1)
ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))  # of SplitMix64
WHOLE = 8  # probes made for all places at once; few are empty then
PROBES = np.random.default_rng(0).permutation(np.arange(1, PLACES))
DIGIT = ord("0")


def bands(texts: pa.Array) -> Iterator[NDArray[np.int64]]:
    """Yield for each band a number, at least 0, that near-copies share: int64 [n]; of null it says nothing."""
    kept = [_bands(texts.slice(start, CHUNK)) for start in range(0, len(texts), CHUNK)]
    yield from (np.concatenate(band) for band in zip(*kept, strict=True))


def _bands(texts: pa.Array) -> NDArray[np.int64]:
    """The numbers of some texts, int64 [BANDS, n]."""
    values = signatures(texts)[: BANDS * ROWS].reshape(BANDS, ROWS, -1).astype(np.uint64)
    found = np.zeros((BANDS, len(texts)), np.uint64)
    for place in range(ROWS):
        found = mix(found + values[:, place])
    return (found >> np.uint64(1)).astype(np.int64)


def signatures(texts: pa.Array, *, clean: bool = False) -> NDArray[np.uint32]:
    """Return PLACES numbers for each text, uint32 [PLACES, n]: two texts share as many as they share n-grams, about.

    `clean` see `grams`.
    """
    return _filled(_signatures(*grams(texts, clean=clean), len(texts)))


def grams(texts: pa.Array, *, clean: bool = False) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return numbers for the n-grams of the texts, end to end, and which text each is of.

    Those of `luodi.data.text.clean` need not be brought to NFKC once more.
    """
    return _grams(*_letters(texts if clean else pc.utf8_normalize(texts.fill_null(""), form="NFKC")))


def _letters(texts: pa.Array) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The letters of each text in NFKC end to end, and how many each has: case, signs and tags seldom tell texts apart.

    A number is a 0. A text without letters and numbers is taken as it is.
    """
    points, lengths = _without_tags(*points_of(texts))
    found, ends = _folded(points), np.cumsum(lengths)
    again = (found[1:] == DIGIT) & (found[:-1] == DIGIT)
    again[ends[(ends > 0) & (ends < len(points))] - 1] = False  # two numbers, one text after the other
    kept = found > 0
    kept[1:] &= ~again
    places = np.flatnonzero(kept)
    counts = np.diff(np.searchsorted(places, ends), prepend=0)
    if len(bare := np.flatnonzero((counts == 0) & (lengths > 0))):
        kept |= np.isin(np.repeat(np.arange(len(lengths)), lengths), bare)
        found, counts = np.where(kept & (found == 0), _lower(points), found), np.where(counts == 0, lengths, counts)
        places = np.flatnonzero(kept)
    return found[places], counts


def _without_tags(
    points: NDArray[np.uint32], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """A blank in place of a < and whatever there is between it and the >, if this is not < itself."""
    signs = np.flatnonzero((points == ord("<")) | (points == ord(">")))
    row = np.searchsorted(np.cumsum(lengths), signs, "right")
    tag = np.flatnonzero((points[signs[:-1]] == ord("<")) & (points[signs[1:]] == ord(">")) & (row[:-1] == row[1:]))
    if not len(tag):
        return points, lengths
    first, last = signs[tag], signs[tag + 1]
    depth = np.zeros(len(points) + 1, np.int8)
    depth[first + 1] = 1
    depth[last + 1] -= 1
    points = points.copy()
    points[first] = ord(" ")
    inside = np.bincount(row[tag], last - first, len(lengths)).astype(np.int64)
    return points[np.cumsum(depth[:-1], dtype=np.int8) == 0], lengths - inside


def _folded(points: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """What each code point is taken for: its lower case, a 0, or nothing; beyond the first plane its lower case."""
    found = _table().take(points, mode="clip")
    beyond = np.flatnonzero(points > 0xFFFF)
    found[beyond] = _lower(points[beyond])
    return found


def _lower(points: NDArray[np.uint32]) -> NDArray[np.uint32]:
    distinct, place = np.unique(points, return_inverse=True)
    folded = pc.utf8_lower(pa.array(map(chr, distinct), pa.string())).to_pylist()
    return np.fromiter(map(ord, folded), np.uint32, len(folded))[place]


@lru_cache
def _table() -> NDArray[np.uint32]:
    """What each code point of the first plane is taken for: its lower case, a 0, or nothing."""
    points = np.array([*range(0xD800), *range(0xE000, 0x10000)], np.uint32)
    chars = pc.utf8_lower(pa.array(map(chr, points)))
    letter, number = (
        pc.match_substring_regex(chars, kind).to_numpy(zero_copy_only=False) for kind in (r"\p{L}", r"\p{N}")
    )
    lower = np.fromiter(map(ord, chars.to_pylist()), np.uint32, len(chars))
    table = np.zeros(0x10000, np.uint32)
    table[points] = np.where(letter, lower, np.where(number, np.uint32(DIGIT), np.uint32(0)))
    return table


def _grams(letters: NDArray[np.uint32], counts: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The letters of each text as numbers, each with those behind it, GRAM in all; and which text each is of.

    Behind the end of a text stands nothing, and not the next text.
    """
    values, last = np.append(letters, np.zeros(GRAM, np.uint32)).astype(np.uint64), np.cumsum(counts[counts > 0]) - 1
    grams = values[: len(letters)]
    for step in range(1, GRAM):
        following = values[step : step + len(grams)].copy()
        for before in range(step):
            following[np.maximum(last - before, 0)] = 0
        grams = grams * ODD[0]
        grams += following
    return grams, np.repeat(np.arange(len(counts)), counts)


def _signatures(grams: NDArray[np.uint64], owner: NDArray[np.int64], count: int) -> NDArray[np.uint32]:
    """The least hash in each place of each text, NONE where there is none [PLACES, count]; a hash says its place."""
    hashed = mix(grams)
    table = np.full(PLACES * count, NONE, np.uint32)
    place = (hashed >> BITS).astype(np.int64)
    place *= count
    place += owner
    np.minimum.at(table, place, hashed.astype(np.uint32))
    return table.reshape(PLACES, count)


def _filled(table: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Fill each empty place from the first that is not, in an order that depends on the place alone."""
    filled, places, count = table.copy(), np.arange(PLACES), table.shape[1]
    for probe in PROBES[:WHOLE]:  # places are a power of 2, so that this changes the place and not the row
        there = np.negative((filled != NONE).astype(np.uint32))  # all bits, or none
        filled &= table[places ^ probe] | there
    empty = np.flatnonzero(filled == NONE)
    place, row = np.divmod(empty, max(count, 1))
    for probe in PROBES[WHOLE:]:
        found = table.ravel()[(place ^ probe) * count + row]
        there = found != NONE
        filled.ravel()[empty[there]] = found[there]
        empty, place, row = empty[~there], place[~there], row[~there]
        if not len(empty):
            break
    return filled


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread near numbers over all 64 bits."""
    mixed = values * ODD[0]
    mixed ^= mixed >> np.uint64(32)
    mixed *= ODD[1]
    mixed ^= mixed >> np.uint64(29)
    return mixed
