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
FEW = 8  # columns of a table, of which single numbers are copied faster than whole rows
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
