"""transformer: embedded tokens and places, layers of self-attention, their mean over the tokens, softmax.

After Vaswani and others, "Attention Is All You Need" (2017), with each norm before what it is of, which trains without
care (Xiong and others, "On Layer Normalization in the Transformer Architecture", 2020).
"""

from typing import Any

import keras
from keras import layers, ops

from luodi.config import TextTrain
from luodi.data.text import Encoder


def build(settings: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`.

    Uses embedding (the width), layers, heads, units, activation, dropout and precision of `settings`. What pads a row
    is seen by no token, and is not in the mean.
    """
    dtype = settings.precision
    ids = keras.Input(encoder.shape, dtype="int32", name="x")
    seen = ops.not_equal(ids, 0)
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1  # of symbols: what NumPy counts, no file would keep
    hidden = layers.Add(dtype=dtype, name="embedded")(
        [
            layers.Embedding(encoder.size, settings.embedding, dtype=dtype, name="embedding")(ids),
            layers.Embedding(encoder.length, settings.embedding, dtype=dtype, name="places")(places),
        ]
    )
    for number in range(settings.layers):
        hidden = _layer(settings, hidden, seen, f"layer_{number}")
    hidden = layers.LayerNormalization(dtype=dtype, name="norm")(hidden)
    last = layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities")
    return keras.Model(ids, last(_mean(hidden, seen)))


def _layer(settings: TextTrain, hidden: Any, seen: Any, name: str) -> Any:
    """Add what each token finds in all others, then what a hidden layer makes of it: [batch, length, width]."""
    common = {"dtype": settings.precision}
    width, heads = settings.embedding, settings.heads
    unit = layers.LayerNormalization(**common, name=f"{name}_attention_norm")(hidden)
    attention = layers.MultiHeadAttention(
        heads, width // heads, dropout=settings.dropout, use_bias=False, **common, name=f"{name}_attention"
    )
    hidden += attention(unit, unit, attention_mask=ops.expand_dims(seen, 1))
    unit = layers.LayerNormalization(**common, name=f"{name}_norm")(hidden)
    inner = layers.Dense(settings.units, settings.activation, **common, name=f"{name}_inner")(unit)
    outer = layers.Dense(width, **common, name=f"{name}_outer")(inner)
    return hidden + layers.Dropout(settings.dropout, **common, name=f"{name}_dropout")(outer)


def _mean(hidden: Any, seen: Any) -> Any:
    """Over the tokens that are there, float32 [batch, width]; zeros where none is."""
    shares = ops.cast(seen, "float32")
    shares /= ops.maximum(ops.sum(shares, axis=1, keepdims=True), 1.0)
    return ops.squeeze(ops.matmul(ops.expand_dims(shares, 1), ops.cast(hidden, "float32")), axis=1)
