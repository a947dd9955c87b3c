"""mlp: a bag of embeddings, one hidden layer, softmax."""

import keras

from luodi.config import TextTrain
from luodi.data.text import Encoder
from luodi.nets.text.bag import bag


def build(config: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`. Uses embedding, units, activation, dropout and precision of `config`."""
    ids = keras.Input(encoder.shape, dtype="int32", name="x")
    hidden = bag(ids, encoder.size, config.embedding, config.precision)
    hidden = keras.layers.Dense(config.units, config.activation, dtype=config.precision, name="hidden")(hidden)
    hidden = keras.layers.Dropout(config.dropout, dtype=config.precision, name="dropout")(hidden)
    last = keras.layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities")
    return keras.Model(ids, last(hidden))
