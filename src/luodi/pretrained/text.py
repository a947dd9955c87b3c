"""A pretrained encoder's vectors of texts, and a logistic regression on them; the encoder itself stays as it is."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from threadpoolctl import threadpool_limits

from luodi.config import TextSettings
from luodi.config.encoders import Recorded
from luodi.data import split_rows, subwords
from luodi.errors import ArtifactError
from luodi.files import replacing_folder, write_json, write_text
from luodi.linear import fitting
from luodi.linear.fitting import Rows
from luodi.pretrained import store, vectors
from luodi.project.paths import ModelPaths
from luodi.scoring import folds, inference

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # values of C tried, until the validation loss rises
ITERATIONS = 200  # of L-BFGS
ROWS = 32  # by which what is exported is compared with what was trained
TOLERANCE = 1e-4  # of a probability
SHORTEST = 1e-6  # length of a vector, and scale of all, below which it is taken for that


def fit(settings: TextSettings, paths: ModelPaths) -> "Frozen":
    """Fit a model on the vectors of the train rows, and judge it by those of validation.

    A vector has length 1 at first. What tells it apart is its difference to the mean of train, in units of the mean
    deviation: the vectors of some encoders nearly agree, and a unit for each value would magnify what hardly changes.

    Raises:
        ArtifactError: preprocess has not run, or the train rows cannot be learned from.
        UnknownKey: The project has no such encoder.
        DataError: It is away, or not as it was added.
    """
    folder, recorded = store.find(paths.root, str(settings.train.encoder))
    encoder = subwords.Encoder(settings.labels, recorded.length, recorded.pad, store.tokenizer(folder))
    parts = [split_rows.read(paths.rows, "text", split, len(settings.labels)) for split in ("train", "validation")]
    texts = [text for part in parts for text in part.items]
    found = vectors.of(texts, encoder, folder / store.GRAPH, recorded, paths)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), SHORTEST)
    seen = found[: len(parts[0])]
    mean, scale = seen.mean(0), np.float32(max(seen.std(0).mean(), SHORTEST))
    train, validation = np.split((found - mean) / scale, [len(seen)])
    rows = Rows(train, parts[0].label), Rows(validation, parts[1].label)
    return Frozen(settings, encoder, folder / store.GRAPH, recorded, mean, scale, parts[1].items, *rows)


@dataclass(frozen=True)
class Frozen:
    """A model on the vectors of an encoder that stays as it is.

    Attributes:
        encoder: Turns texts into what the ONNX model `graph` reads.
        mean, scale: Of vectors of length 1, float32 [width], and a number.
        texts: Of the validation rows.
        train, validation: (vectors - mean) / scale, float32 [rows, width], and labels.
    """

    settings: TextSettings
    encoder: subwords.Encoder
    graph: Path
    recorded: Recorded
    mean: NDArray[np.float32]
    scale: np.float32
    texts: list[str]
    train: Rows
    validation: Rows

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The probabilities of the validation rows, float32 [rows, classes], by a model fitted on train rows alone."""
        return _softmax(self._judged.logits(self.validation.features))

    def write(self, folder: Path) -> None:
        """Write what is served, with a model that is fitted on validation rows too.

        Raises:
            ArtifactError: ONNX Runtime says something else of validation rows than the model does.
        """
        with threadpool_limits(1):
            final = fitting.again(Rows(*self._both()), self._classes, self._judged, self._logistic)
        expected = _softmax(final.logits(self.validation.features[:ROWS]))
        with replacing_folder(folder) as temporary:
            (temporary / inference.MODEL).write_bytes(self._joined(final).SerializeToString(deterministic=True))
            write_json(temporary / inference.ENCODER, self.encoder.as_json())
            write_text(temporary / subwords.TOKENIZER, self.encoder.tokenizer)
            _require_equal(inference.Classifier.load(temporary).probabilities(self.texts[:ROWS]), expected)

    def out_of_fold(self, group: folds.Rows) -> NDArray[np.float32]:
        """Score train and validation rows, each of a group, by models not fitted on these: float32 [rows, classes]."""
        features, label = self._both()

        def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
            model = self._fit(*(Rows(features[rows], label[rows]) for rows in (fitted, judged)))
            return _softmax(model.logits(features[held]))

        return folds.scores(label, group, self._classes, score)

    def facts(self) -> dict[str, Any]:
        """What the pages say of the encoder, JSON; `trained` counts the weights that training found."""
        known = self.recorded.model_dump(include={"licence", "md5", "family", "size_bytes", "weights"})
        return {"name": self.settings.train.encoder, **known, "trained": (self.recorded.width + 1) * self._classes}

    @cached_property
    def _judged(self) -> fitting.Linear:
        return self._fit(self.train, self.validation)

    @property
    def _classes(self) -> int:
        return len(self.settings.labels)

    def _both(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        parts = self.train, self.validation
        return np.concatenate([part.features for part in parts]), np.concatenate([part.label for part in parts])

    def _fit(self, train: Rows, validation: Rows) -> fitting.Linear:
        with threadpool_limits(1):  # the same bytes on any number of cores
            return fitting.fit(train, validation, self._classes, STRENGTHS, self._logistic)

    def _logistic(self, C: float) -> Any:
        from sklearn.linear_model import LogisticRegression

        weight = None if self.settings.train.class_weight == "none" else self.settings.train.class_weight
        return LogisticRegression(C=C, solver="lbfgs", max_iter=ITERATIONS, class_weight=weight)

    def _joined(self, model: fitting.Linear) -> onnx.ModelProto:
        """The encoder with the model behind it: from "x", ids, to "probabilities" float32 [batch, classes]."""
        joined, weights = onnx.load(self.graph), model.weights / self.scale
        graph = joined.graph
        del graph.output[:]
        values = {"unit_least": np.float32(SHORTEST), "head": weights, "head_bias": model.bias - self.mean @ weights}
        graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())
        graph.node.extend([
            helper.make_node("ReduceL2", ["vectors"], ["norm"], axes=[1], keepdims=1),
            helper.make_node("Max", ["norm", "unit_least"], ["positive"]),
            helper.make_node("Div", ["vectors", "positive"], ["unit"]),
            helper.make_node("Gemm", ["unit", "head", "head_bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ])  # fmt: skip
        graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", self._classes]))
        helper.set_model_props(joined, {"luodi": json.dumps(inference.facts(self.encoder), sort_keys=True)})
        return joined


def _require_equal(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:  # NaN is unequal too
        raise ArtifactError(
            f"the exported model differs from the trained one: expected probabilities within {TOLERANCE}, found a "
            f"difference of {difference:.3g}; it was not saved: set train.encoder to another encoder"
        )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    found: NDArray[np.float32] = shares / shares.sum(1, keepdims=True)
    return found
