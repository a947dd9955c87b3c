"""The points of the plots, as the report draws them and as rows of CSV for `dvc plots`."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from luodi.scoring.scored import BINS, Floats, Scored, bin_of

POINTS = 200
Points = list[tuple[float, float]]


def roc(data: Scored) -> Points:
    """Return (false positive rate, true positive rate) from (0, 0) to (1, 1), at most 200 points.

    Two classes: the curve of the second. More: each against the rest, all pooled (micro-average). Empty if
    the rows are all positive or all negative.
    """
    hits, alarms = _cumulative(data)
    if hits[-1] == 0 or alarms[-1] == 0:
        return []
    return _thinned(alarms / alarms[-1], hits / hits[-1])


def precision_recall(data: Scored) -> Points:
    """Return (recall, precision) by rising recall, at most 200 points, pooled as in `roc`.

    The first point repeats the first precision at recall 0. Empty without positives.
    """
    hits, alarms = _cumulative(data)
    if hits[-1] == 0:
        return []
    precision = hits[1:] / (hits[1:] + alarms[1:])
    return _thinned(hits / hits[-1], np.concatenate([precision[:1], precision]))


def calibration(data: Scored) -> list[dict[str, float]]:
    """Return the bins that hold rows: from, to, rows, confidence (mean), accuracy."""
    bins = bin_of(data.confidence)
    parts = [(index, bins == index) for index in range(BINS)]
    return [
        {
            "from": index / BINS,
            "to": (index + 1) / BINS,
            "rows": int(part.sum()),
            "confidence": float(data.confidence[part].mean()),
            "accuracy": float(data.correct[part].mean()),
        }
        for index, part in parts
        if part.any()
    ]


def tables(data: Scored, labels: Sequence[str]) -> dict[str, str]:
    """Return the CSV files of `dvc plots` by file name.

    confusion.csv has one line for every row, since DVC's confusion template counts lines.
    """
    pairs = zip(data.truth.tolist(), data.predicted.tolist(), strict=True)
    bins = calibration(data)
    return {
        "confusion.csv": csv_text(("actual", "predicted"), ((labels[a], labels[b]) for a, b in pairs)),
        "calibration.csv": csv_text(tuple(bins[0]), (tuple(line.values()) for line in bins)),
        "roc.csv": csv_text(("false_positive_rate", "true_positive_rate"), roc(data)),
        "precision_recall.csv": csv_text(("recall", "precision"), precision_recall(data)),
    }


def csv_text(header: Sequence[str], lines: Iterable[Sequence[str | float]]) -> str:
    """Return CSV with floats at 6 digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([round(cell, 6) if isinstance(cell, float) else cell for cell in line] for line in lines)
    return text.getvalue()


def _cumulative(data: Scored) -> tuple[Floats, Floats]:
    """Positives and negatives at or above each distinct score, highest first, from (0, 0) on."""
    scores, positive = _pooled(data)
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # the last row of each run of equal scores
    hits = positive[order].cumsum()[last]
    return np.append(0.0, hits), np.append(0.0, last + 1 - hits)


def _pooled(data: Scored) -> tuple[Floats, NDArray[np.bool_]]:
    truth = data.truth[:, None] == np.arange(data.classes)
    if data.classes == 2:
        return data.scores[:, 1], truth[:, 1]
    return data.scores.ravel(), truth.ravel()


def _thinned(x: Floats, y: Floats) -> Points:
    """At most 200 points, evenly spaced along the list, both ends kept."""
    picked = np.unique(np.linspace(0, len(x) - 1, min(POINTS, len(x))).round().astype(np.int64))
    return list(zip(x[picked].tolist(), y[picked].tolist(), strict=True))
