"""mlp: all pixels into one hidden layer, dropout, softmax."""

import keras
from keras import layers

from luodi.config import ImageTrain
from luodi.data.image import Encoder
from luodi.nets.image.layers import classified, standardised


def build(settings: ImageTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`. Uses units, activation, dropout and precision of `settings`."""
    dtype = settings.precision
    x, values = standardised(encoder)
    values = layers.Flatten(dtype=dtype, name="flatten")(values)
    values = layers.Dense(settings.units, settings.activation, dtype=dtype, name="hidden")(values)
    values = layers.Dropout(settings.dropout, dtype=dtype, name="dropout")(values)
    return classified(x, values, encoder)
