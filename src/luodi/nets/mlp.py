"""mlp: a bag of embeddings, one hidden layer, softmax."""

import keras

from luodi.config import Train
from luodi.nets.bag import bag


def build(config: Train, size: int, length: int, classes: int) -> keras.Model:
    """See `catalogue.build`. Uses embedding, units, activation, dropout and precision of `config`."""
    ids = keras.Input((length,), dtype="int32", name="x")
    hidden = bag(ids, size, config.embedding, config.precision)
    hidden = keras.layers.Dense(config.units, config.activation, dtype=config.precision, name="hidden")(hidden)
    hidden = keras.layers.Dropout(config.dropout, dtype=config.precision, name="dropout")(hidden)
    return keras.Model(ids, keras.layers.Dense(classes, "softmax", dtype="float32", name="probabilities")(hidden))
