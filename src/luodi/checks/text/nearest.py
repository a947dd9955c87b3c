"""The nearest train text of each test text: candidates by bands of MinHash, then all their n-grams are compared.

Two texts that share a share s of their n-grams meet with probability 1 - (1 - s^ROWS)^BANDS: 0.94 at 0.5, 0.9998 at
0.7. A train text is held against at most `MET` test texts in a band, in turn, so that texts of one template, where each
is near to all, cost no more than others.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi.checks.nearest import Batches, Places, Similar
from luodi.data import near_copies
from luodi.system.threads import in_threads

LEVELS = {"0.9 or more": 0.9, "0.7 or more": 0.7, "0.5 or more": 0.5}
MEANING = (
    f"the share of their runs of {near_copies.GRAM} letters that two texts have in common; case and signs are left "
    "out, and any number is a 0"
)
BANDS, ROWS = 21, 3
MET = 2
KEPT = 3  # candidates of a test text of which all n-grams are compared
LEAST = 0.25  # of the places of the signatures that a candidate shares
WAITING = 2**16  # pairs that wait for the best of them to be taken
BITS = np.uint64(44)  # of a key below those that tell its place in a table of 2^20


def nearest(test: pa.Array, train: Batches, at: Callable[[Places], pa.Array]) -> tuple[Places, Similar]:
    """See `luodi.checks.nearest.Nearest`."""
    index, best, new = _Index(test), np.empty((0, 3)), [np.empty((0, 3))]
    for pairs in in_threads(lambda part: index.candidates(*part), _parts(train())):
        new.append(pairs)
        if sum(map(len, new)) > WAITING:
            best, new = _best(best, *new), []
    best = _best(best, *new)
    text, place = best[:, 0].astype(np.int64), best[:, 1].astype(np.int64)
    distinct, of_pair = np.unique(place, return_inverse=True)
    known, candidates = _gram_sets(test), _gram_sets(at(distinct))
    similar = [_jaccard(known[one], candidates[other]) for one, other in zip(text, of_pair, strict=True)]
    order = np.lexsort((place, -np.array(similar, float), text))
    text, top = np.unique(text[order], return_index=True)
    found, similarity = np.full(len(test), -1), np.zeros(len(test))
    found[text], similarity[text] = place[order][top], np.array(similar, float)[order][top]
    return found, similarity


def _parts(columns: Iterable[pa.Array]) -> Iterator[tuple[pa.Array, int]]:
    """Some texts at a time, and how many there are before them."""
    start = 0
    for texts in columns:
        for first in range(0, len(texts), near_copies.CHUNK):
            yield texts.slice(first, near_copies.CHUNK), start + first
        start += len(texts)


class _Index:
    """The signatures of the test texts, and which of them have a band of a key: `_count` of `_text` from `_start`."""

    def __init__(self, texts: pa.Array) -> None:
        starts = range(0, len(texts), near_copies.CHUNK)
        parts = [_signatures(texts.slice(start, near_copies.CHUNK)) for start in starts]
        self._signature = np.concatenate([np.empty((0, near_copies.PLACES), np.uint32), *parts])
        keys = _keys(self._signature.T).T.ravel()
        order = np.argsort(keys, kind="stable")
        self._text = order // BANDS
        distinct, self._start, self._count = np.unique(keys[order], return_index=True, return_counts=True)
        self._keys, bits = np.append(distinct, near_copies.LARGEST), distinct >> BITS
        first = np.searchsorted(bits, bits)
        self._steps = int((np.arange(len(bits)) - first).max(initial=0))
        self._first = np.full(1 << int(64 - BITS), -1, np.int32)
        self._first[bits] = first

    def candidates(self, texts: pa.Array, start: int) -> NDArray[np.float64]:
        """The test text, the train text, counted from `start`, and the share of equal places of pairs [m, 3]."""
        signature = near_copies.signatures(texts, clean=True)
        place, row = self._placed(_keys(signature).ravel())
        row %= len(texts)
        first, count, found = self._start[place], self._count[place], [np.empty(0, np.int64)]
        for step in range(MET):
            some = count > step
            met = self._text[first[some] + (row[some] + start + step) % count[some]]
            found.append(met * len(texts) + row[some])
        met, row = np.divmod(np.unique(np.concatenate(found)), len(texts))
        shared = (self._signature[met] == signature.T[row]).mean(axis=1)
        pairs: NDArray[np.float64] = np.column_stack([met, row + start, shared])[shared >= LEAST]
        return pairs

    def _placed(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The places in the index of those keys that it holds, and which these are.

        Looked for from the first of the same bits: a search among all takes 17 steps, each elsewhere in memory.
        """
        place = self._first[keys >> BITS]
        which = np.flatnonzero(place >= 0)
        place, keys = place[which], keys[which]
        for _ in range(self._steps):
            place += self._keys[place] < keys
        there = self._keys[place] == keys
        return place[there], which[there]


def _signatures(texts: pa.Array) -> NDArray[np.uint32]:
    """The signature of each clean text [n, PLACES]."""
    return np.ascontiguousarray(near_copies.signatures(texts, clean=True).T)


def _keys(signature: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A number for each band of each signature of [PLACES, n]: [BANDS, n]."""
    values = signature[: BANDS * ROWS].reshape(BANDS, ROWS, -1).astype(np.uint64)
    keys = np.arange(BANDS, dtype=np.uint64)[:, None] + values[:, 0]
    for place in range(1, ROWS):
        keys = keys * near_copies.ODD[0] + values[:, place]
    return near_copies.mix(keys)


def _best(*pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The KEPT candidates of each test text that share most; of equal ones the first."""
    both = np.concatenate(pairs)
    both = both[np.lexsort((both[:, 1], -both[:, 2], both[:, 0]))]
    turn = np.arange(len(both)) - np.searchsorted(both[:, 0], both[:, 0])
    kept: NDArray[np.float64] = both[turn < KEPT]
    return kept


def _gram_sets(texts: pa.Array) -> list[set[int]]:
    grams, owner = near_copies.grams(texts, clean=True)
    ends = np.searchsorted(owner, np.arange(1, len(texts)))
    return [set(part.tolist()) for part in np.split(grams, ends)] if len(texts) else []


def _jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / max(len(one | other), 1)
