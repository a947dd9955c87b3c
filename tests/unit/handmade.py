"""An exported model made by hand: no Keras in sight."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from luodi.data import image
from luodi.data.modality import Encoder as AnyEncoder
from luodi.data.text import Encoder
from luodi.files import write_json
from luodi.scoring import inference

ENCODER = Encoder(("no", "yes"), "char", 4, 16, (), tuple("好坏书"))
IMAGES = image.Encoder(("no", "yes"), 2, 3, 1, (0.5,), (0.25,))


def make(folder: Path, encoder: AnyEncoder = ENCODER, recorded: dict[str, int] | None = None) -> Any:
    """probabilities = softmax(x W), x flat, W seeded."""
    weights = np.random.default_rng(2).normal(size=(math.prod(encoder.shape), 2)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["float", "w"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    ports = [
        helper.make_tensor_value_info("x", getattr(TensorProto, encoder.dtype.upper()), ["batch", *encoder.shape]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2]),
    ]
    graph = helper.make_graph(nodes, "test", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    facts = recorded or inference.facts(encoder)
    helper.set_model_props(model, {"luodi": json.dumps(facts)})
    onnx.save(model, folder / "model.onnx")
    write_json(folder / "encoder.json", encoder.as_json())
    return weights
