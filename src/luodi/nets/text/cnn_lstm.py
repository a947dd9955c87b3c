"""cnn_lstm: Embedding, Conv1D, MaxPooling1D, LSTM, softmax; nothing else."""

import keras
from keras import layers

from luodi.config import TextTrain
from luodi.data.text import Encoder


def build(settings: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`.

    Uses embedding, filters, kernel, activation, pool, units and precision of `settings`, and dropout, as the
    LSTM's dropout of its inputs.
    """
    dtype = settings.precision
    cudnn = False if dtype == "mixed_bfloat16" else "auto"  # which knows no bfloat16: JAX ends with an error
    return keras.Sequential(
        [
            keras.Input(encoder.shape, dtype="int32", name="x"),
            layers.Embedding(encoder.size, settings.embedding, dtype=dtype, name="embedding"),
            # "same" lets a kernel or a pool be wider than the text.
            layers.Conv1D(
                settings.filters,
                settings.kernel,
                padding="same",
                activation=settings.activation,
                dtype=dtype,
                name="convolution",
            ),
            layers.MaxPooling1D(settings.pool, padding="same", dtype=dtype, name="pooling"),
            layers.LSTM(settings.units, dropout=settings.dropout, dtype=dtype, use_cudnn=cudnn, name="lstm"),
            layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities"),
        ]
    )
