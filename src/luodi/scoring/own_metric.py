"""The metric of a user's own that `gate.metric` names as MODULE:FUNCTION.

The function takes, by the names of its parameters, what it needs of the rows that a classifier scored:

    truth: True classes, int64 [rows], places in `labels` of params.yaml.
    predicted: The most probable classes, int64 [rows].
    probabilities: Of each class, float64 [rows, classes].
    weights: How often each row counts, float64 [draws, rows]: of each draw another weighting. Rows of one kind may come
        as one row, and a weight may be a fraction.

It returns a figure for each draw: from -1 to 1, more is better, NaN where there is none. That is what the margins, the
minimum and the paired bootstrap of the gate ask of a figure.
"""

import inspect

import numpy as np

from luodi.config import user_code
from luodi.errors import UserCodeFailed
from luodi.scoring.metrics import Metric, described
from luodi.scoring.scored import Floats, Scored

GIVEN = ("truth", "predicted", "probabilities", "weights")


def load(name: str) -> Metric:
    """Return the metric MODULE:FUNCTION, within `luodi.config.user_code.importable`.

    Raises:
        UserCodeFailed: There is no such function, or it asks for what it is not given; of the metric that is returned,
            the function fails, or what it returns is no figure for each draw.
    """
    function = user_code.load(name)
    with user_code.running(name):
        needed = [one.name for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    if "weights" not in needed or not {*needed} <= {*GIVEN}:
        raise _unfit(name, f"takes {', '.join(needed) or 'nothing'}", f"weights, and any of {', '.join(GIVEN[:-1])}")

    def compute(data: Scored, weights: Floats) -> Floats:
        given = dict(zip(GIVEN, (data.truth, data.predicted, data.scores, weights), strict=True))
        with user_code.running(name), np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.asarray(function(**{one: given[one] for one in needed}), np.float64)
        if found.shape != (len(weights),):
            raise _unfit(name, f"returns shape {found.shape}", f"{(len(weights),)}, a figure for each row of weights")
        if (outside := found[abs(found) > 1 + 1e-9]).size:
            raise _unfit(name, f"returns {outside[0]:g}", "figures from -1 to 1, where more is better")
        return found

    title, _, meaning = described(name)
    return Metric(name, compute, title, 1, meaning, answers="probabilities" not in needed)


def require_fit(metric: Metric, data: Scored) -> None:
    """Try a user's own metric on the rows: it must be defined, and heed the weights, of which intervals are made.

    Raises:
        UserCodeFailed: It is not, or does not; or as that of `load`.
    """
    value = metric.function(data, np.ones((1, data.rows)))[0]
    if np.isnan(value):
        raise _unfit(metric.name, f"returns nan for all {data.rows:,} rows", "a figure where every row counts once")
    some = np.arange(data.rows) % 2 == 0
    alone = metric.function(Scored(data.truth[some], data.scores[some]), np.ones((1, some.sum())))[0]
    weighted = metric.function(data, some[None].astype(np.float64))[0]
    if not np.isclose(alone, weighted, rtol=0, atol=1e-6, equal_nan=True):
        found = f"returns {weighted:.4f} where half of the rows have weight 0, and {alone:.4f} without them"
        raise _unfit(metric.name, found, "the same: each row counts as often as weights say")


def _unfit(name: str, found: str, expected: str) -> UserCodeFailed:
    return UserCodeFailed(f"{name}, which params.yaml names, {found}: expected {expected}")
