"""What a winner is said to be worth: corrected for the best of many, so that luck is seldom called proof."""

import numpy as np
import pytest
from numpy.typing import NDArray

from luodi.tuning import edge

ROWS = 400
TRUTH = np.arange(ROWS, dtype=np.int32) % 2


def scores(rng: np.random.Generator, right: float) -> NDArray[np.float32]:
    """Probabilities by which a share of the rows is right."""
    hit = rng.random(ROWS) < right
    sure = np.where(hit, 0.9, 0.1)
    return np.stack([np.where(TRUTH == 0, sure, 1 - sure), np.where(TRUTH == 1, sure, 1 - sure)], 1).astype(np.float32)


def found(
    default: float, winner: float, candidates: int = 20, metric: str = "accuracy", seed: int = 0
) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    sides = [[scores(rng, share) for _ in range(3)] for share in (default, winner)]
    return edge.edge(TRUTH, sides[0], sides[1], metric, candidates)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss"])
def test_a_winner_that_is_far_better_is_proven(metric: str) -> None:
    one = found(0.7, 0.9, metric=metric)
    assert one["low"] > 0
    assert edge.sentence(one).startswith("proven better than the default: +")


def test_more_candidates_ask_for_more() -> None:
    few, many = found(0.7, 0.76, 1), found(0.7, 0.76, 200)
    assert few["value"] == many["value"]
    assert few["low"] > many["low"]


def test_rows_that_stand_together_prove_what_one_of_each_does() -> None:
    rng = np.random.default_rng(4)
    sides = [[scores(rng, share) for _ in range(3)] for share in (0.7, 0.8)]
    four = [[one.repeat(4, axis=0) for one in side] for side in sides]
    width = []
    for truth, (default, winner), group in (
        (TRUTH, sides, None), (TRUTH.repeat(4), four, np.arange(ROWS).repeat(4)), (TRUTH.repeat(4), four, None)
    ):  # fmt: skip
        one = edge.edge(truth, default, winner, "accuracy", 20, group)
        width.append(one["high"] - one["low"])
    assert width[1] == pytest.approx(width[0], rel=0.05)
    assert width[2] < 0.85 * width[0], "the seeds differ as much as before"


@pytest.mark.slow
def test_the_best_of_many_equals_is_seldom_proven() -> None:
    """Of 20 that are all as good as the default the best by the same rows is picked: false proofs in 100 searches."""
    rng, false = np.random.default_rng(1), 0
    for _ in range(100):
        default, picked = (scores(rng, 0.8) for _ in range(2))
        for _ in range(19):
            picked = max(picked, scores(rng, 0.8), key=lambda one: (one.argmax(1) == TRUTH).mean())
        noise = [rng.random(ROWS) < 0.02 for _ in range(3)]  # what a seed changes
        sides = [[np.where(mask[:, None], one[:, ::-1], one) for mask in noise] for one in (default, picked)]
        false += edge.edge(TRUTH, sides[0], sides[1], "accuracy", 20)["low"] > 0
    assert false <= 8


def test_what_is_said_where_nothing_was_won() -> None:
    assert edge.sentence(None) == "no better than the default: no trial beat the settings of params.yaml"
    assert edge.sentence(found(0.8, 0.7)).startswith("no better than the default: -")
    assert "not proven" in edge.sentence(found(0.8, 0.81, seed=3) | {"value": 0.01, "low": -0.02})
