"""cnn: Embedding, Conv1D, global max pooling, Dropout, softmax. After Kim, "Convolutional Neural Networks for
Sentence Classification" (2014), with one width of kernel.
"""

import keras
from keras import layers

from luodi.config import Train


def build(config: Train, size: int, length: int, classes: int) -> keras.Model:
    """See `catalogue.build`. Uses embedding, filters, kernel, activation, dropout and precision of `config`."""
    dtype = config.precision
    return keras.Sequential(
        [
            keras.Input((length,), dtype="int32", name="x"),
            layers.Embedding(size, config.embedding, dtype=dtype, name="embedding"),
            # "same" lets a kernel be wider than the text.
            layers.Conv1D(
                config.filters,
                config.kernel,
                padding="same",
                activation=config.activation,
                dtype=dtype,
                name="convolution",
            ),
            layers.GlobalMaxPooling1D(dtype=dtype, name="pooling"),
            layers.Dropout(config.dropout, dtype=dtype, name="dropout"),
            layers.Dense(classes, "softmax", dtype="float32", name="probabilities"),
        ]
    )
