"""Splits are a function of the text or the image alone; one row is kept of equal texts, none where labels disagree."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.config import Shares
from luodi.data import splits

USUAL = Shares(train=0.8, validation=0.1, test=0.1)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
KINDS = (np.uint64, np.int32, np.int8)  # of digests, labels and splits
SEEDS = st.integers(0, 2**32 - 1)


def assign(texts: Any, seed: int = 0, shares: Any = USUAL) -> Any:
    return splits.assign(splits.digests(pa.array(texts, pa.string()), seed), shares).tolist()


def many(count: int) -> list[str]:
    return [f"房间{place}" for place in range(count)]


@given(TEXTS, TEXTS, SEEDS)
def test_a_text_keeps_its_split_as_data_grows(old: list[str], new: list[str], seed: int) -> None:
    before = dict(zip(old, assign(old, seed), strict=True))
    mixed = new + old[::-1] + new
    after = dict(zip(mixed, assign(mixed, seed), strict=True))
    assert {one: after[one] for one in before} == before


@given(TEXTS, SEEDS)
def test_equal_texts_never_straddle_splits(texts: list[str], seed: int) -> None:
    twice = assign(texts + texts, seed)
    assert twice[: len(texts)] == twice[len(texts) :]


@given(st.text(max_size=8, alphabet=st.characters(exclude_categories=["Cs"])), SEEDS)
def test_the_split_is_the_place_of_the_keyed_hash(raw: str, seed: int) -> None:
    digest = hashlib.blake2b(raw.encode(), digest_size=8, key=seed.to_bytes(16, "big")).digest()
    place = int.from_bytes(digest, "big") / 2**64
    expected = [0 if place < 0.8 else 1 if place < 0.9 else 2]
    assert assign([raw], seed) == expected
    for kind in (pa.binary(), pa.large_binary()):
        assert splits.assign(splits.digests(pa.array([raw.encode()], kind), seed), USUAL).tolist() == expected


def test_a_share_ends_before_its_edge() -> None:
    """[0, train) is train: an item whose place is the edge itself belongs to what follows."""
    digest = hashlib.blake2b("房间".encode(), digest_size=8, key=bytes(16)).digest()
    place = int.from_bytes(digest, "big") / 2**64
    rest = (1 - place) / 2
    assert assign(["房间"], 0, Shares(train=place, validation=rest, test=rest)) == [1]
    assert assign(["房间"], 0, Shares(train=np.nextafter(place, 1), validation=rest, test=rest)) == [0]


CELLS = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3), st.integers(0, 2)), max_size=60)


@given(CELLS, st.integers(1, 60), st.integers(1, 60))
def test_some_rows_are_of_each_class_in_each_split_alike(cells: list[Any], number: int, more: int) -> None:
    content, labels, split = (np.array([cell[place] for cell in cells], kind) for place, kind in enumerate(KINDS))
    taken = splits.some(content, labels, split, number).tolist()
    assert taken == sorted(set(taken)) and len(taken) == min(number, len(cells))
    assert set(taken) <= set(splits.some(content, labels, split, max(number, more)).tolist())
    whole, some = Counter(cell[1:] for cell in cells), Counter(cells[place][1:] for place in taken)
    if number >= len(whole):
        assert set(some) == set(whole)
    for one, count in whole.items():
        assert abs(some[one] - count * len(taken) / max(1, len(cells))) <= len(whole)


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(0, 70))
def test_of_each_class_there_are_as_many_rows_as_of_the_largest_or_all(labels: list[int], number: int) -> None:
    found = splits.of_each(np.array(labels, np.int32), number).tolist()
    taken, whole = Counter(labels[place] for place in found), Counter(labels)
    assert len(set(found)) == len(found) == min(number, len(labels))
    assert [labels[place] for place in found] == sorted(labels[place] for place in found)
    assert all(taken[one] >= min(count, max(taken.values(), default=0) - 1) for one, count in whole.items())


def test_the_rows_of_a_class_are_drawn_from_all_of_it() -> None:
    """Files are in the order of days, or of hotels."""
    found = splits.of_each(np.zeros(10_000, np.int32), 1000)
    assert 350 < (found < 5000).sum() < 650


def test_splits_are_small_numbers() -> None:
    """A byte a row: there may be a hundred million."""
    assert splits.NAMES == ("train", "validation", "test")
    assert splits.assign(np.zeros(1, np.uint64), USUAL).dtype == np.int8


@pytest.mark.parametrize(
    "parts", [(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.34, 0.33, 0.33), (1, 0, 0), (0, 0, 1), (0, 1, 0)]
)
@pytest.mark.parametrize("seed", [0, 20240501, 2**32 - 1])
def test_shares_are_approached(parts: tuple[Any, ...], seed: int) -> None:
    shares = Shares(train=float(parts[0]), validation=float(parts[1]), test=float(parts[2]))
    found = np.bincount(assign(many(20000), seed, shares), minlength=3) / 20000
    assert found == pytest.approx(parts, abs=0.015)  # four standard deviations


def test_another_seed_is_another_split() -> None:
    texts = many(20000)
    one, other = np.array(assign(texts, 1)), np.array(assign(texts, 2))
    assert ((one == 2) & (other == 2)).mean() == pytest.approx(0.01, abs=0.004)


def test_raising_a_share_moves_no_text_out_of_train() -> None:
    texts = many(5000)
    small = assign(texts, shares=Shares(train=0.6, validation=0.2, test=0.2))
    large = assign(texts, shares=Shares(train=0.7, validation=0.15, test=0.15))
    assert all(b == 0 for a, b in zip(small, large, strict=True) if a == 0)


def keep_unique(items: pa.Array, labels: Any, rank: Any = None) -> tuple[list[int], dict[str, int]]:
    content, empty = splits.digests(items, 0), splits.digests(pa.array([""]), 0)
    kept, dropped = splits.keep_unique(content, content == empty, np.array(labels, np.int32), rank)
    return kept.tolist(), dropped


def slow_keep_unique(texts: Any, labels: Any, ranks: Any) -> Any:
    carried: dict[str, set[int]] = {}
    for one, label in zip(texts, labels, strict=True):
        carried.setdefault(one, set()).add(label)
    kept, seen = [], set()
    dropped = {"empty": 0, "contradicting": 0, "duplicate": 0}
    for row in sorted(range(len(texts)), key=lambda row: ranks[row]):
        one = texts[row]
        if one == "":
            dropped["empty"] += 1
        elif len(carried[one]) > 1:
            dropped["contradicting"] += 1
        elif one in seen:
            dropped["duplicate"] += 1
        else:
            seen.add(one)
            kept.append(row)
    return sorted(kept), dropped


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_binary()], ids=str)
@given(
    rows=st.lists(st.tuples(st.text("ab好", max_size=2), st.integers(0, 3), st.integers(0, 2))), chosen=st.booleans()
)
def test_keep_unique_is_the_slow_reference(kind: Any, rows: Any, chosen: bool) -> None:
    texts, labels, ranks = ([row[part] for row in rows] for part in range(3))
    items = pa.array(texts if kind == pa.string() else [one.encode() for one in texts], kind)
    rank = np.array(ranks, np.int8) if chosen else None
    kept, dropped = keep_unique(items, labels, rank)
    assert (kept, dropped) == slow_keep_unique(texts, labels, ranks if chosen else [0] * len(texts))
    assert len(kept) + sum(dropped.values()) == len(rows)


def test_bytes_are_compared_whole() -> None:
    """Bytes may end in zeros; a fixed-width string type would strip them."""
    items = pa.array([b"\0", b"\0\0", b"", b"\0"], pa.large_binary())
    assert keep_unique(items, [0] * 4) == ([0, 1], {"empty": 1, "contradicting": 0, "duplicate": 1})
