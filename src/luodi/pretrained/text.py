"""Text models on a pretrained encoder, as it came or trained on."""

from functools import partial
from typing import TYPE_CHECKING

from luodi.config import TextSettings
from luodi.config.encoders import TextEncoder
from luodi.data import split_rows, subwords
from luodi.pretrained import frozen, lengths, store
from luodi.pretrained.frozen import Frozen, Labelled
from luodi.project.paths import ModelPaths

if TYPE_CHECKING:
    from luodi.nets.checkpoints import Checkpoints
    from luodi.nets.fitting import Watch
    from luodi.pretrained.tuned import Tuned


def fit(settings: TextSettings, paths: ModelPaths) -> Frozen:
    """Fit a model on the vectors of the train rows of preprocess, and judge it by those of validation: see `on`.

    Raises:
        ArtifactError: preprocess has not run.
    """
    read = partial(split_rows.read, paths.rows, "text", classes=len(settings.labels))
    return on(settings, paths, *((part.items, part.label) for part in map(read, ("train", "validation"))))


def on(settings: TextSettings, paths: ModelPaths, train: Labelled, validation: Labelled) -> Frozen:
    """Fit a model on the vectors of train rows, and judge it by those of validation: see `frozen.fit`.

    Raises:
        ArtifactError: The train rows cannot be learned from.
        UnknownKey: The project has no such encoder.
        WrongValue: It is no encoder of texts.
        DataError: It is away, or not as it was added.
    """
    folder, recorded = store.find(paths.root, str(settings.train.encoder), TextEncoder)
    encoder = subwords.Encoder(
        settings.labels, recorded.length, recorded.pad, (folder / subwords.TOKENIZER).read_text(encoding="utf-8")
    )
    return frozen.fit(
        settings,
        encoder,
        folder,
        recorded,
        paths,
        together=partial(lengths.together, encoder=encoder),
        train=train,
        validation=validation,
        beside={subwords.TOKENIZER: encoder.tokenizer},
    )


def tuned(settings: TextSettings) -> bool:
    """Whether the encoder is to be trained on."""
    return settings.train.tuning != "frozen"


def tune(frozen: Frozen, kept: "Checkpoints | None" = None, watch: "Watch | None" = None) -> "Tuned":
    """Train the encoder on from what `frozen` found, as `train.tuning` says. Keras is imported here.

    `watch` is that of `luodi.nets.fitting.fit_rows`.

    Raises:
        BrokenData: An earlier luodi added the encoder.
        LuodiError: Training diverged in its first epoch, or memory ran out.
    """
    from luodi.nets.stderr import quiet

    with quiet():
        from luodi.pretrained import tuned
    return tuned.fit(frozen, kept, watch)
