"""What a figure is worth that a version landed by: having been picked for it, it is too high. Pure functions."""

from collections.abc import Mapping
from typing import Any

from luodi import config
from luodi.registry.budget import NORMAL, quantile
from luodi.registry.records import Comparison, Honest, Verdict
from luodi.report.formatting import at, known

GIVEN = "given that it {} by this figure: the median-unbiased estimate (Zhong & Prentice 2008)"
STEP = 1e-7  # to which a difference is corrected


def honest(comparison: Comparison, rule: config.Gate, landed: Mapping[str, Any] | None) -> dict[str, Honest]:
    """Return the metric of the gate of both, each beside what it is worth.

    Args:
        landed: The decision by which the champion landed, as its tag has it.
    """
    sides = comparison.metrics[rule.metric]
    return {
        "challenger": _challenger(comparison, rule, sides.challenger.value),
        "champion": _champion(comparison, rule, sides.champion.value, landed),
    }


def _challenger(comparison: Comparison, rule: config.Gate, measured: float) -> Honest:
    high = optimism(comparison.to_json(), rule.model_dump())
    if high is None:
        return Honest(measured=measured, corrected=measured, by="not picked: it is not proven better")
    return Honest(measured=measured, corrected=measured - high, by=GIVEN.format("lands"))


def _champion(comparison: Comparison, rule: config.Gate, measured: float, landed: Mapping[str, Any] | None) -> Honest:
    if fresh := comparison.fresh:
        why = f"on the {fresh.rows:,} test rows that came after it was chosen"
        return Honest(measured=measured, corrected=fresh.champion.value, by=why)
    if isinstance(landed, Mapping) and landed.get("champion", landed) is None:
        return Honest(measured=measured, corrected=measured, by="not picked: it landed without a champion")
    if at(landed, "rule", "metric") == rule.metric and at(landed, "verdict") == Verdict.PROMOTE:
        high = optimism(at(landed, "comparison"), at(landed, "rule"))
        if high is not None:
            return Honest(measured=measured, corrected=measured - high, by=GIVEN.format("landed"))
    return Honest(measured=measured, corrected=None, by="unknown: its tag does not say how it was picked")


def optimism(comparison: object, rule: object) -> float | None:
    """Return by how much the figure of a challenger is too high that landed by it; None if it did not, or none knows.

    That is half of what its difference from the champion is too great by: the luck of both made it, in equal parts.
    """
    value, margin = at(comparison, "difference", "value"), at(rule, "margin")
    looked = at(comparison, "look") is not None
    low = at(comparison, "look", "low") if looked else at(comparison, "difference", "low")
    asked = at(comparison, "look", "confidence") if looked else at(rule, "confidence")
    if not (known(value) and known(low) and known(asked) and known(margin) and margin < low and 0.5 < asked < 1):
        return None
    return (value - unpicked(value, low, asked, margin)) / 2


def unpicked(value: float, low: float, asked: float, margin: float) -> float:
    """Return a difference corrected for having been picked because it was great enough to land.

    Of the challengers that are truly so much better and land, half show more than `value`: the median-unbiased estimate
    given the landing (Zhong & Prentice 2008, Biostatistics 9, 621-634), the difference taken as normal. It is not below
    the margin, which the gate found it to exceed.

    Args:
        value: The difference as measured.
        low: The lower end of its interval at confidence `asked`, which lies above `margin`.
    """
    error = (value - low) / quantile(asked)
    if error <= 0:
        return value
    bar = margin + quantile(asked) * error
    below, above = margin, value
    while above - below > STEP:
        middle = (below + above) / 2
        shown = NORMAL.cdf((middle - value) / error) / NORMAL.cdf((middle - bar) / error)
        below, above = (middle, above) if shown < 0.5 else (below, middle)
    return below
