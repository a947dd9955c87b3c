"""An encoder of the BERT family as an ONNX graph: equal weights are equal bytes, and any backend's are the same.

Vaswani and others, "Attention Is All You Need" (2017), as Devlin and others have it (BERT, 2018): each layer adds what
it found to what it was given, and brings that to mean 0 and deviation 1 afterwards.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from luodi.pretrained.checkpoint import FAMILIES, Checkpoint

OPSET, IR = 17, 8
X, VECTORS = "x", "vectors"
HIDDEN = -1e9  # added to what attention would give to padding: its share is 0


def build(checkpoint: Checkpoint, tensors: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """Return the graph from "x", ids int32 [batch, length], to "vectors", float32 [batch, width].

    What is the id that pads is not there: a row has the same vector, but for rounding, however far it is padded.
    """
    graph = _Graph()
    hidden, mask = _embedded(graph, checkpoint, tensors)
    unseen = graph.node("Mul", graph.node("Sub", mask, graph.value(np.float32(1))), graph.value(np.float32(-HIDDEN)))
    unseen = graph.node("Unsqueeze", unseen, graph.value(np.array([1, 2], np.int64)))  # [batch, heads, from, to]
    for layer in range(checkpoint.layers):
        part = _Layer(graph, checkpoint, tensors, layer)
        hidden = part.norm(4, graph.node("Add", hidden, part.attention(hidden, unseen)))
        hidden = part.norm(7, graph.node("Add", hidden, part.forward(hidden)))
    _pool(graph, checkpoint.pooling, hidden, mask)
    return graph.model(checkpoint.width)


class _Graph:
    """Nodes and weights as they come, each value with a name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def value(self, value: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def node(self, kind: str, *inputs: str, called: str = "", **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [called or name], name=name, **attributes))
        return called or name

    def model(self, width: int) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [helper.make_tensor_value_info(X, TensorProto.INT32, ["batch", "length"])],
            [helper.make_tensor_value_info(VECTORS, TensorProto.FLOAT, ["batch", width])],
            self.weights,
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, producer_name="luodi", opset_imports=[opset], ir_version=IR)


def _embedded(graph: _Graph, checkpoint: Checkpoint, tensors: Mapping[str, NDArray[np.float32]]) -> tuple[str, str]:
    """The tokens' vectors, and 1 where there is a token, 0 where a row is padded: [batch, length]."""
    family = FAMILIES[checkpoint.family]
    places = tensors["embeddings.position_embeddings.weight"][checkpoint.pad + 1 if family.offset else 0 :]
    if family.types:
        places = places + tensors["embeddings.token_type_embeddings.weight"][0]  # all are of the first segment
    pad, one = graph.value(np.int32(checkpoint.pad)), graph.value(np.array([1], np.int64))
    mask = graph.node("Cast", graph.node("Not", graph.node("Equal", X, pad)), to=TensorProto.FLOAT)
    length = graph.node("Shape", X, start=1)
    here = graph.node("Slice", graph.value(places), graph.value(np.array([0], np.int64)), length,
                      graph.value(np.array([0], np.int64)), one)  # fmt: skip
    words = graph.node("Gather", graph.value(tensors["embeddings.word_embeddings.weight"]), X)
    weight, bias = (tensors[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias"))
    summed = graph.node("Add", words, here)
    norm = graph.node("LayerNormalization", summed, graph.value(weight), graph.value(bias), epsilon=checkpoint.epsilon)
    return norm, mask


class _Layer:
    """One layer, whose parts are numbered as in `Family.parts`."""

    def __init__(
        self, graph: _Graph, checkpoint: Checkpoint, tensors: Mapping[str, NDArray[np.float32]], number: int
    ) -> None:
        family = FAMILIES[checkpoint.family]
        self.graph, self.checkpoint = graph, checkpoint
        names = [family.layer.format(number) + part for part in family.parts]
        self.weight = [tensors[f"{name}.weight"] for name in names]
        self.bias = [tensors[f"{name}.bias"] for name in names]

    def attention(self, hidden: str, unseen: str) -> str:
        graph, heads, width = self.graph, self.checkpoint.heads, self.checkpoint.width
        scale = np.float32((width // heads) ** -0.5)  # of the query: the product of two vectors grows with their size
        weight = np.concatenate([scale * self.weight[0], self.weight[1], self.weight[2]])
        bias = np.concatenate([scale * self.bias[0], self.bias[1], self.bias[2]])
        shape = graph.value(np.array([0, 0, 3 * heads, width // heads], np.int64))
        parts = graph.node("Reshape", self.linear(hidden, weight, bias), shape)
        parts = graph.node("Transpose", parts, perm=[0, 2, 1, 3])  # [batch, 3 x heads, length, width of a head]
        query, key, value = (
            graph.node("Slice", parts, *(graph.value(np.array([end], np.int64)) for end in (first, first + heads, 1)))
            for first in range(0, 3 * heads, heads)
        )
        scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
        shares = graph.node("Softmax", graph.node("Add", scores, unseen), axis=-1)
        found = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", found, graph.value(np.array([0, 0, width], np.int64)))
        return self.linear(joined, self.weight[3], self.bias[3])

    def forward(self, hidden: str) -> str:
        inner = self.linear(hidden, self.weight[5], self.bias[5])
        inner = self.graph.node("Relu", inner) if self.checkpoint.activation == "relu" else self.gelu(inner)
        return self.linear(inner, self.weight[6], self.bias[6])

    def norm(self, part: int, summed: str) -> str:
        weight, bias = self.graph.value(self.weight[part]), self.graph.value(self.bias[part])
        return self.graph.node("LayerNormalization", summed, weight, bias, epsilon=self.checkpoint.epsilon)

    def linear(self, hidden: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        product = self.graph.node("MatMul", hidden, self.graph.value(weight.T))
        return self.graph.node("Add", product, self.graph.value(bias))

    def gelu(self, x: str) -> str:
        """x times the share of a normal distribution below x (Hendrycks and Gimpel 2016)."""
        graph = self.graph
        share = graph.node("Erf", graph.node("Div", x, graph.value(np.float32(np.sqrt(2)))))
        doubled = graph.node("Mul", x, graph.node("Add", share, graph.value(np.float32(1))))
        return graph.node("Mul", doubled, graph.value(np.float32(0.5)))


def _pool(graph: _Graph, pooling: str, hidden: str, mask: str) -> None:
    across = graph.value(np.array([1], np.int64))
    if pooling == "cls":
        first = graph.value(np.array(0, np.int64))
        graph.node("Gather", hidden, first, axis=1, called=VECTORS)
        return
    seen = graph.node("Unsqueeze", mask, graph.value(np.array([2], np.int64)))
    total = graph.node("ReduceSum", graph.node("Mul", hidden, seen), across, keepdims=0)
    count = graph.node("Max", graph.node("ReduceSum", mask, across, keepdims=1), graph.value(np.float32(1)))
    graph.node("Div", total, count, called=VECTORS)
