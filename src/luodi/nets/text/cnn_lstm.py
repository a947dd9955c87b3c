"""cnn_lstm: Embedding, Conv1D, MaxPooling1D, LSTM, softmax; nothing else."""

import keras
from keras import layers

from luodi.config import TextTrain
from luodi.data.text import Encoder


def build(config: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`.

    Uses embedding, filters, kernel, activation, pool, units and precision of `config`, and dropout, as the
    LSTM's dropout of its inputs.
    """
    dtype = config.precision
    return keras.Sequential(
        [
            keras.Input(encoder.shape, dtype="int32", name="x"),
            layers.Embedding(encoder.size, config.embedding, dtype=dtype, name="embedding"),
            # "same" lets a kernel or a pool be wider than the text.
            layers.Conv1D(
                config.filters,
                config.kernel,
                padding="same",
                activation=config.activation,
                dtype=dtype,
                name="convolution",
            ),
            layers.MaxPooling1D(config.pool, padding="same", dtype=dtype, name="pooling"),
            layers.LSTM(config.units, dropout=config.dropout, dtype=dtype, name="lstm"),
            layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities"),
        ]
    )
