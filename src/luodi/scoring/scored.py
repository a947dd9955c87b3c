"""Rows as a classifier scored them, and the sums that metrics are made of. NumPy alone.

Every figure is computed for many weightings of the rows at once: `weights` is float64 [draws, rows] and says how often
each row counts. One draw of ones gives the value on the rows as they are.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.errors import ArtifactError
from luodi.project.paths import maker

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

BINS = 15
SMALLEST = float(np.finfo(np.float32).eps)  # scores are float32: a smaller probability is rounding


@dataclass(frozen=True)
class Scored:
    """Rows as a classifier scored them.

    Attributes:
        truth: True classes, int64 [rows].
        scores: The probabilities it gave, float64 [rows, classes].
        group: A number that rows share which stand together, int64 [rows]; None if each is for itself.
    """

    truth: Ints
    scores: Floats
    group: Ints | None = None

    def of(self, part: Mask | Ints) -> "Scored":
        """Some of the rows, by a mask or their places."""
        return Scored(self.truth[part], self.scores[part], None if self.group is None else self.group[part])

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

    @cached_property
    def surprise(self) -> Floats:
        """-ln(probability of the true class), float64 [rows]; probabilities below 1.2e-7 count as that."""
        chosen = self.scores[np.arange(self.rows), self.truth]
        nats: Floats = -np.log(chosen.clip(SMALLEST, 1))
        return nats

    @cached_property
    def gaps(self) -> Floats:
        """Confidence minus correctness, in the column of the row's calibration bin: float64 [rows, 15]."""
        return (self.confidence - self.correct)[:, None] * one_hot(bin_of(self.confidence), BINS)

    def support(self, weights: Floats) -> Floats:
        """Rows of each class: float64 [draws, classes]."""
        return weights @ one_hot(self.truth, self.classes)

    def called(self, weights: Floats) -> Floats:
        """Predictions of each class: float64 [draws, classes]."""
        return weights @ one_hot(self.predicted, self.classes)

    def hits(self, weights: Floats) -> Floats:
        """Rows of each class that are predicted right: float64 [draws, classes]."""
        return weights @ (one_hot(self.truth, self.classes) * self.correct[:, None])


def load_scores(path: Path) -> NDArray[np.float32]:
    """Read probabilities that the stage baseline wrote, float32 [rows, classes].

    Raises:
        ArtifactError: The file is missing or broken.
    """
    try:
        scores: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (ValueError, EOFError):
        raise ArtifactError(f"{path} cannot be read: run `{maker(path)}` again") from None
    return scores


def scored(truth: NDArray[Any], scores: NDArray[Any], name: str, classes: int, group: Ints | None = None) -> Scored:
    """Pair truth with the scores of classifier `name`, and with what rows stand together.

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
    return Scored(truth.astype(np.int64), values, group)


def joined(one: Scored, other: Scored) -> Scored:
    """The rows of one before those of the other; a number means the same group in both."""
    truth, scores = np.concatenate([one.truth, other.truth]), np.concatenate([one.scores, other.scores])
    if one.group is None and other.group is None:
        return Scored(truth, scores)
    alone = -1 - np.arange(len(truth))
    parts = (
        alone[: one.rows] if one.group is None else one.group,
        alone[one.rows :] if other.group is None else other.group,
    )
    return Scored(truth, scores, np.concatenate(parts))


def bin_of(confidence: Floats) -> Ints:
    """Return the calibration bin of each confidence, 0 to 14: bin b holds (b / 15, (b + 1) / 15]."""
    return (np.ceil(confidence * BINS) - 1).clip(0, BINS - 1).astype(np.int64)


def one_hot(places: Ints, size: int) -> Floats:
    """Return float64 [rows, size], 1 at the place of each row."""
    result: Floats = np.eye(size)[places]
    return result


def divide(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """Return the ratio; NaN, and no warning, where `below` is 0."""
    result: Floats = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return result


def mean_ratio(above: Floats, below: Floats) -> Floats:
    """Return the mean over the last axis of above / below; what is divided by 0 is left out, NaN if nothing is left."""
    ratios = divide(above, below)
    defined = ~np.isnan(ratios)
    return divide(np.where(defined, ratios, 0).sum(-1), defined.sum(-1))
