"""Whether rows that came differ from those that are there, by how much, and how sure that is.

An effect size decides, with an interval, and never a p-value: of millions of rows every difference is certain, of eight
none is told. A statistic warns where the least that it may be, with `drift.confidence` over all statistics together, is
above its threshold. No statistic looks at more than `MOST` rows, so that the cost, and what sampling decides, is the
same for 50 rows and for millions.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.config.operations import Drift

MOST = 2000
LEAST = 5  # rows of a bin that are expected in what came; a label of fewer is counted among the others
BINS = 10
FOLDS = 2
NONE, WARNING, DRIFT = "none", "warning", "drift"
VERDICTS = (NONE, WARNING, DRIFT)
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Statistic:
    """One that was computed.

    Attributes:
        name: Such as "labels".
        unit: What `value` is.
        value, low: The effect, and the least that it may be.
        warns, alarms: Above which `low` is a warning, and drift.
    """

    name: str
    unit: str
    value: float
    low: float
    warns: float
    alarms: float

    @property
    def verdict(self) -> str:
        """What this statistic makes of what came."""
        return VERDICTS[int(self.low > self.warns) + int(self.low > self.alarms)]


@dataclass(frozen=True)
class Looked:
    """What was found of a batch; without statistics where too few rows came, or were there."""

    rows: int
    before: int
    statistics: tuple[Statistic, ...] = ()

    @property
    def verdict(self) -> str:
        """The gravest of all statistics."""
        return max((one.verdict for one in self.statistics), key=VERDICTS.index, default=NONE)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "verdict": self.verdict,
            "rows": self.rows,
            "before": self.before,
            "statistics": [asdict(one) | {"verdict": one.verdict} for one in self.statistics],
        }


@dataclass(frozen=True)
class Rows:
    """Some rows, drawn at random.

    Attributes:
        labels: Of each.
        measures: Numbers of each by their name: characters, or intensity and contrast.
        texts: None of images.
        right, sure: Whether the champion is right on it, and its highest probability; None without a champion, or
            where nobody knows. Either may be of other rows than the rest.
    """

    labels: Sequence[str]
    measures: dict[str, Values]
    texts: Sequence[str] | None = None
    right: NDArray[np.bool_] | None = None
    sure: Values | None = None


def look(before: Rows, came: Rows, limits: Drift) -> Looked:
    """Compare what came with what was there.

    Args:
        before: Of which `right` and `sure` are of test rows of the champion: as many as there are.
    """
    counts = len(came.labels), len(before.labels)
    if min(counts) < limits.min_rows:
        return Looked(*counts)
    right = (
        None if came.right is None or before.right is None else (before.right.astype(float), came.right.astype(float))
    )
    sure = None if came.sure is None or before.sure is None else (before.sure, came.sure)
    many = 1 + len(came.measures) + 2 * (came.texts is not None) + (right is not None) + (sure is not None)
    error = (1 - limits.confidence) / many  # Bonferroni: a batch is told from one of the same source by no statistic
    found = [_psi("labels", *_by_label(before.labels, came.labels), limits, error)]
    found += [_psi(name, *_by_bin(before.measures[name], came.measures[name]), limits, error) for name in came.measures]
    if came.texts is not None and before.texts is not None:
        found += [
            _told_apart(before.texts, came.texts, limits, error),
            _unknown(before.texts, came.texts, limits, error),
        ]
    if right:
        found.append(_fewer("accuracy", *right, limits.accuracy, error))
    if sure:
        found.append(_fewer("confidence", *sure, limits.confidence_loss, error))
    return Looked(*counts, tuple(found))


def stability(before: NDArray[np.int64], came: NDArray[np.int64], error: float) -> tuple[float, float]:
    """Return the population stability index of two counts [bins], and the least that it may be.

    Over 1 / rows it is a noncentral chi-square of bins - 1 degrees (Yurdakul, "Statistical Properties of Population
    Stability Index", 2018, of which the central case is proven); the interval inverts that. A bin without a row counts
    as half a row.
    """
    from scipy import special

    one, other = (np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum() for counts in (before, came))
    index = float(((other - one) * np.log(other / one)).sum())
    scale, degrees = 1 / before.sum() + 1 / came.sum(), len(before) - 1
    if degrees < 1:
        return 0.0, 0.0
    found = index / scale
    if special.chdtrc(degrees, found) >= error:
        return index, 0.0
    return index, float(special.chndtrinc(found, degrees, 1 - error) * scale)


def _psi(name: str, before: Any, came: Any, limits: Drift, error: float) -> Statistic:
    return Statistic(name, "population stability index", *stability(before, came, error), *limits.stability)


def _by_label(before: Sequence[str], came: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of each label that is frequent enough, and of the others together."""
    one, other = Counter(before), Counter(came)
    share = {label: (one[label] + other[label]) / (len(before) + len(came)) for label in {*one, *other}}
    own = sorted(label for label in share if share[label] * len(came) >= LEAST)
    rest = [label for label in share if label not in own]
    bins = [[label] for label in own] + ([rest] if rest else [])
    return tuple(np.array([sum(counts[label] for label in bin_) for bin_ in bins]) for counts in (one, other))  # type: ignore[return-value]


def _by_bin(before: Values, came: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts between the quantiles of what was there."""
    bins = max(2, min(BINS, len(came) // (2 * LEAST)))
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    return tuple(
        np.bincount(np.searchsorted(edges, one, side="right"), minlength=len(edges) + 1) for one in (before, came)
    )  # type: ignore[return-value]


def _told_apart(before: Sequence[str], came: Sequence[str], limits: Drift, error: float) -> Statistic:
    """How well naive Bayes on n-grams tells what came from what was there: the area under its ROC curve.

    The least by Hanley and McNeil (1982), conservative for it takes the greater of the two errors, of the area found
    and of none.
    """
    from scipy import special
    from sklearn.metrics import roc_auc_score

    y, scores, turn = _odds(before, came)
    # Scores of two models are compared by their ranks among those that the same model gave.
    areas = [float(roc_auc_score(y[turn == fold], scores[turn == fold])) for fold in range(FOLDS)]
    area = float(np.mean(areas))
    wide = max(_hanley(one, len(came), len(before)) for one in (area, 0.5))
    least = area + float(special.ndtri(error)) * wide
    return Statistic(
        "n-grams", "area under the curve of a model that tells them apart", area, least, *limits.told_apart
    )


def strangeness(before: Rows, came: Rows) -> Values:
    """Return how little each row that came is like those before, float64 [rows]; of texts by the model of `look`.

    Of images it is by how many deviations the measure that is farthest away lies from the mean.
    """
    if came.texts is not None and before.texts is not None:
        return _odds(before.texts, came.texts)[1][len(before.texts) :]
    away = [abs(came.measures[name] - one.mean()) / max(one.std(), 1e-9) for name, one in before.measures.items()]
    farthest: Values = np.max(away, axis=0)
    return farthest


def _odds(before: Sequence[str], came: Sequence[str]) -> tuple[NDArray[np.int64], Values, NDArray[np.int64]]:
    """Which texts came (0 or 1), the log-odds of it for each character, by a model of the other half, and the half."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.naive_bayes import ComplementNB

    hashed = HashingVectorizer(
        analyzer="char", ngram_range=(1, 2), binary=True, norm=None, n_features=2**16, alternate_sign=False
    )
    x, y = hashed.transform([*before, *came]), np.repeat([0, 1], [len(before), len(came)])
    turn, scores = np.arange(len(y)) % FOLDS, np.zeros(len(y))
    for fold in range(FOLDS):
        model = ComplementNB().fit(x[turn != fold], y[turn != fold])
        found = model.predict_joint_log_proba(x[turn == fold])
        scores[turn == fold] = (found[:, 1] - found[:, 0]) / (1 + x[turn == fold].sum(axis=1).A1)
    return y, scores, turn


def _hanley(area: float, ones: int, others: int) -> float:
    area = min(max(area, 0.5), 1 - 1e-9)
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (ones - 1) * (first - area**2) + (others - 1) * (second - area**2)
    return math.sqrt(max(spread, 0) / (ones * others))


def _unknown(before: Sequence[str], came: Sequence[str], limits: Drift, error: float) -> Statistic:
    """How much more of a text is pairs of characters that one half of the texts before does not have."""
    known = {pair for text in before[::2] for pair in _pairs(text)}
    shares = [np.array([_share(text, known) for text in texts]) for texts in (before[1::2], came)]
    return _fewer("unknown n-grams", -shares[0], -shares[1], limits.unknown, error, unit="share of a text more")


def _pairs(text: str) -> set[str]:
    return {text[place : place + 2] for place in range(len(text) - 1)}


def _share(text: str, known: set[str]) -> float:
    pairs = _pairs(text)
    return len(pairs - known) / len(pairs) if pairs else 0.0


def _fewer(
    name: str, before: Values, came: Values, limits: tuple[float, float], error: float, *, unit: str = "points less"
) -> Statistic:
    """How much less the mean is of what came; the least by Welch's interval, of a deviation that is not taken for 0."""
    from scipy import special

    value = float(before.mean() - came.mean())
    deviation = [max(float(one.std(ddof=1)), 0.5 / math.sqrt(len(one))) / math.sqrt(len(one)) for one in (before, came)]
    wide = math.hypot(*deviation)
    freedom = wide**4 / sum(one**4 / (len(rows) - 1) for one, rows in zip(deviation, (before, came), strict=True))
    return Statistic(name, unit, value, value - float(-special.stdtrit(freedom, error)) * wide, *limits)
