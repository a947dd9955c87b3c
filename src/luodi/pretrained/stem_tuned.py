"""A pretrained stem trained on, with the head that the frozen one got, by Keras."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from luodi import config
from luodi.data import image
from luodi.data.modality import Encoder
from luodi.files import replacing_folder, write_json
from luodi.nets import export, fitting, hardware
from luodi.nets.checkpoints import Checkpoints
from luodi.nets.fitting import Net, Watch
from luodi.pretrained import stem, store
from luodi.pretrained.frozen import Frozen
from luodi.pretrained.head import Head
from luodi.scoring import folds, inference


@dataclass(frozen=True)
class Tuned:
    """A model on a stem that was trained on; `frozen` is the one on the stem as it came.

    The head begins as the logistic regression on the vectors of the stem as it came, see `luodi.pretrained.tuned`.
    """

    frozen: Frozen
    kept: Checkpoints | None
    watch: Watch | None = None

    @cached_property
    def net(self) -> Net:
        """The network, fitted and calibrated; its scores are those of the validation rows."""
        places = np.split(np.arange(len(self.frozen.items)), [self.frozen.count])
        return self._fitted(self._start(self.frozen.judged), places[0], places[1])

    @property
    def scores(self) -> NDArray[np.float32]:
        """The probabilities of the validation rows, float32 [rows, classes]."""
        return self.net.scores

    @property
    def history(self) -> list[dict[str, float]]:
        """A row an epoch, as that of a `Net`."""
        return self.net.history

    def write(self, folder: Path) -> None:
        """Write what is served.

        Raises:
            ArtifactError: ONNX Runtime says something else of validation rows than the network does.
        """
        model = export.convert(self.net, self.frozen.settings, self.frozen.encoder, self._start(self.frozen.judged))
        with replacing_folder(folder) as temporary:
            expected = self.scores[: len(self.net.sample)]
            export.write(model, self.net.sample, expected, temporary / inference.MODEL)
            write_json(temporary / inference.ENCODER, self.frozen.encoder.as_json())

    def out_of_fold(self, group: folds.Rows) -> NDArray[np.float32]:
        """Score train and validation rows, each of a group, by networks not fitted on it: float32 [rows, classes]."""
        frozen = self.frozen

        def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
            start = self._start(frozen.fitted(frozen.rows(fitted), frozen.rows(judged)))
            found: NDArray[np.float32] = self._fitted(start, fitted, judged).model.predict(self.pixels[held], verbose=0)
            return found

        return folds.scores(frozen.both.label, group, frozen.classes, score)

    def facts(self) -> dict[str, Any]:
        """What the pages say of the encoder, JSON; `trained` counts the weights that training found."""
        return self.frozen.facts() | {"tuning": self.frozen.settings.train.tuning, "trained": self.net.facts["trained"]}

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """Of all rows, uint8 [rows, height, width, channels]."""
        frozen = self.frozen
        found = np.empty((len(frozen.items), *frozen.encoder.shape), np.uint8)
        for start in range(0, len(found), image.DECODED):
            found[start : start + image.DECODED] = image.pixels(frozen.items[start : start + image.DECODED])
        return found

    def _start(self, found: Any) -> "Start":
        head = Head(self.frozen.standard, found.weights, found.bias)
        return Start(self.frozen.graph.with_name(store.STEM), head)

    def _fitted(self, start: "Start", train: folds.Rows, validation: folds.Rows) -> Net:
        frozen, label = self.frozen, self.frozen.both.label
        net = fitting.fit_rows(
            frozen.settings,
            frozen.encoder,
            (self.pixels[train], label[train]),
            (self.pixels[validation], label[validation]),
            self.kept,
            watch=self.watch,
            built=start,
        )
        facts = net.facts | {"trained": start.trained}
        return Net(net.model, net.factor, net.scores, net.history, net.sample, facts, net.before)


@dataclass
class Start:
    """Builds the network that training begins with; see `luodi.nets.fitting.Built`."""

    path: Path
    head: Head
    trained: int = 0
    """Numbers that training moves, once it is built."""

    def build(self, settings: config.ModelSettings, encoder: Encoder) -> keras.Model:
        """See `luodi.nets.catalogue.build`."""
        model = stem.build(stem.load(self.path), self.head)
        self.trained = hardware.trained(model)
        return model

    def as_float32(self, weights: list[NDArray[Any]], settings: config.ModelSettings, encoder: Encoder) -> keras.Model:
        """See `luodi.nets.catalogue.as_float32`."""
        model = self.build(settings, encoder)
        model.set_weights(weights)
        return model
