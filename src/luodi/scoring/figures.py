"""What the scores of a classifier are worth: metrics with their intervals, classes, slices. NumPy alone.

Draws of the rows with replacement give the distribution behind an interval (percentile bootstrap: Efron & Tibshirani
1993, chapter 13). Two classifiers are compared on the same draws, so that the interval of their difference is paired.

Rows of a group (an author's, copies of one text) may be right or wrong together, and then say less than their number
does: whole groups are drawn, and the interval of a share is that of so many rows, each for itself, as say as much: see
`share`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.scoring.metrics import METRICS, Metric
from luodi.scoring.scored import BINS, Floats, Ints, Mask, Scored, bin_of, divide, joined, one_hot

Figure = dict[str, float]
"""value, low, high."""

ENDS = ("value", "low", "high")
SEED = 20240501
CELLS = 1 << 22  # draws x rows held in memory at once: 32 MB of float64
SOURCES = 20


def point(data: Scored, metrics: Mapping[str, Metric] = METRICS) -> dict[str, float]:
    """Return every figure that is defined on these rows."""
    ones = np.ones((1, data.rows))
    values = {name: float(metric.function(data, ones)[0]) for name, metric in metrics.items()}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def compare(
    model: Scored,
    baseline: Scored,
    resamples: int,
    confidence: float,
    metrics: Mapping[str, Metric] = METRICS,
) -> dict[str, dict[str, Figure]]:
    """Return the figures of `model`, of `baseline` and of model minus baseline, each as value, low and high.

    Args:
        model, baseline: The same rows, scored by two classifiers.
        resamples: Number of bootstrap draws.
        confidence: Probability that an interval is to cover, such as 0.95.
        metrics: What is measured, by name.
    """
    both = {"model": model, "baseline": baseline}
    drawn = {who: _distributions(data, resamples, metrics) for who, data in both.items()}
    values = {who: point(data, metrics) for who, data in both.items()}
    drawn["difference"] = {name: drawn["model"][name] - drawn["baseline"][name] for name in metrics}
    values["difference"] = {name: value - values["baseline"][name] for name, value in values["model"].items()}
    return {
        **{who: _estimates(data, values[who], drawn[who], confidence, metrics) for who, data in both.items()},
        "difference": {
            name: interval(value, drawn["difference"][name], confidence) for name, value in values["difference"].items()
        },
    }


def _estimates(
    data: Scored,
    values: dict[str, float],
    drawn: dict[str, Floats],
    confidence: float,
    metrics: Mapping[str, Metric],
) -> dict[str, Figure]:
    """The metrics with their intervals. Of a share that is Wilson's: where all rows are right a bootstrap has no width.

    For the same reason other metrics of answers, and any without width, reach as far as that of the mean recall does.
    """
    recall = mean_share([share(data.of(data.truth == index), confidence) for index in np.unique(data.truth)])
    found = {name: interval(value, drawn[name], confidence) for name, value in values.items()}
    for name, figure in found.items():
        known = name in METRICS and metrics[name].answers  # one of a user's own may weigh the classes in any way
        if metrics[name].better > 0 and (known or figure["low"] == figure["high"]):
            below, above = recall["value"] - recall["low"], recall["high"] - recall["value"]
            figure["low"] = min(figure["low"], max(0.0, figure["value"] - below))
            figure["high"] = max(figure["high"], min(1.0, figure["value"] + above))
    return found | {"accuracy": share(data, confidence)}


def draws(rows: int, resamples: int, seed: int = SEED, group: Ints | None = None) -> Iterator[Floats]:
    """Yield weights [draws, rows] of rows, or of whole groups, drawn with replacement; `resamples` draws in all."""
    rng = np.random.default_rng(seed)
    place = np.arange(rows) if group is None else np.unique(group, return_inverse=True)[1]
    units, step = int(place.max()) + 1, max(1, CELLS // rows)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        places = rng.integers(units, size=(count, units)) + units * np.arange(count)[:, None]
        counts = np.bincount(places.ravel(), minlength=count * units).reshape(count, units).astype(np.float64)
        yield counts if group is None else counts[:, place]


def calibration_by_chance(data: Scored, confidence: float, resamples: int = 1000) -> float:
    """Return the mean calibration error of a perfectly calibrated classifier that is as sure as this one on these rows.

    Few rows give a large error to anybody. Rows are right by chance, each as often as its confidence says (consistency
    resampling, Broecker & Smith 2007). By the triangle inequality an error exceeds the true one by this on average, at
    most. Rows in groups are as few as say as much, see `inflation`: the error grows by the root of it, at most to 1.
    """
    rng, bins = np.random.default_rng(SEED), one_hot(bin_of(data.confidence), BINS)
    step, found = max(1, CELLS // data.rows), []
    for start in range(0, resamples, step):
        right = rng.random((min(step, resamples - start), data.rows)) < data.confidence
        found.append(abs((data.confidence - right) @ bins).sum(1) / data.rows)
    return min(1.0, float(np.concatenate(found).mean()) * math.sqrt(inflation(data.correct, data.group, confidence)))


def interval(value: float, drawn: Floats, confidence: float) -> Figure:
    """Return the percentile interval around `value`; draws on which the figure is undefined are left out.

    It reaches to `value` where all draws but a few lie to one side: rows that repeat make a calibration error larger.
    """
    defined = drawn[~np.isnan(drawn)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]) if defined.size else (value, value)
    return {"value": value, "low": min(float(low), value), "high": max(float(high), value)}


def share(data: Scored, confidence: float) -> Figure:
    """Return the share of the rows that are right with Wilson's interval, of at least one row.

    Of rows in groups it is that of `rows` / `inflation` rows, each for itself, and reaches at least as far as if all
    rows were right, or all wrong: an error is no proof of more.
    """
    hits, fewer = int(data.correct.sum()), inflation(data.correct, data.group, confidence)
    if data.group is None:
        return wilson(hits, data.rows, confidence)
    found, units = wilson(hits / fewer, data.rows / fewer, confidence), data.rows / wholly(counted(data.group))
    low, high = wilson(units, units, confidence)["low"], wilson(0, units, confidence)["high"]
    return found | {"low": min(found["low"], low), "high": max(found["high"], high)}


def inflation(values: NDArray[Any], group: Ints | None, confidence: float) -> float:
    """Return how many rows say as much of a mean as one for itself would: at least 1, and 1 where none stand together.

    That is the design effect (Rao & Scott 1992, Biometrics 48, 577-585), see `cautious`, and more where few groups tell
    it, by as much as Student's t lies beyond the normal (Korn & Graubard 1998, Survey Methodology 24, 193-201).

    Args:
        values: What each row says, [rows].
    """
    if group is None:
        return 1.0
    _, place, sizes = np.unique(group, return_inverse=True, return_counts=True)
    units, apart = len(sizes), values - values.mean()
    if units == len(values):
        return 1.0
    telling = len(values) - int(counted(values).max())
    if units == 1 or not telling:
        return wholly(sizes)
    effect = units / (units - 1) * (np.bincount(place, apart) ** 2).sum() / (apart**2).sum()
    probability = (1 + confidence) / 2
    few = student(probability, units - 1) / NormalDist().inv_cdf(probability)
    return cautious(float(effect), wholly(sizes), telling) * few**2


def counted(values: NDArray[Any]) -> Ints:
    """How many there are of each value."""
    return np.unique(values, return_counts=True)[1]


def wholly(sizes: Ints) -> float:
    """Return the design effect of groups of which all rows say the same; sizes is int64 [groups]."""
    return float((sizes**2).sum() / sizes.sum())


def cautious(effect: float, most: float, telling: int) -> float:
    """Return a design effect of at least 1, nearer to `most`, that of groups which are alike, the fewer rows tell it.

    It is the mean of what `telling` rows show and of one more, whose group would say the same in all its rows: one
    error alone is in one group whatever groups are, and does not show that rows err each for itself. So the lower end
    of a 95% interval lies above a share of 0.85 to 0.995, of 15 to 200 groups of 2 to 5 rows, in at most 2.8% of
    samples, and in up to 7.9% by the effect as it is found.
    """
    return (telling * max(1.0, effect) + most) / (telling + 1)


def student(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t, by the series of Abramowitz & Stegun 26.7.5: to 0.01 from 4 degrees on."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def wilson(hits: float, rows: float, confidence: float) -> Figure:
    """Return the share `hits` / `rows` with its score interval (Wilson 1927), fit for few rows too."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / rows
    middle = share + z * z / (2 * rows)
    half = z * float(np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)))
    scale = 1 + z * z / rows
    low, high = max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
    return {"value": share, "low": min(low, share), "high": max(high, share)}


def mean_share(parts: Sequence[Mapping[str, float]]) -> Figure:
    """Return the mean of the shares of strata; their intervals are joined as in Zou & Donner 2008."""
    value = float(np.mean([part["value"] for part in parts]))
    below, above = (
        float(np.sqrt(sum((part["value"] - part[end]) ** 2 for part in parts))) / len(parts) for end in ("low", "high")
    )
    return {"value": value, "low": value - below, "high": value + above}


def confusion(data: Scored) -> Ints:
    """Return counts of rows, int64 [true class, predicted class]."""
    places = data.truth * data.classes + data.predicted
    return np.bincount(places, minlength=data.classes**2).reshape(data.classes, data.classes)


def per_class(data: Scored) -> list[dict[str, float | None]]:
    """Return precision, recall, f1 and support (rows) of every class; None where there is nothing to divide by."""
    counts = confusion(data)
    hits, support, called = counts.diagonal(), counts.sum(1), counts.sum(0)
    columns = {
        "precision": divide(hits, called), "recall": divide(hits, support), "f1": divide(2 * hits, support + called)
    }  # fmt: skip
    return [
        {name: None if np.isnan(column[index]) else float(column[index]) for name, column in columns.items()}
        | {"support": int(support[index])}
        for index in range(data.classes)
    ]


def predictions(data: Scored, confidence: float) -> list[dict[str, float | None]]:
    """Return of every class how precise its predictions are: value, low, high (None without any), rows.

    The interval is that of `share`: of the rows that are called so, each is of the class or not.
    """
    return [_existing(data.of(data.predicted == index), confidence) for index in range(data.classes)]


def judged(data: Scored, others: Scored, confidence: float) -> list[dict[str, float | None]]:
    """Return of every class its recall over the rows of both: value, low, high (None without rows), rows, out_of_fold.

    Args:
        data: The test rows, without those of classes that the model was not fitted on: they tell of no recipe.
        others: Rows that were scored out of fold, likewise; `out_of_fold` counts those of the class.
        confidence: Of the interval of `share`.
    """
    both = joined(data, others)
    return [
        {**_existing(both.of(both.truth == index), confidence), "out_of_fold": int((others.truth == index).sum())}
        for index in range(data.classes)
    ]


def taken_for(data: Scored) -> dict[int, int]:
    """Return of each class that has rows, none of which is recognised, the class that most of them are taken for."""
    counts = confusion(data)
    missed = np.flatnonzero((counts.sum(1) > 0) & (counts.diagonal() == 0))
    return {index: int(counts[index].argmax()) for index in missed.tolist()}


def unlearned(label: NDArray[np.int32], group: Ints, learned: Mask) -> dict[int, dict[str, int]]:
    """Count by class the rows that cannot judge it, since what scores them was not fitted on it: rows, groups.

    Args:
        label, group, learned: Of all rows [n]; `learned` as of `luodi.scoring.folds.knowing`.
    """
    return {
        int(index): {"rows": int(part.sum()), "groups": len(np.unique(group[part]))}
        for index in np.unique(label[~learned])
        for part in [~learned & (label == index)]
    }


def quartile_slices(values: NDArray[Any], data: Scored, confidence: float) -> dict[str, Figure]:
    """Return accuracy by quartile of `values` [rows], see `quartiles`: value, low, high, rows, from, to."""
    return {
        name: _slice(part, data, confidence) | {"from": values[part].min().item(), "to": values[part].max().item()}
        for name, part in quartiles(values).items()
    }


def source_slices(sources: Sequence[str], data: Scored, confidence: float) -> dict[str, Figure]:
    """Return accuracy by source, see `largest`: value, low, high, rows."""
    return {name: _slice(part, data, confidence) for name, part in largest(sources).items()}


def near_slices(places: Ints, level: Sequence[str | None], data: Scored, confidence: float) -> dict[str, Figure]:
    """Return accuracy on rows with and without a near train row, and by how near: value, low, high, rows.

    Args:
        places: Rows that were looked at [n].
        level: How near a train row comes, None where it does not [n]; in the order in which they are to be told.
    """
    names = np.array([name or "" for name in level], object)
    parts = {"near": names != "", "not near": names == ""} | {name: names == name for name in level if name}
    masks = {name: np.isin(np.arange(data.rows), places[part]) for name, part in parts.items() if part.any()}
    return {name: _slice(mask, data, confidence) for name, mask in masks.items()}


# Parts of the rows: each is a mask, bool [rows], by name; none is empty.


def quartiles(values: NDArray[Any]) -> dict[str, Mask]:
    """Part rows by quartile of `values` [rows], "q1" (lowest) to "q4"; rows of one value share a quartile."""
    edges = np.quantile(values, [0.25, 0.5, 0.75])
    quartile = np.searchsorted(edges, values, side="left")
    parts = {f"q{index + 1}": quartile == index for index in range(4)}
    return {name: part for name, part in parts.items() if part.any()}


def largest(sources: Sequence[str]) -> dict[str, Mask]:
    """Part rows by source: the 20 sources with most rows, most first."""
    names, codes, counts = np.unique(np.array(sources, object), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:SOURCES]
    return {str(names[index]): codes == index for index in order}


def rounded(value: Any) -> Any:
    """Return nested dicts with every float at 6 digits, so that files differ only where figures do."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 6) + 0.0 if isinstance(value, float) else value  # + 0.0 turns -0.0 into 0.0


def _distributions(data: Scored, resamples: int, metrics: Mapping[str, Metric]) -> dict[str, Floats]:
    """Every figure on every draw: float64 [resamples] each."""
    chunks = [
        {name: metric.function(data, weights) for name, metric in metrics.items()}
        for weights in draws(data.rows, resamples, group=data.group)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in metrics}


def _slice(part: Mask, data: Scored, confidence: float) -> Figure:
    return share(data.of(part), confidence) | {"rows": int(part.sum())}


def _existing(data: Scored, confidence: float) -> dict[str, float | None]:
    """The share of what may be no rows: value, low, high (None without any), rows."""
    return {**(share(data, confidence) if data.rows else dict.fromkeys(ENDS)), "rows": data.rows}
