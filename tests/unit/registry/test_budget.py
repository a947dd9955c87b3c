"""The error budget: what the looks of a period may err together, and how much better a challenger has to be."""

from datetime import UTC, datetime, timedelta, timezone
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi import config
from luodi.registry import budget

RULES = st.builds(
    config.FalseLandings,
    rate=st.floats(1e-4, 0.49),
    per=st.sampled_from(["year", "month"]),
    looks=st.integers(2, 10_000),
)


@given(RULES, st.integers(1, 3000))
def test_however_many_looks_there_are_they_err_no_more_than_the_rate(rule: config.FalseLandings, looks: int) -> None:
    spent = [budget.level(rule, before) for before in range(looks)]
    assert all(one > 0 for one in spent[:500])
    assert sum(spent) <= rule.rate * (1 + 1e-9)
    assert sum(spent) == pytest.approx(rule.rate * (1 - budget.left(rule, looks)))


@given(RULES, st.integers(0, 2000))
def test_each_look_is_stricter_than_the_one_before(rule: config.FalseLandings, before: int) -> None:
    gate = config.Gate(false_landings=rule)
    asked = [budget.confidence(gate, look) for look in (before, before + 1)]
    assert gate.confidence <= asked[0] <= asked[1] < 1
    assert budget.quantile(asked[1]) >= budget.quantile(asked[0]) > 0


def test_the_first_look_takes_a_52nd_of_the_budget() -> None:
    rule = config.Gate()
    assert budget.level(rule.false_landings, 0) == pytest.approx(0.025 / 52)
    assert budget.confidence(rule, 0) == pytest.approx(1 - 0.05 / 52)
    assert budget.left(rule.false_landings, 0) == 1
    assert budget.left(rule.false_landings, 52) == pytest.approx(np.exp(-1), rel=0.02)


def test_a_budget_never_makes_the_gate_laxer() -> None:
    rule = config.Gate(confidence=0.999, false_landings=config.FalseLandings(rate=0.4, looks=2))
    assert budget.confidence(rule, 0) == 0.999


def test_a_million_looks_are_still_arithmetic() -> None:
    asked = budget.confidence(config.Gate(), 1_000_000)
    assert 7 < budget.quantile(asked) < 8


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(-14, 14))
def test_a_period_is_that_of_the_calendar_in_utc(naive: datetime, hours: int) -> None:
    moment = naive.replace(tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=hours)))
    for per, form in (("year", "%Y"), ("month", "%Y-%m")):
        rule = config.FalseLandings.model_validate({"per": per})
        assert budget.period(rule, elsewhere) == f"{moment:{form}}"


@pytest.mark.parametrize("before", [0, 9, 49])
def test_what_is_needed_lands_four_times_in_five(before: int) -> None:
    """By simulation of the normal difference that it is made for."""
    asked, error, margin = budget.confidence(config.Gate(), before), 0.0075, 0.01
    gain = budget.needed(error * budget.quantile(0.95), asked, 0.95, margin)
    shown = np.random.default_rng(1).normal(gain, error, 100_000)
    assert (shown - budget.quantile(asked) * error > margin).mean() == pytest.approx(0.8, abs=0.01)


def test_quantiles_are_those_of_the_normal_distribution() -> None:
    assert budget.quantile(0.95) == pytest.approx(NormalDist().inv_cdf(0.975))
