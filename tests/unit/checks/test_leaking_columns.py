"""Columns that tell the label alone: beside the rule gone through row by row."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.checks import leaking_columns

ROWS = st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(0, 2), st.booleans()), min_size=1)


def told(values: Any, label: Any, looked_at: Any = None) -> leaking_columns.Told | None:
    used = np.ones(len(label), bool) if looked_at is None else np.array(looked_at)
    return leaking_columns.told("x", pa.chunked_array([pa.array(values, pa.string())]), np.array(label, np.int32), used)


@given(ROWS)
def test_each_row_is_told_by_the_others_of_its_value(rows: list[tuple[str | None, int, bool]]) -> None:
    used = [(value, label) for value, label, looked_at in rows if looked_at]
    right = 0
    for row, (value, label) in enumerate(used):
        others = Counter(one for place, (other, one) in enumerate(used) if other == value and place != row)
        top = [one for one, count in others.items() if count == max(others.values())]
        right += top == [label]
    found = told(*zip(*rows, strict=True))
    if len({value for value, _ in used}) < 2:
        assert found is None
    else:
        assert found is not None
        assert found.right == pytest.approx(right / len(used))
        assert found.largest == max(Counter(label for _, label in used).values()) / len(used)


def test_a_rating_tells_and_a_number_of_the_row_does_not() -> None:
    label = np.arange(100) % 2
    rating = [str(5 * one + (row == 7)) for row, one in enumerate(label.tolist())]
    columns = {
        "rating": rating,
        "id": [str(row) for row in range(100)],
        "shop": ["north", "south", "east", "west"] * 25,
    }
    found = {name: told(values, label) for name, values in columns.items()}
    assert {name: one.alone for name, one in found.items() if one} == {"rating": True, "id": False, "shop": True}
    assert told(rating, label * 0) == leaking_columns.Told("x", 0.99, 1.0)
    assert not leaking_columns.Told("x", 0.99, 1.0).alone


def test_what_is_told_names_the_column_and_the_largest_class() -> None:
    some = [
        leaking_columns.Told("shop", 0.6, 0.5),
        leaking_columns.Told("rating", 0.962, 0.5),
        leaking_columns.Told("stars", 0.9, 0.5),
    ]
    found = leaking_columns.finding(some)
    assert (found.severity, found.passed) == ("warning", False)
    assert found.found == (
        "`rating` alone tells 96.2% of the labels, the largest class is 50.0%; "
        "`stars` alone tells 90.0% of the labels, the largest class is 50.0%"
    )
    found = leaking_columns.finding(some[:1])
    assert (found.passed, found.found) == (True, "`shop` alone tells 60.0% of the labels, the largest class is 50.0%")
