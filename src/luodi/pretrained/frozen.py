"""A pretrained encoder's vectors of items, and a logistic regression on them; the encoder itself stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from luodi import config
from luodi.config.encoders import Recorded
from luodi.data.modality import Encoder
from luodi.linear import fitting
from luodi.linear.fitting import Rows
from luodi.pretrained import head, store, vector_file, vectors
from luodi.pretrained.head import Head, Standard
from luodi.project.paths import ModelPaths
from luodi.scoring import folds

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # values of C tried, until the validation loss rises
ITERATIONS = 200  # of L-BFGS
Labelled: TypeAlias = tuple[list[Any], NDArray[np.int32]]
"""Clean items, and the class of each."""


def fit(
    settings: config.TextSettings | config.ImageSettings,
    encoder: Encoder,
    folder: Path,
    recorded: Recorded,
    paths: ModelPaths,
    *,
    together: vectors.Together,
    train: Labelled,
    validation: Labelled,
    beside: Mapping[str, str] = MappingProxyType({}),
) -> "Frozen":
    """Fit a model on the vectors of train rows, and judge it by those of validation.

    A vector has length 1 at first. What tells it apart is its difference to the mean of train, in units of the mean
    deviation: the vectors of some encoders nearly agree, and a unit for each value would magnify what hardly changes.

    Args:
        encoder: Turns items into what the pretrained encoder in `folder` reads, of which `recorded` is known.
        together: Says which items go through it together.
        beside: Files that are served too, by their names.

    Raises:
        ArtifactError: The train rows cannot be learned from.
    """
    items = [*train[0], *validation[0]]
    found = vectors.of(items, together, folder / store.GRAPH, recorded, paths)
    for part in vector_file.parts(found):
        part[:] = part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), head.SHORTEST)
    standard = Standard.of(found[: len(train[0])])
    for part in vector_file.parts(found):
        part[:] = (part - standard.mean) / standard.scale
    both = Rows(found, np.concatenate([train[1], validation[1]]))
    place = vectors.folder(paths)
    return Frozen(
        settings, encoder, folder / store.GRAPH, recorded, standard, items, both, len(train[0]), beside, place
    )


@dataclass(frozen=True)
class Frozen:
    """A model on the vectors of an encoder that stays as it is.

    Attributes:
        encoder: Turns items into what the ONNX model `graph` reads.
        items: Clean ones, of the train rows, then of validation.
        both: Vectors as `standard` has them, float32 [rows, width], and labels: of the `count` train rows, then of
            validation.
        beside: Files that are served too, by their names.
        place: Where vectors lie.
    """

    settings: config.TextSettings | config.ImageSettings
    encoder: Encoder
    graph: Path
    recorded: Recorded
    standard: Standard
    items: list[Any]
    both: Rows
    count: int
    beside: Mapping[str, str]
    place: Path

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The probabilities of the validation rows, float32 [rows, classes], by a model fitted on train rows alone."""
        return _softmax(self.judged.logits(self.validation.features))

    @cached_property
    def judged(self) -> fitting.Linear:
        """The model fitted on train rows alone."""
        return self.fitted(self.train, self.validation)

    def under(self, settings: config.TextSettings | config.ImageSettings) -> "Frozen":
        """The same, to be trained on by other settings."""
        found = replace(self, settings=settings)
        vars(found)["judged"] = self.judged  # no such setting changes it, and it takes seconds
        return found

    def write(self, folder: Path) -> None:
        """Write what is served, with a model that is fitted on validation rows too where `train.all_rows` is on.

        Raises:
            ArtifactError: ONNX Runtime says something else of validation rows than the model does.
        """
        final = self.judged
        if self.settings.train.all_rows:
            with threadpool_limits(1):
                final = fitting.again(self.both, self.classes, final, self._logistic)
        expected = _softmax(final.logits(self.validation.features[: head.ROWS]))
        model = Head(self.standard, final.weights, final.bias).behind(onnx.load(self.graph))
        head.write(folder, model, self.encoder, self.items[self.count :][: head.ROWS], expected, beside=self.beside)

    def out_of_fold(self, group: folds.Rows) -> NDArray[np.float32]:
        """Score train and validation rows, each of a group, by models not fitted on these: float32 [rows, classes]."""

        def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
            return _softmax(self.fitted(self.rows(fitted), self.rows(judged)).logits(self.both.features[held]))

        return folds.scores(self.both.label, group, self.classes, score)

    def facts(self) -> dict[str, Any]:
        """What the pages say of the encoder, JSON; `trained` counts the weights that training found."""
        known = self.recorded.model_dump(include={"licence", "md5", "family", "size_bytes", "weights"})
        return {"name": self.settings.train.encoder, **known, "trained": (self.recorded.width + 1) * self.classes}

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.settings.labels)

    @property
    def train(self) -> Rows:
        """Of `both`."""
        return Rows(self.both.features[: self.count], self.both.label[: self.count])

    @property
    def validation(self) -> Rows:
        """Of `both`."""
        return Rows(self.both.features[self.count :], self.both.label[self.count :])

    def rows(self, places: folds.Rows) -> Rows:
        """Some of `both`."""
        found = vector_file.empty(self.place, len(places), self.recorded.width)
        for start, part in enumerate(vector_file.parts(found)):
            part[:] = self.both.features[places[start * vector_file.PART :][: len(part)]]
        return Rows(found, self.both.label[places])

    def fitted(self, train: Rows, validation: Rows) -> fitting.Linear:
        """Return a model fitted on some rows, and chosen and calibrated by others."""
        with threadpool_limits(1):  # the same bytes on any number of cores
            return fitting.fit(train, validation, self.classes, STRENGTHS, self._logistic)

    def _logistic(self, C: float) -> Any:
        from sklearn.linear_model import LogisticRegression

        weight = None if self.settings.train.class_weight == "none" else self.settings.train.class_weight
        return LogisticRegression(C=C, solver="lbfgs", max_iter=ITERATIONS, class_weight=weight)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    found: NDArray[np.float32] = shares / shares.sum(1, keepdims=True)
    return found
