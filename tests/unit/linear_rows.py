"""Made-up rows that a linear model can learn."""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from luodi.data import image, split_rows

WORDS = {0: ["差", "不好", "失望"], 1: ["好", "喜欢", "满意"], 2: ["一般", "还行", "普通"]}


class Size(NamedTuple):
    """What an encoder of images is fitted with."""

    height: int
    width: int
    channels: int


def make(count: int, classes: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    label = np.arange(count) % classes
    text = [f"{rng.choice(WORDS[index])}{rng.integers(1000)}" for index in label.tolist()]
    return split_rows.Rows(text, label.astype(np.int32), ["here"] * count)


def make_images(
    count: int, classes: int, seed: int = 0, shape: tuple[int, ...] = (8, 8), channels: int = 1
) -> split_rows.Rows:
    """Noise, brighter in the part of the picture that is the class's."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % classes
    pixels = rng.integers(0, 120, (count, *shape, channels))
    bands = np.arange(shape[0]) * classes // shape[0]
    pixels[label[:, None] == bands] += 100
    mode = "L" if channels == 1 else "RGB"
    squeezed = (pixels[..., 0] if channels == 1 else pixels).astype(np.uint8)
    items = [image.png(Image.fromarray(one, mode)) for one in squeezed]
    return split_rows.Rows(items, label.astype(np.int32), ["here"] * count)
