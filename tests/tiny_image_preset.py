"""Small presets of networks of images as KerasHub 0.32.0 writes them: the arrays that each has."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tiny_preset
from numpy.typing import NDArray

Shape = tuple[int, ...]
RESNET = {
    "input_conv_filters": [64], "input_conv_kernel_sizes": [7], "stackwise_num_filters": [64, 96],
    "stackwise_num_blocks": [1, 2], "stackwise_num_strides": [1, 2], "block_type": "basic_block",
    "use_pre_activation": False, "image_shape": [None, None, 3],
}  # fmt: skip
EFFICIENTNET = {
    "stackwise_width_coefficients": [1.0, 1.0], "stackwise_depth_coefficients": [1.0, 1.0], "dropout": 0.2,
    "depth_divisor": 8, "min_depth": 8, "activation": "swish", "input_shape": [None, None, 3],
    "stackwise_kernel_sizes": [3, 3], "stackwise_num_repeats": [1, 2], "stackwise_input_filters": [16, 16],
    "stackwise_output_filters": [16, 24], "stackwise_expansion_ratios": [1, 6], "stackwise_strides": [1, 2],
    "stackwise_squeeze_and_excite_ratios": [0.25, 0.25], "stackwise_block_types": ["v1", "v1"],
    "stackwise_force_input_filters": [0] * 7, "include_stem_padding": True, "use_depth_divisor_as_min_depth": False,
    "cap_round_filter_decrease": False, "stem_conv_padding": "valid", "batch_norm_momentum": 0.9,
    "batch_norm_epsilon": 1e-5, "projection_activation": None,
}  # fmt: skip
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("ResNetBackbone", RESNET),
    "resnet v2": ("ResNetBackbone", {**RESNET, "block_type": "bottleneck_block", "use_pre_activation": True}),
    "resnet vd": (
        "ResNetBackbone",
        {**RESNET, "block_type": "bottleneck_block_vd", "input_conv_filters": [8, 8, 64],
         "input_conv_kernel_sizes": [3, 3, 3]},
    ),
    "efficientnet": ("EfficientNetBackbone", EFFICIENTNET),
}  # fmt: skip
SQUARE = 1, 1
CONVOLUTIONS: dict[str, list[Shape]] = {
    "resnet": [
        (7, 7, 3, 64), (3, 3, 64, 64), (3, 3, 64, 64), (3, 3, 64, 96), (*SQUARE, 64, 96), (3, 3, 96, 96),
        (3, 3, 96, 96), (3, 3, 96, 96),
    ],
    "resnet v2": [
        (7, 7, 3, 64), (*SQUARE, 64, 64), (3, 3, 64, 64), (*SQUARE, 64, 256), (*SQUARE, 64, 256), (*SQUARE, 256, 96),
        (3, 3, 96, 96), (*SQUARE, 256, 384), (*SQUARE, 96, 384), (*SQUARE, 384, 96), (3, 3, 96, 96), (*SQUARE, 96, 384),
    ],
    "resnet vd": [
        (3, 3, 3, 8), (3, 3, 8, 8), (3, 3, 8, 64), (*SQUARE, 64, 64), (3, 3, 64, 64), (*SQUARE, 64, 256),
        (*SQUARE, 64, 256), (*SQUARE, 256, 96), (3, 3, 96, 96), (*SQUARE, 256, 384), (*SQUARE, 96, 384),
        (*SQUARE, 384, 96), (3, 3, 96, 96), (*SQUARE, 96, 384),
    ],
    "efficientnet": [
        (3, 3, 3, 16), (*SQUARE, 16, 4), (*SQUARE, 4, 16), (*SQUARE, 16, 16), (*SQUARE, 16, 96), (*SQUARE, 96, 4),
        (*SQUARE, 4, 96), (*SQUARE, 96, 24), (*SQUARE, 24, 144), (*SQUARE, 144, 6), (*SQUARE, 6, 144),
        (*SQUARE, 144, 24), (*SQUARE, 24, 1280),
    ],
}  # fmt: skip
"""In the order of the numbers in their names."""
BIASED = {"efficientnet": (1, 2, 5, 6, 9, 10)}
EACH: dict[str, list[Shape]] = {"efficientnet": [(3, 3, 16, 1), (3, 3, 96, 1), (3, 3, 144, 1)]}
NORMS = {
    "resnet": [64, 64, 64, 96, 96, 96, 96, 96],
    "resnet v2": [64, 64, 64, 256, 96, 96, 384, 96, 96, 384],
    "resnet vd": [8, 8, 64, 64, 64, 256, 256, 96, 96, 384, 384, 96, 96, 384],
    "efficientnet": [16, 16, 16, 96, 96, 24, 144, 144, 24, 1280],
}
SCALE, OFFSET = [0.017, 0.0175, 0.0174], [-2.118, -2.036, -1.804]


def write(folder: Path, kind: str) -> Path:
    """Write config.json, image_converter.json and model.weights.h5; return the folder."""
    folder.mkdir(parents=True)
    name, config = CONFIGS[kind]
    dtype = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    tiny_preset.written(folder / "config.json", name, {"name": "backbone", "trainable": True, "dtype": dtype, **config})
    channels = {"class_name": "__numpy__", "config": {"value": SCALE, "dtype": "float64"}}
    tiny_preset.written(
        folder / "image_converter.json", "ResNetImageConverter", {"scale": channels, "offset": OFFSET, "dtype": dtype}
    )
    with h5py.File(folder / "model.weights.h5", "w") as file:
        for path, array in arrays(kind).items():
            file[f"layers/{path}"] = array
    return folder


def arrays(kind: str) -> dict[str, NDArray[np.float32]]:
    """By where KerasHub has them."""
    rng = np.random.default_rng(4)
    found: dict[str, Any] = {}
    for name, shapes in (("conv2d", CONVOLUTIONS[kind]), ("depthwise_conv2d", EACH.get(kind, []))):
        for place, shape in enumerate(shapes):
            seen = np.prod(shape[:3]) if name == "conv2d" else np.prod(shape[:2])
            found[f"{numbered(name, place)}/vars/0"] = rng.normal(0, (2 / seen) ** 0.5, shape)
    for place in BIASED.get(kind, ()):
        shape = CONVOLUTIONS[kind][place][-1:]
        found[f"{numbered('conv2d', place)}/vars/1"] = rng.normal(0, 0.1, shape)
    for place, width in enumerate(NORMS[kind]):
        parts = (rng.normal(1, 0.1, width), *rng.normal(0, 0.1, (2, width)), rng.uniform(0.5, 1.5, width))
        found |= {f"{numbered('batch_normalization', place)}/vars/{part}": one for part, one in enumerate(parts)}
    if kind == "efficientnet":
        found["dropout/seed_generator/vars/0"] = np.zeros(2)
    return {path: array.astype(np.float32) for path, array in found.items()}


def numbered(name: str, place: int) -> str:
    return f"{name}_{place}" if place else name


def images() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
