"""The stem in a folder as KerasHub writes it (a preset) of a network of images: its layers built anew by Keras alone.

KerasHub is not wanted. Of each layer's weights it is known that the file holds them before memory is taken.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from luodi.errors import BrokenData, MissingData
from luodi.nets.canonical import LARGEST
from luodi.pretrained import hdf5, preset, untrusted
from luodi.pretrained.stem_file import require_numbers
from luodi.terminal import shown

CONFIG, CONVERTER = "config.json", "image_converter.json"
BLOCKS = "stackwise_block_types"
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
    keras.backend.clear_session()  # names of layers count from 1, whatever was made before
    scale, offset = (_channels(folder, key) for key in ("scale", "offset"))
    plain = _plain(config.get("config"))
    _require_blocks(folder, plain.get(BLOCKS))
    try:
        with hdf5.opened(path) as file:
            held = hdf5.arrays(path, file, min(path.stat().st_size, LARGEST))
            make = _Layers(held)
            network = BUILDERS[kind](make, plain)
            _fill(network, make.places, held)
    except BrokenData:
        raise
    except Misfit as error:
        raise _misfit(folder, kind, str(error)) from None
    except KeyError as error:
        raise _misfit(folder, kind, f"{CONFIG} has no {shown(error.args[0], 60)}") from None
    except Exception as error:  # a config that lies does so in many ways
        raise _misfit(folder, kind, shown(f"{type(error).__name__}: {error}", 200)) from None
    require_numbers(path, network)
    x = keras.Input((None, None, 3), dtype="uint8", name="x")
    values = network(layers.Rescaling(scale, offset, dtype="float32", name="scaled")(x))
    return keras.Model(x, layers.GlobalAveragePooling2D(name="pooled")(values), name="stem"), kind


SEEDS = "/seed_generator/vars/0"  # of what drops values at random, which a stem does not
KINDS: Mapping[type[keras.Layer], str] = {
    layers.Conv2D: "conv2d",
    layers.DepthwiseConv2D: "depthwise_conv2d",
    layers.BatchNormalization: "batch_normalization",
}
"""As Keras calls, with numbers behind, where the weights of a layer are that is in no block."""


def _fill(network: keras.Model, places: Mapping[str, str], held: Mapping[str, Any]) -> None:
    """Give each layer its weights, until all are given; `places` says where those of layers in blocks are."""
    counts: Counter[str] = Counter()
    left = {place for place in held if not place.endswith(SEEDS)}
    for layer in network.layers:
        if not layer.weights:
            continue
        place = places.get(layer.name) or _numbered(KINDS[type(layer)], counts)
        found = []
        for number, weight in enumerate(layer.weights):
            where = f"layers/{place}/vars/{number}"
            if where not in held:
                raise Misfit(f"it holds no {where}")
            value = held[where][()]
            if isinstance(layer, layers.DepthwiseConv2D) and value.shape[2:] == weight.shape[:1:-1]:
                value = value.reshape(weight.shape)  # of a convolution in as many groups as it has channels
            if value.shape != weight.shape:
                raise Misfit(f"{where} is of {_sides(value.shape)}, expected {_sides(weight.shape)}")
            found.append(value)
            left.discard(where)
        layer.set_weights(found)
    if left:
        raise Misfit(f"it holds {shown(min(left), 100)} too")


def _numbered(kind: str, counts: Counter[str]) -> str:
    """The next of a kind, as Keras counts: without a number, then _1."""
    counts[kind] += 1
    return f"{kind}_{counts[kind] - 1}" if counts[kind] > 1 else kind


def _plain(config: object) -> Config:
    """What is no object: of one that names a class Keras would make that."""
    found = config if isinstance(config, dict) else {}
    return {key: value for key, value in found.items() if not isinstance(value, dict)}


def _require_blocks(folder: Path, found: object) -> None:
    if found is not None and (not isinstance(found, list) or not set(map(str, found)) <= set(WITHIN)):
        raise BrokenData(
            f"{folder / CONFIG}: `{BLOCKS}` is {shown(repr(found), 60)}, and luodi reads those of "
            f"{', '.join(WITHIN)}: choose another preset, or the weights of one of Keras' applications (EfficientNetV2)"
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
    """Makes layers, of which the file holds the weights.

    Attributes:
        places: Where those of layers in a block are, by the layer's name.
    """

    def __init__(self, held: Mapping[str, Any], epsilon: float = 1e-5) -> None:
        self.left, self.epsilon = Counter(one.shape for one in held.values()), epsilon
        self.places: dict[str, str] = {}
        self._blocks: Counter[str] = Counter()
        self._names: Iterator[str] = iter(())

    def within(self, kind: str, *names: str) -> None:
        """Say that the next layers with weights are those of a block, which has such names for them."""
        block = _numbered(kind, self._blocks)
        self._names = iter([f"{block}/{name}" for name in names])

    def conv(self, x: Any, filters: int, size: int, **settings: Any) -> Any:
        self._require(size, size, x.shape[-1], filters)
        return self._placed(layers.Conv2D(filters, size, **{"use_bias": False, "padding": "same"} | settings))(x)

    def each(self, x: Any, size: int, *, grouped: bool = False, **settings: Any) -> Any:
        """A convolution of each channel by itself; `grouped` says that the file has it as one in groups."""
        self._require(size, size, *((1, x.shape[-1]) if grouped else (x.shape[-1], 1)))
        kind = {"use_bias": False, "padding": "valid"} | settings
        return self._placed(layers.DepthwiseConv2D(size, **kind))(x)

    def norm(self, x: Any, activation: Any = None) -> Any:
        x = self._placed(layers.BatchNormalization(epsilon=self.epsilon))(x)
        if activation is None:
            return x
        if not isinstance(activation, str):  # of an object Keras would make what it names
            raise Misfit(f"{shown(repr(activation), 60)} is no activation")
        return layers.Activation(activation)(x)

    def squeezed(self, x: Any, width: int, *, activation: str, gate: str) -> Any:
        """Each channel times what the means of all say of it (Hu and others, 2018)."""
        seen = layers.GlobalAveragePooling2D(keepdims=True)(x)
        seen = self.conv(seen, width, 1, use_bias=True, activation=activation)
        return layers.Multiply()([x, self.conv(seen, x.shape[-1], 1, use_bias=True, activation=gate)])

    def strided(self, x: Any, filters: int, size: int, stride: int) -> Any:
        """Padded on all sides alike, which Keras by itself does not where it takes steps."""
        if stride == 1:
            return self.conv(x, filters, size)
        return self.conv(layers.ZeroPadding2D((size - 1) // 2)(x), filters, size, strides=stride, padding="valid")

    def _placed(self, layer: keras.Layer) -> keras.Layer:
        if place := next(self._names, None):
            self.places[layer.name] = place
        return layer

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
    """Tan and Le, "EfficientNet" (2019) and "EfficientNetV2" (2021)."""
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
    features = _rounded(config, config.get("num_features", FEATURES), stacks[-1])
    return keras.Model(image, make.norm(make.conv(x, features, 1), activation))


FEATURES = 1280  # of the last layer, which KerasHub's configuration leaves out


def _inverted(make: _Layers, x: Any, width: int, after: int, stride: int, *, stack: Config, config: Config) -> Any:
    """A block, wide within; what goes past it is `x` itself."""
    kind, size, activation, before = stack["block_types"], stack["kernel_sizes"], config["activation"], x
    squeezed, wider = 0 < stack["squeeze_and_excite_ratios"] <= 1, stack["expansion_ratios"] != 1
    inner, last = width * stack["expansion_ratios"], config["projection_activation"]
    name, *names = WITHIN[kind]
    if name:
        absent = [] if squeezed else ["se_conv1", "se_conv2"]
        absent += ["conv1", "bn1"] if kind == "unfused" and not wider else []
        make.within(name, *(one for one in names if one not in absent))
    if kind == "cba":
        x = make.norm(make.strided(x, after, size, stride), activation)
    else:
        if kind == "fused":
            x = make.norm(make.strided(x, inner, size, stride), activation)
        else:
            x = make.norm(make.conv(x, inner, 1), activation) if wider else x
            padded = x if kind == "unfused" else layers.ZeroPadding2D(size // 2)(x)
            x = make.each(padded, size, strides=stride, padding="same" if kind == "unfused" else "valid")
            x = make.norm(x, activation)
        if squeezed:
            least = max(1, int(width * stack["squeeze_and_excite_ratios"]))
            x = make.squeezed(x, least, activation=activation, gate="sigmoid")
        x = make.conv(x, after, size if kind == "unfused" and not wider else 1)
        x = make.norm(x, last if kind == "v1" or (kind == "fused" and not wider) else None)
    past = stride == 1 and width == after and not (name and stack.get("nores_option"))
    return layers.Add()([x, before]) if past else x


WITHIN = {
    "v1": ("",),
    "cba": ("cba_block", "conv1", "bn1"),
    "fused": ("fused_mb_conv_block", "conv1", "bn1", "se_conv1", "se_conv2", "output_conv", "bn2"),
    "unfused": ("mb_conv_block", "conv1", "bn1", "depthwise", "bn2", "se_conv1", "se_conv2", "output_conv", "bn3"),
}
"""By the kind of a block: what KerasHub calls it, and what it may have; one of the first version is no layer there."""


def _mobilenet(make: _Layers, config: Config) -> keras.Model:
    """Howard and others, "Searching for MobileNetV3" (2019), and what it came from."""
    image = keras.Input((None, None, 3))
    x = make.conv(layers.ZeroPadding2D(1)(image), _eighths(config["input_num_filters"]), 3, strides=2, padding="valid")
    x = make.norm(x, config["input_activation"])
    ratio, before = config["squeeze_and_excite"], x
    make.within("depthwise_conv_block", "conv1", "batch_normalization1", *_gates("se_layer", ratio), "conv2",
                "batch_normalization2")  # fmt: skip
    x = make.each(layers.ZeroPadding2D(1)(x), 3, grouped=True, strides=config["depthwise_stride"])
    x = _gated(make, make.norm(x, "relu"), ratio)
    x = make.norm(make.conv(x, config["depthwise_filters"], 1))
    x = layers.Add()([x, before]) if config["depthwise_residual"] else x
    for stack, blocks in enumerate(config["stackwise_num_blocks"]):
        for block in _blocks(blocks):
            told = {key.removeprefix("stackwise_"): config[key][stack][block] for key in EACH}
            x = _bottleneck(make, x, told)
    make.within("conv_bn_act_block", "conv", "batch_normalization")
    return keras.Model(image, make.norm(make.conv(x, _eighths(config["last_layer_filter"]), 1), "hard_swish"))


EACH = tuple(
    f"stackwise_{one}"
    for one in ("expansion", "num_filters", "kernel_size", "num_strides", "se_ratio", "activation", "padding")
)
"""What each block has by itself."""


def _bottleneck(make: _Layers, x: Any, block: Config) -> Any:
    """A block, wide within; what goes past it is `x` itself."""
    before, after, stride, ratio = x, _eighths(block["num_filters"]), block["num_strides"], block["se_ratio"]
    make.within("inverted_residual_block", "conv1", "batch_normalization1", "conv2", "batch_normalization2",
                *_gates("squeeze_excite", ratio), "conv3", "batch_normalization3")  # fmt: skip
    x = make.norm(make.conv(x, _eighths(block["expansion"]), 1), block["activation"])
    x = make.each(layers.ZeroPadding2D(block["padding"])(x), block["kernel_size"], grouped=True, strides=stride)
    x = _gated(make, make.norm(x, block["activation"]), ratio)
    x = make.norm(make.conv(x, after, 1))
    return layers.Add()([x, before]) if stride == 1 and before.shape[-1] == after else x


def _gates(name: str, ratio: float | None) -> list[str]:
    return [f"{name}/conv_reduce", f"{name}/conv_expand"] if ratio else []


def _gated(make: _Layers, x: Any, ratio: float | None) -> Any:
    return make.squeezed(x, _eighths(x.shape[-1] * ratio), activation="relu", gate="hard_sigmoid") if ratio else x


def _eighths(filters: float) -> int:
    """So many filters, in steps of eight."""
    return _rounded(EIGHTHS, filters, {"width_coefficients": 1})


EIGHTHS = {"depth_divisor": 8, "use_depth_divisor_as_min_depth": True, "cap_round_filter_decrease": True}


def _rounded(config: Config, filters: float, stack: Config) -> int:
    """So many filters, times the width of a stack, in steps."""
    wanted, step = filters * stack["width_coefficients"], config["depth_divisor"]
    least = step if config["use_depth_divisor_as_min_depth"] else config["min_depth"]
    found = max(least, int(wanted + step / 2) // step * step)
    return int(found + step if config["cap_round_filter_decrease"] and found < 0.9 * wanted else found)


BUILDERS = {"ResNetBackbone": _resnet, "EfficientNetBackbone": _efficientnet, "MobileNetBackbone": _mobilenet}
"""By what KerasHub calls them; those of `preset.IMAGES`."""
