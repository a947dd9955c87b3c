"""Every metric, once: how it is computed, and how pages name it. A metric is added to `METRICS`, and nowhere else.

A user's own is a function of a module of theirs, see `luodi.scoring.own_metric`. Pages are shown where NumPy is not
installed, so that it is imported by what computes alone; and where no such module is, so that they know it by its name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from luodi.scoring.scored import Floats, Mask, Scored


@dataclass(frozen=True)
class Metric:
    """A figure of scored rows.

    Attributes:
        name: In params.yaml, metrics.json and tags.
        function: Takes rows and weights [draws, rows], see `luodi.scoring.scored`; returns float64 [draws], NaN where
            the figure does not exist.
        title: As pages call it.
        better: 1 where more is better, -1 where less is.
        meaning: What it says, in a few words.
        answers: It sees of a row its true and its predicted class alone, not how sure the classifier was.
    """

    name: str
    function: "Callable[[Scored, Floats], Floats]"
    title: str
    better: Literal[1, -1]
    meaning: str
    answers: bool = False


def accuracy(data: "Scored", weights: "Floats") -> "Floats":
    """Share of rows predicted right, 0 to 1."""
    return _mean(data.correct, weights)


def macro_f1(data: "Scored", weights: "Floats") -> "Floats":
    """Mean over classes of F1 = 2 hits / (rows of the class + predictions of it), 0 to 1.

    A class with neither rows nor predictions has no F1 and is left out of the mean.
    """
    from luodi.scoring.scored import mean_ratio

    return mean_ratio(2 * data.hits(weights), data.support(weights) + data.called(weights))


def balanced_accuracy(data: "Scored", weights: "Floats") -> "Floats":
    """Mean over classes of recall = hits / rows of the class, 0 to 1; a class without rows is left out."""
    from luodi.scoring.scored import mean_ratio

    return mean_ratio(data.hits(weights), data.support(weights))


def average_precision(data: "Scored", weights: "Floats") -> "Floats":
    """Mean over classes of the area under the precision-recall curve of the class against the rest, 0 to 1.

    The area is the sum over thresholds of the rise of recall times the precision there, without interpolation, as in
    scikit-learn. A class without rows is left out.
    """
    import numpy as np

    from luodi.scoring.scored import mean_ratio

    parts = [_precisions(data.scores[:, index], data.truth == index, weights) for index in range(data.classes)]
    return mean_ratio(np.stack(parts, axis=1), data.support(weights))


def roc_auc(data: "Scored", weights: "Floats") -> "Floats":
    """Area under the ROC curve, 0 to 1: of the second of two classes, or the mean of each against the rest.

    A class without rows, or with all of them, has no area and is left out of the mean.
    """
    import numpy as np

    from luodi.scoring.scored import mean_ratio

    classes = [1] if data.classes == 2 else range(data.classes)
    won = [_won(data.scores[:, index], data.truth == index, weights) for index in classes]
    rows = data.support(weights)[:, classes]
    return mean_ratio(np.stack(won, axis=1), rows * (weights.sum(1, keepdims=True) - rows))


def log_loss(data: "Scored", weights: "Floats") -> "Floats":
    """Mean of -ln(probability of the true class), in nats; probabilities below 1.2e-7 count as that."""
    return _mean(data.surprise, weights)


def calibration_error(data: "Scored", weights: "Floats") -> "Floats":
    """Expected calibration error, 0 to 1: mean gap of confidence and accuracy over 15 equally wide bins.

    Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017, equation 3. Drawing rows anew adds noise to every bin,
    so the interval of a well-calibrated classifier lies high.
    """
    result: Floats = abs(weights @ data.gaps).sum(1) / weights.sum(1)
    return result


def _mean(values: "Floats | Mask", weights: "Floats") -> "Floats":
    result: Floats = weights @ values / weights.sum(1)
    return result


def _won(scores: "Floats", positive: "Mask", weights: "Floats") -> "Floats":
    """Pairs of a positive row that scores above a negative one, ties half (Hanley & McNeil 1982): [draws]."""
    import numpy as np

    negatives = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    below = np.zeros((len(weights), len(negatives) + 1))  # weight of the so many lowest negative rows
    np.cumsum(weights[:, negatives], axis=1, out=below[:, 1:])
    first, last = (np.searchsorted(scores[negatives], scores[positive], side) for side in ("left", "right"))
    won: Floats = (weights[:, positive] * (below[:, first] + below[:, last])).sum(1) / 2
    return won


def _precisions(scores: "Floats", positive: "Mask", weights: "Floats") -> "Floats":
    """Sum over the positive rows of the precision among all rows that score as high: [draws]."""
    import numpy as np

    from luodi.scoring.scored import divide

    order = np.argsort(-scores, kind="stable")
    places = np.flatnonzero(positive[order])
    last = np.searchsorted(-scores[order], -scores[order[places]], "right") - 1  # of the rows of equal score
    called = np.take(np.take(weights, order, axis=1).cumsum(1), last, axis=1)
    hits = np.take(weights, order[places], axis=1)
    found = np.take(hits.cumsum(1), np.searchsorted(places, last, "right") - 1, axis=1)
    result: Floats = (hits * np.nan_to_num(divide(found, called))).sum(1)
    return result


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, "Accuracy", 1, "share of rows predicted right", answers=True),
        Metric("macro_f1", macro_f1, "Macro F1", 1, "mean of the classes' F1", answers=True),
        Metric("balanced_accuracy", balanced_accuracy, "Balanced accuracy", 1, "mean of the classes' recall",
               answers=True),
        Metric("average_precision", average_precision, "Average precision", 1,
               "mean of the classes' area under precision and recall"),
        Metric("roc_auc", roc_auc, "ROC AUC", 1, "chance that a positive row scores above a negative one"),
        Metric("log_loss", log_loss, "Log loss", -1, "lower is better; nats per row"),
        Metric("calibration_error", calibration_error, "Calibration error", -1,
               "lower is better; mean gap of confidence and accuracy"),
    )
}  # fmt: skip
"""By name, in the order of pages."""


class Description(NamedTuple):
    """How pages show a metric; of one that they do not know `better` is 0."""

    title: str
    better: Literal[1, 0, -1]
    meaning: str


def described(name: str) -> Description:
    """Describe the metric of that name in metrics.json, whatever wrote it."""
    if metric := METRICS.get(name):
        return Description(metric.title, metric.better, metric.meaning)
    module, colon, function = name.rpartition(":")
    if not colon:
        return Description(name, 0, "")
    return Description(function.replace("_", " ").capitalize(), 1, f"{function} of {module}, of your own")


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of figures in the order of pages: those that luodi knows first."""
    found = set(names)
    return [name for name in METRICS if name in found] + sorted(found - METRICS.keys())


def beside(name: str) -> dict[str, Metric]:
    """Return every metric, with the one of that name, which may be a user's own.

    Raises:
        UserCodeFailed: It is no such function.
    """
    if name in METRICS:
        return METRICS
    from luodi.scoring import own_metric

    return METRICS | {name: own_metric.load(name)}
