"""resnet: residual blocks with batch norm, global average pooling, softmax.

After He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition" (2016), with one block a stage.
"""

from typing import Any

import keras
from keras import layers

from luodi.config import ImageTrain
from luodi.data.image import Encoder
from luodi.nets.image.layers import active, classified, convolution, normalised, standardised


def build(config: ImageTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`.

    Uses filters (a block an entry, each but the first halves the sides), kernel, activation, dropout and
    precision of `config`.
    """
    x, values = standardised(encoder)
    values = active(convolution(values, config.filters[0], config.kernel, config.precision), config)
    for number, filters in enumerate(config.filters):
        values = _block(values, filters, 2 if number else 1, config)
    values = layers.GlobalAveragePooling2D(dtype=config.precision)(values)
    return classified(x, layers.Dropout(config.dropout, dtype=config.precision)(values), encoder)


def _block(values: Any, filters: int, stride: int, config: ImageTrain) -> Any:
    """Two convolutions, their result added to what went in, from [batch, h, w, c] to [batch, h / stride, ...]."""
    dtype = config.precision
    inner = active(convolution(values, filters, config.kernel, dtype, stride), config)
    inner = normalised(convolution(inner, filters, config.kernel, dtype), dtype)
    if stride > 1 or values.shape[-1] != filters:
        values = normalised(convolution(values, filters, 1, dtype, stride), dtype)
    return layers.Activation(config.activation, dtype=dtype)(layers.Add(dtype=dtype)([values, inner]))
