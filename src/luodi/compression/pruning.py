"""Leave out the units of hidden layers whose weights are least: the graph shrinks, and there is less to compute.

A unit is a channel of a convolution, a column of a matrix or of a table of embeddings; its importance is the length of
its own weights times that of the weights which read it (magnitude, Li et al. 2017, "Pruning Filters for Efficient
ConvNets"). It can go where all that its values meet, up to the weights that read them, treats each unit for itself.
Where anything else stands (a sum of two branches, a recurrent layer, attention) the layer stays whole.

Weights that are set to zero one by one stay in the file and are multiplied like others: that is not done.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, numpy_helper

EACH = {"Relu", "LeakyRelu", "Elu", "Gelu", "Tanh", "Sigmoid", "Erf", "Softplus", "MaxPool", "AveragePool",
        "GlobalAveragePool", "GlobalMaxPool", "Identity", "Dropout", "Squeeze"}  # fmt: skip
"""Operations on each unit for itself."""
READING = {"Conv": 1, "MatMul": 0}
"""What reads units, and the axis of its weights that they are."""
PAIRED = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "PRelu"}
"""With one number, or with one a unit."""
LEAST = 8  # units of a layer of which some are left out


@dataclass
class _Layer:
    """A layer: weights with the axis of its units, which go together.

    Attributes:
        own: Name and axis of the weights that make the units.
        beside: The like of vectors that hold a number for each unit.
        readers: The like of the weights that read them.
    """

    own: tuple[str, int]
    beside: list[tuple[str, int]] = field(default_factory=list)
    readers: list[tuple[str, int]] = field(default_factory=list)


class _Graph:
    """Nodes by what they read, and weights by name."""

    def __init__(self, graph: GraphProto) -> None:
        self.nodes = list(graph.node)
        self.weights = {weight.name: weight for weight in graph.initializer}
        self.outputs = {output.name for output in graph.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)

    def shape(self, name: str) -> list[int]:
        """The shape of a weight; none of what is computed."""
        return list(self.weights[name].dims) if name in self.weights else []

    def once(self, name: str) -> bool:
        """Whether a weight is used at one place alone."""
        return len(self.readers[name]) == 1

    def layer(self, node: NodeProto) -> _Layer | None:
        """The layer that a node begins, where its units can be left out."""
        place, axis = {"Conv": (1, 0), "MatMul": (1, 1), "Gather": (0, 1)}.get(node.op_type, (0, 0))
        name = node.input[place] if len(node.input) > place else ""
        rank = 4 if node.op_type == "Conv" else 2
        if len(self.shape(name)) != rank or not self.once(name) or _grouped(node) or (rank == 2 and not axis):
            return None
        layer = _Layer((name, axis))
        if node.op_type == "Conv" and len(node.input) == 3:
            layer.beside.append((node.input[2], 0))
        return layer if self._follow(node.output[0], self.shape(name)[axis], layer) else None

    def _follow(self, value: str, units: int, layer: _Layer) -> bool:
        """Walk from a value to all weights that read its units; False where something else does."""
        return value not in self.outputs and all(
            self._passes(node, value, units, layer) for node in self.readers.get(value, ())
        )

    def _passes(self, node: NodeProto, value: str, units: int, layer: _Layer) -> bool:
        if node.op_type in READING and node.input[0] == value:
            return not _grouped(node) and self._reads(node.input[1], READING[node.op_type], units, layer)
        weighed = node.op_type == "MatMul" and layer.own[1] == 1  # rows are added up, the units stay apart
        passes = weighed or node.op_type in EACH or (node.op_type in PAIRED and self._pairs(node, value, units, layer))
        return passes and self._follow(node.output[0], units, layer)

    def _pairs(self, node: NodeProto, value: str, units: int, layer: _Layer) -> bool:
        """Whether it is with a weight: one number, or one a unit."""
        others = [name for name in node.input if name != value]
        if len(others) != 1 or others[0] not in self.weights:
            return False
        shape = self.shape(others[0])
        if math.prod(shape) == units and units in shape and self.once(others[0]):
            layer.beside.append((others[0], shape.index(units)))
            return True
        return math.prod(shape) == 1

    def _reads(self, name: str, axis: int, units: int, layer: _Layer) -> bool:
        shape = self.shape(name)
        layer.readers.append((name, axis))
        return len(shape) > axis and shape[axis] == units and self.once(name)


def prune(graph: GraphProto, share: float) -> int:
    """Leave out that share of the units of each hidden layer where they can go; return how many weights went."""
    known, before = _Graph(graph), _count(graph)
    for node in known.nodes:
        layer = known.layer(node)
        if layer is None or not layer.readers or known.shape(layer.own[0])[layer.own[1]] < LEAST:
            continue
        parts = [layer.own, *layer.beside, *layer.readers]
        arrays = {name: numpy_helper.to_array(known.weights[name]) for name, _ in parts}
        kept = _kept(arrays, layer, share)
        for name, axis in parts:
            shrunk = np.ascontiguousarray(arrays[name].take(kept, axis))
            known.weights[name].CopyFrom(numpy_helper.from_array(shrunk, name))
    return before - _count(graph)


def _kept(arrays: dict[str, NDArray[Any]], layer: _Layer, share: float) -> NDArray[np.int64]:
    """Places of the most important units, in their order."""
    own = _length(arrays, layer.own)
    importance = own * np.sum([_length(arrays, one) for one in layer.readers], axis=0)
    count = len(own) - int(share * len(own))
    return np.sort(np.argsort(-importance, kind="stable")[:count])


def _length(arrays: dict[str, NDArray[Any]], part: tuple[str, int]) -> NDArray[np.float64]:
    """The length of the weights of each unit."""
    name, axis = part
    found: NDArray[np.float64] = np.sqrt((np.moveaxis(arrays[name].astype(np.float64), axis, 0) ** 2).reshape(
        arrays[name].shape[axis], -1).sum(1))  # fmt: skip
    return found


def _count(graph: GraphProto) -> int:
    return sum(math.prod(weight.dims) for weight in graph.initializer)


def _grouped(node: NodeProto) -> bool:
    return any(one.name == "group" and one.i != 1 for one in node.attribute)
