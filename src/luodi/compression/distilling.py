"""A smaller network that is taught by what a model says of the train rows (Hinton, Vinyals and Dean 2015).

Half of what it is to learn is the model's probabilities, half the labels: on rows that the model was fitted on it is
too sure of itself to be the only teacher. The model may be anything that was exported: a network, a linear model, the
mean of both, a pretrained encoder.
"""

from pathlib import Path
from typing import Any

import numpy as np

from luodi import config
from luodi.data import encoders, split_rows
from luodi.nets import arrays, catalogue
from luodi.nets.fitting import fit_rows
from luodi.nets.stderr import quiet
from luodi.project.paths import ModelPaths
from luodi.scoring import inference
from luodi.scoring.inference import Classifier

QUICK = {"text": "ngram", "image": "cnn"}
"""The network that learns, where the model's own is none of the catalogue's."""
SIZES = ("table", "units", "filters")
"""Settings of train that say how large a network is; of those that look a row up the table is most of it."""


def write(  # noqa: PLR0917, all that is known of the model
    settings: config.ModelSettings,
    rule: config.Compress,
    paths: ModelPaths,
    teacher: Classifier,
    train: split_rows.Rows,
    folder: Path,
) -> None:
    """Write the folder of a network that `teacher` taught.

    Raises:
        ArtifactError: preprocess has not run, or its outputs do not fit together.
        LuodiError: Training diverged in its first epoch, or memory ran out.
    """
    encoder = encoders.load(paths.encoder)
    x, _ = arrays.load("train", settings, paths, encoder)
    judged = arrays.load("validation", settings, paths, encoder)
    hard = np.eye(len(encoder.labels), dtype=np.float32)[train.label]
    soft = (hard + teacher.probabilities(train.items)) / 2
    small = student(settings, encoder.size, rule.distilled_size)
    net = fit_rows(small, encoder, (x[: len(train)], soft), judged)  # what follows are changed copies
    with quiet():
        from luodi.nets import export

        model = export.convert(net, small, encoder)
        export.write(model, net.sample, net.scores[: len(net.sample)], folder / inference.MODEL)
    (folder / inference.ENCODER).write_bytes(paths.encoder.read_bytes())


def student(settings: config.ModelSettings, known: int, size: float) -> config.ModelSettings:
    """Return settings of a network of that share of the size.

    Args:
        known: Ids that the encoder gives, of which a table has a vector each at most.
    """
    train: Any = settings.train
    architecture = train.architecture
    if ":" in architecture or architecture in catalogue.NO_NETWORK:
        architecture = QUICK[settings.modality]
    values = {name: getattr(train, name) for name in SIZES if hasattr(train, name)}
    if "table" in values:
        values["table"] = min(values["table"], known)
    small = {
        name: tuple(_part(one, size) for one in value) if isinstance(value, tuple) else _part(value, size)
        for name, value in values.items()
    }
    given = {"architecture": architecture, "class_weight": "none", "encoder": None, "tuning": "frozen", **small}
    return settings.model_copy(update={"train": train.model_copy(update=given)})


def _part(value: int, size: float) -> int:
    return max(1, round(value * size))
