"""Layers that the image networks share."""

from typing import Any

import keras
from keras import layers

from luodi.config import ImageTrain
from luodi.data.image import Encoder

MOMENTUM = 0.9  # of batch norm's averages: Keras' 0.99 is too slow for the few steps of a small data set


def standardised(encoder: Encoder) -> tuple[Any, Any]:
    """Return the input "x", uint8 [batch, height, width, channels], and (x / 255 - mean) / std of it, float32.

    A layer of the network, so that an image that is served cannot be standardised in another way.
    """
    x = keras.Input(encoder.shape, dtype="uint8", name="x")
    scale = tuple(1 / (255 * std) for std in encoder.std)
    offset = tuple(-mean / std for mean, std in zip(encoder.mean, encoder.std, strict=True))
    return x, layers.Rescaling(scale, offset, dtype="float32", name="standardise")(x)


def convolution(values: Any, filters: int, kernel: int, dtype: str, stride: int = 1) -> Any:
    """Convolve [batch, h, w, c] to [batch, h / stride, w / stride, filters], sides rounded up.

    No bias: the batch norm that follows has one. "same" lets a kernel be wider than the image.
    """
    return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, dtype=dtype)(values)


def normalised(values: Any, dtype: str) -> Any:
    return layers.BatchNormalization(momentum=MOMENTUM, dtype=dtype)(values)


def active(values: Any, settings: ImageTrain) -> Any:
    """Batch norm, then the activation of `settings`."""
    return layers.Activation(settings.activation, dtype=settings.precision)(normalised(values, settings.precision))


def classified(x: Any, values: Any, encoder: Encoder) -> keras.Model:
    """End a network: from its input `x` to the softmax over `values` [batch, features]."""
    return keras.Model(x, layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities")(values))
