"""Columns beside the texts: what is counted of them, and that it is bounded."""

from pathlib import Path
from typing import Any

import pytest

from luodi.data import beside, tables
from luodi.data.beside import Beside
from luodi.data.columns import Wanted


def counted(rows: list[tuple[Any, str]]) -> dict[str, int]:
    found = Beside()
    for value, label in rows:
        found.add({"x": value}, ["x"], label)
    return {name: int(rows.sum()) for name, _, rows in found.counts()}


def test_rows_are_counted_by_value_and_label_and_nothing_is_a_value() -> None:
    found = Beside()
    for value, label in [("1", "a"), ("1", "a"), ("1", "b"), ("", "b"), (None, "b")]:
        found.add({"x": value}, ["x"], label)
    ((name, pairs, rows),) = found.counts()
    assert (name, sorted(rows.tolist()), pairs.shape) == ("x", [1, 2, 2], (2, 3))
    assert len(set(pairs[0].tolist())) == 2, "1, and nothing"


def test_a_column_of_many_values_or_of_lists_is_left_out_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "PAIRS", 10)
    assert counted([(row, "a") for row in range(10)]) == {"x": 10}
    assert counted([(row, "a") for row in range(11)] + [(1, "a")]) == {}
    assert counted([(1, "a"), ([1], "a"), (1, "a")]) == {}


def test_texts_labels_and_columns_far_to_the_right_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(["text", "label", *(f"c{number}" for number in range(30))]) + "\n")
    names = Beside().names(tables.look(path), Wanted("text", "label"))
    assert names == [f"c{number}" for number in range(beside.COLUMNS)]
