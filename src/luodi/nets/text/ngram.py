"""ngram: a bag of hashed character n-grams, then softmax. Strong, small and quick on short texts.

After Joulin, Grave, Bojanowski and Mikolov, "Bag of Tricks for Efficient Text Classification" (2017).
"""

from typing import Any

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper

from luodi.config import TextTrain
from luodi.data.text import Encoder
from luodi.nets.text.embedding_bag import bag
from luodi.scoring import graphs


def build(settings: TextTrain, encoder: Encoder) -> keras.Model:
    """See `catalogue.build`. Uses embedding, table, dropout and precision of `settings`."""
    ids = keras.Input((None,), dtype="int32", name="x")
    hidden = bag(ids, encoder.size, settings)
    hidden = keras.layers.Dropout(settings.dropout, dtype=settings.precision, name="dropout")(hidden)
    last = keras.layers.Dense(len(encoder.labels), "softmax", dtype="float32", name="probabilities")
    return keras.Model(ids, last(hidden))


def graph(model: Any, factor: float, encoder: Encoder) -> onnx.ModelProto | None:
    """Return what `build` built as ONNX of few nodes, its logits times `factor`; None where vectors are long or shared.

    Keras's own export asks of each id whether it is negative, and copies vectors as rows, see `graphs.sums`.
    """
    (vectors,), (kernel, bias) = (model.get_layer(name).get_weights() for name in ("embedding", "probabilities"))
    if len(vectors) < encoder.size or vectors.shape[1] > graphs.FEW:
        return None
    vectors[0] = 0  # what pads is not in the bag
    summing, constants = graphs.sums("vectors", "x", vectors.shape[1])
    last = {"kernel": np.float32(factor) * kernel, "bias": np.float32(factor) * bias}
    weights = {"vectors": vectors, **last, "least": np.float32(1)}
    nodes = [
        helper.make_node("Sign", ["x"], ["present"]),
        helper.make_node("ReduceSum", ["present", "first"], ["whole"], keepdims=1),
        helper.make_node("Cast", ["whole"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Max", ["count", "least"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["root"]),
        *summing,
        helper.make_node("Div", ["sums", "root"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "kernel", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return graphs.make(nodes, weights | constants, encoder, any_width=True)
