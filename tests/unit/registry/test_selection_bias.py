"""Figures corrected for having been picked, against simulation; and what is said where nothing is known."""

from typing import Any

import facts
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi import config
from luodi.registry import budget, selection_bias
from luodi.registry.records import Comparison

ERROR = 0.0075  # of a difference; of an accuracy it is 0.0084, as on reviews
RULE = config.Gate()


def landings(gain: float, asked: float) -> tuple[Any, Any]:
    """Differences that landed, and by how much the challenger's accuracy was too high: both with luck of their own."""
    rng = np.random.default_rng(3)
    alike = 1 - ERROR**2 / (2 * 0.0084**2)
    champion = rng.normal(size=2_000_000)
    challenger = alike * champion + (1 - alike**2) ** 0.5 * rng.normal(size=len(champion))
    shown = gain + 0.0084 * (challenger - champion)
    landed = np.flatnonzero(shown > budget.quantile(asked) * ERROR)[:2000]
    return shown[landed], 0.0084 * challenger[landed]


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0, 0.005, 0.01, 0.02, 0.03])
def test_most_of_the_luck_that_a_version_landed_by_is_taken_off(gain: float) -> None:
    asked = budget.confidence(RULE, 0)
    shown, luck = landings(gain, asked)
    low = shown - budget.quantile(asked) * ERROR
    corrected = [selection_bias.unpicked(*pair, asked, 0.0) for pair in zip(shown, low, strict=True)]
    left = luck - (shown - corrected) / 2
    assert abs(left.mean()) < max(0.0016, luck.mean() / 3)
    if gain >= 0.01:  # where the truth is not near the margin, which bounds it: half of them lie above it
        assert np.mean(np.array(corrected) > gain) == pytest.approx(0.5, abs=0.05)


@given(st.floats(1e-4, 0.2), st.floats(0.01, 0.99), st.floats(0.6, 1 - 1e-9), st.floats(-0.1, 0.1))
def test_a_correction_lies_between_the_margin_and_the_figure(
    above: float, part: float, asked: float, margin: float
) -> None:
    low = margin + above * part
    found = selection_bias.unpicked(margin + above, low, asked, margin)
    assert margin - 1e-9 <= found <= margin + above


def test_what_is_far_above_the_bar_keeps_its_figure() -> None:
    asked = budget.confidence(RULE, 0)
    assert selection_bias.unpicked(0.2, 0.2 - budget.quantile(asked) * ERROR, asked, 0.0) == pytest.approx(
        0.2, abs=1e-5
    )


def decided(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = facts.decision()
    found["comparison"] |= changes
    return found


def honest(landed: Any, **changes: Any) -> Any:
    return selection_bias.honest(Comparison.model_validate(decided(p=0.04, **changes)["comparison"]), RULE, landed)


LOOK = {"period": "2026", "number": 3, "taken": True, "total": 3, "confidence": 0.999, "low": 0.0005, "left": 0.9}


def test_a_challenger_that_lands_is_corrected() -> None:
    found = honest(None, look=LOOK)["challenger"]
    assert found.measured == facts.metrics()["model"]["accuracy"]["value"]
    assert found.measured - 0.005 < found.corrected < found.measured
    assert "lands by this figure" in found.by


def test_one_that_does_not_was_not_picked() -> None:
    found = honest(None, look=LOOK | {"low": -0.001})["challenger"]
    assert (found.corrected, found.by) == (found.measured, "not picked: it is not proven better")


def test_fresh_rows_tell_what_the_champion_is_worth() -> None:
    side = {"value": 0.84, "low": 0.8, "high": 0.88}
    fresh = {"rows": 412, "challenger": side, "champion": side, "difference": side}
    found = honest(decided(), fresh=fresh)["champion"]
    assert (found.corrected, found.by) == (0.84, "on the 412 test rows that came after it was chosen")


def test_without_fresh_rows_the_champion_is_corrected_by_how_it_landed() -> None:
    found = honest(decided(look=LOOK))["champion"]
    assert found.corrected < found.measured
    assert "landed by this figure" in found.by


def test_the_first_version_was_picked_over_none() -> None:
    found = honest(decided() | {"champion": None, "comparison": None})["champion"]
    assert (found.corrected, found.by) == (found.measured, "not picked: it landed without a champion")


@pytest.mark.parametrize(
    "landed",
    [
        None,
        {},
        "odd",
        ["champion"],
        decided() | {"verdict": "insufficient evidence"},
        decided(difference=None),
        {"rule": []},
    ],
)
def test_what_no_tag_tells_is_not_guessed(landed: Any) -> None:
    found = honest(landed)["champion"]
    assert (found.corrected, found.by) == (None, "unknown: its tag does not say how it was picked")
