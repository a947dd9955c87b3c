"""The settings of the gate that follow from the rows of each class."""

from typing import Any

import pytest

from luodi.scaffold import deciding


def tenth(counts: Any) -> Any:
    return {label: 0.1 * count for label, count in counts.items()}


@pytest.mark.parametrize(
    ("counts", "metric"),
    [
        ({"a": 500, "b": 100}, None),  # five times as many is not more than five times
        ({"a": 501, "b": 100}, "macro_f1"),
        ({"ok": 5000, "fraud": 5}, "macro_f1"),
        ({"a": 300, "b": 300, "c": 1}, "macro_f1"),
        ({"a": 31_728, "b": 31_046}, None),
    ],
)
def test_where_a_class_is_rare_the_metric_sees_it(counts: dict[str, int], metric: str | None) -> None:
    found, why = deciding.settings(counts, tenth(counts))
    assert found.get("metric") == metric
    assert any("macro_f1, for the largest class" in reason for reason in why) == (metric is not None)


def test_the_minimum_is_what_always_answering_the_largest_class_scores() -> None:
    assert deciding.settings({"a": 60, "b": 40}, {"a": 6, "b": 4})[0]["minimum"] == 0.6
    # F1 of a: precision 0.9, recall 1, so 1.8 / 1.9; of b 0: their mean is 0.4737
    assert deciding.settings({"a": 90, "b": 10}, {"a": 9, "b": 1})[0]["minimum"] == 0.474


@pytest.mark.parametrize(
    ("counts", "margin"),
    [
        ({"a": 31_728, "b": 31_046}, 0.01),
        ({"a": 10_000, "b": 10_000}, 0.01),
        ({"a": 4500, "b": 4500}, 0.015),  # 2 sqrt(0.05 / 900)
        ({"a": 900, "b": 900}, 0.034),
        ({"a": 90, "b": 90}, 0.1),
        (
            {"ok": 50_000, "fraud": 500},
            0.032,
        ),  # 4 / (1 / 5000 + 1 / 50) = 198 rows that weigh alike; 2 sqrt(0.05 / 198)
    ],
)
def test_the_margin_is_no_less_than_the_test_rows_can_tell(counts: dict[str, int], margin: float) -> None:
    found, why = deciding.settings(counts, tenth(counts))
    assert found["baseline_margin"] == pytest.approx(margin, abs=0.0013)
    assert ("so few test rows" in str(why)) == (margin > 0.01)


def test_test_rows_that_were_chosen_before_are_counted_as_they_are() -> None:
    few, many = ({"a": count, "b": count} for count in (25, 5000))
    assert deciding.settings({"a": 10_000, "b": 10_000}, few)[0]["baseline_margin"] == pytest.approx(0.064, abs=0.001)
    assert deciding.settings({"a": 10_000, "b": 10_000}, many)[0]["baseline_margin"] == 0.01
