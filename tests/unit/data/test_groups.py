"""Groups of rows: each lies in one split, and no row that stands moves as others come behind it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import groups
from luodi.data.groups import Groups

TIES, FULL, SHARE = 4, 2, 0.4  # of the ties the last two tie as near-copies do
NO_LINKS = np.empty((0, 2), np.int64)
ROWS = st.lists(st.tuples(*[st.integers(-1, 4)] * TIES, st.integers(-1, 2), st.integers(0, 1), st.integers(1, 7)))
"""Rows: their ties, home, rank, and the splits that they may stand in beside their home, as bits."""


def arrays(rows: Any) -> tuple[Any, ...]:
    table = np.array([*rows], np.int64).reshape(-1, TIES + 3)
    home, rank, bits = table[:, TIES].astype(np.int8), table[:, TIES + 1].astype(np.int8), table[:, TIES + 2]
    allowed = (bits[:, None] >> np.arange(3) & 1).astype(bool)
    there = np.flatnonzero(home >= 0)
    allowed[there, home[there]] = True
    ties = [table[:, tie] for tie in range(TIES)]
    return ties[:2], NO_LINKS, home, allowed, rank, ties[2:]


def join(rows: Any) -> Groups:
    *given_, alike = arrays(rows)
    return groups.join(*given_, alike=alike, label=np.arange(len(rows)) % 2, full=FULL, share=SHARE)


def slow(rows: Any) -> list[tuple[int, int]]:
    """The rule as it is told: a list of groups, each of places and tokens, gone through for every row."""
    firm, _, home, allowed, rank, alike = arrays(rows)
    found: list[dict[str, Any]] = []
    order = sorted(range(len(home)), key=lambda row: rank[row])
    for place, row in enumerate(order):
        came = order[:place]
        if home[row] < 0:
            continue
        tokens = {(place, int(codes[row])) for place, codes in enumerate([*firm, *alike]) if codes[row] >= 0}
        sure = [one for one in found if one["tokens"] & {token for token in tokens if token[0] < len(firm)}]
        for one in found:
            if one not in sure and one["taken"] >= max(FULL, SHARE * sum(before % 2 == row % 2 for before in came)):
                tokens -= one["tokens"]
        met = [one for one in found if one["tokens"] & tokens]
        splits = {one["split"] for one in met} or {int(home[row])}
        if len(splits) > 1 or not allowed[row, min(splits)]:
            continue
        places = [place for one in met for place in one["rows"]]
        joined = {"split": min(splits), "rows": [*places, row], "tokens": tokens.union(*(one["tokens"] for one in met)),
                  "taken": sum(one["taken"] for one in met) + (not sure)}  # fmt: skip
        found = [*(one for one in found if one not in met), joined]
    answer = [(-1, -1)] * len(home)
    for one in found:
        eldest = min(one["rows"], key=lambda row: (rank[row], row))
        for row in one["rows"]:
            answer[row] = (eldest, one["split"])
    return answer


@given(ROWS)
def test_the_groups_are_those_of_the_slow_rule(rows: Any) -> None:
    found = join(rows)
    assert list(zip(found.first.tolist(), found.split.tolist(), strict=True)) == slow(rows)


@given(ROWS)
def test_tied_rows_stand_in_one_split_and_group(rows: Any) -> None:
    found, (ties, *_, alike) = join(rows), arrays(rows)
    for codes in [*ties, *(np.where(found.loose, -1, codes) for codes in alike)]:
        for code in set(codes.tolist()) - {-1}:
            placed = (codes == code) & (found.split >= 0)
            assert len(set(found.split[placed].tolist())) <= 1
            assert len(set(found.first[placed].tolist())) <= 1


@given(ROWS, ROWS)
def test_rows_that_stand_stay_as_others_of_no_lower_rank_come_behind_them(old: Any, new: Any) -> None:
    last = max((row[TIES + 1] for row in old), default=0)
    before, after = join(old), join([*old, *((*row[: TIES + 1], max(row[TIES + 1], last), row[-1]) for row in new)])
    assert after.split[: len(old)].tolist() == before.split.tolist()


@given(ROWS)
def test_no_row_stands_where_it_may_not(rows: Any) -> None:
    found, (_, _, _, allowed, _, _) = join(rows), arrays(rows)
    placed = np.flatnonzero(found.split >= 0)
    assert allowed[placed, found.split[placed]].all()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_rows_without_a_tie_are_groups_of_their_own(count: int) -> None:
    home = np.arange(count, dtype=np.int8) % 3
    found = groups.join([np.full(count, -1)], NO_LINKS, home, np.ones((count, 3), bool), np.zeros(count, np.int8))
    assert (found.first.tolist(), found.split.tolist()) == ([*range(count)], home.tolist())


def test_the_row_that_ties_two_splits_is_left_out_and_ties_nothing() -> None:
    """Author 0 stands in train, author 1 in test; the third row is of day 0 of the first and of author 1."""
    author, day = np.array([0, 1, 1, 2]), np.array([0, 1, 0, 0])
    found = groups.join(
        [author, day], NO_LINKS, np.array([0, 2, 1, 1], np.int8), np.ones((4, 3), bool), np.zeros(4, np.int8)
    )
    assert found.split.tolist() == [0, 2, -1, 0]
    assert found.first.tolist() == [0, 1, -1, 0]


def test_of_a_template_some_rows_stand_together_and_the_others_alone() -> None:
    """A hundred rows alike: the first take each other in, and what holds the same as one of these goes with it."""
    home = (np.arange(100) * 7 % 3).astype(np.int8)
    content = np.append(np.arange(99), 0)
    found = groups.join(
        [content], NO_LINKS, home, np.ones((100, 3), bool), np.zeros(100, np.int8), alike=[np.zeros(100, int)]
    )
    assert found.first.tolist() == [0] * groups.FULL + [*range(groups.FULL, 99), 0]
    assert found.split.tolist() == [0] * groups.FULL + home[groups.FULL : 99].tolist() + [0]
    assert found.loose.tolist() == [False] * groups.FULL + [True] * (99 - groups.FULL) + [False]


def test_links_tie_to_no_full_group_either() -> None:
    links = np.stack([np.arange(50), np.zeros(50, np.int64)], axis=1)
    found = groups.join([], links, np.zeros(50, np.int8), np.ones((50, 3), bool), np.zeros(50, np.int8), full=5)
    assert found.first.tolist() == [0] * 5 + [*range(5, 50)]


def test_a_template_that_is_a_small_part_of_its_class_stands_together() -> None:
    """Fifty templates of 60 rows are joined whole; three of a thousand are not, and leave each class its test rows."""
    for templates, whole in ((50, True), (3, False)):
        of = np.random.default_rng(0).permutation(np.arange(3000) % templates)
        home = (np.random.default_rng(1).random(3000) < 0.1).astype(np.int8)
        found = groups.join(
            [], NO_LINKS, home, np.ones((3000, 2), bool), np.zeros(3000, np.int8), alike=[of], label=of * 0
        )
        assert found.loose.any() != whole
        assert whole == all(len({*found.split[of == one].tolist()}) == 1 for one in range(templates))
        assert 0.05 < found.split.mean() < 0.2
