"""Which rows stand, beside the plainest way of telling it."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import revisions
from luodi.data.revisions import NONE, Came

Plain = tuple[int, int, int, float, bool, bool]  # item, label, id, revision, corrects, out
rows = st.tuples(
    st.integers(0, 3),
    st.integers(-1, 2),
    st.integers(0, 3),
    st.sampled_from([NONE, 1.0, 2.0]),
    st.booleans(),
    st.booleans(),
)


def came(found: list[Plain]) -> Came:
    item, label, own, revision, corrects, out = zip(*found, strict=True) if found else ((),) * 6
    return Came(
        np.array(item, np.uint64), np.array(label, np.int32), np.array(own, np.uint64),
        np.array(revision, np.float64), np.array(corrects, np.bool_), np.array(out, np.bool_),
    )  # fmt: skip


def plainly(found: list[Plain], rule: str) -> list[bool]:
    """Row by row: what a row does not stand for is another that comes later, or more of them."""
    order = sorted(range(len(found)), key=lambda row: found[row][3])
    last = {found[row][2]: row for row in order}
    left = [row for row in order if not found[row][2] or last[found[row][2]] == row]
    opinions = [row for row in left if found[row][0] and found[row][1] >= 0]
    gone = set()
    for place, row in enumerate(opinions):
        later = [one for one in opinions[place:] if found[one][0] == found[row][0]]
        corrections = [place for place, one in enumerate(later) if found[one][4] or rule == "newest"]
        if corrections and any(found[one][1] != found[later[corrections[-1]]][1] for one in later[: corrections[-1]]):
            gone.add(row)
    gone |= {row for row in left if found[row][5]}
    opinions = [row for row in opinions if row not in gone]
    if rule == "vote":
        for item in {found[row][0] for row in opinions}:
            votes = Counter(found[row][1] for row in opinions if found[row][0] == item).most_common()
            if len(votes) > 1 and votes[0][1] > votes[1][1]:
                gone |= {row for row in opinions if found[row][0] == item and found[row][1] != votes[0][0]}
    return [row in left and row not in gone for row in range(len(found))]


@given(st.lists(rows, max_size=12), st.sampled_from(["drop", "newest", "vote"]))
def test_rows_stand_as_told_one_by_one(found: list[Plain], rule: Any) -> None:
    assert revisions.stand(came(found), rule).tolist() == plainly(found, rule)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2", "10"), ("1.5", "2"), ("2026-11-27", "2026-11-27T00:00:01"), ("2026-11-27T12:00:00Z", "2026-11-27T13:00"),
        ("2026-11-27T12:00:00.000001Z", "2026-11-27T12:00:00.000002Z"), ("v2", "1"), (None, "0"), ("nan", "-1"),
        ("2026-11-27T12:00:00+08:00", "2026-11-27T12:00:00Z"), ("", "0"), ("9999-99-99", "0"),
    ],
)  # fmt: skip
def test_revisions_are_numbers_or_moments(earlier: str | None, later: str) -> None:
    first, second = revisions.moments([earlier, later])
    assert first < second
