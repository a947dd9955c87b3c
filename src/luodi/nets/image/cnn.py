"""cnn: blocks of two convolutions with batch norm (Simonyan and Zisserman 2014; Ioffe and Szegedy 2015), a hidden
layer with it, dropout, softmax.

The pooling of a block stands between its convolutions, before batch norm: the second convolution then costs a
quarter, and so does all that follows the first. Dropout within the blocks, and a hidden layer that is not normalised,
made it learn several times as slowly (benchmarks/images.md).
"""

from typing import Any

import keras
from keras import layers

from luodi.config import ImageTrain
from luodi.data.image import Encoder
from luodi.nets.image.layers import active, classified, convolution, standardised

LEAST = 4  # pixels a side; what is smaller is not pooled


def build(settings: ImageTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`.

    Uses filters (a block an entry), kernel, units, activation, dropout and precision of `settings`.
    """
    dtype = settings.precision
    x, values = standardised(encoder)
    for filters in settings.filters:
        values = block(values, filters, settings)
    values = layers.Flatten(dtype=dtype)(values)
    values = active(layers.Dense(settings.units, use_bias=False, dtype=dtype, name="hidden")(values), settings)
    return classified(x, layers.Dropout(settings.dropout, dtype=dtype)(values), encoder)


def block(values: Any, filters: int, settings: ImageTrain) -> Any:
    """From [batch, h, w, c] to [batch, h // 2, w // 2, filters], or h and w as they are below `LEAST` pixels."""
    values = convolution(values, filters, settings.kernel, settings.precision)
    if min(values.shape[1:3]) >= LEAST:
        values = layers.MaxPooling2D(2, dtype=settings.precision)(values)
    values = active(values, settings)
    return active(convolution(values, filters, settings.kernel, settings.precision), settings)
