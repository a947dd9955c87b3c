"""Which rows are kept, and which split owns each: by content alone, so that both hold as data grows."""

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi.config import Shares

NAMES = ("train", "validation", "test")


def keep_unique(texts: pa.Array, labels: NDArray[np.int32]) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Drop empty texts, texts with more than one label, and all but the first of equal texts.

    Args:
        texts: Clean strings [n].
        labels: Their labels, int32 [n].

    Returns:
        Places of the rows kept, ascending, and the number of rows dropped for each reason.
    """
    encoded = texts.dictionary_encode()
    codes = encoded.indices.to_numpy()
    distinct = len(encoded.dictionary)
    low, high = np.full(distinct, np.iinfo(np.int32).max), np.full(distinct, -1)
    np.minimum.at(low, codes, labels)
    np.maximum.at(high, codes, labels)
    empty = np.array([len(text) == 0 for text in encoded.dictionary.to_pylist()], bool)[codes]
    contradicting = (low < high)[codes] & ~empty
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    kept = np.flatnonzero(first & ~empty & ~contradicting)
    dropped = {"empty": int(empty.sum()), "contradicting": int(contradicting.sum())}
    return kept, dropped | {"duplicate": len(codes) - len(kept) - sum(dropped.values())}


def assign(texts: pa.Array, seed: int, shares: Shares) -> NDArray[np.int8]:
    """Return for each text the index into `NAMES` of its split, int8 [n].

    The BLAKE2b hash of the text, keyed by `seed`, falls in [0, 1); the shares cut that range. A text keeps its
    split whatever else is in the data, and equal texts share one.
    """
    key = seed.to_bytes(16, "big")
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts.to_pylist())
    place = np.frombuffer(digests, ">u8") / 2.0**64
    edges = np.cumsum([shares.train, shares.validation])
    return np.searchsorted(edges, place, side="right").astype(np.int8)
