"""Which rows are kept, and which split owns each: by content alone, so that both hold as data grows."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.config import Shares
from luodi.config.shared import Preprocess

NAMES = ("train", "validation", "test")
NEWEST = "newest"
"""A second test set, see `luodi.checks.newest`."""
ALL = (*NAMES, NEWEST)
OFFICIAL = ("test", "validation")
"""Splits that may be the rows of a source; a row of both is a test row."""


def digests(items: pa.Array, seed: int) -> NDArray[np.uint64]:
    """Return a number for each text, by its UTF-8 bytes, or image as bytes [n]: its BLAKE2b hash keyed by `seed`.

    Equal items have equal numbers; that any two of a million others have is a chance of 3 in 100 million.
    """
    keyed = hashlib.blake2b(digest_size=8, key=seed.to_bytes(16, "big"))  # a copy costs half of a key
    found = []
    for content in items.cast(pa.large_binary()).to_pylist():
        one = keyed.copy()
        one.update(content)
        found.append(one.digest())
    return np.frombuffer(b"".join(found), ">u8").astype(np.uint64)


def rank(source: pa.Array, settings: Preprocess) -> NDArray[np.int8]:
    """Return the place in `OFFICIAL` of the split that each source is, len(OFFICIAL) where it is none, int8 [n]."""
    found = np.full(len(source), len(OFFICIAL), np.int8)
    for place, name in reversed([*enumerate((settings.test_source, settings.validation_source))]):
        if name is not None:
            found[pc.fill_null(pc.equal(source, name), False).to_numpy(zero_copy_only=False)] = place
    return found


def keep_unique(
    content: NDArray[np.uint64],
    empty: NDArray[np.bool_],
    labels: NDArray[np.int32],
    rank: NDArray[np.int8] | None = None,
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Drop empty items, items with more than one label, and all but one of equal items.

    Args:
        content: The digests of clean texts or images [n].
        empty: Whether they are empty [n].
        labels: Their labels, int32 [n].
        rank: Of equal rows the one of the lowest rank is kept, int8 [n]; of these the first.

    Returns:
        Places of the rows kept, ascending, and the number of rows dropped for each reason.
    """
    order = np.lexsort((content,) if rank is None else (rank, content))  # equal ones side by side
    ordered, labels = content[order], labels[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(order)])
    count, empty = np.diff(starts, append=len(order)), empty[order[starts]]
    clash = (np.minimum.reduceat(labels, starts) < np.maximum.reduceat(labels, starts)) & ~empty
    kept = np.sort(order[starts[~empty & ~clash]])
    dropped = {"empty": int(count[empty].sum()), "contradicting": int(count[clash].sum())}
    return kept, dropped | {"duplicate": len(content) - len(kept) - sum(dropped.values())}


def some(
    content: NDArray[np.uint64], labels: NDArray[np.int32], split: NDArray[np.int8], rows: int
) -> NDArray[np.int64]:
    """Return the places of `rows` of these rows [n], ascending: the same share of each class in each split.

    Of such a cell those of the lowest digests come first, and each cell has a row before any has two: a smaller
    number takes a part of what a larger one takes.
    """
    order = np.lexsort((content, labels, split))
    cell = np.stack([split[order], labels[order]])
    starts = np.flatnonzero(np.concatenate([[True], (cell[:, 1:] != cell[:, :-1]).any(axis=0)])[: len(order)])
    count = np.diff(starts, append=len(order))
    turn = np.concatenate([np.arange(number) / number for number in count]) if len(order) else np.zeros(0)
    taken: NDArray[np.int64] = np.sort(order[np.argsort(turn, kind="stable")[:rows]])
    return taken


def of_each(labels: NDArray[np.int32], rows: int) -> NDArray[np.int64]:
    """Return the places of at most `rows` of these rows [n], by label: one of each, then another of each, and so on.

    They are drawn, the same from the same rows: a file may be in order.
    """
    drawn = np.random.default_rng(0).permutation(len(labels))
    order = drawn[np.argsort(labels[drawn], kind="stable")]
    turn = np.arange(len(labels)) - np.searchsorted(labels[order], labels[order])
    found: NDArray[np.int64] = order[np.sort(np.argsort(turn, kind="stable")[:rows])]
    return found


def assign(content: NDArray[np.uint64], shares: Shares) -> NDArray[np.int8]:
    """Return for each digest the index into `NAMES` of its split, int8 [n].

    The digest falls in [0, 2**64); the shares cut that range. An item keeps its split whatever else is in the data,
    and equal items share one.
    """
    edges = np.cumsum([shares.train, shares.validation])
    return np.searchsorted(edges, content / 2.0**64, side="right").astype(np.int8)
