"""Fit a linear classifier on given features; validation rows choose its regularisation, and calibrate it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from luodi.errors import ArtifactError
from luodi.scoring import temperature
from luodi.system import progress

ABSENT = -1e4  # logit of a class without a train row: its probability is 0


@dataclass(frozen=True)
class Rows:
    """Features [rows, features], dense or of scipy.sparse, and the class of each row."""

    features: Any
    label: NDArray[np.int32]


@dataclass(frozen=True)
class Linear:
    """Calibrated logits are features @ weights + bias: float32 [features, classes] and [classes]."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    """The C that was chosen."""
    factor: float = 1.0
    """By which its calibration scaled the logits."""

    def logits(self, features: Any) -> NDArray[np.float32]:
        result: NDArray[np.float32] = features @ self.weights + self.bias
        return result


class Fitted(NamedTuple):
    """ONNX models: `judged` was fitted on train rows, so validation rows can judge it; `final`, which is exported, is
    the same, or with `baseline.all_rows` fitted on both. `strength` is the C of either.
    """

    judged: ModelProto
    final: ModelProto
    strength: float


def fit(
    train: Rows,
    validation: Rows,
    classes: int,
    strengths: Sequence[float],
    estimator: Callable[[float], Any],
    *,
    factor: float | None = None,
) -> Linear:
    """Fit with each C of `strengths`, the least first, until the validation loss, at the best temperature, rises.

    It falls to one least value and rises from there on every data set tried, and each C takes longer than those before.

    Args:
        estimator: From C to an unfitted linear classifier of scikit-learn.
        factor: Of the logits, where it is known; else validation rows calibrate.

    Raises:
        ArtifactError: The train rows hold one class only.
    """
    present = np.unique(train.label)
    if len(present) < 2:
        raise ArtifactError(
            f"the {len(train.label)} train rows hold one class, expected at least 2: add data of the other classes"
        )
    known = np.isin(validation.label, present)
    judged = Rows(validation.features[known], validation.label[known]) if known.any() else train
    judged = Rows(judged.features, np.searchsorted(present, judged.label).astype(np.int32))
    each = progress.steps("fitting", sorted(strengths), len(strengths))
    tried = (_calibrated(_fitted(train, strength, estimator), judged, factor) for strength in each)
    best, least = next(tried)
    for model, loss in tried:
        if loss >= least:
            break
        best, least = model, loss
    return _spread(best, present, classes)


def again(rows: Rows, classes: int, model: Linear, estimator: Callable[[float], Any]) -> Linear:
    """Fit on `rows`, of train and validation together, by the C and the calibration that `model` was given.

    One row in nine more to learn from; what the validation rows say of a model, they say of the one before.
    """
    fitted = _fitted(rows, model.strength, estimator)
    return _spread(_scaled(fitted, model.factor), np.unique(rows.label), classes)


def _scaled(model: Linear, factor: float) -> Linear:
    return Linear(np.float32(factor) * model.weights, np.float32(factor) * model.bias, model.strength, factor)


def _fitted(train: Rows, strength: float, estimator: Callable[[float], Any]) -> Linear:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is meant, and regularises too
        found = estimator(strength).fit(train.features, train.label)
    weights, bias = found.coef_.T, found.intercept_
    if weights.shape[1] == 1:  # of two classes scikit-learn gives the second's margin
        weights, bias = np.hstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return Linear(weights.astype(np.float32), bias.astype(np.float32), strength)


def _calibrated(model: Linear, judged: Rows, factor: float | None) -> tuple[Linear, float]:
    """Return `model` at `factor`, or at its best temperature, and its loss."""
    logits = model.logits(judged.features)
    factor = temperature.scale(logits, judged.label) if factor is None else factor
    return _scaled(model, factor), temperature.loss(logits, judged.label, factor)


def _spread(model: Linear, present: NDArray[np.int32], classes: int) -> Linear:
    weights, bias = np.zeros((len(model.weights), classes), np.float32), np.full(classes, ABSENT, np.float32)
    weights[:, present], bias[present] = model.weights, model.bias
    return Linear(weights, bias, model.strength, model.factor)
