"""What counts as drift: an effect that is proven large, whatever the number of rows."""

import random
from typing import Any

import numpy as np
import pytest

from luodi.checks import drift
from luodi.checks.drift import DRIFT, NONE, WARNING, Rows
from luodi.config.operations import Drift
from luodi.errors import ParamsError

LIMITS = Drift()


def rows(count: int, seed: int, *, share: float = 0.5, mean: float = 40, words: str = "abcdefgh") -> Rows:
    rng, own = np.random.default_rng(seed), random.Random(seed)
    labels = ["good" if one else "bad" for one in rng.random(count) < share]
    texts = ["".join(own.choices(words, k=30)) for _ in range(count)]
    return Rows(labels, {"characters": rng.normal(mean, 10, count)}, texts)


def answers(of: Rows, accuracy: float, sure: float, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    count = len(of.labels)
    return Rows(of.labels, of.measures, of.texts, rng.random(count) < accuracy, rng.normal(sure, 0.05, count))


def verdicts(before: Rows, came: Rows) -> dict[str, str]:
    return {one.name: one.verdict for one in drift.look(before, came, LIMITS).statistics}


@pytest.mark.slow
@pytest.mark.parametrize("count", [50, 400, 2000])
def test_rows_of_the_same_source_are_no_drift(count: int) -> None:
    for seed in range(3):
        found = drift.look(rows(2000, seed), rows(count, 100 + seed), LIMITS)
        assert found.verdict == NONE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "name", "verdict"),
    [
        ({"share": 0.9}, "labels", DRIFT),
        ({"share": 0.52}, "labels", NONE),
        ({"mean": 60}, "characters", DRIFT),
        ({"words": "ijklmnop"}, "unknown n-grams", DRIFT),
        ({"words": "ijklmnop"}, "n-grams", DRIFT),
    ],
)
def test_what_differs_is_told_by_what_it_differs_in(changes: Any, name: str, verdict: str) -> None:
    found = verdicts(rows(2000, 1), rows(500, 2, **changes))
    assert found[name] == verdict
    assert {one for of, one in found.items() if of != name and "n-grams" not in of} <= {NONE}


def test_a_model_that_is_less_often_right_is_drift_where_that_is_proven() -> None:
    before = answers(rows(2000, 1), 0.92, 0.9)
    assert verdicts(before, answers(rows(500, 2), 0.7, 0.9))["accuracy"] == DRIFT
    assert verdicts(before, answers(rows(50, 2), 0.86, 0.9))["accuracy"] == NONE
    assert verdicts(before, answers(rows(500, 2), 0.92, 0.82))["confidence"] == WARNING


@pytest.mark.parametrize("counts", [(2000, 49), (49, 2000), (2000, 0)])
def test_of_few_rows_nothing_is_told(counts: tuple[int, int]) -> None:
    found = drift.look(rows(counts[0], 1), rows(counts[1], 2, share=0.99, mean=90), LIMITS)
    assert (found.verdict, found.statistics, found.rows) == (NONE, (), counts[1])


@pytest.mark.parametrize("count", [50, 5000, 500_000, 10_000_000])
def test_the_rate_of_alarms_is_flat(count: int) -> None:
    """Counts of ten bins of equal rows, as they would be whatever is sampled: what is found to be the least is 0."""
    rng, shares = np.random.default_rng(7), np.full(10, 0.1)
    low = [drift.stability(rng.multinomial(5000, shares), rng.multinomial(count, shares), 0.01)[1] for _ in range(200)]
    assert sum(one > 0 for one in low) <= 12
    assert sum(one > LIMITS.stability[0] for one in low) == 0


@pytest.mark.parametrize("count", [50, 500, 5000])
def test_the_least_that_an_index_may_be_holds(count: int) -> None:
    rng, before, now = np.random.default_rng(3), np.full(4, 0.25), np.array([0.4, 0.3, 0.2, 0.1])
    true = float(((now - before) * np.log(now / before)).sum())
    low = [drift.stability(rng.multinomial(2000, before), rng.multinomial(count, now), 0.05)[1] for _ in range(200)]
    assert sum(one > true for one in low) <= 30  # of 10 expected; the index is no square where rows are few


def test_labels_of_few_rows_count_together() -> None:
    before, came = ["a"] * 500 + [f"rare {place}" for place in range(500)], ["a"] * 40 + ["new"] * 60
    counts = drift._by_label(before, came)
    assert [one.tolist() for one in counts] == [[500, 0, 500], [40, 60, 0]]


@pytest.mark.parametrize("value", [[0.2, 0.1], [0.1], [0, 0.1], "much", 0.1])
def test_thresholds_are_a_pair_in_order(value: Any) -> None:
    import yaml
    from project import full_params

    from luodi import config

    params = yaml.safe_load(full_params())
    params["models"]["reviews"]["drift"]["stability"] = value
    with pytest.raises(ParamsError, match="drift"):
        config.parse(params, "params.yaml")
