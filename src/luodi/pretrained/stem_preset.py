"""The stem in a folder as KerasHub writes it (a preset) of a network of images: its layers built anew by Keras alone.

KerasHub is not wanted. Of each layer's weights it is known that the file holds them before memory is taken.
"""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from luodi.errors import BrokenData, MissingData
from luodi.pretrained import hdf5, preset, untrusted
from luodi.pretrained.stem_file import require_numbers
from luodi.terminal import shown

CONFIG, CONVERTER = "config.json", "image_converter.json"
BLOCKS, KNOWN = "stackwise_block_types", "v1"
DEEPEST = 1000  # blocks of a stack
Config = Mapping[str, Any]


def read(folder: Path) -> tuple[keras.Model, str]:
    """Return the stem in a folder, see `luodi.pretrained.stem`, and what kind of network it is of.

    Raises:
        MissingData: A file is not there.
        BrokenData: The files are not what KerasHub writes, or not of one network.
    """
    config = untrusted.json_object(folder / CONFIG)
    for name in (preset.WEIGHTS, CONVERTER):
        if not (folder / name).is_file():
            raise MissingData(
                f"{folder} holds no {name}: expected a preset with weights and with what scales the pixels, as "
                "KerasHub writes of an ImageClassifier with its preprocessor (save_to_preset)"
            )
    path, kind = folder / preset.WEIGHTS, str(preset.name(config))
    with hdf5.opened(path) as file:
        held = hdf5.shapes(path, file, path.stat().st_size)
    keras.backend.clear_session()  # names of layers count from 1, whatever was made before
    scale, offset = (_channels(folder, key) for key in ("scale", "offset"))
    plain = _plain(config.get("config"))
    _require_blocks(folder, plain.get(BLOCKS))
    try:
        network = BUILDERS[kind](_Layers(held), plain)
        network.load_weights(path)
    except Misfit as error:
        raise _misfit(folder, kind, str(error)) from None
    except KeyError as error:
        raise _misfit(folder, kind, f"{CONFIG} has no {shown(error.args[0], 60)}") from None
    except Exception as error:  # a config that lies does so in many ways
        raise _misfit(folder, kind, shown(f"{type(error).__name__}: {error}", 200)) from None
    read = Counter(tuple(one.shape) for one in network.weights)
    if more := [shape for shape in held - read if shape != SEED]:
        raise _misfit(folder, kind, f"it holds an array of {_sides(more[0])} more")
    require_numbers(path, network)
    x = keras.Input((None, None, 3), dtype="uint8", name="x")
    values = network(layers.Rescaling(scale, offset, dtype="float32", name="scaled")(x))
    return keras.Model(x, layers.GlobalAveragePooling2D(name="pooled")(values), name="stem"), kind


SEED = (2,)  # of what drops values at random, which a stem does not


def _plain(config: object) -> Config:
    """What is no object: of one that names a class Keras would make that."""
    found = config if isinstance(config, dict) else {}
    return {key: value for key, value in found.items() if not isinstance(value, dict)}


def _require_blocks(folder: Path, found: object) -> None:
    if found is not None and (not isinstance(found, list) or set(map(str, found)) != {KNOWN}):
        raise BrokenData(
            f"{folder / CONFIG}: `{BLOCKS}` is {shown(repr(found), 60)}, and luodi reads those of {KNOWN}: choose "
            "another preset, or the weights of one of Keras' applications (EfficientNetV2)"
        )


class Misfit(Exception):
    """What a configuration describes is not what its file of weights holds."""


def _misfit(folder: Path, kind: str, why: str) -> BrokenData:
    return BrokenData(
        f"{folder / preset.WEIGHTS} is not of the {kind} that {CONFIG} beside it describes ({why}): get both of the "
        "same preset"
    )


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _channels(folder: Path, key: str) -> Any:
    """What pixels are multiplied by, or what is added then: of all channels one number, or one of each."""
    config = untrusted.json_object(folder / CONVERTER).get("config")
    found = config.get(key) if isinstance(config, dict) else ()
    if isinstance(found, dict):  # an array, as Keras writes it
        inner = found.get("config")
        found = inner.get("value") if isinstance(inner, dict) else ()
    found = {"scale": 1.0, "offset": 0.0}[key] if found is None else found
    values = found if isinstance(found, list) else [found]
    if len(values) not in (1, 3) or not all(isinstance(one, int | float) and math.isfinite(one) for one in values):
        raise BrokenData(
            f"{folder / CONVERTER}: `{key}` is {shown(repr(found), 60)}, expected a number, or one for each of three "
            "channels: get the preset again"
        )
    return values[0] if len(values) == 1 else values


class _Layers:
    """Makes layers, of which the file holds the weights."""

    def __init__(self, held: Counter[tuple[int, ...]], epsilon: float = 1e-5) -> None:
        self.left, self.epsilon = held.copy(), epsilon

    def conv(self, x: Any, filters: int, size: int, **settings: Any) -> Any:
        self._require(size, size, x.shape[-1], filters)
        return layers.Conv2D(filters, size, **{"use_bias": False, "padding": "same"} | settings)(x)

    def each(self, x: Any, size: int, **settings: Any) -> Any:
        """A convolution of each channel by itself."""
        self._require(size, size, x.shape[-1], 1)
        return layers.DepthwiseConv2D(size, padding="valid", use_bias=False, **settings)(x)

    def norm(self, x: Any, activation: Any = None) -> Any:
        x = layers.BatchNormalization(epsilon=self.epsilon)(x)
        return layers.Activation(activation)(x) if activation else x

    def strided(self, x: Any, filters: int, size: int, stride: int) -> Any:
        """Padded on all sides alike, which Keras by itself does not where it takes steps."""
        if stride == 1:
            return self.conv(x, filters, size)
        return self.conv(layers.ZeroPadding2D((size - 1) // 2)(x), filters, size, strides=stride, padding="valid")

    def _require(self, *shape: int) -> None:
        if not self.left[shape]:
            raise Misfit(f"it has too few arrays of {_sides(shape)}")
        self.left[shape] -= 1


def _blocks(count: int) -> range:
    if count > DEEPEST:
        raise Misfit(f"a network has no {count:,} blocks")
    return range(count)


def _resnet(make: _Layers, config: Config) -> keras.Model:
    """He and others, "Deep Residual Learning" (2015), and "Identity Mappings" (2016), whose norms stand before.

    "vd" is as He and others' "Bag of Tricks" (2018) have it.
    """
    image, before = keras.Input((None, None, 3)), config["use_pre_activation"]
    filters, sizes = config["input_conv_filters"], config["input_conv_kernel_sizes"]
    x = layers.ZeroPadding2D((sizes[0] - 1) // 2)(image)
    x = make.conv(x, filters[0], sizes[0], strides=2, padding="valid")
    for count, size in zip(filters[1:], sizes[1:], strict=True):
        x = make.conv(make.norm(x, "relu"), count, size)
    if before:
        x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=float("-inf"))
    else:
        x = layers.ZeroPadding2D(1)(make.norm(x, "relu"))
    x = layers.MaxPooling2D(3, 2)(x)
    stacks = zip(*(config[f"stackwise_num_{one}"] for one in ("filters", "blocks", "strides")), strict=True)
    for stack, (width, blocks, stride) in enumerate(stacks):
        for block in _blocks(blocks):
            joined = block == 0 and (config["block_type"] != "basic_block" or stack > 0)
            x = _residual(make, x, width, 1 if block else stride, config["block_type"], before=before, joined=joined)
    return keras.Model(image, make.norm(x, "relu") if before else x)


def _residual(make: _Layers, x: Any, width: int, stride: int, kind: str, *, before: bool, joined: bool) -> Any:
    """A block: `before` says that each norm stands before what it is of, `joined` that a convolution leads past it."""
    parts = {
        "basic_block": ((width, 3, stride), (width, 3, 1)),
        "bottleneck_block": ((width, 1, 1), (width, 3, stride), (4 * width, 1, 1)),
    }[kind.removesuffix("_vd")]
    pooled = kind.endswith("_vd")
    first = make.norm(x, "relu") if before else x
    past = x
    if joined:
        past = layers.AveragePooling2D(2, stride, "same")(x) if pooled and stride > 1 and not before else first
        past = make.conv(past, parts[-1][0], 1, strides=1 if pooled else stride, padding="valid")
        past = past if before else make.norm(past)
    x = first
    for part in parts[:-1]:
        x = make.norm(make.strided(x, *part), "relu")
    x = make.strided(x, *parts[-1])
    if before:
        return layers.Add()([past, x])
    return layers.Activation("relu")(layers.Add()([past, make.norm(x)]))


def _efficientnet(make: _Layers, config: Config) -> keras.Model:
    """Tan and Le, "EfficientNet" (2019)."""
    make.epsilon, activation = config["batch_norm_epsilon"], config["activation"]
    stacks = [
        {key.removeprefix("stackwise_"): value[place] for key, value in config.items() if key.startswith("stackwise_")}
        for place in range(len(config["stackwise_kernel_sizes"]))
    ]
    image = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(1)(image) if config["include_stem_padding"] else image
    width = _rounded(config, stacks[0]["input_filters"], stacks[0])
    x = make.norm(make.conv(x, width, 3, strides=2, padding=config["stem_conv_padding"]), activation)
    for stack in stacks:
        width = _rounded(config, stack["input_filters"], stack)
        for block in _blocks(math.ceil(stack["depth_coefficients"] * stack["num_repeats"])):
            if forced := stack["force_input_filters"]:
                width = _rounded(config, forced, stack)
            after = _rounded(config, stack["output_filters"], stack)
            x = _inverted(make, x, width, after, 1 if block else stack["strides"], stack=stack, config=config)
            width = after
    return keras.Model(image, make.norm(make.conv(x, _rounded(config, FEATURES, stacks[-1]), 1), activation))


FEATURES = 1280  # of the last layer, which KerasHub's configuration leaves out


def _inverted(make: _Layers, x: Any, width: int, after: int, stride: int, *, stack: Config, config: Config) -> Any:
    """A block, wide within; what goes past it is `x` itself."""
    activation, size, share = config["activation"], stack["kernel_sizes"], stack["squeeze_and_excite_ratios"]
    before, inner = x, width * stack["expansion_ratios"]
    if stack["expansion_ratios"] != 1:
        x = make.norm(make.conv(x, inner, 1), activation)
    x = make.norm(make.each(layers.ZeroPadding2D(size // 2)(x), size, strides=stride), activation)
    if 0 < share <= 1:
        seen = layers.Reshape((1, 1, inner))(layers.GlobalAveragePooling2D()(x))
        seen = make.conv(seen, max(1, int(width * share)), 1, use_bias=True, activation=activation)
        x = layers.Multiply()([x, make.conv(seen, inner, 1, use_bias=True, activation="sigmoid")])
    x = make.norm(make.conv(x, after, 1), config["projection_activation"])
    return layers.Add()([x, before]) if stride == 1 and width == after else x


def _rounded(config: Config, filters: int, stack: Config) -> int:
    """So many filters, times the width of a stack, in steps."""
    wanted, step = filters * stack["width_coefficients"], config["depth_divisor"]
    least = step if config["use_depth_divisor_as_min_depth"] else config["min_depth"]
    found = max(least, int(wanted + step / 2) // step * step)
    return int(found + step if config["cap_round_filter_decrease"] and found < 0.9 * wanted else found)


BUILDERS = {"ResNetBackbone": _resnet, "EfficientNetBackbone": _efficientnet}
"""By what KerasHub calls them; those of `preset.IMAGES`."""
