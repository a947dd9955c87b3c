"""A small network of images as Keras saves it, which sees which way stripes run, as no pixel by itself does."""

from pathlib import Path
from typing import Any

import numpy as np

SIDE = 12
STRIPES = {"across": 0, "along": 1}


def images(rows: int, seed: int = 0) -> list[tuple[bytes, str]]:
    """Colour images as canonical PNG, of stripes anywhere, and which way they run."""
    from PIL import Image

    from luodi.data import image

    rng, found = np.random.default_rng(seed), []
    for row in range(rows):
        label = list(STRIPES)[row % 2]
        bright = rng.permutation(np.arange(SIDE) % 4 < 2) * rng.integers(90, 150) + rng.integers(20, 90)
        line = np.broadcast_to(bright, (SIDE, SIDE))
        plane = line.T if label == "across" else line
        pixels = np.clip(plane[..., None] + rng.integers(-9, 9, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        found.append((image.png(Image.fromarray(pixels)), label))
    return found


def network(scales: bool = True) -> Any:
    """From pixels to three classes, by the mean steepness of the picture down and along."""
    import keras
    from keras import layers

    x = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="x")
    first = layers.Rescaling(1 / 255, dtype="float32") if scales else layers.Activation("linear", dtype="float32")
    values = first(x)
    convolution = layers.Conv2D(4, 3, use_bias=False, name="steepness")
    norm = layers.BatchNormalization(name="norm")
    values = layers.ReLU(name="relu")(norm(convolution(values)))
    values = layers.Dropout(0.2, name="drop")(layers.GlobalAveragePooling2D(name="mean")(values))
    model = keras.Model(x, layers.Dense(3, "softmax", name="probabilities")(values), name="stripes")
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[0, 1, :, 0], kernel[2, 1, :, 0] = -1 / 3, 1 / 3
    kernel[1, 0, :, 1], kernel[1, 2, :, 1] = -1 / 3, 1 / 3
    kernel[..., 2:] = -kernel[..., :2]
    convolution.set_weights([kernel])
    norm.set_weights([np.ones(4), np.zeros(4), np.full(4, 0.01), np.full(4, 0.2)])
    return model


def write(path: Path, **settings: Any) -> Path:
    network(**settings).save(path)
    return path
