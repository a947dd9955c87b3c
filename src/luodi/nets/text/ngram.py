"""ngram: a bag of hashed character n-grams, then softmax. Strong, small and quick on short texts.

After Joulin, Grave, Bojanowski and Mikolov, "Bag of Tricks for Efficient Text Classification" (2017).
"""

import keras

from luodi.config import TextTrain
from luodi.data.text import Encoder
from luodi.nets.text.embedding_bag import bag


def build(settings: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`. Uses embedding, table, dropout and precision of `settings`."""
    ids = keras.Input((None,), dtype="int32", name="x")
    hidden = bag(ids, encoder.size, settings)
    hidden = keras.layers.Dropout(settings.dropout, dtype=settings.precision, name="dropout")(hidden)
    last = keras.layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities")
    return keras.Model(ids, last(hidden))
