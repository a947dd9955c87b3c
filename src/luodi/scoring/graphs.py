"""ONNX models written node by node: equal weights are equal bytes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from luodi.data.modality import Encoder
from luodi.scoring import inference

OPSET, IR = 15, 8  # as networks are exported: the two can be joined
OUTPUT = "probabilities"
FEW = 7  # columns of a table, of which single numbers are copied faster than whole rows
COPYING = ["Reshape"], ["Reshape", "Add", "Unsqueeze", "Mul"]
"""What `sums` makes the numbers and their places by, the last first."""
INPUTS = {"int32": TensorProto.INT32, "uint8": TensorProto.UINT8}


def make(
    nodes: Sequence[NodeProto],
    weights: Mapping[str, Any],
    encoder: Encoder,
    output: str = OUTPUT,
    *,
    any_width: bool = False,
) -> onnx.ModelProto:
    """Return the model of `nodes`, from "x" as `encoder` gives it to `output`, float32 [batch, columns].

    Its columns are classes, or whatever a model within reads. With `any_width` its rows may be of any length.
    """
    sides = [inference.ANY_WIDTH] if any_width else encoder.shape
    columns = len(encoder.labels) if output == OUTPUT else "columns"
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}_{number}"
    graph = helper.make_graph(
        nodes,
        "luodi",
        [helper.make_tensor_value_info("x", INPUTS[encoder.dtype], ["batch", *sides])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", columns])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(
        graph, producer_name="luodi", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR
    )
    helper.set_model_props(model, {"luodi": json.dumps(inference.facts(encoder), sort_keys=True)})
    onnx.checker.check_model(model)
    return model


def sums(table: str, ids: str, columns: int) -> tuple[list[NodeProto], dict[str, Any]]:
    """Return nodes and weights that add up, for each row of `ids` [batch, any], the rows of `table` that it names.

    The table is [any, columns], "sums" [batch, columns]. ONNX Runtime copies row by row at 50 nanoseconds each, however
    short they are, and number by number at 5.
    """
    if columns > FEW:
        nodes = [
            helper.make_node("Gather", [table, ids], ["terms"]),
            helper.make_node("ReduceSum", ["terms", "across"], ["sums"], keepdims=0),
        ]
        return nodes, {"across": np.array([1], np.int64)}
    nodes = [
        helper.make_node("Reshape", [table, "flat"], ["numbers"]),
        helper.make_node("Mul", [ids, "columns"], ["starts"]),
        helper.make_node("Unsqueeze", ["starts", "first"], ["firsts"]),
        helper.make_node("Add", ["firsts", "each"], ["places"]),  # [batch, columns, any]
        helper.make_node("Shape", ["places"], ["shape"]),
        helper.make_node("Reshape", ["places", "flat"], ["end_to_end"]),
        helper.make_node("GatherElements", ["numbers", "end_to_end"], ["copied"]),
        helper.make_node("Reshape", ["copied", "shape"], ["terms"]),
        helper.make_node("ReduceSum", ["terms", "across"], ["sums"], keepdims=0),
    ]
    weights = {
        "columns": np.int32(columns),
        "each": np.arange(columns, dtype=np.int32)[:, None],
        "first": np.array([1], np.int64),
        "flat": np.array([-1], np.int64),
        "across": np.array([2], np.int64),
    }
    return nodes, weights


def with_rows(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with the stored tables of `sums` copied row by row, as quantizers know it."""
    producers = {name: node for node in model.graph.node for name in node.output}
    stored = {weight.name for weight in model.graph.initializer}
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    for node in model.graph.node:
        table, ids = _looked_up(node, producers)
        if table not in stored:
            changed.graph.node.append(node)
            continue
        rows = f"{node.output[0]}_rows"
        changed.graph.node.append(helper.make_node("Gather", [table, ids], [rows], f"{node.name}_rows"))
        changed.graph.node.append(helper.make_node("Transpose", [rows], node.output, node.name, perm=[0, 2, 1]))
    return changed


def _looked_up(node: NodeProto, producers: Mapping[str, NodeProto]) -> tuple[str, str]:
    """The table and the ids that a node of `sums` copies numbers by; "" of any other."""
    if node.op_type != "GatherElements":
        return "", ""
    table, places = (_above(name, kinds, producers) for name, kinds in zip(node.input, COPYING, strict=True))
    return (table, places) if table and places else ("", "")


def _above(name: str, kinds: Sequence[str], producers: Mapping[str, NodeProto]) -> str:
    """What nodes of these kinds, the last first, made a value of; "" where others did."""
    for kind in kinds:
        node = producers.get(name)
        if node is None or node.op_type != kind:
            return ""
        name = node.input[0]
    return name
