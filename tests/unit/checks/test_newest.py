"""The newest rows: as the data's own last day has it; a row leaves them once, for the split that was always its own."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luodi import config
from luodi.checks import newest, quarantine
from luodi.checks.quarantine import Checked
from luodi.config import ModelSettings
from luodi.data import clean_rows, shards, splits
from luodi.errors import WrongValue


def model(preprocess: dict[str, Any] | None = None, **split: Any) -> ModelSettings:
    block = {"newest": "28d", "column": "day"} | split
    text = {"modality": "text", "labels": ("a", "b"), "preprocess": {"split": block} | (preprocess or {})}
    return config.parse({"models": {"some": text}}, "params.yaml").models["some"]


def checked(days: list[str | None], source: list[str] | None = None) -> Checked:
    held = pa.array([False] * len(days))
    columns = {"source": pa.array(source or ["s"] * len(days)), shards.OF_GROUP + "day": pa.array(days, pa.string())}
    table = pa.table(columns | {"x": held, quarantine.HELD: held})
    content = pa.chunked_array([pa.array(["text"] * len(days))])
    return Checked(table, ("x",), content, quarantine.codes(content))


def marks(days: list[str | None], settings: ModelSettings, source: list[str] | None = None) -> list[bool]:
    found = newest.marked(newest.hold_back(checked(days, source), settings), settings)
    assert found is not None
    return [bool(one) for one in found]


def test_they_are_counted_back_from_the_newest_row() -> None:
    """To the second, in UTC; 28 days and one second before are 28 days before."""
    days = ["2026-03-01T12:00:00", "2026-02-01T12:00:01", "2026-02-01T12:00:00", "2026-02-01 13:00:00+01:00",
            "2026-03-01", "2025-03-01", "2026-02-02"]  # fmt: skip
    assert marks([*days], model()) == [True, True, False, False, True, False, True]
    assert marks([*days], model(newest="29d"))[:4] == [True, True, True, True]


@pytest.mark.parametrize("day", [None, "", "yesterday", "01/02/2026", "2026-13-01", "1767225600", "9999-12-31",
                                 "9999-12-31T23:59:59-05:00"])  # fmt: skip
def test_a_row_without_a_readable_day_is_held_back(day: str | None) -> None:
    """Nor does it say what the last day is."""
    found = newest.hold_back(checked(["2026-01-01", day]), model())
    assert found.reasons == ("x", "day is no day such as 2026-01-31")
    assert found.table[quarantine.HELD].to_pylist() == [False, True]
    assert marks(["2026-01-01", day], model()) == [True, False]


def test_rows_that_are_held_back_are_no_newest_ones_and_keep_the_last_day() -> None:
    """A row that another contradicts later takes no day away: rows that left would come back."""
    found = quarantine.also_held(checked(["2026-01-01", "2026-06-01"]), "broken", np.array([False, True]))
    assert newest.marked(found, model()).tolist() == [False, False]  # type: ignore[union-attr]  # the setting is on


def test_official_test_rows_stay_in_their_split() -> None:
    block = model({"shares": {"train": 0.9, "validation": 0.1, "test": 0.0}, "test_source": "test"})
    assert marks(["2026-01-01", "2026-01-02", "2025-01-01"], block, ["s", "test", "s"]) == [True, False, False]


def test_few_rows_are_told() -> None:
    block, days = model(), ["2026-01-01", "2202-01-01"]
    told = newest.finding(checked([*days]), np.array([False, True]), block)
    assert (told.passed, told.found) == (False, "1 row, 2202-01-01 to 2202-01-01")
    early = newest.finding(checked(["0001-01-01T00:00:00+14:00"]), np.array([True]), block)
    assert early.found == "1 row, 0000-12-31 to 0000-12-31"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30)), min_size=1, max_size=8))
def test_as_data_grow_a_row_leaves_them_once_for_its_own_split(arrivals: list[tuple[int, int]]) -> None:
    """Weeks come late and out of order: nothing else ever moves."""
    block, plain = model(), model(newest=None, column=None)
    days, before = list[str | None](), list[str]()
    for week, rows in arrivals:
        days += [f"2026-{1 + week:02}-{1 + row % 28:02}" for row in range(rows)]
        texts = pa.array([f"text {row}" for row in range(len(days))])
        digests, label = splits.digests(texts, block.preprocess.seed), np.arange(len(days), dtype=np.int32) % 2
        own = splits.assign(digests, plain.preprocess.shares)
        placed = np.where(marks(days, block), splits.ALL.index(splits.NEWEST), -1).astype(np.int8)
        now = np.where(placed >= 0, placed, own)
        if all((now == split).any() for split in range(3)):
            found = clean_rows.select(clean_rows.Marks(digests, label, splits.rank(pa.array(["s"] * len(days)),
                                                       block.preprocess), placed), block)[0]  # fmt: skip
            assert found.tolist() == now.tolist()
        names = [splits.ALL[one] for one in now]
        assert all(old in (new, "newest") for old, new in zip(before, names, strict=False))
        before = names


@pytest.mark.parametrize("split", [{"column": None}, {"newest": None}, {"newest": "4 weeks"}, {"newest": "0d"}])
def test_the_setting_names_days_and_a_column(split: dict[str, Any]) -> None:
    with pytest.raises(WrongValue, match="newest"):
        model(**split)
