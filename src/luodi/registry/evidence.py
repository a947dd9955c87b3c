"""What the test rows prove of a classifier beside another: paired statistics, pure functions of NumPy alone.

`luodi.registry.gate` decides by them, and the pages of `evaluate` say what they say. With `confidence` 0.95 a
challenger that is truly no better than the margin asks is to be promoted in at most 2.5% of all cases. A bootstrap
alone does not keep this where few rows differ, so it does not decide alone: see `difference`. benchmarks/gate.py
measures it.

Rows of a group (an author's, copies of one text) may be right or wrong together, and then prove less than their number
says: where they have groups, whole groups change places in the exact test, and intervals reach further by the root of
the design effect (Rao & Scott 1992, Biometrics 48, 577-585).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from luodi import config
from luodi.registry.records import Agreement, Comparison, Estimate, Evidence, Fresh, Look, Sides, Slice
from luodi.scoring import figures, metrics, own_metric
from luodi.scoring.figures import CELLS, SEED, Figure, cautious, inflation, student
from luodi.scoring.metrics import METRICS, Metric
from luodi.scoring.scored import Floats, Ints, Mask, Scored, joined, one_hot

DRAWS = 1000  # behind intervals that are shown and decide nothing
POWER = 0.8  # of the test rows that would decide
AFFORDABLE = 10_000_000  # test rows; beyond it their number tells nobody anything
IN_TAIL, MOST_DRAWS = 10, 100_000  # draws beyond a quantile that tell it; all draws, at most
GROUPS = 400  # of rows whose influence on a difference is measured at once
STEP = 1e-4  # by which rows are counted more often to measure it


@dataclass(frozen=True)
class Pairs:
    """Test rows by kind, which is their true class and what either classifier says of them.

    A metric of answers sees no more of a row than its kind: to draw rows is to draw `counts`. To other metrics each row
    is a kind of its own.

    Attributes:
        challenger, champion: One row of each kind, scored by either; in the order of their true classes.
        counts: Rows of each kind, int64 [kinds].
        differ: Whether the two say different things of them, bool [kinds].
        place: Where some rows stand in groups, what of each kind is drawn and changes places, int64 [kinds]: a group,
            of which each row is a kind of its own, or the rows of the kind, which stand alone; else None.
        units: How many there are of each of these, int64 [places]: 1 of a group.
    """

    challenger: Scored
    champion: Scored
    counts: Ints
    differ: Mask
    place: Ints | None = None
    units: Ints | None = None

    @classmethod
    def of(cls, challenger: Scored, champion: Scored, metric: Metric, group: Ints | None = None) -> "Pairs":
        """Sort the rows, each for itself or with those of its group."""
        kind = (challenger.truth * challenger.classes + challenger.predicted) * challenger.classes + champion.predicted
        alone = np.ones(len(kind), bool)
        if group is not None:
            _, member, members = np.unique(group, return_inverse=True, return_counts=True)
            alone = members[member] == 1
        if metric.answers:
            own = challenger.classes**3 + np.arange(len(kind))  # of a row in a group
            _, first, counts = np.unique(np.where(alone, kind, own), return_index=True, return_counts=True)
        else:
            first, counts = np.argsort(kind, kind="stable"), np.ones(len(kind), np.int64)
        one, other = (Scored(data.truth[first], data.scores[first]) for data in (challenger, champion))
        differ = one.predicted != other.predicted if metric.answers else (one.scores != other.scores).any(1)
        if group is None:
            return cls(one, other, counts, differ)
        drawn = np.where(alone[first], len(kind) + np.arange(len(first)), member[first])
        _, which, place = np.unique(drawn, return_index=True, return_inverse=True)
        return cls(one, other, counts, differ, place, np.where(alone[first], counts, 1)[which])

    def difference(self, metric: Metric, weights: Floats) -> Floats:
        """Return challenger minus champion, float64 [draws], for weights [draws, kinds]."""
        return metric.function(self.challenger, weights) - metric.function(self.champion, weights)


def compare(  # noqa: PLR0917, the last two have defaults
    challenger: Scored,
    champion: Scored,
    labels: Sequence[str],
    slices: Mapping[str, Mapping[str, Mask]],
    rule: config.Gate,
    notes: Sequence[str] = (),
    excluded: int = 0,
    *,
    look: Look | None = None,
    since: Mask | None = None,
) -> Comparison:
    """Measure two classifiers on the same test rows, at least one.

    Args:
        challenger, champion: The rows as either scores them; the challenger has their groups.
        labels: Names of the classes, which are slices too.
        slices: Other parts of the rows, bool [rows], by what they are parted by and their name.
        rule: What metric decides, with how many draws and what confidence; what slices are judged.
        notes: What a reader has to know of the comparison.
        excluded: Test rows that were left out, because the champion was trained on them.
        look: What this judgement has to prove; None where that is what `rule.confidence` says.
        since: Rows that came after the champion was chosen, bool [rows].

    The figures are those of paired draws; that of `rule.metric` has the difference that decides.
    """
    confidences = [rule.confidence, *([look.confidence] if look else [])]
    decided, *asked = _decisive(challenger, champion, rule, confidences)
    known = metrics.beside(rule.metric)
    found = figures.rounded(beside(challenger, champion, DRAWS, rule.confidence, known))
    shown = {
        name: Sides(
            challenger=Estimate(**found["model"][name]),
            champion=Estimate(**found["baseline"][name]),
            # A page that shows two intervals for one thing confuses.
            difference=decided.difference if name == rule.metric else Estimate(**found["difference"][name]),
        )
        for name in found["model"]
    }
    named = {(by, name): part for by, masks in slices.items() for name, part in masks.items()}
    classes = {("class", label): challenger.truth == index for index, label in enumerate(labels)}
    parts = _slices(named, challenger, champion, rule.min_slice_rows, rule.confidence)
    parts += _slices(classes, challenger, champion, max(1, rule.min_class_rows), rule.confidence)
    return Comparison(
        **dict(decided),
        look=look.model_copy(update={"low": asked[0].difference.low}) if look else None,
        fresh=None if since is None else apart(challenger, champion, since, rule),
        excluded=excluded,
        notes=tuple(notes),
        metrics=shown,
        slices=tuple(parts),
    )


def beside(
    one: Scored, other: Scored, resamples: int, confidence: float, known: Mapping[str, Metric] = METRICS
) -> dict[str, dict[str, Figure]]:
    """Return the metrics of `one` as "model", of `other` as "baseline", and of one minus other as "difference".

    As `luodi.scoring.figures.compare`, but the differences in metrics of answers are those of `proof`: their intervals
    leave out zero where the gate would find one of the two ahead. Metrics of probabilities have plain resamples.
    """
    found = figures.compare(one, other, resamples, confidence, known)
    for metric in known.values():
        if metric.answers:
            shown = proofs(one, other, metric, [confidence], resamples)[0].difference
            found["difference"][metric.name] = shown.to_json()
    return found


def decisive(challenger: Scored, champion: Scored, rule: config.Gate, spread: float = 1.0) -> Evidence:
    """Return what decides of two classifiers on the same rows: `proof` in the metric of the gate.

    `spread` is how many times the variance is what it would be if each row told as much as a test row does, at least 1.

    Raises:
        ValueError: They were not scored on the same rows.
        UserCodeFailed: The metric is a user's own, and fails, or gives what is no figure.
    """
    return _decisive(challenger, champion, rule, [rule.confidence], spread)[0]


def _decisive(
    challenger: Scored, champion: Scored, rule: config.Gate, confidences: Sequence[float], spread: float = 1.0
) -> list[Evidence]:
    metric = metrics.beside(rule.metric)[rule.metric]
    if metric.name not in METRICS:
        for data in (challenger, champion):
            own_metric.require_fit(metric, data)
    return proofs(challenger, champion, metric, confidences, rule.resamples, spread)


def proof(challenger: Scored, champion: Scored, metric: Metric, confidence: float, resamples: int) -> Evidence:
    """Return what two classifiers on the same rows prove of `metric`.

    The exact test is McNemar's for accuracy and `swap_test` for any other metric.

    Raises:
        ValueError: They were not scored on the same rows.
    """
    return proofs(challenger, champion, metric, [confidence], resamples)[0]


def proofs(  # noqa: PLR0917, the last has a default
    challenger: Scored,
    champion: Scored,
    metric: Metric,
    confidences: Sequence[float],
    resamples: int,
    spread: float = 1.0,
) -> list[Evidence]:
    """Return what `proof` does for each confidence, by the same draws; rows of a group count as one.

    There are more of them than `resamples` where the tail of the greatest confidence would hold less than ten, up to
    the 100,000 that can be afforded.
    """
    if not np.array_equal(challenger.truth, champion.truth):
        raise ValueError("expected challenger and champion scored on the same rows, found others: align them first")
    pairs = Pairs.of(challenger, champion, metric)
    agreement = _agreement(challenger, champion)
    draws = max(resamples, min(MOST_DRAWS, math.ceil(IN_TAIL / (1 - max(confidences)))))
    together = None if challenger.group is None else Pairs.of(challenger, champion, metric, challenger.group)
    p = agreement.p if metric.name == "accuracy" and not together else swap_test(together or pairs, metric, draws)
    intervals = differences(pairs, metric, confidences, draws)
    reach = math.sqrt(spread * (design_effect(pairs, together, metric) if together else 1))
    if reach > 1:
        intervals = [
            {name: one["value"] + reach * (end - one["value"]) for name, end in one.items()} for one in intervals
        ]
    found = []
    for confidence, figure in zip(confidences, intervals, strict=True):
        if p >= error_of(confidence):
            figure |= {"low": min(figure["low"], 0.0), "high": max(figure["high"], 0.0)}
        if metric.name in METRICS and metric.better > 0:  # of 0 to 1, so that no difference is larger
            figure |= {"low": max(figure["low"], -1.0), "high": min(figure["high"], 1.0)}
        shown = Estimate(**figures.rounded(figure))
        found.append(Evidence(rows=challenger.rows, difference=shown, mcnemar=agreement, p=p))
    return found


def error_of(confidence: float) -> float:
    """Return 1 - confidence: 0.05, not 0.05 + 4e-17."""
    return round(1 - confidence, 12)


def difference(pairs: Pairs, metric: Metric, confidence: float, resamples: int) -> Figure:
    """Return the one of `differences` at this confidence."""
    return differences(pairs, metric, [confidence], resamples)[0]


def differences(pairs: Pairs, metric: Metric, confidences: Sequence[float], resamples: int) -> list[Figure]:
    """Return challenger minus champion in `metric`, and the intervals that decide where the exact test agrees.

    The interval is that of a paired bootstrap, corrected for bias and skewness (BCa: Efron 1987; Efron & Tibshirani
    1993, chapter 14) and, by Student's t, for the few rows that a rare class has: its degrees of freedom are those of
    Satterthwaite 1946, the classes taken as the samples. It fits any metric, but has no width where no row differs: it
    would take 50 rows without a difference for proof that the true one is above -0.01. So it is made to reach at least
    as far to either side as `score_interval` does: that of accuracy over all rows and, since the other metrics weigh
    the classes alike, for them the one of the mean recall. A user's own metric weighs them as it does: see `stakes`.

    Args:
        pairs: The test rows, each for itself.
        metric: What is compared.
        confidences: Probabilities that the intervals are to cover, one each.
        resamples: Bootstrap draws.
    """
    counts = pairs.counts.astype(np.float64)
    value = float(pairs.difference(metric, counts[None])[0])
    drawn = np.concatenate([pairs.difference(metric, weights) for weights in _draws(pairs, resamples)])
    drawn = drawn[~np.isnan(drawn)]
    truth = np.zeros_like(pairs.challenger.truth) if metric.name == "accuracy" else pairs.challenger.truth
    shares = None if metric.name in METRICS else stakes(pairs, metric)
    found = []
    for confidence in confidences:
        low, high = _corrected(value, drawn, pairs, metric, confidence)
        below, lead, above = score_interval(*_lead(pairs, truth), confidence, shares)
        ends = {"low": min(low, value - (lead - below)), "high": max(high, value + (above - lead))}
        found.append({"value": value, **ends})
    return found


def design_effect(pairs: Pairs, together: Pairs, metric: Metric) -> float:
    """Return how many times the variance of a difference is what it would be if each row were for itself, at least 1.

    Both are those of resamples: of whole groups, and of rows. The fewer rows differ, the more are groups taken for
    alike, see `luodi.scoring.figures.cautious`.

    Args:
        pairs, together: The same rows, for themselves and in groups.
    """
    assert together.place is not None and together.units is not None
    alone, whole = (np.nanvar(np.concatenate([one.difference(metric, weights) for weights in _draws(one, DRAWS)]))
                    for one in (pairs, together))  # fmt: skip
    rows, units = np.bincount(together.place, together.counts), together.units.sum()
    most = float((rows**2 / together.units).sum() / rows.sum())
    few, telling = units / max(units - 1, 1), int(pairs.counts[pairs.differ].sum())
    return cautious(float(few * whole / alone), most, telling) if alone > 1e-18 else most


def score_interval(
    wins: Ints, losses: Ints, rows: Ints, confidence: float, shares: Floats | None = None
) -> tuple[float, float, float]:
    """Return the sum over strata of share (wins - losses) / rows as low, value, high; without `shares` it is the mean.

    The intervals of the strata are Tango's; they are joined by the method of Zou & Donner 2008, Statistics in Medicine
    27, 1693-1702. wins, losses and rows are int64 [strata], shares float64 [strata].
    """
    weights = np.full(len(rows), 1 / len(rows)) if shares is None else shares
    strata = np.stack([wins, losses, rows], axis=1).tolist()
    ends = np.array([tango(won, lost, count, confidence) for won, lost, count in strata])
    leads = (wins - losses) / rows
    below, above = np.sqrt(np.square((ends - leads[:, None]) * weights[:, None]).sum(0))
    value = float(leads @ weights)
    return value - float(below), value, value + float(above)


def stakes(pairs: Pairs, metric: Metric) -> Floats:
    """Return what a metric loses if every row of a class is taken for the worst other one, to first order: [classes].

    Classes without rows are left out. Of the mean recall of k classes it is 1 / k, as `score_interval` has it.
    """
    data, counts = pairs.challenger, pairs.counts.astype(np.float64)
    answers = np.eye(data.classes)
    found = []
    for index, rows in enumerate(np.bincount(data.truth, counts)):
        if rows:
            more = joined(data, Scored(np.full(data.classes, index), answers))
            value = metric.function(more, np.hstack([np.tile(counts, (data.classes, 1)), STEP * answers]))
            found.append(float(rows * np.nanmax(value[index] - value)) / STEP)
    return np.array(found)


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


def swap_test(pairs: Pairs, metric: Metric, resamples: int) -> float:
    """Return the two-sided p of the difference in `metric`, if on each row either could have said what the other did.

    Approximate randomisation (Noreen 1989; Yeh 2000 for F1); with the observed arrangement among the draws the test
    is exact (Phipson & Smyth 2010). For accuracy it is McNemar's.
    """
    value = abs(pairs.difference(metric, pairs.counts[None].astype(np.float64))[0])
    there, back = joined(pairs.challenger, pairs.champion), joined(pairs.champion, pairs.challenger)
    both = Pairs(there, back, pairs.counts, pairs.differ)
    as_far = sum(
        int((abs(both.difference(metric, weights)) > value - 1e-12).sum()) for weights in _swaps(pairs, resamples)
    )
    return float(f"{(1 + as_far) / (1 + resamples):.6g}")


def more_rows(
    difference: Estimate, rows: int, margin: float, confidence: float, asked: float | None = None
) -> int | None:
    """Return how many more test rows would prove it with a power of 0.8, if the difference and its spread stay.

    n = ((z_confidence + z_power) sd / (difference - margin))^2 in all (Lachin 1981, Controlled Clinical Trials 2,
    93-113); the deviation of one row, sd, follows from the half width of the interval, z_confidence sd / sqrt(rows).
    `asked` is the confidence at which it has to be proven, where that is another one.

    Returns:
        Rows, two digits, rounded up; None if the difference is not above the margin, or they are more than 10^7.
    """
    normal = NormalDist()
    distance = difference.value - margin
    if distance < 1e-9:
        return None
    half = (difference.high - difference.low) / 2
    proven = normal.inv_cdf((1 + (asked or confidence)) / 2)
    excess = (proven + normal.inv_cdf(POWER)) / normal.inv_cdf((1 + confidence) / 2)
    total = rows * (excess * half / distance) ** 2
    if total > AFFORDABLE:
        return None
    more = max(1, math.ceil(total) - rows)
    unit = int(10 ** max(0, len(str(more)) - 2))
    return math.ceil(more / unit) * unit


def apart(challenger: Scored, champion: Scored, part: Mask, rule: config.Gate) -> Fresh | None:
    """Return the metric of the gate on a `part` of the rows; None if they are fewer than a slice that is judged."""
    if part.sum() < rule.min_slice_rows:
        return None
    known = metrics.beside(rule.metric)
    found = figures.rounded(beside(challenger.of(part), champion.of(part), DRAWS, rule.confidence, known))
    sides = {"challenger": found["model"], "champion": found["baseline"], "difference": found["difference"]}
    return Fresh(rows=int(part.sum()), **{who: Estimate(**of[rule.metric]) for who, of in sides.items()})


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


def _lead(pairs: Pairs, stratum: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows of each stratum that the challenger alone, and the champion alone, gets right, and all rows of it."""
    one, other = pairs.challenger.correct, pairs.champion.correct
    found, place = np.unique(stratum, return_inverse=True)
    parts = (one & ~other, other & ~one, one | True)
    wins, losses, rows = (np.bincount(place, pairs.counts * part, len(found)).astype(np.int64) for part in parts)
    return wins, losses, rows


def _corrected(value: float, drawn: Floats, pairs: Pairs, metric: Metric, confidence: float) -> tuple[float, float]:
    """Ends of the BCa interval with Student's t; `value` twice where no row has influence."""
    influence, rows, truth = _influences(pairs, metric, value)
    variance = np.bincount(truth, rows * influence**2)
    if not drawn.size or variance.sum() < 1e-18:
        return value, value
    sizes = np.bincount(pairs.challenger.truth, pairs.counts, len(variance))
    freedom = variance.sum() ** 2 / (variance**2 / np.maximum(sizes - 1, 1)).sum()
    reach, normal = student((1 + confidence) / 2, freedom), NormalDist()
    skew = (rows * influence**3).sum() / (6 * variance.sum() ** 1.5)
    below = ((drawn < value - 1e-12).mean() + (drawn <= value + 1e-12).mean()) / 2
    bias = normal.inv_cdf(float(np.clip(below, 0.5 / drawn.size, 1 - 0.5 / drawn.size)))
    levels = [normal.cdf(bias + (bias + end) / max(1 - skew * (bias + end), 0.1)) for end in (-reach, reach)]
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def _influences(pairs: Pairs, metric: Metric, value: float) -> tuple[Floats, Floats, Ints]:
    """How much one row more changes the difference, centred; [groups] of kinds, the rows of each, and its true class.

    Kinds are grouped where there are many, neighbours with neighbours.
    """
    kinds = len(pairs.counts)
    groups = min(kinds, GROUPS)
    place = np.arange(kinds) * groups // kinds
    rows: Floats = np.bincount(place, pairs.counts).astype(np.float64)
    counted = one_hot(place, groups).T * pairs.counts
    change: Floats = (pairs.difference(metric, pairs.counts + STEP * counted) - value) / (STEP * rows)
    first = np.searchsorted(place, np.arange(groups))
    return change - change @ rows / rows.sum(), rows, pairs.challenger.truth[first]


def _draws(pairs: Pairs, resamples: int) -> Iterator[Floats]:
    """Weights [draws, kinds] of rows, or of whole groups, drawn with replacement.

    Not as many of each class as there are: that many are chance too, and the precision of a rare class depends on them.
    """
    rng = np.random.default_rng(SEED)
    rows = int(pairs.counts.sum())
    if pairs.place is None or pairs.units is None:
        for size in _portions(resamples, len(pairs.counts)):
            yield rng.multinomial(rows, pairs.counts / rows, size).astype(np.float64)
    else:
        units = int(pairs.units.sum())
        for size in _portions(resamples, len(pairs.counts)):
            yield rng.multinomial(units, pairs.units / units, size)[:, pairs.place].astype(np.float64)


def _swaps(pairs: Pairs, resamples: int) -> Iterator[Floats]:
    """Weights [draws, 2 kinds]: rows of each kind that stay as they are, and rows on which the two change places.

    Of a group all do, or none.
    """
    rng = np.random.default_rng(SEED)
    differ = np.where(pairs.differ, pairs.counts, 0)
    for size in _portions(resamples, 2 * len(pairs.counts)):
        if pairs.place is None or pairs.units is None:
            swapped = rng.binomial(differ, 0.5, (size, len(differ)))
        else:
            swapped = rng.binomial(pairs.units, 0.5, (size, len(pairs.units)))[:, pairs.place] * pairs.differ
        yield np.hstack([pairs.counts - swapped, swapped]).astype(np.float64)


def _portions(resamples: int, width: int) -> Iterator[int]:
    """Sizes that sum to `resamples`, each as many rows of `width` as are held in memory at once."""
    step = max(1, CELLS // width)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def _slices(
    masks: Mapping[tuple[str, str], Mask], challenger: Scored, champion: Scored, least: int, confidence: float
) -> list[Slice]:
    """Accuracy of both on parts of the rows (by what, name), with the interval of its difference where rows are enough.

    That is Tango's, its error shared out among the parts that are judged (Bonferroni): one of them loses by chance the
    more easily, the more there are. Of rows in groups it reaches further, as other intervals do.
    """
    found = [_slice(by, name, part, challenger, champion, least) for (by, name), part in masks.items() if part.any()]
    inner = 1 - (1 - confidence) / max(1, sum(one.judged for one in found))
    return [
        one.model_copy(update=figures.rounded(_reach(masks[one.by, one.name], challenger, champion, inner)))
        if one.judged
        else one
        for one in found
    ]


def _slice(  # noqa: PLR0917, each is of the one slice
    by: str, name: str, part: Mask, challenger: Scored, champion: Scored, least: int
) -> Slice:
    rows = int(part.sum())
    ours, theirs = int(challenger.correct[part].sum()), int(champion.correct[part].sum())
    shares = {"challenger": ours / rows, "champion": theirs / rows, "difference": (ours - theirs) / rows}
    return Slice(by=by, name=name, rows=rows, judged=rows >= least, **figures.rounded(shares))


def _reach(part: Mask, challenger: Scored, champion: Scored, confidence: float) -> dict[str, float]:
    """The ends of the interval of the difference in accuracy on a part of the rows."""
    one, other, rows = challenger.correct[part], champion.correct[part], int(part.sum())
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    lead, gap = (wins - losses) / rows, one.astype(np.int64) - other
    reach = math.sqrt(inflation(gap, challenger.of(part).group, confidence))
    ends = zip(("low", "high"), tango(wins, losses, rows, confidence), strict=True)
    return {name: min(1.0, max(-1.0, lead + reach * (end - lead))) for name, end in ends}
