"""mlp: all pixels into one hidden layer, dropout, softmax."""

import keras
from keras import layers

from luodi.config import ImageTrain
from luodi.data.image import Encoder
from luodi.nets.image.layers import classified, standardised


def build(config: ImageTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`. Uses units, activation, dropout and precision of `config`."""
    dtype = config.precision
    x, values = standardised(encoder)
    values = layers.Flatten(dtype=dtype, name="flatten")(values)
    values = layers.Dense(config.units, config.activation, dtype=dtype, name="hidden")(values)
    values = layers.Dropout(config.dropout, dtype=dtype, name="dropout")(values)
    return classified(x, values, encoder)
