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
