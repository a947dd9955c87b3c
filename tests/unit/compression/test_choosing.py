"""Which smaller model is taken: the gate's own test on validation rows, a margin, size, and time in turns."""

from typing import Any

import numpy as np
import pytest

from luodi import config
from luodi.compression import choosing
from luodi.compression.choosing import LARGE, PROVEN, UNPROVEN, Judge
from luodi.scoring.scored import Scored

ROWS = 2000


def rows(wrong: range) -> Scored:
    """Rows of class 0, of which a classifier takes some for class 1."""
    predicted = np.isin(np.arange(ROWS), wrong).astype(int)
    return Scored(np.zeros(ROWS, np.int64), np.eye(2)[predicted])


def judge(margin: float = 0.01, candidates: int = 1) -> Judge:
    return Judge(rows(range(200)), 1000, margin, config.Gate(), candidates)


@pytest.mark.parametrize(
    ("wrong", "size", "margin", "verdict"),
    [
        (range(200), 400, 0.01, PROVEN),  # the same answers
        (range(205), 400, 0.01, PROVEN),
        (range(215), 400, 0.01, UNPROVEN),  # 0.0075 worse, give or take as much
        (range(215), 400, 0.02, PROVEN),
        (range(240), 400, 0.01, UNPROVEN),
        (range(100), 400, 0.01, PROVEN),  # better
        (range(200), 1000, 0.01, LARGE),
        (range(200), 400, 0.0, UNPROVEN),  # no rows prove that it is not worse at all
    ],
)
def test_the_verdict_is_that_of_the_interval(wrong: range, size: int, margin: float, verdict: str) -> None:
    assert judge(margin).facts(rows(wrong), size)["verdict"] == verdict


def test_each_of_several_has_its_part_of_the_error() -> None:
    assert judge(candidates=5).confidence == pytest.approx(0.99)
    alone, among = (judge(candidates=count).facts(rows(range(207)), 400) for count in (1, 5))
    assert among["difference"]["low"] < alone["difference"]["low"]
    assert (alone["verdict"], among["verdict"]) == (PROVEN, PROVEN)


def test_the_smallest_of_what_is_proven_comes_first() -> None:
    facts: dict[str, dict[str, Any]] = {
        "a": {"verdict": PROVEN, "size_bytes": 3},
        "b": {"verdict": UNPROVEN, "size_bytes": 1},
        "c": {"verdict": PROVEN, "size_bytes": 2},
        "d": {"verdict": "unsuited"},
    }
    assert choosing.in_order(facts) == ["c", "a"]


def test_time_is_that_of_the_processor_in_turns() -> None:
    class Working:
        def __init__(self, size: int) -> None:
            self.values = np.ones(size)

        def probabilities(self, items: list[Any]) -> Any:
            return np.sort(self.values + np.sin(self.values))

    slow: Any = Working(40_000)
    quick: Any = Working(10_000)
    one, other = choosing.times(slow, quick, "x")
    assert 2 < one / other < 8


@pytest.mark.slow
def test_a_worse_one_passes_by_chance_no_more_often_than_the_gate_allows() -> None:
    """Any of five that are worse by the margin itself; benchmarks/compression.py --simulate draws more."""
    rng, passed, truth = np.random.default_rng(3), 0, np.zeros(500, np.int64)
    for _ in range(200):
        whole = rng.random(500) < 0.1
        five = [whole | (rng.random(500) < 0.02 / 0.9) for _ in range(5)]
        judged = Judge(Scored(truth, np.eye(2)[whole.astype(int)]), 2, 0.02, config.Gate(resamples=1000), 5)
        found = [judged.facts(Scored(truth, np.eye(2)[one.astype(int)]), 1)["verdict"] for one in five]
        passed += PROVEN in found
    assert passed <= 10  # 5 expected at most: with 10 the chance of more is 1 in 70
