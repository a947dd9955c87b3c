"""mlp: a bag of embeddings, one hidden layer, softmax."""

import keras

from luodi.config import TextTrain
from luodi.data.text import Encoder
from luodi.nets.text.embedding_bag import bag


def build(settings: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`. Uses embedding, table, units, activation, dropout and precision of `settings`."""
    ids = keras.Input((None,), dtype="int32", name="x")
    hidden = bag(ids, encoder.size, settings)
    hidden = keras.layers.Dense(settings.units, settings.activation, dtype=settings.precision, name="hidden")(hidden)
    hidden = keras.layers.Dropout(settings.dropout, dtype=settings.precision, name="dropout")(hidden)
    last = keras.layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities")
    return keras.Model(ids, last(hidden))
