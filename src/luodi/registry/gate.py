"""Whether a challenger may land: what the test rows prove of it beside the champion, and the rules it has to keep.

`compare` measures both on the same rows, `judge` decides; both are pure. With `confidence` 0.95 a challenger that
is truly no better than the margin asks is to be promoted in at most 2.5% of all cases. A bootstrap alone does not
keep this where few rows differ, so it does not decide alone: see `evidence`. benchmarks/gate.py measures it. It holds
for accuracy; for macro F1 with a class of a few dozen test rows it does not quite, 3 to 4% were seen.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from luodi import config
from luodi.scoring import metrics
from luodi.scoring.metrics import CELLS, SEED, Figure, Floats, Ints, Mask, Scored

PROMOTE = "promote"
HOLD = "hold"
INSUFFICIENT = "insufficient evidence"

DRAWS = 1000  # behind intervals that are shown and decide nothing
POWER = 0.8  # of the test rows that would decide
AFFORDABLE = 10_000_000  # test rows; beyond it their number tells nobody anything


# What the rows prove


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
        figure = metrics.FIGURES[metric]
        return figure(self.challenger, weights) - figure(self.champion, weights)


def compare(  # noqa: PLR0917, the last two have defaults
    challenger: Scored,
    champion: Scored,
    slices: Mapping[str, Mapping[str, Mask]],
    rule: config.Gate,
    notes: Sequence[str] = (),
    excluded: int = 0,
) -> dict[str, Any]:
    """Measure two classifiers on the same test rows, at least one.

    Args:
        challenger, champion: The rows as either scores them.
        slices: Parts of the rows, bool [rows], by what they are parted by and their name.
        rule: What metric decides, with how many draws and what confidence; what slices are judged.
        notes: What a reader has to know of the comparison.
        excluded: Test rows that were left out, because the champion was trained on them.

    Returns:
        JSON: rows, excluded, notes; metrics, by name the figures of challenger, champion and their difference, on
        paired draws; what decides, see `evidence`; slices with their accuracies; more_rows, None, which `judge` fills.
    """
    proof = evidence(challenger, champion, rule)
    figures = metrics.compare(challenger, champion, DRAWS, rule.confidence)
    sides = {"challenger": "model", "champion": "baseline", "difference": "difference"}
    shown = {name: {who: figures[side][name] for who, side in sides.items()} for name in figures["model"]}
    shown = metrics.rounded(shown)
    shown[rule.metric]["difference"] = proof["difference"]  # a page that shows two intervals for one thing confuses
    parts = [
        {"by": by, "name": name} | _slice(part, challenger, champion, rule.min_slice_rows)
        for by, masks in slices.items()
        for name, part in masks.items()
        if part.any()
    ]
    return proof | {
        "excluded": excluded,
        "notes": list(notes),
        "metrics": shown,
        "slices": parts,
        "more_rows": None,
    }


def evidence(challenger: Scored, champion: Scored, rule: config.Gate) -> dict[str, Any]:
    """Return what decides of two classifiers on the same rows.

    Returns:
        JSON: rows; difference, challenger minus champion in `rule.metric`, see `difference`; mcnemar, rows that both,
        only one or neither gets right, and its exact two-sided p; p, of the exact test of `rule.metric`, which is
        McNemar's for accuracy and `swap_test` for macro F1.

    Raises:
        ValueError: They were not scored on the same rows.
    """
    if not np.array_equal(challenger.truth, champion.truth):
        raise ValueError("expected challenger and champion scored on the same rows, found others: align them first")
    pairs = Pairs.of(challenger, champion)
    counts = _agreement(challenger, champion)
    exact = mcnemar(counts["challenger"], counts["champion"])
    return {
        "rows": challenger.rows,
        "difference": metrics.rounded(difference(pairs, counts["challenger"], counts["champion"], rule)),
        "mcnemar": counts | {"p": exact},
        "p": exact if rule.metric == "accuracy" else swap_test(pairs, rule.metric, rule.resamples),
    }


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
    interval = metrics.interval(value, drawn, rule.confidence)
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


def _agreement(challenger: Scored, champion: Scored) -> dict[str, int]:
    one, other = challenger.correct, champion.correct
    parts = {"both": one & other, "challenger": one & ~other, "champion": ~one & other, "neither": ~one & ~other}
    return {name: int(part.sum()) for name, part in parts.items()}


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


def _slice(part: Mask, challenger: Scored, champion: Scored, least: int) -> dict[str, Any]:
    rows = int(part.sum())
    ours, theirs = int(challenger.correct[part].sum()), int(champion.correct[part].sum())
    shares = {"challenger": ours / rows, "champion": theirs / rows, "difference": (ours - theirs) / rows}
    return {"rows": rows, **metrics.rounded(shares), "judged": rows >= least}


# The rules


@dataclass(frozen=True)
class Check:
    """One rule applied; `reasons` says what is wrong, in sentences, and is empty where the rule is kept."""

    name: str
    expected: str
    found: str
    reasons: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "expected": self.expected, "found": self.found, "passed": self.passed}


def judge(
    metrics: Mapping[str, Any],
    latency_ms: float,
    rule: config.Gate,
    champion: str | None,
    comparison: Mapping[str, Any] | None,
    *,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Decide whether a challenger may land.

    Every version has to reach the minimum, to beat the lower bound of the linear baseline or make no mistake, to be
    calibrated, and to be small and fast enough. If there is a champion, the lower bound of the difference must lie
    above the margin; where the margin is 0 or more, the exact test must find the challenger ahead too. A bootstrap of
    few rows that differ finds too many of them better. McNemar's test never promotes more than its share. Nor does the
    swap test, if on each row either could have said what the other did; of models that err in other ways it may.

    Args:
        metrics: The content of metrics.json.
        latency_ms: Median of a one-row prediction, milliseconds.
        rule: What must be proven.
        champion: Name of the version in production; None if there is none.
        comparison: See `compare`; None if there is no champion, or it could not be compared.
        notes: Why it could not.

    Returns:
        JSON: verdict, reasons (why it may not land: sentences), champion, rule, checks, and the comparison. The
        verdict is "hold" if it is proven worse than the margin allows or breaks a rule, "promote" if all is proven,
        else "insufficient evidence"; `more_rows` of the comparison then says how many more test rows would decide.
    """
    rules, proofs = _absolute(metrics, latency_ms, rule), []
    if champion is not None and comparison is not None:
        rules.append(_slices(comparison, rule, champion))
        proofs = _proofs(comparison, rule, champion)
    elif champion is not None:
        proofs = [_uncompared(rule, champion, notes)]
    worse = comparison is not None and comparison["difference"]["high"] < rule.margin
    verdict = _verdict(rules, proofs, worse)
    reasons = [reason for check in (*rules, *proofs) for reason in check.reasons]
    if comparison is not None and verdict == INSUFFICIENT:
        more = more_rows(comparison["difference"], comparison["rows"], rule)
        comparison = {**comparison, "more_rows": more}
        reasons.append(_outlook(more))
    return {
        "verdict": verdict,
        "reasons": reasons,
        "champion": champion,
        "rule": rule.model_dump(mode="json"),
        "checks": [check.json() for check in (*rules, *proofs)],
        "comparison": comparison and dict(comparison),
    }


def more_rows(difference: Figure, rows: int, rule: config.Gate) -> int | None:
    """Return how many more test rows would decide with a power of 0.8, if the difference and its spread stay.

    n = ((z_confidence + z_power) sd / (difference - margin))^2 in all (Lachin 1981, Controlled Clinical Trials 2,
    93-113); the deviation of one row, sd, follows from the half width of the interval, z_confidence sd / sqrt(rows).

    Returns:
        Rows, two digits, rounded up; None if the difference is at the margin, or they are more than 10^7.
    """
    normal = NormalDist()
    distance = abs(difference["value"] - rule.margin)
    if distance < 1e-9:
        return None
    half = (difference["high"] - difference["low"]) / 2
    excess = 1 + normal.inv_cdf(POWER) / normal.inv_cdf((1 + rule.confidence) / 2)
    total = rows * (excess * half / distance) ** 2
    if total > AFFORDABLE:
        return None
    more = max(1, math.ceil(total) - rows)
    unit = int(10 ** max(0, len(str(more)) - 2))
    return math.ceil(more / unit) * unit


def _verdict(rules: Sequence[Check], proofs: Sequence[Check], worse: bool) -> str:
    if worse or not all(check.passed for check in rules):
        return HOLD
    return PROMOTE if all(check.passed for check in proofs) else INSUFFICIENT


def _absolute(metrics: Mapping[str, Any], latency_ms: float, rule: config.Gate) -> list[Check]:
    """The rules for every version, champion or not."""
    name, model = rule.metric, metrics["model"]
    value, baseline = model[name]["value"], metrics["baseline"][name]["low"]
    error, size = model["calibration_error"]["value"], metrics["size_bytes"] / 1e6
    return [
        _check(
            f"minimum {name}", f"at least {rule.minimum:.4f}", f"{value:.4f}", value >= rule.minimum,
            f"{name} {value:.4f} is below the minimum {rule.minimum:.4f}",
        ),
        _check(
            "linear baseline", f"{name} above {baseline:.4f}", f"{value:.4f}", value > baseline or value >= 1,
            f"{name} {value:.4f} does not beat the linear baseline's lower bound {baseline:.4f}",
        ),
        _check(
            "calibration error", f"at most {rule.max_calibration_error:.4f}", f"{error:.4f}",
            error <= rule.max_calibration_error,
            f"calibration error {error:.4f} is above the maximum {rule.max_calibration_error:.4f}",
        ),
        _check(
            "size", f"at most {rule.max_size_mb:g} MB", f"{size:.2f} MB", size <= rule.max_size_mb,
            f"size {size:.2f} MB is above the maximum {rule.max_size_mb:g} MB",
        ),
        _check(
            "latency", f"at most {rule.max_latency_ms:g} ms", f"{latency_ms:.2f} ms", latency_ms <= rule.max_latency_ms,
            f"latency {latency_ms:.2f} ms is above the maximum {rule.max_latency_ms:g} ms",
        ),
    ]  # fmt: skip


def _slices(comparison: Mapping[str, Any], rule: config.Gate, champion: str) -> Check:
    judged = [part for part in comparison["slices"] if part["judged"]]
    worst = min(judged, key=lambda part: part["difference"], default=None)
    lost = [part for part in judged if -part["difference"] > rule.max_slice_loss]
    return Check(
        "slices",
        f"no slice of {rule.min_slice_rows} rows or more loses more than {rule.max_slice_loss:.4f} of its accuracy",
        f"{worst['by']} {worst['name']}: {worst['difference']:+.4f}" if worst else "no slice has as many rows",
        tuple(
            f"on {part['by']} {part['name']}, {part['rows']} rows, accuracy is {-part['difference']:.4f} below that of "
            f"{champion}: at most {rule.max_slice_loss:.4f} is allowed"
            for part in lost
        ),
    )


def _proofs(comparison: Mapping[str, Any], rule: config.Gate, champion: str) -> list[Check]:
    """What has to be proven of the difference."""
    gap, p, alpha = comparison["difference"], comparison["p"], round(1 - rule.confidence, 12)  # 0.05, not 0.05 + 4e-17
    found = f"{gap['value']:+.4f}, interval {gap['low']:+.4f} to {gap['high']:+.4f}"
    side = "lies below the margin" if gap["high"] < rule.margin else "does not lie above the margin"
    interval = _check(
        *_asked(rule, champion), found, gap["low"] > rule.margin,
        f"the difference in {rule.metric} from {champion}, {found}, {side} {rule.margin:+.4f}",
    )  # fmt: skip
    if rule.margin < 0:
        return [interval]
    name = "exact McNemar test" if rule.metric == "accuracy" else "exact swap test"
    expected = f"p below {alpha:.3g}, the challenger ahead"
    exact = _check(
        name, expected, f"p {p:.3g}, difference {gap['value']:+.4f}", p < alpha and gap["value"] > 0,
        f"the {name} does not find it better: expected {expected}, found p {p:.3g} at a difference of "
        f"{gap['value']:+.4f}",
    )  # fmt: skip
    return [interval, exact]


def _uncompared(rule: config.Gate, champion: str, notes: Sequence[str]) -> Check:
    return Check(*_asked(rule, champion), "not compared", tuple(notes) or (f"it was not compared with {champion}",))


def _asked(rule: config.Gate, champion: str) -> tuple[str, str]:
    """Name and expectation of the check of the difference."""
    return f"difference from {champion}", f"{rule.metric}: whole interval above {rule.margin:+.4f}"


def _outlook(more: int | None) -> str:
    if more is None:
        return "no number of test rows that one could collect would decide it: the difference is too near the margin"
    return f"about {more:,} more test rows would decide it, 4 times in 5, if the difference stays"


def _check(name: str, expected: str, found: str, passed: bool, reason: str) -> Check:
    return Check(name, expected, found, () if passed else (reason,))
