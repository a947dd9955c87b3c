"""A pretrained encoder trained on, with the head that the frozen one got: by LoRA, or all of it; by Keras."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from luodi import config
from luodi.data import subwords
from luodi.data.modality import Encoder
from luodi.nets import fitting, hardware
from luodi.nets.checkpoints import Checkpoints
from luodi.nets.fitting import Net, Watch
from luodi.pretrained import graph, head, network
from luodi.pretrained.frozen import Frozen
from luodi.pretrained.graph import Form, Weights
from luodi.pretrained.head import Head
from luodi.scoring import folds


def fit(frozen: Frozen, kept: Checkpoints | None, watch: Watch | None = None) -> "Tuned":
    """Train an encoder on, on the train rows, and calibrate it on those of validation.

    The head begins as the logistic regression on the vectors of the encoder as it came: what these tell apart is not
    unlearned while the head is found (Kumar and others, "Fine-Tuning can Distort Pretrained Features", 2022).

    Raises:
        BrokenData: An earlier luodi added the encoder.
        LuodiError: Training diverged in its first epoch, or memory ran out.
    """
    form, weights = graph.read(frozen.graph)
    places = np.split(np.arange(len(frozen.items)), [frozen.count])
    return Tuned(frozen, kept, form, weights, places[0], places[1], watch)


@dataclass(frozen=True)
class Tuned:
    """A model on an encoder that was trained on.

    Attributes:
        frozen: The model on the encoder as it came.
        weights: Those that it came with.
        train, validation: Places of these rows.
    """

    frozen: Frozen
    kept: Checkpoints | None
    form: Form
    weights: Weights
    train: folds.Rows
    validation: folds.Rows
    watch: Watch | None = None

    @cached_property
    def net(self) -> Net:
        """The network, fitted and calibrated; its scores are those of `validation`."""
        return self._fitted(self.train, self.validation)

    @property
    def scores(self) -> NDArray[np.float32]:
        """The probabilities of the validation rows, float32 [rows, classes]."""
        return self.net.scores

    @property
    def history(self) -> list[dict[str, float]]:
        """A row an epoch, as that of a `Net`."""
        return self.net.history

    def write(self, folder: Path) -> None:
        """Write what is served: the graph of the encoder, with the weights that training came to.

        Raises:
            ArtifactError: ONNX Runtime says something else of validation rows than the network does.
        """
        weights, kernel, bias = network.trained(self.net.model, self.form)
        factor = np.float32(self.net.factor)
        model = Head(self.frozen.standard, factor * kernel, factor * bias).behind(graph.build(self.form, weights))
        texts = [self.frozen.items[place] for place in self.validation[: head.ROWS]]
        head.write(folder, model, self.frozen.encoder, texts, self.scores[: head.ROWS], beside=self.frozen.beside)

    def out_of_fold(self, group: folds.Rows) -> NDArray[np.float32]:
        """Score train and validation rows, each of a group, by networks not fitted on it: float32 [rows, classes]."""

        def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
            net, order = self._fitted(fitted, judged), self._sorted(held)
            found = np.empty((len(held), self.frozen.classes), np.float32)
            found[order] = net.model.predict(self.ids[held[order]], verbose=0)
            return found

        return folds.scores(self.frozen.both.label, group, self.frozen.classes, score)

    def facts(self) -> dict[str, Any]:
        """What the pages say of the encoder, JSON; `trained` counts the weights that training found."""
        return self.frozen.facts() | {"tuning": self.frozen.settings.train.tuning, "trained": self.net.facts["trained"]}

    @cached_property
    def ids(self) -> NDArray[np.int32]:
        """Of the tokens of all rows, int32 [rows, tokens of the longest]."""
        encoder = self.frozen.encoder
        assert isinstance(encoder, subwords.Encoder)
        return subwords.padded(encoder.ids(self.frozen.items), self.form.pad)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row."""
        found: NDArray[np.int64] = (self.ids != self.form.pad).sum(1)
        return found

    def _sorted(self, places: folds.Rows) -> NDArray[np.int64]:
        """The order of some rows by their length: what is predicted at a time is padded to the longest of it."""
        return np.argsort(self.lengths[places], kind="stable")

    def _fitted(self, train: folds.Rows, validation: folds.Rows) -> Net:
        start = self._start(train, validation)
        order, label = self._sorted(validation), self.frozen.both.label
        settings = self.frozen.settings
        net = fitting.fit_rows(
            settings,
            self.frozen.encoder,
            (self.ids[train], label[train]),
            (self.ids[validation[order]], label[validation[order]]),
            self.kept,
            watch=self.watch,
            built=start,
            lengths=self.lengths[train],
        )
        scores = np.empty_like(net.scores)
        scores[order] = net.scores
        tokens = float(self.lengths[train].mean())  # of a row: what Keras counts is of one
        facts = net.facts | {"trained": start.trained, "gflops": round(tokens * net.facts["gflops"], 3)}
        return Net(net.model, net.factor, scores, net.history, net.sample, facts, net.before)

    def _start(self, train: folds.Rows, validation: folds.Rows) -> "Start":
        frozen = self.frozen
        whole = train is self.train
        found = frozen.judged if whole else frozen.fitted(frozen.rows(train), frozen.rows(validation))
        return Start(self.form, self.weights, Head(frozen.standard, found.weights, found.bias))


@dataclass
class Start:
    """Builds the network that training begins with; see `luodi.nets.fitting.Built`."""

    form: Form
    weights: Weights
    head: Head
    trained: int = 0
    """Numbers that training moves, once it is built."""

    def build(self, settings: config.ModelSettings, encoder: Encoder) -> keras.Model:
        """See `luodi.nets.catalogue.build`."""
        assert isinstance(settings, config.TextSettings)
        model = network.build(settings.train, self.form, self.weights, self.head)
        self.trained = hardware.trained(model)
        return model

    def as_float32(self, weights: list[NDArray[Any]], settings: config.ModelSettings, encoder: Encoder) -> keras.Model:
        """See `luodi.nets.catalogue.as_float32`."""
        train = settings.train.model_copy(update={"precision": "float32"})
        model = self.build(settings.model_copy(update={"train": train}), encoder)
        model.set_weights(weights)
        return model
