"""What the test rows prove of a challenger beside the champion: paired statistics, pure functions of NumPy alone.

`luodi.registry.gate` decides by them. With `confidence` 0.95 a challenger that is truly no better than the margin asks
is to be promoted in at most 2.5% of all cases. A bootstrap alone does not keep this where few rows differ, so it does
not decide alone: see `decisive`. benchmarks/gate.py measures it. It holds for accuracy; for macro F1 with a class of a
few dozen test rows it does not quite, 3 to 4% were seen.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from luodi import config
from luodi.registry.records import Agreement, Comparison, Estimate, Evidence, Sides, Slice
from luodi.scoring import figures
from luodi.scoring.figures import CELLS, SEED, Figure
from luodi.scoring.metrics import METRICS
from luodi.scoring.scored import Floats, Ints, Mask, Scored

DRAWS = 1000  # behind intervals that are shown and decide nothing
POWER = 0.8  # of the test rows that would decide
AFFORDABLE = 10_000_000  # test rows; beyond it their number tells nobody anything


@dataclass(frozen=True)
class Pairs:
    """Test rows by kind, which is their true class and what either classifier says of them.

    Accuracy and macro F1 see no more of a row than its kind: to draw rows is to draw `counts`.

    Attributes:
        challenger, champion: One row of each kind, scored by either.
        counts: Rows of each kind, int64 [kinds].
    """

    challenger: Scored
    champion: Scored
    counts: Ints

    @classmethod
    def of(cls, challenger: Scored, champion: Scored) -> "Pairs":
        kind = (challenger.truth * challenger.classes + challenger.predicted) * challenger.classes + champion.predicted
        _, first, counts = np.unique(kind, return_index=True, return_counts=True)
        one, other = (Scored(data.truth[first], data.scores[first]) for data in (challenger, champion))
        return cls(one, other, counts)

    def difference(self, metric: str, weights: Floats) -> Floats:
        """Return challenger minus champion, float64 [draws], for weights [draws, kinds]."""
        figure = METRICS[metric].function
        return figure(self.challenger, weights) - figure(self.champion, weights)


def compare(  # noqa: PLR0917, the last two have defaults
    challenger: Scored,
    champion: Scored,
    slices: Mapping[str, Mapping[str, Mask]],
    rule: config.Gate,
    notes: Sequence[str] = (),
    excluded: int = 0,
) -> Comparison:
    """Measure two classifiers on the same test rows, at least one.

    Args:
        challenger, champion: The rows as either scores them.
        slices: Parts of the rows, bool [rows], by what they are parted by and their name.
        rule: What metric decides, with how many draws and what confidence; what slices are judged.
        notes: What a reader has to know of the comparison.
        excluded: Test rows that were left out, because the champion was trained on them.

    The figures are those of paired draws; that of `rule.metric` has the difference that decides.
    """
    proof = decisive(challenger, champion, rule)
    found = figures.rounded(figures.compare(challenger, champion, DRAWS, rule.confidence))
    shown = {
        name: Sides(
            challenger=Estimate(**found["model"][name]),
            champion=Estimate(**found["baseline"][name]),
            # A page that shows two intervals for one thing confuses.
            difference=proof.difference if name == rule.metric else Estimate(**found["difference"][name]),
        )
        for name in found["model"]
    }
    parts = tuple(
        _slice(by, name, part, challenger, champion, rule.min_slice_rows)
        for by, masks in slices.items()
        for name, part in masks.items()
        if part.any()
    )
    return Comparison(**dict(proof), excluded=excluded, notes=tuple(notes), metrics=shown, slices=parts)


def decisive(challenger: Scored, champion: Scored, rule: config.Gate) -> Evidence:
    """Return what decides of two classifiers on the same rows.

    The exact test of `rule.metric` is McNemar's for accuracy and `swap_test` for macro F1.

    Raises:
        ValueError: They were not scored on the same rows.
    """
    if not np.array_equal(challenger.truth, champion.truth):
        raise ValueError("expected challenger and champion scored on the same rows, found others: align them first")
    pairs = Pairs.of(challenger, champion)
    agreement = _agreement(challenger, champion)
    gap = difference(pairs, agreement.challenger, agreement.champion, rule)
    return Evidence(
        rows=challenger.rows,
        difference=Estimate(**figures.rounded(gap)),
        mcnemar=agreement,
        p=agreement.p if rule.metric == "accuracy" else swap_test(pairs, rule.metric, rule.resamples),
    )


def difference(pairs: Pairs, wins: int, losses: int, rule: config.Gate) -> Figure:
    """Return challenger minus champion in `rule.metric`, and the interval that decides.

    The interval is the percentile one of a paired bootstrap, stratified by true class (Efron & Tibshirani 1993,
    chapters 8 and 13). It fits any metric, but is too short where few rows differ, and has no width where none does:
    it would take 50 rows without a difference for proof that the true one is above -0.01. So it is made to reach at
    least as far to either side as Tango's score interval of the difference in accuracy does. With macro F1 and a
    class of a few rows only, it is still too short: 4% instead of 2.5% were seen beyond an end.

    Args:
        pairs: The test rows.
        wins, losses: Rows that the challenger alone, and the champion alone, gets right.
        rule: Metric, draws and confidence.
    """
    value = float(pairs.difference(rule.metric, pairs.counts[None].astype(np.float64))[0])
    drawn = np.concatenate([pairs.difference(rule.metric, weights) for weights in _draws(pairs, rule.resamples)])
    interval = figures.interval(value, drawn, rule.confidence)
    rows = int(pairs.counts.sum())
    low, high = tango(wins, losses, rows, rule.confidence)
    lead = (wins - losses) / rows
    return {
        "value": value,
        "low": min(interval["low"], value - (lead - low)),
        "high": max(interval["high"], value + (high - lead)),
    }


def tango(wins: int, losses: int, rows: int, confidence: float) -> tuple[float, float]:
    """Return the score interval of (wins - losses) / rows, a difference of paired shares: low, high.

    Tango 1998, Statistics in Medicine 17, 891-908. Where it ends at 0, McNemar's statistic is on the edge.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return _score_low(wins, losses, rows, z), -_score_low(losses, wins, rows, z)


def mcnemar(wins: int, losses: int) -> float:
    """Return the exact two-sided p of `wins` against `losses`: the binomial test of a fair coin (McNemar 1947).

    Logarithms of factorials: scipy.stats would say the same, but takes a second to import.
    """
    tosses = wins + losses
    logs = (
        math.lgamma(tosses + 1) - math.lgamma(heads + 1) - math.lgamma(tosses - heads + 1) - tosses * math.log(2)
        for heads in range(min(wins, losses) + 1)
    )
    return min(1.0, float(f"{2 * sum(map(math.exp, logs)):.6g}"))


def swap_test(pairs: Pairs, metric: str, resamples: int) -> float:
    """Return the two-sided p of the difference in `metric`, if on each row either could have said what the other did.

    Approximate randomisation (Noreen 1989; Yeh 2000 for F1); with the observed arrangement among the draws the test
    is exact (Phipson & Smyth 2010). For accuracy it is McNemar's.
    """
    value = abs(pairs.difference(metric, pairs.counts[None].astype(np.float64))[0])
    both = Pairs(_joined(pairs.challenger, pairs.champion), _joined(pairs.champion, pairs.challenger), pairs.counts)
    as_far = sum(
        int((abs(both.difference(metric, weights)) > value - 1e-12).sum()) for weights in _swaps(pairs, resamples)
    )
    return float(f"{(1 + as_far) / (1 + resamples):.6g}")


def more_rows(difference: Estimate, rows: int, rule: config.Gate) -> int | None:
    """Return how many more test rows would decide with a power of 0.8, if the difference and its spread stay.

    n = ((z_confidence + z_power) sd / (difference - margin))^2 in all (Lachin 1981, Controlled Clinical Trials 2,
    93-113); the deviation of one row, sd, follows from the half width of the interval, z_confidence sd / sqrt(rows).

    Returns:
        Rows, two digits, rounded up; None if the difference is at the margin, or they are more than 10^7.
    """
    normal = NormalDist()
    distance = abs(difference.value - rule.margin)
    if distance < 1e-9:
        return None
    half = (difference.high - difference.low) / 2
    excess = 1 + normal.inv_cdf(POWER) / normal.inv_cdf((1 + rule.confidence) / 2)
    total = rows * (excess * half / distance) ** 2
    if total > AFFORDABLE:
        return None
    more = max(1, math.ceil(total) - rows)
    unit = int(10 ** max(0, len(str(more)) - 2))
    return math.ceil(more / unit) * unit


def _agreement(challenger: Scored, champion: Scored) -> Agreement:
    one, other = challenger.correct, champion.correct
    wins, losses = int((one & ~other).sum()), int((~one & other).sum())
    both, neither = int((one & other).sum()), int((~one & ~other).sum())
    return Agreement(both=both, challenger=wins, champion=losses, neither=neither, p=mcnemar(wins, losses))


def _score_low(wins: int, losses: int, rows: int, z: float) -> float:
    """Lower end of Tango's interval: the lowest difference at which the score statistic is not above z."""
    low, high = -1.0, (wins - losses) / rows
    while high - low > 1e-9:
        middle = (low + high) / 2
        part = wins + losses - (2 * rows - wins + losses) * middle
        # Most likely share of losses if the difference were `middle`: root of 2 n q^2 - part q - losses m (1 - m).
        likely = (part + math.sqrt(max(0, part**2 + 8 * rows * losses * middle * (1 - middle)))) / (4 * rows)
        variance = rows * (2 * likely + middle * (1 - middle))
        beyond = (wins - losses - rows * middle) ** 2 > z * z * variance
        low, high = (middle, high) if beyond else (low, middle)
    return low


def _draws(pairs: Pairs, resamples: int) -> Iterator[Floats]:
    """Weights [draws, kinds] of rows drawn with replacement, of each true class as many as it has."""
    rng = np.random.default_rng(SEED)
    strata = [pairs.challenger.truth == label for label in np.unique(pairs.challenger.truth)]
    for size in _portions(resamples, len(pairs.counts)):
        weights = np.empty((size, len(pairs.counts)))
        for stratum in strata:
            counts = pairs.counts[stratum]
            weights[:, stratum] = rng.multinomial(counts.sum(), counts / counts.sum(), size)
        yield weights


def _swaps(pairs: Pairs, resamples: int) -> Iterator[Floats]:
    """Weights [draws, 2 kinds]: rows of each kind that stay as they are, and rows on which the two change places."""
    rng = np.random.default_rng(SEED)
    differ = np.where(pairs.challenger.predicted != pairs.champion.predicted, pairs.counts, 0)
    for size in _portions(resamples, 2 * len(pairs.counts)):
        swapped = rng.binomial(differ, 0.5, (size, len(differ)))
        yield np.hstack([pairs.counts - swapped, swapped]).astype(np.float64)


def _portions(resamples: int, width: int) -> Iterator[int]:
    """Sizes that sum to `resamples`, each as many rows of `width` as are held in memory at once."""
    step = max(1, CELLS // width)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def _joined(one: Scored, other: Scored) -> Scored:
    return Scored(np.concatenate([one.truth, other.truth]), np.concatenate([one.scores, other.scores]))


def _slice(  # noqa: PLR0917, each is of the one slice
    by: str, name: str, part: Mask, challenger: Scored, champion: Scored, least: int
) -> Slice:
    rows = int(part.sum())
    ours, theirs = int(challenger.correct[part].sum()), int(champion.correct[part].sum())
    shares = {"challenger": ours / rows, "champion": theirs / rows, "difference": (ours - theirs) / rows}
    return Slice(by=by, name=name, rows=rows, judged=rows >= least, **figures.rounded(shares))
