"""Texts that are nearly alike: MinHash over n-grams, in bands.

Two texts are near-copies if a band of their signatures is equal, which says nothing of other texts: what is one stays
one as data grows. Texts that share a share s of all their n-grams are found with probability 1 - (1 - s^ROWS)^BANDS
(A. Broder, On the resemblance and containment of documents, 1997; J. Leskovec, A. Rajaraman, J. Ullman, Mining of
Massive Datasets, 2014, section 3.4): 0.9 at s = 0.8, one in 50 at 0.5, one in 20,000 at 0.25.

A signature is made by one permutation, whose empty places are filled from others of it (A. Shrivastava, Optimal
Densification for Fast and Accurate Minwise Hashing, 2017), a column of texts at a time: an object for each text, as
libraries have it, takes ten times as long.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

GRAM = 8  # bytes: as many letters of a Latin script, two or three Chinese characters
BANDS, ROWS = 25, 10
PLACES = 256  # of a signature, a power of 2; BANDS * ROWS of them are used
PLAIN = 8192  # texts made plain at a time
CHUNK = 512  # texts at a time: their signatures fit into the cache of a core
NONE = 2**32 - 1
ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))  # of SplitMix64
PROBES = np.random.default_rng(0).permutation(np.arange(1, PLACES))


def bands(texts: pa.Array) -> Iterator[NDArray[np.int64]]:
    """Yield for each band a number, at least 0, that near-copies share: int64 [n]; of null it says nothing."""
    plain = (_plain(texts.slice(start, PLAIN)) for start in range(0, len(texts), PLAIN))
    kept = [_bands(some.slice(start, CHUNK)) for some in plain for start in range(0, len(some), CHUNK)]
    yield from (np.concatenate(band) for band in zip(*kept, strict=True))


def _bands(texts: pa.Array) -> NDArray[np.int64]:
    """The numbers of some texts, int64 [BANDS, n]."""
    signature = _filled(_signatures(*_grams(texts), len(texts)))
    values = signature[:, : BANDS * ROWS].reshape(-1, BANDS, ROWS).astype(np.uint64)
    found = np.zeros(values.shape[:2], np.uint64)
    for place in range(ROWS):
        found = _mix(found + values[:, :, place])
    return (found >> np.uint64(1)).astype(np.int64).T


def _plain(texts: pa.Array) -> pa.Array:
    """Texts without what seldom tells two apart (case, digits, signs, tags); as they are if nothing else is there."""
    plain = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    for pattern, put in ((r"<[^<>]*>", " "), (r"\p{N}+", "0"), (r"[^\p{L}0]+", " ")):
        plain = pc.replace_substring_regex(plain, pattern, put)
    plain = pc.utf8_trim(plain, " ")
    return pc.if_else(pc.equal(plain, ""), texts, plain)


def _grams(texts: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """All windows of GRAM bytes of each text, or all of it if it is shorter, as numbers; and which text each is of."""
    lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy().astype(np.int64)
    data = np.frombuffer("".join(texts.fill_null("").to_pylist()).encode() + bytes(GRAM), np.uint8)
    counts = np.maximum(lengths - GRAM + 1, 1)
    owner = np.repeat(np.arange(len(lengths)), counts)
    starts = np.cumsum(lengths) - lengths
    first = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts) + starts[owner]
    windows = np.ndarray(len(data) - GRAM + 1, "<u8", data, strides=(1,))[first]
    short = np.flatnonzero(lengths < GRAM)
    beyond = np.uint64(8) * lengths[short].astype(np.uint64)
    windows[np.searchsorted(owner, short)] &= (np.uint64(1) << beyond) - np.uint64(1)
    return windows, owner


def _signatures(grams: NDArray[np.uint64], owner: NDArray[np.int64], count: int) -> NDArray[np.uint32]:
    """The least hash in each place of each text, NONE where there is none [count, PLACES]; a hash says its place."""
    hashed = _mix(grams)
    table = np.full(count * PLACES, NONE, np.uint32)
    place = owner * PLACES + (hashed >> np.uint64(56)).astype(np.int64)
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


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = values * ODD[0]
    mixed ^= mixed >> np.uint64(32)
    mixed *= ODD[1]
    mixed ^= mixed >> np.uint64(29)
    return mixed
