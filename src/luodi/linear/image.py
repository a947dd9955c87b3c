"""Logistic regression on edges, colours and a coarse picture of an image.

A linear model of pixels knows a shape in one place and of one brightness alone. What is read instead of them is part of
the exported graph, which is run to fit the model, too; benchmarks/anyone.md has the experiments behind it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from luodi.config import ImageBaseline
from luodi.data import image
from luodi.data.image import Encoder
from luodi.data.split_rows import Rows
from luodi.linear import fitting
from luodi.scoring import graphs, inference

SIDE = 32  # pixels; larger images are averaged down: a linear model gains nothing from finer detail
CELLS = 8  # a side, of which edges and colours are averaged
DIRECTIONS = 8  # of edges, from dark to bright
FAINT = 0.02  # contrast, 0 to 1, below which an edge is more and more taken for noise
LEVELS = {1: 16, 3: 4}  # of each channel, by the number of channels: the colours whose shares are counted
COARSE, SHARES = 0.3, 8.0  # weights of standardised colours and of shares of colours, beside those of edges
ITERATIONS = 100  # of L-BFGS; on Fashion-MNIST 300 more than double the time and score no better on test
FLATTEST = 1 / 255  # a channel may hardly change

Described = tuple[list[NodeProto], dict[str, Any]]
"""Nodes of a graph, and the constants that they read."""


def encoder_for(encoder: Encoder, train: Rows) -> Encoder:
    """Return the encoder whose pixels the linear model reads: that of the network."""
    return encoder


def fit(
    encoder: Encoder,
    train: Rows,
    validation: Rows,
    settings: ImageBaseline,
    class_weight: str | None = None,
    *,
    factor: float | None = None,
) -> fitting.Fitted:
    """Return the fitted models, from "x" uint8 [batch, h, w, c] to "probabilities" float32 [batch, classes].

    `class_weight` is scikit-learn's: None, or "balanced"; `factor` that of `fitting.fit`.

    Raises:
        ArtifactError: The train rows hold one class only.
    """
    from sklearn.linear_model import LogisticRegression

    def logistic(C: float) -> Any:
        # L-BFGS: Newton's matrix has (pixels x classes) squared entries.
        return LogisticRegression(C=C, solver="lbfgs", max_iter=ITERATIONS, class_weight=class_weight)

    classes = len(encoder.labels)
    seen, judged = (fitting.Rows(features(encoder, part.items), part.label) for part in (train, validation))
    model = fitting.fit(seen, judged, classes, settings.regularization, logistic, factor=factor)
    first = graph(model, encoder)
    if not settings.all_rows:
        return fitting.Fitted(first, first, model.strength)
    x, y = (np.concatenate(pair) for pair in ((seen.features, judged.features), (seen.label, judged.label)))
    final = graph(fitting.again(fitting.Rows(x, y), classes, model, logistic), encoder)
    return fitting.Fitted(first, final, model.strength)


def features(encoder: Encoder, images: Sequence[bytes]) -> NDArray[np.float32]:
    """Return what the linear model reads of canonical images: float32 [images, features]."""
    nodes, tensors = _described(encoder)
    session = inference.session(graphs.make(nodes, tensors, encoder, "features").SerializeToString())
    count = inference.batch_rows(encoder)
    parts = (image.pixels(images[start : start + count]) for start in range(0, len(images), count))
    return np.concatenate([session.run(["features"], {"x": part})[0] for part in parts])


def block(encoder: Encoder) -> int:
    """Pixels a side of the square blocks that are averaged: the fewest that bring both sides to `SIDE`."""
    return min(-(-max(encoder.height, encoder.width) // SIDE), encoder.height, encoder.width)


def _standard(encoder: Encoder) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of each channel, 0 to 1."""
    return np.array(encoder.mean, np.float32), np.maximum(np.array(encoder.std, np.float32), np.float32(FLATTEST))


def graph(model: fitting.Linear, encoder: Encoder) -> onnx.ModelProto:
    """Return `model` as ONNX; what it reads of the pixels is worked out in it."""
    nodes, tensors = _described(encoder)
    nodes += [
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = {"weights": model.weights.astype(np.float32), "bias": model.bias.astype(np.float32)}
    return graphs.make(nodes, tensors | weights, encoder)


def _described(encoder: Encoder) -> Described:
    """Return the nodes from "x" to "features" [batch, features], and their constants. A rest at the edge is cut."""
    side = block(encoder)
    height, width = encoder.height // side, encoder.width // side
    cell = min(-(-max(height, width) // CELLS), height, width)
    square = {"kernel_shape": [cell, cell], "strides": [cell, cell]}
    nodes = [
        helper.make_node("Cast", ["x"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["means"], kernel_shape=[side, side], strides=[side, side]),
    ]
    tensors: dict[str, Any] = {}
    for part, constants in (_edges(square), _coarse(encoder, square), _shares(encoder.channels)):
        nodes += part
        tensors |= constants
    return [*nodes, helper.make_node("Concat", ["edges", "coarse", "shares"], ["features"], axis=1)], tensors


def _edges(square: dict[str, Any]) -> Described:
    """How much of each cell rises in each direction, as shares of what rises around it: histograms of oriented
    gradients (Dalal and Triggs 2005), in ONNX' operators.

    A pixel counts for a direction by the cosine of the angle between, and not at all from the next but one on.
    """
    angle = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    least = math.cos(2 * np.pi / DIRECTIONS)
    kernels = np.zeros((DIRECTIONS, 1, 3, 3))
    kernels[:, 0, 1, 2], kernels[:, 0, 2, 1] = np.cos(angle), np.sin(angle)
    kernels[:, 0, 1, 0], kernels[:, 0, 0, 1] = -np.cos(angle), -np.sin(angle)
    tensors = {
        "border": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
        "kernels": (kernels / (255 * (1 - least))).astype(np.float32),
        # The squares of all directions add up to half their number times that of the steepest.
        "least": np.float32(least * math.sqrt(2 / DIRECTIONS)),
        "faint": np.float32(FAINT**2),
    }
    nodes = [
        helper.make_node("ReduceMean", ["means"], ["grey"], axes=[1]),
        helper.make_node("Pad", ["grey", "border"], ["framed"], mode="edge"),
        helper.make_node("Conv", ["framed", "kernels"], ["rises"]),
        helper.make_node("ReduceL2", ["rises"], ["length"], axes=[1]),
        helper.make_node("Mul", ["length", "least"], ["other"]),
        helper.make_node("Sub", ["rises", "other"], ["beyond"]),
        helper.make_node("Relu", ["beyond"], ["towards"]),
        helper.make_node("AveragePool", ["towards"], ["cells"], **square),
        helper.make_node("ReduceSumSquare", ["cells"], ["energy"], axes=[1]),
        helper.make_node(
            "AveragePool", ["energy"], ["around"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1
        ),
        helper.make_node("Add", ["around", "faint"], ["least_energy"]),
        helper.make_node("Sqrt", ["least_energy"], ["contrast"]),
        helper.make_node("Div", ["cells", "contrast"], ["relative"]),
        helper.make_node("Flatten", ["relative"], ["edges"]),
    ]
    return nodes, tensors


def _coarse(encoder: Encoder, square: dict[str, Any]) -> Described:
    """The mean colour of each cell, standardised."""
    mean, deviation = _standard(encoder)
    scale = COARSE / (255 * deviation)
    tensors = {"scale": scale.reshape(-1, 1, 1), "shift": (-255 * mean * scale).reshape(-1, 1, 1)}
    nodes = [
        helper.make_node("AveragePool", ["means"], ["colours"], **square),
        helper.make_node("Mul", ["colours", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["standard"]),
        helper.make_node("Flatten", ["standard"], ["coarse"]),
    ]
    return nodes, {name: value.astype(np.float32) for name, value in tensors.items()}


def _shares(channels: int) -> Described:
    """Roots of the shares of the image that each colour has, wherever in it."""
    levels = LEVELS[channels]
    tensors = {
        # Averages of 64 may be 63.99 on another processor: levels begin between whole numbers.
        "half": np.float32(0.5),
        "step": np.float32(256 / levels),
        "places": (levels ** np.arange(channels)).astype(np.float32).reshape(1, channels, 1, 1),
        "kinds": np.array(levels**channels, np.int64),
        "off_on": np.array([0, 1], np.float32),
        "heavy": np.float32(SHARES),
    }
    nodes = [
        helper.make_node("Add", ["means", "half"], ["rounded"]),
        helper.make_node("Div", ["rounded", "step"], ["steps"]),
        helper.make_node("Floor", ["steps"], ["levels"]),
        helper.make_node("Conv", ["levels", "places"], ["number"]),
        helper.make_node("Cast", ["number"], ["kind"], to=TensorProto.INT64),
        helper.make_node("OneHot", ["kind", "kinds", "off_on"], ["kind_of_each"]),
        helper.make_node("ReduceMean", ["kind_of_each"], ["share"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sqrt", ["share"], ["root"]),
        helper.make_node("Mul", ["root", "heavy"], ["shares"]),
    ]
    return nodes, tensors
