"""An ONNX model on disk: one file, or, of more weights than that holds, a second beside it. `onnx.load` reads both."""

from pathlib import Path

from onnx import ModelProto
from onnx.external_data_helper import set_external_data

from luodi.nets.canonical import LARGEST

BESIDE = ".data"
"""What the name of the file of weights has more than that of the model."""
LEAST = 1024  # bytes of a tensor that lies there
ALIGNED = 4096  # bytes: ONNX Runtime maps what begins at such a place, and reads what does not


def write(model: ModelProto, path: Path) -> None:
    """Write a model: equal ones are equal bytes. Of one of two files the weights are taken out of `model` itself."""
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST:
        _beside(model, path.with_name(path.name + BESIDE))
    path.write_bytes(model.SerializeToString(deterministic=True))


def _beside(model: ModelProto, path: Path) -> None:
    with path.open("wb") as file:
        for tensor in model.graph.initializer:
            if (size := len(tensor.raw_data)) >= LEAST:
                file.write(bytes(-file.tell() % ALIGNED))
                set_external_data(tensor, location=path.name, offset=file.tell(), length=size)
                file.write(tensor.raw_data)
                tensor.ClearField("raw_data")
