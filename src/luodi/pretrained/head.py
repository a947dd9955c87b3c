"""What stands behind an encoder: from its vectors to probabilities, and the graph of both, which is served."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from luodi.data.modality import Encoder
from luodi.errors import ArtifactError
from luodi.files import replacing_folder, write_json, write_text
from luodi.nets import onnx_file
from luodi.pretrained import vector_file
from luodi.scoring import inference

ROWS = 32  # by which what is exported is compared with what was trained
TOLERANCE = 1e-4  # of a probability
SHORTEST = 1e-6  # length of a vector, and scale of all, below which it is taken for that


@dataclass(frozen=True)
class Standard:
    """How vectors are brought to a mean of 0 and a mean deviation of 1: (vector / its length - mean) / scale."""

    mean: NDArray[np.float32]
    scale: np.float32

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> "Standard":
        """Measure it on vectors of length 1, float32 [rows, width], some at a time."""
        mean = vectors.mean(0)
        squares = sum(((part - mean) ** 2).sum(0, dtype=np.float64) for part in vector_file.parts(vectors))
        return cls(mean, np.float32(max(np.sqrt(squares / len(vectors)).mean(), SHORTEST)))


@dataclass(frozen=True)
class Head:
    """Logits are `standard` of a vector @ weights + bias, float32 [width, classes] and [classes]."""

    standard: Standard
    weights: NDArray[np.float32] = field(repr=False)
    bias: NDArray[np.float32] = field(repr=False)

    def behind(self, joined: onnx.ModelProto) -> onnx.ModelProto:
        """Put it behind the graph of an encoder: from "x", ids, to "probabilities" float32 [batch, classes]."""
        graph, weights = joined.graph, self.weights / self.standard.scale
        del graph.output[:]
        bias = self.bias - self.standard.mean @ weights
        values = {"unit_least": np.float32(SHORTEST), "head": weights, "head_bias": bias}
        graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())
        graph.node.extend([
            helper.make_node("ReduceL2", ["vectors"], ["norm"], axes=[1], keepdims=1),
            helper.make_node("Max", ["norm", "unit_least"], ["positive"]),
            helper.make_node("Div", ["vectors", "positive"], ["unit"]),
            helper.make_node("Gemm", ["unit", "head", "head_bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ])  # fmt: skip
        shape = ["batch", len(self.bias)]
        graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape))
        return joined


def write(
    folder: Path,
    model: onnx.ModelProto,
    encoder: Encoder,
    items: list[Any],
    expected: NDArray[np.float32],
    *,
    beside: Mapping[str, str],
) -> None:
    """Write what is served; `expected` are the probabilities that training found for some clean items, and
    `beside` more files by their names.

    Raises:
        ArtifactError: ONNX Runtime says something else of them.
    """
    helper.set_model_props(model, {"luodi": json.dumps(inference.facts(encoder), sort_keys=True)})
    with replacing_folder(folder) as temporary:
        onnx_file.write(model, temporary / inference.MODEL)
        write_json(temporary / inference.ENCODER, encoder.as_json())
        for name, text in beside.items():
            write_text(temporary / name, text)
        found = inference.Classifier.load(temporary).probabilities(items)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:  # NaN is unequal too
            raise ArtifactError(
                f"the exported model differs from the trained one: expected probabilities within {TOLERANCE}, found a "
                f"difference of {difference:.3g}; it was not saved: set train.precision to float32, or train.encoder "
                "to another encoder"
            )
