"""Units that are left out: those of least weights, where nothing else than weights reads them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from luodi.compression import pruning
from luodi.scoring import inference

RNG = np.random.default_rng(4)
Weights = dict[str, NDArray[Any]]


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def model(nodes: Sequence[NodeProto], weights: Weights, shape: Sequence[int], kind: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "it",
        [helper.make_tensor_value_info("x", kind, ["batch", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def dense() -> tuple[onnx.ModelProto, NDArray[Any]]:
    """A hidden layer of 16 units, of which 8 say nothing."""
    weights = {"w": normal(5, 16), "b": normal(16), "v": normal(16, 3), "half": np.array(0.5, np.float32)}
    weights["w"][:, ::2] = 0
    weights["b"][::2] = 0
    nodes = [node("MatMul", "x w", "1"), node("Add", "1 b", "2"), node("Relu", "2", "3"), node("Mul", "3 half", "4"),
             node("MatMul", "4 v", "5"), node("Softmax", "5", "probabilities")]  # fmt: skip
    return model(nodes, weights, [5], TensorProto.FLOAT), normal(7, 5)


def convolutions() -> tuple[onnx.ModelProto, NDArray[Any]]:
    """Channels with batch norm between, of which half say nothing."""
    weights = {
        "w": normal(8, 1, 3, 3),
        "c": normal(8),
        "m": normal(1, 8, 1, 1),
        "v": normal(3, 8, 3, 3),
        "a": np.array([2, 3]),
    }
    for name in ("w", "c"):
        weights[name][1::2] = 0
    nodes = [node("Conv", "x w c", "1", pads=[1] * 4), node("Mul", "1 m", "2"),
             node("MaxPool", "2", "3", kernel_shape=[2, 2]), node("Relu", "3", "4"), node("Conv", "4 v", "5"),
             node("GlobalAveragePool", "5", "6"), node("Squeeze", "6 a", "7"),
             node("Softmax", "7", "probabilities")]  # fmt: skip
    return model(nodes, weights, [1, 8, 8], TensorProto.FLOAT), normal(4, 1, 8, 8)


def embeddings() -> tuple[onnx.ModelProto, NDArray[Any]]:
    """A bag: vectors of 8 numbers, of which four are 0, weighed, added up, and read by a product."""
    weights = {"e": normal(20, 8), "o": np.ones((1, 1, 6), np.float32), "a": np.array([1]), "v": normal(8, 3)}
    weights["e"][:, :4] = 0
    nodes = [node("Gather", "e x", "1"), node("MatMul", "o 1", "2"), node("Squeeze", "2 a", "3"),
             node("MatMul", "3 v", "4"), node("Softmax", "4", "probabilities")]  # fmt: skip
    return model(nodes, weights, [6], TensorProto.INT32), RNG.integers(0, 20, (5, 6)).astype(np.int32)


def answers(found: onnx.ModelProto, x: NDArray[Any]) -> NDArray[np.float32]:
    return inference.run_session(inference.session(found.SerializeToString()), x)


@pytest.mark.parametrize(("made", "first"), [(dense, [5, 8]), (convolutions, [4, 1, 3, 3]), (embeddings, [20, 4])])
def test_units_that_say_nothing_go_and_the_answers_stay(made: Any, first: list[int]) -> None:
    found, x = made()
    before = answers(found, x)
    assert pruning.prune(found.graph, 0.5) > 0
    assert list(found.graph.initializer[0].dims) == first
    np.testing.assert_allclose(answers(found, x), before, atol=1e-6)


def test_those_of_least_weights_go() -> None:
    found, _ = dense()
    weights = {one.name: numpy_helper.to_array(one).copy() for one in found.graph.initializer}
    small, kept = weights["w"][:, 1], weights["w"][:, 3::2]
    small[:] = 1e-6
    found.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights["w"], "w"))
    pruning.prune(found.graph, 9 / 16)
    np.testing.assert_array_equal(numpy_helper.to_array(found.graph.initializer[0]), kept)


@pytest.mark.parametrize("between", ["Softmax", "Exp", "LayerNormalization"])
def test_where_units_meet_the_layer_stays_whole(between: str) -> None:
    found, _ = dense()
    found.graph.node[2].op_type = between
    before = found.SerializeToString()
    assert pruning.prune(found.graph, 0.5) == 0
    assert found.SerializeToString() == before


def test_two_branches_that_are_added_up_stay_whole() -> None:
    weights = {"w": normal(5, 16), "u": normal(5, 16), "v": normal(16, 3)}
    nodes = [node("MatMul", "x w", "1"), node("MatMul", "x u", "2"), node("Add", "1 2", "3"),
             node("MatMul", "3 v", "4"), node("Softmax", "4", "probabilities")]  # fmt: skip
    assert pruning.prune(model(nodes, weights, [5], TensorProto.FLOAT).graph, 0.5) == 0


def test_weights_that_two_layers_share_stay_whole() -> None:
    weights = {"w": normal(8, 8), "v": normal(8, 3)}
    nodes = [node("MatMul", "x w", "1"), node("MatMul", "1 w", "2"), node("MatMul", "2 v", "3"),
             node("Softmax", "3", "probabilities")]  # fmt: skip
    assert pruning.prune(model(nodes, weights, [8], TensorProto.FLOAT).graph, 0.5) == 0
