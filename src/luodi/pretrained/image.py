"""Image models on a pretrained stem, as it came or trained on."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from luodi.config import ImageSettings
from luodi.config.encoders import ImageEncoder
from luodi.data import image, split_rows
from luodi.pretrained import frozen, store
from luodi.pretrained.frozen import Frozen, Labelled
from luodi.pretrained.vectors import ROWS, Parts
from luodi.project.paths import ModelPaths

if TYPE_CHECKING:
    from luodi.nets.checkpoints import Checkpoints
    from luodi.nets.fitting import Watch
    from luodi.pretrained.stem_tuned import Tuned

VALUES = 2**20  # of a batch, at most


def fit(settings: ImageSettings, paths: ModelPaths) -> Frozen:
    """Fit a model on the vectors of the train rows of preprocess, and judge it by those of validation: see `on`.

    Raises:
        ArtifactError: preprocess has not run.
    """
    read = partial(split_rows.read, paths.rows, "image", classes=len(settings.labels))
    return on(settings, paths, *((part.items, part.label) for part in map(read, ("train", "validation"))))


def on(settings: ImageSettings, paths: ModelPaths, train: Labelled, validation: Labelled) -> Frozen:
    """Fit a model on the vectors of train rows, and judge it by those of validation: see `frozen.fit`.

    Raises:
        ArtifactError: The train rows cannot be learned from.
        UnknownKey: The project has no such encoder.
        WrongValue: It is no encoder of images.
        DataError: It is away, or not as it was added.
    """
    folder, recorded = store.find(paths.root, str(settings.train.encoder), ImageEncoder)
    encoder = image.Encoder.fit([image.column(train[0])], settings.preprocess, settings.labels)
    together = partial(_together, encoder=encoder)
    return frozen.fit(settings, encoder, folder, recorded, paths, together=together, train=train, validation=validation)


def _together(images: Sequence[bytes], encoder: image.Encoder) -> Parts:
    rows = max(1, min(ROWS, VALUES // math.prod(encoder.shape)))
    for start in range(0, len(images), rows):
        part = images[start : start + rows]
        yield range(start, start + len(part)), rows, partial(image.pixels, part)


def tuned(settings: ImageSettings) -> bool:
    """Whether the stem is to be trained on."""
    return settings.train.tuning != "frozen"


def tune(frozen: Frozen, kept: "Checkpoints | None" = None, watch: "Watch | None" = None) -> "Tuned":
    """Train the stem on from what `frozen` found. Keras is imported here.

    `watch` is that of `luodi.nets.fitting.fit_rows`.

    Raises:
        LuodiError: Training diverged in its first epoch, or memory ran out.
    """
    from luodi.nets.stderr import quiet

    with quiet():
        from luodi.pretrained.stem_tuned import Tuned
    return Tuned(frozen, kept, watch)
