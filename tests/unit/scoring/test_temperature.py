"""Temperature scaling: the least loss, no answer changed, and no certainty from few rows."""

from typing import Any

import numpy as np
import pytest

from luodi.scoring import temperature


def rows(count: int, sure: float, right: float, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Logits that are `sure` of one class, which is the true one in a share `right` of the rows."""
    rng = np.random.default_rng(seed)
    told = rng.integers(0, classes, count)
    truth = np.where(rng.random(count) < right, told, (told + 1) % classes)
    return sure * np.eye(classes, dtype=np.float32)[told], truth.astype(np.int32)


@pytest.mark.parametrize("sure", [0.1, 3.0, 200.0])
def test_the_scaled_confidence_is_the_share_of_rows_right(sure: float) -> None:
    logits, truth = rows(4000, sure, 0.8)
    found = temperature.probabilities(logits.astype(np.float64), temperature.scale(logits, truth))
    assert found.max(1).mean() == pytest.approx((logits.argmax(1) == truth).mean(), abs=0.002)
    assert (found.argmax(1) == logits.argmax(1)).all()


def test_no_other_scale_has_a_smaller_loss() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(5000, 3)).astype(np.float32)
    truth = np.array([rng.choice(3, p=row) for row in temperature.probabilities(logits.astype(np.float64), 2.5)])
    best = temperature.scale(logits, truth.astype(np.int32))
    assert best == pytest.approx(2.5, rel=0.1)
    losses = [temperature.loss(logits, truth, best * factor) for factor in (0.8, 1.0, 1.25)]
    assert min(losses) == losses[1]


def test_a_few_rows_that_are_all_right_make_no_certainty() -> None:
    logits, truth = rows(18, 5.0, 1.0)
    confidence = temperature.probabilities(logits.astype(np.float64), temperature.scale(logits, truth)).max()
    assert 0.9 < confidence < 0.99


def test_logits_that_say_nothing_stay_so() -> None:
    logits: Any = np.zeros((10, 3), np.float32)
    truth = np.zeros(10, np.int32)
    assert np.allclose(temperature.probabilities(logits, temperature.scale(logits, truth)), 1 / 3)
