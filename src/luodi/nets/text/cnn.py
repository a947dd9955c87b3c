"""cnn: Embedding, Conv1D, global max pooling, Dropout, softmax. After Kim, "Convolutional Neural Networks for
Sentence Classification" (2014), with one width of kernel.
"""

import keras
from keras import layers

from luodi.config import TextTrain
from luodi.data.text import Encoder


def build(settings: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`. Uses embedding, filters, kernel, activation, dropout and precision of `settings`."""
    dtype = settings.precision
    return keras.Sequential(
        [
            keras.Input(encoder.shape, dtype="int32", name="x"),
            layers.Embedding(encoder.size, settings.embedding, dtype=dtype, name="embedding"),
            # "same" lets a kernel be wider than the text.
            layers.Conv1D(
                settings.filters,
                settings.kernel,
                padding="same",
                activation=settings.activation,
                dtype=dtype,
                name="convolution",
            ),
            layers.GlobalMaxPooling1D(dtype=dtype, name="pooling"),
            layers.Dropout(settings.dropout, dtype=dtype, name="dropout"),
            layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities"),
        ]
    )
