"""resnet: residual blocks with batch norm, global average pooling, softmax.

After He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition" (2016), with one block a stage.
"""

from typing import Any

import keras
from keras import layers

from luodi.config import ImageTrain
from luodi.data.image import Encoder
from luodi.nets.image.layers import active, classified, convolution, normalised, standardised


def build(settings: ImageTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`.

    Uses filters (a block an entry, each but the first halves the sides), kernel, activation, dropout and
    precision of `settings`.
    """
    x, values = standardised(encoder)
    values = active(convolution(values, settings.filters[0], settings.kernel, settings.precision), settings)
    for number, filters in enumerate(settings.filters):
        values = _block(values, filters, 2 if number else 1, settings)
    values = layers.GlobalAveragePooling2D(dtype=settings.precision)(values)
    return classified(x, layers.Dropout(settings.dropout, dtype=settings.precision)(values), encoder)


def _block(values: Any, filters: int, stride: int, settings: ImageTrain) -> Any:
    """Two convolutions, their result added to what went in, from [batch, h, w, c] to [batch, h / stride, ...]."""
    dtype = settings.precision
    inner = active(convolution(values, filters, settings.kernel, dtype, stride), settings)
    inner = normalised(convolution(inner, filters, settings.kernel, dtype), dtype)
    if stride > 1 or values.shape[-1] != filters:
        values = normalised(convolution(values, filters, 1, dtype, stride), dtype)
    return layers.Activation(settings.activation, dtype=dtype)(layers.Add(dtype=dtype)([values, inner]))
