"""Export a Keras model to ONNX: canonical bytes, checked against Keras before anyone may serve it."""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray

from luodi.config import ModelSettings
from luodi.data import text
from luodi.data.modality import Encoder
from luodi.errors import ArtifactError, LuodiError, WrongValue
from luodi.nets import catalogue, training
from luodi.nets.canonical import LARGEST, canonical
from luodi.nets.fitting import Built, Net
from luodi.nets.text import ngram
from luodi.scoring import inference
from luodi.system import resources

TOLERANCE = 1e-4
ERFC = "Erfc"  # an operator of TensorFlow's


def convert(net: Net, settings: ModelSettings, encoder: Encoder, built: Built | None = None) -> onnx.ModelProto:
    """Return `net` as ONNX, from "x" [batch, ...] of the encoder's shape and type to "probabilities" float32; rows may
    be of any length where padding makes no difference.

    What another backend trained is built again by TensorFlow, from which alone Keras exports without further libraries:
    in a process of its own, for a process has one backend.

    Raises:
        LuodiError: That process came to no end.
        UserCodeFailed: The network is a user's own, and fails there.
    """
    if settings.train.architecture == "ngram" and isinstance(encoder, text.Encoder):
        written = ngram.graph(net.model, net.factor, encoder)
        if written is not None:
            return written
    if keras.backend.backend() == "tensorflow":
        model = traced(net.model)
    else:
        with _by_tensorflow() as process:
            work = process.submit(_rebuilt, settings, encoder, net.model.get_weights(), net.factor, built)
            model = onnx.load_from_string(work.result())
    if catalogue.any_width(settings):
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = inference.ANY_WIDTH
    return canonical(model, inference.facts(encoder))


@contextmanager
def _by_tensorflow() -> Iterator[ProcessPoolExecutor]:
    backend = os.environ["KERAS_BACKEND"]
    os.environ["KERAS_BACKEND"] = "tensorflow"  # what starts now
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            yield process
    except BrokenProcessPool:
        raise LuodiError(
            f"the process that exports what {backend} trained came to no end: {resources.MORE_MEMORY}"
        ) from None
    finally:
        os.environ["KERAS_BACKEND"] = backend


def _rebuilt(
    settings: ModelSettings, encoder: Encoder, weights: list[NDArray[Any]], factor: float, built: Built | None
) -> bytes:
    """ONNX of the network that has those weights, its logits times `factor`."""
    model = training.scaled((built or catalogue).as_float32(weights, settings, encoder), factor)
    model(np.zeros((1, *encoder.shape), encoder.dtype))  # Keras exports none that was never called
    found: bytes = traced(model).SerializeToString()
    return found


def write(model: onnx.ModelProto, sample: NDArray[Any], expected: NDArray[np.float32], path: Path) -> None:
    """Write `model` to `path`; `expected` is what it was trained to say of the rows `sample` [n, ...].

    Raises:
        ArtifactError: ONNX Runtime says otherwise, by more than 1e-4.
    """
    path.write_bytes(model.SerializeToString(deterministic=True))
    require_equal(path, sample, expected)


def require_equal(path: Path, sample: NDArray[Any], expected: NDArray[np.float32]) -> None:
    """Raise ArtifactError unless the ONNX model at `path` maps `sample` to `expected` within 1e-4."""
    found = inference.run_session(inference.open_session(path), sample)
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:  # NaN is unequal too
        raise ArtifactError(
            f"the exported model differs from the trained one: expected probabilities within {TOLERANCE}, "
            f"found a difference of {difference:.3g} on {len(sample)} validation rows; it was not saved: "
            "set train.precision to float32 in params.yaml, or train.architecture to another"
        )


def require_small(model: keras.Model) -> None:
    """Raise WrongValue where a network, which is not trained yet, has more weights than an ONNX file holds."""
    if (size := 4 * model.count_params()) > LARGEST:
        raise WrongValue(
            f"the network has {size // 4:,} weights, {size / 1e9:.1f} GB, and what is exported holds at most "
            f"{LARGEST / 1e9:.1f}: make it smaller by the settings of train, such as table or embedding"
        )


def traced(model: keras.Model) -> onnx.ModelProto:
    """Return what TensorFlow's converter makes of a model that was called once, in no order: see `canonical`."""
    with tempfile.TemporaryDirectory() as folder, _temporary(folder):
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        return _without_erfc(onnx.load(path))


def _without_erfc(model: onnx.ModelProto) -> onnx.ModelProto:
    """Say by 1 - erf what TensorFlow's exact gelu computes, which ONNX has no operator for and the converter leaves."""
    nodes = list(model.graph.node)
    if any(node.op_type == ERFC for node in nodes):
        del model.graph.node[:]
        for node in nodes:
            model.graph.node.extend(_by_erf(node) if node.op_type == ERFC else [node])
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1), f"{ERFC}_one"))
    return model


def _by_erf(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    between = f"{node.output[0]}_erf"
    return [
        onnx.helper.make_node("Erf", node.input, [between]),
        onnx.helper.make_node("Sub", [f"{ERFC}_one", between], node.output),
    ]


@contextmanager
def _temporary(folder: str) -> Iterator[None]:
    """Let temporary files be made in `folder`: what TensorFlow compiles it leaves lying there for good."""
    usual, tempfile.tempdir = tempfile.tempdir, folder
    try:
        yield
    finally:
        tempfile.tempdir = usual
