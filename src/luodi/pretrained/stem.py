"""The stem of a network of images by Keras: all of it but what tells the classes apart.

It is a model from "x", uint8 [batch, height, width, channels], to "vectors", float32 [batch, width].
"""

from pathlib import Path

import keras
import onnx
from keras import layers

from luodi.nets import export
from luodi.nets.canonical import canonical
from luodi.pretrained.head import Head
from luodi.pretrained.standardised import Standardised


def load(path: Path) -> keras.Model:
    """Return a stem that `luodi encoder add` wrote."""
    found: keras.Model = keras.models.load_model(path, compile=False)
    return found


def graph(stem: keras.Model) -> onnx.ModelProto:
    """Return a stem as ONNX: equal weights are equal bytes."""
    return canonical(export.traced(stem), {}, "vectors")


def build(stem: keras.Model, head: Head) -> keras.Model:
    """Return a model from "x" to "probabilities", float32 [batch, classes], of which all trains but batch norm.

    The means and deviations of batch norm are those of the images that the stem was trained on, and stay: by those of a
    batch it is another network, and what it knew is lost before the first step.
    """
    for layer in _layers(stem):
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    unit = Standardised(head.standard, dtype="float32", name="standardised")(stem.outputs[0])
    last = layers.Dense(len(head.bias), "softmax", dtype="float32", name="probabilities")
    model = keras.Model(stem.inputs[0], last(unit))
    last.set_weights([head.weights, head.bias])
    return model


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Those that hold no others."""
    return [one for layer in model.layers for one in (_layers(layer) if isinstance(layer, keras.Model) else [layer])]
