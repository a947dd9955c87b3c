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

GRAM = 4  # letters
BANDS, ROWS = 7, 9
PLACES = 64  # of a signature, a power of 2; BANDS * ROWS of them are used
BITS = np.uint64(58)  # of a hash below those that tell its place
CHUNK = 2048  # texts at a time: their signatures fit into the cache of a core
NONE = 2**32 - 1
ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))  # of SplitMix64
PROBES = np.random.default_rng(0).permutation(np.arange(1, PLACES))
DIGIT = ord("0")


def bands(texts: pa.Array) -> Iterator[NDArray[np.int64]]:
    """Yield for each band a number, at least 0, that near-copies share: int64 [n]; of null it says nothing."""
    kept = [_bands(texts.slice(start, CHUNK)) for start in range(0, len(texts), CHUNK)]
    yield from (np.concatenate(band) for band in zip(*kept, strict=True))


def _bands(texts: pa.Array) -> NDArray[np.int64]:
    """The numbers of some texts, int64 [BANDS, n]."""
    values = signatures(texts)[:, : BANDS * ROWS].reshape(-1, BANDS, ROWS).astype(np.uint64)
    found = np.zeros(values.shape[:2], np.uint64)
    for place in range(ROWS):
        found = mix(found + values[:, :, place])
    return (found >> np.uint64(1)).astype(np.int64).T


def signatures(texts: pa.Array) -> NDArray[np.uint32]:
    """Return PLACES numbers for each text, uint32 [n, PLACES]: two texts share as many as they share n-grams, about."""
    return _filled(_signatures(*grams(texts), len(texts)))


def grams(texts: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return numbers for the n-grams of the texts, end to end, and which text each is of."""
    return _grams(*_letters(texts))


def _letters(texts: pa.Array) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The letters of each text end to end, and how many each has: case, signs and tags seldom tell two texts apart.

    A number is a 0. A text without letters and numbers is taken as it is.
    """
    plain = pc.utf8_lower(pc.utf8_normalize(texts.fill_null(""), form="NFKC"))
    plain = pc.if_else(pc.match_substring(plain, "<"), pc.replace_substring_regex(plain, "<[^<>]*>", " "), plain)
    whole = plain.to_pylist()
    lengths = np.fromiter(map(len, whole), np.int64, len(whole))
    points = np.frombuffer("".join(whole).encode("utf-32-le"), "<u4")
    owner, found = np.repeat(np.arange(len(lengths)), lengths), _table()[np.minimum(points, 0xFFFF)]
    found = np.where(points > 0xFFFF, points, found)
    kept = (found > 0) & ~(
        (found == DIGIT) & (np.append(0, found[:-1]) == DIGIT) & (np.append(-1, owner[:-1]) == owner)
    )
    counts = np.bincount(owner[kept], minlength=len(lengths))
    if len(bare := np.flatnonzero((counts == 0) & (lengths > 0))):
        kept |= np.isin(owner, bare)
        found, counts = np.where(kept & (found == 0), points, found), np.where(counts == 0, lengths, counts)
    return found[kept], counts


@lru_cache
def _table() -> NDArray[np.uint32]:
    """What each code point of the first plane is taken for: itself, a 0, or nothing."""
    points = np.array([*range(0xD800), *range(0xE000, 0x10000)], np.uint32)
    chars = pa.array(map(chr, points))
    letter, number = (
        pc.match_substring_regex(chars, kind).to_numpy(zero_copy_only=False) for kind in (r"\p{L}", r"\p{N}")
    )
    table = np.zeros(0x10000, np.uint32)
    table[points] = np.where(letter, points, np.where(number, np.uint32(DIGIT), np.uint32(0)))
    return table


def _grams(points: NDArray[np.uint32], lengths: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The letters of each text as numbers, each with those behind it, GRAM in all; and which text each is of."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    padded = np.zeros(len(points) + GRAM * len(lengths), np.uint64)
    place = np.arange(len(points)) + GRAM * owner  # behind a text stands nothing
    padded[place] = points
    grams = padded[place]
    for step in range(1, GRAM):
        grams = grams * ODD[0] + padded[place + step]
    return grams, owner


def _signatures(grams: NDArray[np.uint64], owner: NDArray[np.int64], count: int) -> NDArray[np.uint32]:
    """The least hash in each place of each text, NONE where there is none [count, PLACES]; a hash says its place."""
    hashed = mix(grams)
    table = np.full(count * PLACES, NONE, np.uint32)
    place = owner * PLACES + (hashed >> BITS).astype(np.int64)
    np.minimum.at(table, place, hashed.astype(np.uint32))
    return table.reshape(count, PLACES)


def _filled(table: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Fill each empty place from the first that is not, in an order that depends on the place alone."""
    flat = table.ravel()
    filled, empty = flat.copy(), np.flatnonzero(flat == NONE)
    for probe in PROBES:  # places are a power of 2, so that this changes the place and not the row
        found = flat[empty ^ probe]
        there = found != NONE
        filled[empty[there]] = found[there]
        empty = empty[~there]
        if not len(empty):
            break
    return filled.reshape(table.shape)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread near numbers over all 64 bits."""
    mixed = values * ODD[0]
    mixed ^= mixed >> np.uint64(32)
    mixed *= ODD[1]
    mixed ^= mixed >> np.uint64(29)
    return mixed
