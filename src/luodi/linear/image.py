"""Logistic regression on pixels, standardised by the mean and deviation of each channel of train."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from luodi.config import ImageBaseline
from luodi.data import image
from luodi.data.image import Encoder
from luodi.data.split_rows import Rows
from luodi.linear import fitting, graphs

SIDE = 32  # pixels; larger images are averaged down: a linear model gains nothing from finer detail
CHUNK = 4096  # images decoded at a time
ITERATIONS = 100  # of L-BFGS; on Fashion-MNIST 300 more than double the time and score no better on test
FLATTEST = 1 / 255  # a channel may hardly change


def encoder_for(encoder: Encoder, train: Rows) -> Encoder:
    """Return the encoder whose pixels the linear model reads: that of the network."""
    return encoder


def fit(
    encoder: Encoder, train: Rows, validation: Rows, settings: ImageBaseline, class_weight: str | None = None
) -> fitting.Fitted:
    """Return the fitted models, from "x" uint8 [batch, h, w, c] to "probabilities" float32 [batch, classes].

    `class_weight` is scikit-learn's: None, or "balanced".

    Raises:
        ArtifactError: The train rows hold one class only.
    """
    from sklearn.linear_model import LogisticRegression

    def logistic(C: float) -> Any:
        # L-BFGS: Newton's matrix has (pixels x classes) squared entries.
        return LogisticRegression(C=C, solver="lbfgs", max_iter=ITERATIONS, class_weight=class_weight)

    classes = len(encoder.labels)
    seen, judged = (fitting.Rows(features(encoder, part.items), part.label) for part in (train, validation))
    model = fitting.fit(seen, judged, classes, settings.regularization, logistic)
    first = graph(model, encoder)
    if not settings.all_rows:
        return fitting.Fitted(first, first)
    x, y = (np.concatenate(pair) for pair in ((seen.features, judged.features), (seen.label, judged.label)))
    return fitting.Fitted(first, graph(fitting.again(fitting.Rows(x, y), classes, model, logistic), encoder))


def features(encoder: Encoder, images: Sequence[bytes]) -> NDArray[np.float32]:
    """Return standardised means of blocks of canonical images, float32 [images, features]."""
    mean, deviation = (255 * np.array(values, np.float32) for values in _standard(encoder))
    parts = (
        (_shrink(image.pixels(images[start : start + CHUNK]), block(encoder)) - mean) / deviation
        for start in range(0, len(images), CHUNK)
    )
    return np.concatenate([part.reshape(len(part), -1) for part in parts]).astype(np.float32)


def block(encoder: Encoder) -> int:
    """Pixels a side of the square blocks that are averaged: the fewest that bring both sides to `SIDE`."""
    return min(-(-max(encoder.height, encoder.width) // SIDE), encoder.height, encoder.width)


def _standard(encoder: Encoder) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of each channel, 0 to 1."""
    return np.array(encoder.mean, np.float32), np.maximum(np.array(encoder.std, np.float32), np.float32(FLATTEST))


def _shrink(pixels: NDArray[np.uint8], block: int) -> NDArray[np.float32]:
    """Means of square blocks; a rest at the edge is cut."""
    count, height, width, channels = pixels.shape
    rows, columns = height // block, width // block
    blocks = pixels[:, : rows * block, : columns * block].reshape(count, rows, block, columns, block, channels)
    means: NDArray[np.float32] = blocks.mean((2, 4), dtype=np.float32)
    return means


def graph(model: fitting.Linear, encoder: Encoder) -> onnx.ModelProto:
    """Return `model` as ONNX; the averaging and standardising of pixels are part of it."""
    side = block(encoder)
    height, width = encoder.height // side, encoder.width // side
    mean, deviation = _standard(encoder)
    channels = len(mean)
    weights = model.weights.reshape(height, width, channels, -1) / (255 * deviation[:, None])
    bias = model.bias - (255 * mean[:, None] * weights).sum((0, 1, 2))
    tensors = {
        "weights": weights.reshape(height * width * channels, -1).astype(np.float32),
        "bias": bias.astype(np.float32),
        "flat": np.array([0, height * width * channels], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["x"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["means"], kernel_shape=[side, side], strides=[side, side]),
        helper.make_node("Transpose", ["means"], ["blocks"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["blocks", "flat"], ["features"]),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return graphs.make(nodes, tensors, encoder)
