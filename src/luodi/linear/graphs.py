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
INPUTS = {"int32": TensorProto.INT32, "uint8": TensorProto.UINT8}


def make(nodes: Sequence[NodeProto], weights: Mapping[str, Any], encoder: Encoder) -> onnx.ModelProto:
    """Return the model of `nodes`, from "x" as `encoder` gives it to "probabilities" float32 [batch, classes]."""
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}_{number}"
    graph = helper.make_graph(
        nodes,
        "luodi",
        [helper.make_tensor_value_info("x", INPUTS[encoder.dtype], ["batch", *encoder.shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(encoder.labels)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(
        graph, producer_name="luodi", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR
    )
    helper.set_model_props(model, {"luodi": json.dumps(inference.facts(encoder), sort_keys=True)})
    onnx.checker.check_model(model)
    return model
