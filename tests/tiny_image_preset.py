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
FUSED = {
    **EFFICIENTNET, "stackwise_width_coefficients": [1.0] * 4, "stackwise_depth_coefficients": [1.0] * 4,
    "stackwise_kernel_sizes": [3] * 4, "stackwise_num_repeats": [1, 1, 2, 2],
    "stackwise_input_filters": [16, 16, 24, 24],
    "stackwise_output_filters": [16, 24, 24, 32], "stackwise_expansion_ratios": [1, 1, 2, 2],
    "stackwise_strides": [1, 2, 1, 2], "stackwise_squeeze_and_excite_ratios": [0, 0, 0.25, 0.25],
    "stackwise_block_types": ["cba", "fused", "fused", "unfused"], "activation": "silu",
    "use_depth_divisor_as_min_depth": True, "cap_round_filter_decrease": True,
}  # fmt: skip
MOBILENET = {
    "stackwise_num_blocks": [2, 1], "stackwise_expansion": [[16, 24], [40]], "stackwise_num_filters": [[16, 16], [24]],
    "stackwise_kernel_size": [[3, 3], [5]], "stackwise_num_strides": [[2, 1], [1]],
    "stackwise_se_ratio": [[None, None], [0.25]], "stackwise_activation": [["relu", "relu"], ["hard_swish"]],
    "stackwise_padding": [[1, 1], [2]], "output_num_filters": 64, "input_num_filters": 16, "depthwise_filters": 8,
    "depthwise_stride": 2, "depthwise_residual": False, "squeeze_and_excite": 0.5, "last_layer_filter": 48,
    "input_activation": "hard_swish", "output_activation": "hard_swish", "image_shape": [None, None, 3],
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
    "efficientnet v2": ("EfficientNetBackbone", FUSED),
    "mobilenet": ("MobileNetBackbone", MOBILENET),
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
    "efficientnet v2": [(3, 3, 3, 16), (*SQUARE, 32, 1280)],
    "mobilenet": [(3, 3, 3, 16)],
}  # fmt: skip
"""In the order of the numbers in their names."""
BIASED = {"efficientnet": (1, 2, 5, 6, 9, 10)}
EACH: dict[str, list[Shape]] = {"efficientnet": [(3, 3, 16, 1), (3, 3, 96, 1), (3, 3, 144, 1)]}
NORMS = {
    "resnet": [64, 64, 64, 96, 96, 96, 96, 96],
    "resnet v2": [64, 64, 64, 256, 96, 96, 384, 96, 96, 384],
    "resnet vd": [8, 8, 64, 64, 64, 256, 256, 96, 96, 384, 384, 96, 96, 384],
    "efficientnet": [16, 16, 16, 96, 96, 24, 144, 144, 24, 1280],
    "efficientnet v2": [16, 1280],
    "mobilenet": [16],
}
BLOCKS: dict[str, dict[str, dict[str, int | Shape]]] = {
    "efficientnet v2": {
        "cba_block": {"conv1": (3, 3, 16, 16), "bn1": 16},
        "fused_mb_conv_block": {"conv1": (3, 3, 16, 16), "bn1": 16, "output_conv": (*SQUARE, 16, 24), "bn2": 24},
        **{
            f"fused_mb_conv_block_{place}": {
                "conv1": (3, 3, 24, 48), "bn1": 48, "se_conv1": (*SQUARE, 48, 6), "se_conv2": (*SQUARE, 6, 48),
                "output_conv": (*SQUARE, 48, 24), "bn2": 24,
            }
            for place in (1, 2)
        },
        **{
            name: {
                "conv1": (*SQUARE, width, 2 * width), "bn1": 2 * width, "depthwise": (3, 3, 2 * width, 1),
                "bn2": 2 * width, "se_conv1": (*SQUARE, 2 * width, width // 4), "output_conv": (*SQUARE, 2 * width, 32),
                "se_conv2": (*SQUARE, width // 4, 2 * width), "bn3": 32,
            }
            for name, width in (("mb_conv_block", 24), ("mb_conv_block_1", 32))
        },
    },
    "mobilenet": {
        "depthwise_conv_block": {
            "conv1": (3, 3, 1, 16), "batch_normalization1": 16, "se_layer/conv_reduce": (*SQUARE, 16, 8),
            "se_layer/conv_expand": (*SQUARE, 8, 16), "conv2": (*SQUARE, 16, 8), "batch_normalization2": 8,
        },
        **{
            name: {
                "conv1": (*SQUARE, before, inner), "batch_normalization1": inner, "conv2": (size, size, 1, inner),
                "batch_normalization2": inner, "conv3": (*SQUARE, inner, after), "batch_normalization3": after,
                **squeezed,
            }
            for name, size, before, inner, after, squeezed in (
                ("inverted_residual_block", 3, 8, 16, 16, {}),
                ("inverted_residual_block_1", 3, 16, 24, 16, {}),
                ("inverted_residual_block_2", 5, 16, 40, 24,
                 {"squeeze_excite/conv_reduce": (*SQUARE, 40, 16), "squeeze_excite/conv_expand": (*SQUARE, 16, 40)}),
            )
        },
        "conv_bn_act_block": {"conv": (*SQUARE, 24, 48), "batch_normalization": 48},
    },
}  # fmt: skip
"""What blocks hold by names of their own: the width of a norm, the shape of a convolution."""
GATES = ("se_conv1", "se_conv2", "conv_reduce", "conv_expand")
"""Convolutions that have a bias."""
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
        found |= norm(rng, numbered("batch_normalization", place), width)
    for block, parts in BLOCKS.get(kind, {}).items():
        for name, size in parts.items():
            if isinstance(size, int):
                found |= norm(rng, f"{block}/{name}", size)
                continue
            found[f"{block}/{name}/vars/0"] = rng.normal(0, (2 / np.prod(size[:3])) ** 0.5, size)
            if name.endswith(GATES):
                found[f"{block}/{name}/vars/1"] = rng.normal(0, 0.1, size[-1:])
    if kind == "efficientnet":
        found["dropout/seed_generator/vars/0"] = np.zeros(2)
    return {path: array.astype(np.float32) for path, array in found.items()}


def norm(rng: np.random.Generator, place: str, width: int) -> dict[str, Any]:
    parts = (rng.normal(1, 0.1, width), *rng.normal(0, 0.1, (2, width)), rng.uniform(0.5, 1.5, width))
    return {f"{place}/vars/{number}": one for number, one in enumerate(parts)}


def numbered(name: str, place: int) -> str:
    return f"{name}_{place}" if place else name


def images() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
