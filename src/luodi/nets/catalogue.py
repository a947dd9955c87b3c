"""The one list of architectures."""

from collections.abc import Callable

import keras

from luodi.config import Train
from luodi.nets import cnn, cnn_lstm, mlp, ngram

ARCHITECTURES: dict[str, Callable[[Train, int, int, int], keras.Model]] = {
    "mlp": mlp.build,
    "cnn": cnn.build,
    "cnn_lstm": cnn_lstm.build,
    "ngram": ngram.build,
}


def build(config: Train, size: int, length: int, classes: int) -> keras.Model:
    """Build the architecture that `config` names.

    Args:
        size: Number of distinct ids, padding (0) included.
        length: Ids of a row.
        classes: Number of labels.

    Returns:
        A model from "x", int32 [batch, length], to "probabilities", float32 [batch, classes] with rows that
        sum to 1. The softmax stays float32 whatever the precision.
    """
    return ARCHITECTURES[config.architecture](config, size, length, classes)


def as_float32(model: keras.Model, config: Train, size: int, length: int, classes: int) -> keras.Model:
    """Return an uncompiled float32 model with the weights of `model`: what is saved and exported."""
    copy = build(config.model_copy(update={"precision": "float32"}), size, length, classes)
    copy.set_weights(model.get_weights())
    return copy
