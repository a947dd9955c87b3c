"""An encoder of the BERT family as an ONNX graph: equal weights are equal bytes, and any backend's are the same.

Vaswani and others, "Attention Is All You Need" (2017), as Devlin and others have it (BERT, 2018): each layer adds what
it found to what it was given, and brings that to mean 0 and deviation 1 afterwards. A decoder, as Radford and others
have it (GPT-2, 2019), does so before it looks, and a token sees none behind it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from luodi.errors import BrokenData

if TYPE_CHECKING:  # training needs no checkpoint: it begins with a graph that there is
    from luodi.pretrained.checkpoint import Checkpoint, Family
    from luodi.pretrained.sentences import Pooling

OPSET, IR = 17, 8
X, VECTORS = "x", "vectors"
HIDDEN = -1e9  # added to what attention would give to padding: its share is 0
FORM = "encoder"  # key of the metadata that hold a `Form`
PARTS = ("query", "key", "value", "attention", "attention_norm", "inner", "outer", "norm")
"""Of a layer: `attention` joins the heads, `inner` and `outer` are what follows; in the order of `Family.parts`."""
ATTENDING = PARTS[:3]  # one matrix in the graph, see `_fused`
Weights = dict[str, NDArray[np.float32]]
"""By name: "words" and "places" [tokens, width]; "LAYER.PART.weight", matrices [in, out], and "LAYER.PART.bias"."""


@dataclass(frozen=True)
class Form:
    """What an encoder computes with its weights; see `Checkpoint`."""

    layers: int
    heads: int
    width: int
    activation: str
    epsilon: float
    pad: int
    pooling: "Pooling"
    causal: bool = False
    """Whether it is a decoder, see `Family`."""

    @property
    def scale(self) -> np.float32:
        """Of the query: the product of two vectors grows with their size."""
        return np.float32((self.width // self.heads) ** -0.5)


def form(checkpoint: "Checkpoint") -> Form:
    """Return what the encoder of a checkpoint computes."""
    return Form(
        checkpoint.layers, checkpoint.heads, checkpoint.width, checkpoint.activation, checkpoint.epsilon,
        checkpoint.pad, checkpoint.pooling, checkpoint.kind.causal,
    )  # fmt: skip


def of(checkpoint: "Checkpoint") -> onnx.ModelProto:
    """Return the graph of a checkpoint, see `build`. Raises BrokenData: a weight is no number."""
    return build(form(checkpoint), weights(checkpoint, checkpoint.tensors()))


def weights(checkpoint: "Checkpoint", tensors: dict[str, NDArray[np.float32]]) -> Weights:
    """Return the weights of a checkpoint by names that all families share.

    What is turned is taken out of `tensors`, so that memory does not hold it twice.
    """
    family = checkpoint.kind
    words, places = (tensors[f"{name}.weight"] for name in family.embeddings[:2])
    places = places[checkpoint.pad + 1 if family.offset else 0 :]
    if family.types:
        places = places + tensors["embeddings.token_type_embeddings.weight"][0]  # all are of the first segment
    found = {"words": words, "places": places}
    for name, its in _names(family, checkpoint.layers).items():
        matrix, bias = tensors[f"{its}.weight"], tensors[f"{its}.bias"]
        if not family.causal:
            matrix = tensors.pop(f"{its}.weight").T
        elif (part := name.rpartition(".")[2]) in ATTENDING:
            matrix, bias = (np.split(one, 3, -1)[ATTENDING.index(part)] for one in (matrix, bias))
        found[f"{name}.weight"], found[f"{name}.bias"] = np.ascontiguousarray(matrix), bias
    return found


def tensors(form: Form, weights: Weights, family: "Family") -> dict[str, NDArray[np.float32]]:
    """Inverse of `weights`, for a family that tells segments apart: of the one that there is nothing is told."""
    found = {
        "embeddings.word_embeddings.weight": weights["words"],
        "embeddings.position_embeddings.weight": weights["places"],
        "embeddings.token_type_embeddings.weight": np.zeros((1, form.width), np.float32),
    }
    for name, its in _names(family, form.layers).items():
        found[f"{its}.weight"] = np.ascontiguousarray(weights[f"{name}.weight"].T)
        found[f"{its}.bias"] = weights[f"{name}.bias"]
    return found


def _names(family: "Family", layers: int) -> dict[str, str]:
    """What a family calls all that has a weight and a bias, by the name in `Weights`."""
    parts = {
        f"{layer}.{part}": family.layer.format(layer) + its
        for layer in range(layers)
        for part, its in zip(PARTS, family.parts, strict=True)
    }
    return {"last_norm" if family.causal else "embedding_norm": family.embeddings[2], **parts}


def build(form: Form, weights: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """Return the graph from "x", ids int32 [batch, length], to "vectors", float32 [batch, width].

    What is the id that pads is not there: a row has the same vector, but for rounding, however far it is padded.
    """
    graph = _Graph()
    hidden, mask = _embedded(graph, form, weights)
    unseen = _behind(graph) if form.causal else _padding(graph, mask)  # [batch, heads, from, to]
    for layer in range(form.layers):
        hidden = _Layer(graph, form, weights, layer).of(hidden, unseen)
    if form.causal:
        hidden = _norm(graph, form, weights, "last_norm", hidden)
    _pool(graph, form.pooling, hidden, mask)
    return graph.model(form)


def read(path: Path) -> tuple[Form, Weights]:
    """Inverse of `build`.

    Raises:
        BrokenData: An earlier luodi wrote the graph, which gave no names to the weights.
    """
    model = onnx.load(path)
    known = {one.key: one.value for one in model.metadata_props}
    if FORM not in known:
        raise BrokenData(
            f"{path} is of an earlier luodi, which told nothing of its weights: add the checkpoint again, with `luodi "
            "encoder add DIR --name ANOTHER`, and name that in train.encoder"
        )
    found, form = {}, Form(**json.loads(known[FORM]))
    for tensor in model.graph.initializer:
        if not tensor.name.startswith(CONSTANT):
            found[tensor.name] = numpy_helper.to_array(tensor)
    for layer in range(form.layers):
        for kind in ("weight", "bias"):
            parts = np.split(found.pop(f"{layer}.attending.{kind}"), 3, axis=-1)
            parts[0] = parts[0] / form.scale
            found |= {f"{layer}.{name}.{kind}": part for name, part in zip(ATTENDING, parts, strict=True)}
    return form, found


CONSTANT = "c:"


class _Graph:
    """Nodes and weights as they come, each value with a name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, NDArray[Any]] = {}

    def value(self, value: Any, name: str = "") -> str:
        name = name or f"{CONSTANT}{len(self.weights)}"
        self.weights[name] = np.asarray(value, order="C")
        return name

    def node(self, kind: str, *inputs: str, called: str = "", **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [called or name], name=name, **attributes))
        return called or name

    def model(self, form: Form) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [helper.make_tensor_value_info(X, TensorProto.INT32, ["batch", "length"])],
            [helper.make_tensor_value_info(VECTORS, TensorProto.FLOAT, ["batch", form.width])],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, producer_name="luodi", opset_imports=[opset], ir_version=IR)
        for name, value in self.weights.items():  # one by one: what helper is given it copies twice
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        helper.set_model_props(model, {FORM: json.dumps(asdict(form), sort_keys=True)})
        return model


def _embedded(graph: _Graph, form: Form, weights: Mapping[str, NDArray[np.float32]]) -> tuple[str, str]:
    """The tokens' vectors, and 1 where there is a token, 0 where a row is padded: [batch, length]."""
    pad, one = graph.value(np.int32(form.pad)), graph.value(np.array([1], np.int64))
    mask = graph.node("Cast", graph.node("Not", graph.node("Equal", X, pad)), to=TensorProto.FLOAT)
    length = graph.node("Shape", X, start=1)
    here = graph.node("Slice", graph.value(weights["places"], "places"), graph.value(np.array([0], np.int64)), length,
                      graph.value(np.array([0], np.int64)), one)  # fmt: skip
    hidden = graph.node("Add", graph.node("Gather", graph.value(weights["words"], "words"), X), here)
    return hidden if form.causal else _norm(graph, form, weights, "embedding_norm", hidden), mask


def _padding(graph: _Graph, mask: str) -> str:
    """What is added for a token that only fills up its row: [batch, 1, 1, to]."""
    unseen = graph.node("Mul", graph.node("Sub", mask, graph.value(np.float32(1))), graph.value(np.float32(-HIDDEN)))
    return graph.node("Unsqueeze", unseen, graph.value(np.array([1, 2], np.int64)))


def _behind(graph: _Graph) -> str:
    """What is added for a token that stands behind: [from, to]. What fills up a row stands behind all of it."""
    places = _places(graph)
    column = graph.node("Unsqueeze", places, graph.value(np.array([1], np.int64)))
    later = graph.node("Cast", graph.node("Greater", places, column), to=TensorProto.FLOAT)
    return graph.node("Mul", later, graph.value(np.float32(HIDDEN)))


def _places(graph: _Graph) -> str:
    """0, 1, ... of the tokens of a row: float32 [length]."""
    length = graph.node("Gather", graph.node("Shape", X), graph.value(np.array(1, np.int64)))
    bounds = graph.value(np.array(0, np.int64)), length, graph.value(np.array(1, np.int64))
    return graph.node("Cast", graph.node("Range", *bounds), to=TensorProto.FLOAT)


def _norm(graph: _Graph, form: Form, weights: Mapping[str, NDArray[np.float32]], name: str, summed: str) -> str:
    parts = (graph.value(weights[one], one) for one in (f"{name}.weight", f"{name}.bias"))
    return graph.node("LayerNormalization", summed, *parts, epsilon=form.epsilon)


class _Layer:
    """One layer, whose parts have the names in `PARTS`."""

    def __init__(self, graph: _Graph, form: Form, weights: Mapping[str, NDArray[np.float32]], number: int) -> None:
        self.graph, self.form, self.weights, self.number = graph, form, weights, number

    def of(self, hidden: str, unseen: str) -> str:
        add = partial(self.graph.node, "Add")
        if self.form.causal:
            hidden = add(hidden, self.attention(self.norm("attention_norm", hidden), unseen))
            return add(hidden, self.forward(self.norm("norm", hidden)))
        hidden = self.norm("attention_norm", add(hidden, self.attention(hidden, unseen)))
        return self.norm("norm", add(hidden, self.forward(hidden)))

    def attention(self, hidden: str, unseen: str) -> str:
        graph, heads, width = self.graph, self.form.heads, self.form.width
        shape = graph.value(np.array([0, 0, 3 * heads, width // heads], np.int64))
        found = self.product(hidden, "attending", self._fused("weight"), self._fused("bias"))
        parts = graph.node("Transpose", graph.node("Reshape", found, shape), perm=[0, 2, 1, 3])
        query, key, value = (  # of [batch, 3 x heads, length, width of a head]
            graph.node("Slice", parts, *(graph.value(np.array([end], np.int64)) for end in (first, first + heads, 1)))
            for first in range(0, 3 * heads, heads)
        )
        scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
        shares = graph.node("Softmax", graph.node("Add", scores, unseen), axis=-1)
        found = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", found, graph.value(np.array([0, 0, width], np.int64)))
        return self.linear(joined, "attention")

    def forward(self, hidden: str) -> str:
        inner = self.linear(hidden, "inner")
        return self.linear(self.activated(inner), "outer")

    def activated(self, inner: str) -> str:
        if self.form.activation == "relu":
            return self.graph.node("Relu", inner)
        return self.gelu_new(inner) if self.form.activation == "gelu_new" else self.gelu(inner)

    def norm(self, part: str, summed: str) -> str:
        return _norm(self.graph, self.form, self.weights, f"{self.number}.{part}", summed)

    def linear(self, hidden: str, part: str) -> str:
        weight, bias = (self.weights[f"{self.number}.{part}.{kind}"] for kind in ("weight", "bias"))
        return self.product(hidden, part, weight, bias)

    def product(self, hidden: str, part: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        name, graph = f"{self.number}.{part}", self.graph
        product = graph.node("MatMul", hidden, graph.value(weight, f"{name}.weight"))
        return graph.node("Add", product, graph.value(bias, f"{name}.bias"))

    def _fused(self, kind: str) -> NDArray[np.float32]:
        """Those of query, which is scaled here, key and value."""
        query, key, value = (self.weights[f"{self.number}.{name}.{kind}"] for name in ATTENDING)
        return np.concatenate([self.form.scale * query, key, value], axis=-1)

    def gelu(self, x: str) -> str:
        """x times the share of a normal distribution below x (Hendrycks and Gimpel 2016)."""
        graph = self.graph
        share = graph.node("Erf", graph.node("Div", x, graph.value(np.float32(np.sqrt(2)))))
        return self._halved(x, share)

    def gelu_new(self, x: str) -> str:
        """About the same, by a hyperbolic tangent."""
        graph = self.graph
        cubed = graph.node("Mul", graph.node("Mul", x, graph.node("Mul", x, x)), graph.value(np.float32(0.044715)))
        scaled = graph.node("Mul", graph.node("Add", x, cubed), graph.value(np.float32(np.sqrt(2 / np.pi))))
        return self._halved(x, graph.node("Tanh", scaled))

    def _halved(self, x: str, share: str) -> str:
        doubled = self.graph.node("Mul", x, self.graph.node("Add", share, self.graph.value(np.float32(1))))
        return self.graph.node("Mul", doubled, self.graph.value(np.float32(0.5)))


def _pool(graph: _Graph, pooling: str, hidden: str, mask: str) -> None:
    across = graph.value(np.array([1], np.int64))
    if pooling == "cls":
        first = graph.value(np.array(0, np.int64))
        graph.node("Gather", hidden, first, axis=1, called=VECTORS)
        return
    if pooling == "last":
        mask = _last(graph, mask)
    seen = graph.node("Unsqueeze", mask, graph.value(np.array([2], np.int64)))
    total = graph.node("ReduceSum", graph.node("Mul", hidden, seen), across, keepdims=0)
    count = graph.node("Max", graph.node("ReduceSum", mask, across, keepdims=1), graph.value(np.float32(1)))
    graph.node("Div", total, count, called=VECTORS)


def _last(graph: _Graph, mask: str) -> str:
    """1 at the last token of a row, or at the first place of one that has none: [batch, length]."""
    places = _places(graph)
    furthest = graph.node("ReduceMax", graph.node("Mul", mask, places), axes=[1], keepdims=1)
    return graph.node("Cast", graph.node("Equal", places, furthest), to=TensorProto.FLOAT)
