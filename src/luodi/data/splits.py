"""Which rows are kept, and which split owns each: by content alone, so that both hold as data grows."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.config import Shares

NAMES = ("train", "validation", "test")
CHUNK = 8192  # items hashed at a time


def keep_unique(
    items: pa.Array, labels: NDArray[np.int32], rank: NDArray[np.int8] | None = None
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Drop empty items, items with more than one label, and all but one of equal items.

    Args:
        items: Clean texts, or images as bytes [n].
        labels: Their labels, int32 [n].
        rank: Of equal rows the one of the lowest rank is kept, int8 [n]; of these the first.

    Returns:
        Places of the rows kept, ascending, and the number of rows dropped for each reason.
    """
    codes = _codes(items)
    distinct = int(codes.max(initial=-1)) + 1
    low, high = np.full(distinct, np.iinfo(np.int32).max), np.full(distinct, -1)
    np.minimum.at(low, codes, labels)
    np.maximum.at(high, codes, labels)
    empty = pc.binary_length(items).to_numpy() == 0
    contradicting = (low < high)[codes] & ~empty
    order = np.arange(len(codes)) if rank is None else np.argsort(rank, kind="stable")
    chosen = np.zeros(len(codes), bool)
    chosen[order[np.unique(codes[order], return_index=True)[1]]] = True
    kept = np.flatnonzero(chosen & ~empty & ~contradicting)
    dropped = {"empty": int(empty.sum()), "contradicting": int(contradicting.sum())}
    return kept, dropped | {"duplicate": len(codes) - len(kept) - sum(dropped.values())}


def _codes(items: pa.Array) -> NDArray[np.int32]:
    """Numbers from 0, equal for equal items; of bytes through their digests, for they may be many."""
    if pa.types.is_binary(items.type) or pa.types.is_large_binary(items.type):
        digests = b"".join(_digests(items, size=16, key=b""))
        items = pa.Array.from_buffers(pa.binary(16), len(items), [None, pa.py_buffer(digests)])
    codes: NDArray[np.int32] = items.dictionary_encode().indices.to_numpy()
    return codes


def _digests(items: pa.Array, size: int, key: bytes) -> Iterator[bytes]:
    """The BLAKE2b hash of each item; a text is its UTF-8 bytes."""
    keyed = hashlib.blake2b(digest_size=size, key=key)  # a copy costs half of a key
    for start in range(0, len(items), CHUNK):  # the items as Python's own are a copy
        for content in items.slice(start, CHUNK).cast(pa.large_binary()).to_pylist():
            one = keyed.copy()
            one.update(content)
            yield one.digest()


def assign(items: pa.Array, seed: int, shares: Shares) -> NDArray[np.int8]:
    """Return for each text, or image as bytes, the index into `NAMES` of its split, int8 [n].

    The BLAKE2b hash of the item, keyed by `seed`, falls in [0, 1); the shares cut that range. An item keeps its
    split whatever else is in the data, and equal items share one.
    """
    place = np.frombuffer(b"".join(_digests(items, size=8, key=seed.to_bytes(16, "big"))), ">u8") / 2.0**64
    edges = np.cumsum([shares.train, shares.validation])
    return np.searchsorted(edges, place, side="right").astype(np.int8)
