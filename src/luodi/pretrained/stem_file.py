"""A file of a network of images, as Keras writes it, checked before anything of it is believed: what a stem is made of.

Either a whole network (.keras), of layers that are known to run no code of the file's own; or the weights of one of
Keras' applications (.h5), which its name tells.
"""

import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers

from luodi.errors import BrokenData, MissingData
from luodi.nets.canonical import LARGEST
from luodi.pretrained import hdf5
from luodi.pretrained.untrusted import LONGEST
from luodi.system import lfs
from luodi.terminal import shown

NETWORK, WEIGHTS = ".keras", ".h5"
CONFIG, ARRAYS = "config.json", "model.weights.h5"
APPLICATIONS = (
    *(f"EfficientNetB{number}" for number in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"),
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large")),
)
"""Of `keras.applications`; of ConvNeXt the largest is more than an ONNX file holds."""
SYMMETRIC = ("MobileNet", "MobileNetV2")
"""Read pixels from -1 to 1; the others scale them themselves."""
DEVIATIONS = (0.229, 0.224, 0.225)
"""Of ImageNet's channels, which EfficientNet's published files hold where variances should stand."""
LAYERS = frozenset((
    "Functional", "Sequential", "InputLayer", "Rescaling", "Normalization", "Conv2D", "DepthwiseConv2D",
    "SeparableConv2D", "BatchNormalization", "LayerNormalization", "GroupNormalization", "Activation", "ReLU",
    "LeakyReLU", "PReLU", "ELU", "Softmax", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "Dense", "Dropout", "SpatialDropout2D", "Flatten", "Reshape", "Permute", "Add",
    "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "ZeroPadding2D", "Cropping2D",
    "UpSampling2D", "Resizing", "Log", "DTypePolicy", "__keras_tensor__",
))  # fmt: skip
"""Classes of a network that do what their settings say, and load nothing."""
MODULES = re.compile(r"keras(\.layers|\.src\.models\.\w+|\.src\.ops\.numpy)?")
VALUES = re.compile(r"keras\.(initializers|regularizers|constraints)")
PASSING = (layers.Softmax, layers.Activation, layers.Dropout)
"""What may stand behind the layer that tells classes apart."""


def read(path: Path) -> tuple[keras.Model, str]:
    """Return the stem in a file, see `luodi.pretrained.stem`, and what kind of network it is of.

    Raises:
        MissingData: There is no such file.
        BrokenData: It is no network of images, or may run code of its own.
    """
    if not path.is_file():
        raise MissingData(
            f"{path} is no file: expected a network of images that Keras saved ({NETWORK}), or the weights of one of "
            f"Keras' applications ({WEIGHTS}); luodi downloads none"
        )
    lfs.require_content(path, BrokenData)
    keras.backend.clear_session()  # names of layers count from 1, whatever was made before
    if path.suffix == NETWORK:
        network = _network(path)
        return _stem(path, network), shown(network.name, 60)
    name = _application(path)
    return _of_application(path, name), name


def _application(path: Path) -> str:
    """The longest name of an application that the file's name holds."""
    plain = re.sub(r"[^a-z0-9]", "", path.name.lower())
    found = [name for name in APPLICATIONS if name.lower() in plain]
    if path.suffix != WEIGHTS or not found:
        raise BrokenData(
            f"{path}: expected a network of images that Keras saved ({NETWORK}), or weights of one of its "
            "applications, whose name tells which, as efficientnetb0_notop.h5 does; rename it to that of its "
            "application (of EfficientNet, EfficientNetV2, MobileNet or ConvNeXt)"
        )
    return max(found, key=len)


def _of_application(path: Path, name: str) -> keras.Model:
    with hdf5.opened(path) as file:
        arrays = hdf5.arrays(path, file, min(path.stat().st_size, LARGEST))
        held = Counter(one.shape for one in arrays.values())
    network = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(None, None, 3), pooling="avg"
    )
    wanted = Counter(tuple(one.shape) for one in network.weights)
    if missing := wanted - held:
        shape = max(missing, key=math.prod)
        raise BrokenData(
            f"{path} does not hold the weights of {name}: of arrays of {' x '.join(map(str, shape))} it has "
            f"{held[shape]}, expected {wanted[shape]}; rename it to that of its own application"
        )
    try:
        network.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        raise BrokenData(
            f"{path} does not hold the weights of {name} without its last layer ({shown(str(error), 200)}): get the "
            "file whose name ends in notop"
        ) from None
    require_numbers(path, network)
    if name.startswith("ConvNeXt"):
        network = _exportable(network)
    for layer in network.layers:
        if isinstance(layer, layers.Normalization) and layer.input_variance is None:
            _mend(layer)
    scale, offset = (1 / 127.5, -1.0) if name in SYMMETRIC else (1.0, 0.0)
    x = keras.Input((None, None, 3), dtype="uint8", name="x")
    return keras.Model(x, network(layers.Rescaling(scale, offset, dtype="float32", name="scaled")(x)), name="stem")


def _exportable(network: keras.Model) -> keras.Model:
    """The same network, whose convolutions of one channel each are said to be such: the converter knows no groups."""

    def told(layer: Any) -> Any:
        if not _of_one_channel_each(layer):
            return type(layer).from_config(layer.get_config())
        return layers.DepthwiseConv2D(layer.kernel_size, padding=layer.padding, name=layer.name)

    found: keras.Model = keras.models.clone_model(network, clone_function=told)
    for old, new in zip(network.layers, found.layers, strict=True):
        weights = old.get_weights()
        if _of_one_channel_each(old):
            weights[0] = weights[0].swapaxes(2, 3)
        new.set_weights(weights)
    return found


def _of_one_channel_each(layer: Any) -> bool:
    return isinstance(layer, layers.Conv2D) and layer.groups == layer.filters > 1


def _mend(layer: layers.Normalization) -> None:
    """Square what stands for variances and is none, as Keras does by a layer more for a file that it downloads."""
    deviations = np.array(DEVIATIONS, np.float32)
    variance = np.asarray(keras.ops.convert_to_numpy(layer.adapt_variance)).reshape(-1)
    if variance.shape == deviations.shape and np.allclose(variance, deviations, atol=1e-3):
        layer.adapt_variance.assign(layer.adapt_variance**2)
        layer.finalize_state()


def _network(path: Path) -> keras.Model:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {one.filename: one.file_size for one in archive.infolist()}
            if sizes.get(CONFIG, LONGEST + 1) > LONGEST or sizes.get(ARRAYS, LARGEST + 1) > LARGEST:
                raise ValueError(f"it holds no {CONFIG} and {ARRAYS} of a size that luodi takes")
            config = json.loads(archive.read(CONFIG))
            if archive.testzip():
                raise ValueError("it did not come whole")
            with archive.open(ARRAYS) as content, h5py.File(content, "r") as file:
                hdf5.arrays(path, file, sizes[ARRAYS])
    except (zipfile.BadZipFile, ValueError, OSError, RecursionError, NotImplementedError) as error:
        raise BrokenData(f"{path} is no network that Keras saved ({shown(str(error), 200)}): get it again") from None
    _require_known(path, config)
    try:
        found: keras.Model = keras.models.load_model(path, compile=False)
    except Exception as error:  # a config that lies does so in many ways
        raise BrokenData(
            f"{path} is no network that Keras can build ({shown(str(error), 200)}): save it again with model.save()"
        ) from None
    require_numbers(path, found)
    return found


def _require_known(path: Path, config: Any) -> None:
    """Raise BrokenData unless all that a network names is of Keras, and runs nothing of the file's own."""
    named = {(str(one.get("module")), str(one["class_name"])) for one in _classes(config)}
    for module, name in sorted(named):
        known = name in LAYERS and (module == "None" or MODULES.fullmatch(module))
        if not known and not VALUES.fullmatch(module):
            raise BrokenData(
                f"{path} has a {shown(name, 60)} of {shown(module, 60)}, and luodi runs no code but that of Keras' "
                "plain layers of images: choose a network of these, or weights of one of Keras' applications"
            )
    if not {"Rescaling", "Normalization"} & {name for _, name in named}:
        raise BrokenData(
            f"{path} scales no pixels, and would be given values from 0 to 255: save it with a keras.layers.Rescaling "
            "first, or give the weights of one of Keras' applications"
        )


def _classes(node: Any) -> Iterator[Mapping[str, Any]]:
    """All that a config names by a class; of how it was trained nothing is built."""
    if isinstance(node, list):
        for one in node:
            yield from _classes(one)
    elif isinstance(node, dict):
        if "class_name" in node:
            yield node
        for key, one in node.items():
            if key != "compile_config":
                yield from _classes(one)


def _stem(path: Path, network: keras.Model) -> keras.Model:
    """From "x", uint8, to what goes into the last dense layer; where there is none, to what comes out."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise _unfit(path, f"it has {len(network.inputs)} inputs and {len(network.outputs)} outputs, expected one each")
    values, shape = _before_classes(network), network.inputs[0].shape
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise _unfit(path, f"it reads {shape}, expected (None, height, width, 1) or (None, height, width, 3)")
    if len(values.shape) == 4:
        values = layers.GlobalAveragePooling2D(name="pooled")(values)
    if len(values.shape) != 2 or values.shape[1] is None:
        raise _unfit(path, f"what tells its classes apart reads {values.shape}, expected (None, values)")
    inner = keras.Model(network.inputs[0], values, name="inner")
    x = keras.Input(shape[1:], dtype="uint8", name="x")
    return keras.Model(x, inner(x if inner.inputs[0].dtype == "uint8" else keras.ops.cast(x, "float32")), name="stem")


def _before_classes(network: keras.Model) -> Any:
    values = network.outputs[0]
    while True:
        layer = values._keras_history.operation
        if isinstance(layer, layers.Dense):
            return layer.input
        if (isinstance(layer, layers.Layer) and not isinstance(layer, PASSING)) or isinstance(layer.input, list):
            return network.outputs[0]
        values = layer.input


def _unfit(path: Path, why: str) -> BrokenData:
    return BrokenData(f"{path} is no classifier of images that luodi can start from: {why}; choose another network")


def require_numbers(path: Path, network: keras.Model) -> None:
    """Raise BrokenData where a weight is no number."""
    for one in network.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(one)).all():
            raise BrokenData(f"{path}: {one.path} holds values that are no numbers: get the file again")
