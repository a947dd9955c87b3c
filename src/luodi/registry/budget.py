"""What one look at the test rows may err, so that all looks of a period together keep to `gate.false_landings`.

A look is one judgement of a challenger beside a champion. Each has its own null hypothesis, that the challenger is no
better than the margin allows, and all are tested on rows that they share, so that their errors depend on each other in
ways that nobody knows. What holds whatever they are is the union bound: the chance that any look of a period errs is at
most the sum of what each may err. So each takes an n-th of what the looks before it left, n being `looks`: the sum
stays below `rate` however many come, and something is always left (alpha spending for a stream of hypotheses: Foster &
Stine 2008, JRSS B 70, 429-444; Tian & Ramdas 2021, Statistical Methods in Medical Research 30, 976-993). E-values do
not avoid the sum, for the hypotheses differ, and each is a weaker test: benchmarks/budget.py compares them.

The bound asks that each test keeps its level, for challengers that were not chosen by these rows. Until the first
landing of a period a schedule trains the same ones whatever the rows say. The champion was chosen by the rows, but for
having done well on them: its figure is rather too high than too low, which makes the next landing harder, not easier.
"""

from datetime import UTC, datetime
from statistics import NormalDist

from luodi import config

NORMAL = NormalDist()
FINEST = 1e-12  # of an error: beyond it the arithmetic of quantiles ends
POWER = 0.8
PERIODS = {"year": "%Y", "month": "%Y-%m"}


def period(rule: config.FalseLandings, moment: datetime) -> str:
    """Return the period that a moment, which knows its time zone, lies in: "2026"."""
    return moment.astimezone(UTC).strftime(PERIODS[rule.per])


def level(rule: config.FalseLandings, before: int) -> float:
    """Return the chance of a false landing that a look may have, `before` others having been taken in the period."""
    return rule.rate / rule.looks * left(rule, before)


def left(rule: config.FalseLandings, looks: int) -> float:
    """Return the share of the budget that so many looks leave."""
    return (1 - 1 / rule.looks) ** looks


def confidence(rule: config.Gate, before: int) -> float:
    """Return the confidence of the two-sided interval, the lower end of which has to lie above the margin at a look.

    It is never below `rule.confidence`.
    """
    return max(rule.confidence, 1 - 2 * max(level(rule.false_landings, before), FINEST))


def needed(half: float, asked: float, given: float, margin: float) -> float:
    """Return how much better a challenger has to be truly to land 4 times in 5.

    Args:
        half: Half the width of the interval of the difference at confidence `given`; the rows decide it.
        asked: Confidence at which the difference has to be proven.
        margin: That it has to exceed.
    """
    error = half / quantile(given)
    return margin + (quantile(asked) + NORMAL.inv_cdf(POWER)) * error


def quantile(two_sided: float) -> float:
    """Return how many standard errors half an interval of that confidence is."""
    return -NORMAL.inv_cdf((1 - two_sided) / 2)
