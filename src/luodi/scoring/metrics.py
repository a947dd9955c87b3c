"""What a classifier's scores are worth: figures, their intervals, and their parts. NumPy alone.

Every figure is computed for many weightings of the rows at once: `weights` is float64 [draws, rows] and says
how often each row counts. One draw of ones gives the value on the test rows; draws with replacement give the
distribution behind the interval (percentile bootstrap: Efron & Tibshirani 1993, chapter 13). Two classifiers
are compared on the same draws, so that the interval of their difference is a paired one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.errors import ArtifactError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Figure = dict[str, float]
"""value, low, high."""

BINS = 15
SEED = 20240501
CELLS = 1 << 22  # draws x rows held in memory at once: 32 MB of float64
SMALLEST = float(np.finfo(np.float32).eps)  # scores are float32: a smaller probability is rounding
SOURCES = 20


@dataclass(frozen=True)
class Scored:
    """True classes, int64 [rows], and the probabilities a classifier gave, float64 [rows, classes]."""

    truth: Ints
    scores: Floats

    @property
    def rows(self) -> int:
        return int(self.scores.shape[0])

    @property
    def classes(self) -> int:
        return int(self.scores.shape[1])

    @cached_property
    def predicted(self) -> Ints:
        """Most probable class, int64 [rows]; of equal ones the first."""
        places: Ints = self.scores.argmax(1)
        return places

    @cached_property
    def confidence(self) -> Floats:
        """Probability of the predicted class, float64 [rows]."""
        highest: Floats = self.scores.max(1)
        return highest

    @cached_property
    def correct(self) -> Mask:
        right: Mask = self.predicted == self.truth
        return right


def scored(truth: NDArray[Any], scores: NDArray[Any], name: str, classes: int) -> Scored:
    """Pair truth with the scores of classifier `name`.

    Raises:
        ArtifactError: The scores are not [rows, classes], or a row is no probability distribution (to 0.001).
    """
    expected = (len(truth), classes)
    if scores.shape != expected:
        raise ArtifactError(
            f"scores of the {name}: expected shape {expected} (test rows, classes), found {scores.shape}: "
            f"run the stage of the {name} again"
        )
    values = scores.astype(np.float64)
    good = np.isfinite(values).all(1) & (values >= 0).all(1) & (abs(values.sum(1) - 1) < 1e-3)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise ArtifactError(
            f"scores of the {name}: expected probabilities that sum to 1, found {int((~good).sum())} of "
            f"{len(good)} rows that do not, first row {first}: {scores[first].tolist()[:5]}; a model that "
            "gives NaN has diverged: lower train.learning_rate in params.yaml and train again"
        )
    return Scored(truth.astype(np.int64), values)


# Figures: each takes rows and weights [draws, rows] and returns float64 [draws], NaN where undefined.


def accuracy(data: Scored, weights: Floats) -> Floats:
    """Share of rows predicted right, 0 to 1."""
    return _mean(data.correct.astype(np.float64), weights)


def macro_f1(data: Scored, weights: Floats) -> Floats:
    """Mean over classes of F1 = 2 hits / (rows of the class + predictions of it), 0 to 1.

    A class with neither rows nor predictions has no F1 and is left out of the mean.
    """
    truth, predicted = _one_hot(data.truth, data.classes), _one_hot(data.predicted, data.classes)
    return _mean_defined(_divide(2 * weights @ (truth * predicted), weights @ (truth + predicted)))


def roc_auc(data: Scored, weights: Floats) -> Floats:
    """Area under the ROC curve, 0 to 1: of the second of two classes, or the mean of each against the rest.

    A class without rows, or with all of them, has no area and is left out of the mean.
    """
    classes = [1] if data.classes == 2 else range(data.classes)
    areas = [_area(data.scores[:, index], data.truth == index, weights) for index in classes]
    return _mean_defined(np.stack(areas, axis=1))


def log_loss(data: Scored, weights: Floats) -> Floats:
    """Mean of -ln(probability of the true class), in nats; probabilities below 1.2e-7 count as that."""
    chosen = data.scores[np.arange(data.rows), data.truth]
    return _mean(-np.log(chosen.clip(SMALLEST, 1)), weights)


def calibration_error(data: Scored, weights: Floats) -> Floats:
    """Expected calibration error, 0 to 1: mean gap of confidence and accuracy over 15 equally wide bins.

    Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017, equation 3. Drawing rows anew adds noise to every bin,
    so the interval of a well-calibrated classifier lies high.
    """
    gaps = (data.confidence - data.correct)[:, None] * _one_hot(bin_of(data.confidence), BINS)
    result: Floats = abs(weights @ gaps).sum(1) / weights.sum(1)
    return result


FIGURES: dict[str, Callable[[Scored, Floats], Floats]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "roc_auc": roc_auc,
    "log_loss": log_loss,
    "calibration_error": calibration_error,
}


def point(data: Scored) -> dict[str, float]:
    """Return every figure that is defined on these rows."""
    ones = np.ones((1, data.rows))
    values = {name: float(figure(data, ones)[0]) for name, figure in FIGURES.items()}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def compare(model: Scored, baseline: Scored, resamples: int, confidence: float) -> dict[str, dict[str, Figure]]:
    """Return the figures of `model`, of `baseline` and of model minus baseline, each as value, low and high.

    Args:
        model, baseline: The same rows, scored by two classifiers.
        resamples: Number of bootstrap draws.
        confidence: Probability that an interval is to cover, such as 0.95.
    """
    drawn = {"model": _distributions(model, resamples), "baseline": _distributions(baseline, resamples)}
    values = {"model": point(model), "baseline": point(baseline)}
    drawn["difference"] = {name: drawn["model"][name] - drawn["baseline"][name] for name in FIGURES}
    values["difference"] = {name: value - values["baseline"][name] for name, value in values["model"].items()}
    return {
        who: {name: interval(value, drawn[who][name], confidence) for name, value in figures.items()}
        for who, figures in values.items()
    }


def draws(rows: int, resamples: int, seed: int = SEED) -> Iterator[Floats]:
    """Yield weights [draws, rows] of rows drawn with replacement, `resamples` draws in all."""
    rng = np.random.default_rng(seed)
    step = max(1, CELLS // rows)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        places = rng.integers(rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        counts = np.bincount(places.ravel(), minlength=count * rows)
        yield counts.reshape(count, rows).astype(np.float64)


def interval(value: float, drawn: Floats, confidence: float) -> Figure:
    """Return the percentile interval around `value`; draws on which the figure is undefined are left out."""
    defined = drawn[~np.isnan(drawn)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]) if defined.size else (value, value)
    return {"value": value, "low": float(low), "high": float(high)}


def wilson(hits: int, rows: int, confidence: float) -> Figure:
    """Return the share `hits` / `rows` with its score interval (Wilson 1927), fit for few rows too."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / rows
    middle = share + z * z / (2 * rows)
    half = z * float(np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)))
    scale = 1 + z * z / rows
    low, high = max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
    return {"value": share, "low": min(low, share), "high": max(high, share)}


def confusion(data: Scored) -> Ints:
    """Return counts of rows, int64 [true class, predicted class]."""
    places = data.truth * data.classes + data.predicted
    return np.bincount(places, minlength=data.classes**2).reshape(data.classes, data.classes)


def per_class(data: Scored) -> list[Figure]:
    """Return precision, recall, f1 and support (rows) of every class; 0 where there is nothing to divide."""
    counts = confusion(data)
    hits, support, called = counts.diagonal(), counts.sum(1), counts.sum(0)
    columns = {
        "precision": np.nan_to_num(_divide(hits, called)),
        "recall": np.nan_to_num(_divide(hits, support)),
        "f1": np.nan_to_num(_divide(2 * hits, support + called)),
    }
    return [
        {name: float(column[index]) for name, column in columns.items()} | {"support": int(support[index])}
        for index in range(data.classes)
    ]


def quartile_slices(values: NDArray[Any], data: Scored, confidence: float) -> dict[str, Figure]:
    """Return accuracy by quartile of `values` [rows], see `quartiles`: value, low, high, rows, from, to."""
    return {
        name: _slice(part, data, confidence) | {"from": values[part].min().item(), "to": values[part].max().item()}
        for name, part in quartiles(values).items()
    }


def source_slices(sources: Sequence[str], data: Scored, confidence: float) -> dict[str, Figure]:
    """Return accuracy by source, see `largest`: value, low, high, rows."""
    return {name: _slice(part, data, confidence) for name, part in largest(sources).items()}


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


def bin_of(confidence: Floats) -> Ints:
    """Return the calibration bin of each confidence, 0 to 14: bin b holds (b / 15, (b + 1) / 15]."""
    return (np.ceil(confidence * BINS) - 1).clip(0, BINS - 1).astype(np.int64)


def rounded(value: Any) -> Any:
    """Return nested dicts with every float at 6 digits, so that files differ only where figures do."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 6) + 0.0 if isinstance(value, float) else value  # + 0.0 turns -0.0 into 0.0


def _distributions(data: Scored, resamples: int) -> dict[str, Floats]:
    """Every figure on every draw: float64 [resamples] each."""
    chunks = [
        {name: figure(data, weights) for name, figure in FIGURES.items()} for weights in draws(data.rows, resamples)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in FIGURES}


def _slice(part: Mask, data: Scored, confidence: float) -> Figure:
    rows = int(part.sum())
    return wilson(int(data.correct[part].sum()), rows, confidence) | {"rows": rows}


def _area(scores: Floats, positive: Mask, weights: Floats) -> Floats:
    """Chance that a positive row scores above a negative one, ties half (Hanley & McNeil 1982): [draws]."""
    negatives = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    below = np.zeros((len(weights), len(negatives) + 1))  # weight of the so many lowest negative rows
    np.cumsum(weights[:, negatives], axis=1, out=below[:, 1:])
    first, last = (np.searchsorted(scores[negatives], scores[positive], side) for side in ("left", "right"))
    drawn = weights[:, positive]
    won = (drawn * (below[:, first] + below[:, last])).sum(1) / 2
    return _divide(won, drawn.sum(1) * below[:, -1])


def _mean(values: Floats, weights: Floats) -> Floats:
    result: Floats = weights @ values / weights.sum(1)
    return result


def _mean_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    return _divide(np.where(defined, values, 0).sum(-1), defined.sum(-1))


def _divide(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """NaN, and no warning, where `below` is 0."""
    result: Floats = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return result


def _one_hot(places: Ints, size: int) -> Floats:
    result: Floats = np.eye(size)[places]
    return result
