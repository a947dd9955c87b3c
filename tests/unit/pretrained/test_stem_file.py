"""What is no network of images that luodi starts from is one clear error; what is one becomes its stem."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_stem

from luodi.errors import BrokenData, DataError, MissingData
from luodi.scaffold import stems

Change = Callable[[Path], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that Keras saved. Do not change it."""
    return tiny_stem.write(tmp_path_factory.mktemp("stem") / "stripes.keras")


def config(change: Callable[[dict[str, Any]], Any]) -> Change:
    """The same network with another config."""

    def changed(path: Path) -> Path:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        known = json.loads(parts["config.json"])
        change(known)
        parts["config.json"] = json.dumps(known).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return path

    return changed


def junk(path: Path) -> Path:
    path.write_bytes(b"x" * 99)
    return path


def renamed(name: str) -> Change:
    return lambda path: path.rename(path.with_name(name))


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:3000])
    return path


def h5(name: str, fill: Callable[[Any], object]) -> Change:
    def write(path: Path) -> Path:
        with h5py.File(path.with_name(name), "w") as file:
            fill(file)
        return path.with_name(name)

    return write


def layer(known: dict[str, Any], name: str) -> Any:
    return next(one for one in known["config"]["layers"] if one["config"].get("name") == name)


def squeezed(file: Any) -> None:
    """Were it believed, memory would be taken for it."""
    file.create_dataset("a", (2**15, 2**15), "f4", compression="gzip")


def network(path: Path, shape: tuple[int, ...], kind: str, *arguments: Any, **settings: Any) -> Path:
    """One that scales its pixels, and ends in a layer of that kind."""
    import keras

    x = keras.Input(shape, dtype="uint8")
    values = keras.layers.Rescaling(1 / 255, dtype="float32")(x)
    keras.Model(x, getattr(keras.layers, kind)(*arguments, **settings)(values)).save(path)
    return path


def spoiled(path: Path, value: float) -> Path:
    found = tiny_stem.network()
    found.get_layer("steepness").set_weights([np.full((3, 3, 3, 4), value, np.float32)])
    found.save(path)
    return path


CASES: dict[str, tuple[type[DataError], str, Change]] = {
    "away": (MissingData, "is no file: expected a network of images", lambda path: path.with_name("b.keras")),
    "no zip": (BrokenData, "is no network that Keras saved", junk),
    "cut": (BrokenData, "is no network that Keras saved", cut),
    "own code": (
        BrokenData, "has a Lambda of keras.layers, and luodi runs no code",
        config(lambda known: layer(known, "relu").update(class_name="Lambda")),
    ),
    "a module": (
        BrokenData, "has a system of os, and luodi runs no code",
        config(lambda known: layer(known, "relu").update(module="os", class_name="system")),
    ),
    "a saved model": (
        BrokenData, "has a TFSMLayer of keras.layers",
        config(lambda known: layer(known, "relu").update(class_name="TFSMLayer")),
    ),
    "a config that lies": (
        BrokenData, "is no network that Keras can build",
        config(lambda known: layer(known, "steepness")["config"].update(filters=9)),
    ),
    "no input": (
        BrokenData, "is no network that Keras can build", config(lambda known: known["config"].pop("input_layers"))
    ),
    "no name": (BrokenData, "expected a network of images that Keras saved", h5("my-net.h5", lambda file: None)),
    "no h5": (BrokenData, "cannot be read .*: it did not come whole", renamed("mobilenet_v2_no_top.h5")),
    "of another": (
        BrokenData, "does not hold the weights of MobileNetV2: of arrays of 1 x 1 x 320 x 1280 it has 0, expected 1",
        h5("mobilenet_v2_no_top.h5", lambda file: file.create_dataset("a", data=np.zeros(3, "f4"))),
    ),
    "a link": (
        BrokenData, "leads to another file",
        h5("mobilenet_v2.h5", lambda file: file.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/"))),
    ),
    "no images": (
        BrokenData, r"it reads \(None, 12, 12\), expected", lambda path: network(path, (12, 12), "Flatten")
    ),
    "no classes": (
        BrokenData, "apart reads .None, 12, 36., expected", lambda path: network(path, (12, 12, 3), "Reshape", (12, 36))
    ),
    "no ONNX": (
        BrokenData, "has layers that TensorFlow's converter cannot turn into ONNX",
        lambda path: network(path, (12, 12, 3), "Conv2D", 3, 3, groups=3),
    ),
    "no numbers": (BrokenData, "holds values that are no numbers: get the file", lambda path: spoiled(path, np.nan)),
    "untrained": (BrokenData, "gives the same vector to two different images", lambda path: spoiled(path, 0.0)),
    "squeezed": (BrokenData, "holds arrays that are not plain", h5("mobilenet_v2.h5", squeezed)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_what_is_no_network_of_images_is_refused(case: str, saved: Path, tmp_path: Path) -> None:
    kind, says, change = CASES[case]
    path = tmp_path / "stripes.keras"
    path.write_bytes(saved.read_bytes())
    with pytest.raises(kind, match=says) as error:
        stems.prepared(change(path), tmp_path / "made", None)
    assert type(error.value) is kind
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_pixels_that_are_not_scaled_are_told(tmp_path: Path) -> None:
    with pytest.raises(BrokenData, match=r"scales no pixels, and would be given values from 0 to 255"):
        stems.prepared(tiny_stem.write(tmp_path / "a.keras", scales=False), tmp_path / "made", None)


@pytest.mark.slow
def test_the_stem_is_what_stands_before_the_classes(saved: Path, tmp_path: Path) -> None:
    from luodi.pretrained import stem
    from luodi.scoring import inference

    known = stems.prepared(saved, tmp_path / "made", "mit")
    assert (known.family, known.width, known.size, known.channels, known.licence) == ("stripes", 4, (12, 12), 3, "mit")
    again = stems.prepared(saved, tmp_path / "again", "mit")
    assert again == known
    x = np.random.default_rng(1).integers(0, 256, (5, 12, 12, 3)).astype(np.uint8)
    found = inference.session(tmp_path / "made" / "encoder.onnx").run(["vectors"], {"x": x})[0]
    assert np.abs(found - stem.load(tmp_path / "made" / "stem.keras").predict(x, verbose=0)).max() < 1e-6
    assert np.abs(found - _by_hand(x)).max() < 1e-5


def _by_hand(x: Any) -> Any:
    """The mean steepness, by NumPy."""
    grey = x.astype(np.float64).mean(-1) / 255
    down, along = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1], grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    parts = np.stack([down, along, -down, -along], -1)
    return np.maximum((parts - 0.01) / np.sqrt(0.2 + 1e-3), 0).mean((1, 2))


@pytest.mark.parametrize(
    ("application", "file", "legacy", "scaled"),
    [
        pytest.param("MobileNet", "MobileNet.weights.h5", False, True, marks=pytest.mark.slow),
        pytest.param("MobileNet", "mobilenet_1_0_224_tf_no_top.h5", True, True, marks=pytest.mark.proof),
        pytest.param("EfficientNetB0", "efficientnetb0_notop.h5", True, False, marks=pytest.mark.proof),
    ],
)
def test_weights_of_an_application_are_read(
    application: str, file: str, legacy: bool, scaled: bool, *, tmp_path: Path
) -> None:
    """As Keras 3 writes them, and as those are that Keras downloads."""
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    from luodi.scoring import inference

    build = getattr(keras.applications, application)
    network = build(weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg")
    _awaken(network)
    if legacy:
        with h5py.File(tmp_path / file, "w") as target:
            legacy_h5_format.save_weights_to_hdf5_group(target, network)
    else:
        network.save_weights(tmp_path / file)
    known = stems.prepared(tmp_path / file, tmp_path / "made", None)
    assert (known.family, known.width, known.size) == (application, network.output_shape[1], None)
    x = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    found = inference.session(tmp_path / "made" / "encoder.onnx").run(["vectors"], {"x": x})[0]
    expected = network.predict(x / 127.5 - 1 if scaled else x.astype("f4"), verbose=0)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    "legacy", [pytest.param(False, marks=pytest.mark.proof), pytest.param(True, marks=pytest.mark.slow)]
)
def test_weights_of_convnext_are_read(legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its architecture, small: its groups of one channel and its exact gelu are no operators of ONNX."""
    import keras
    from keras.src.applications import convnext
    from keras.src.legacy.saving import legacy_h5_format

    from luodi.pretrained import stem
    from luodi.scoring import inference

    def build(**settings: Any) -> Any:
        return convnext.ConvNeXt((1, 1, 2, 1), (8, 12, 16, 24), name="convnext_tiny", **settings)

    monkeypatch.setattr(keras.applications, "ConvNeXtTiny", build)
    network, rng = build(include_top=False, input_shape=(64, 64, 3), pooling="avg"), np.random.default_rng(4)
    network.set_weights([one + rng.normal(0, 0.2, one.shape) for one in network.get_weights()])
    path = tmp_path / "convnext_tiny_notop.h5"
    if legacy:
        with h5py.File(path, "w") as target:
            legacy_h5_format.save_weights_to_hdf5_group(target, network)
    else:
        path = tmp_path / "ConvNeXtTiny.weights.h5"
        network.save_weights(path)
    known = stems.prepared(path, tmp_path / "made", None)
    assert (known.family, known.width, known.size) == ("ConvNeXtTiny", 24, None)
    x = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    expected = network.predict(x.astype("f4"), verbose=0)
    found = inference.session(tmp_path / "made" / "encoder.onnx").run(["vectors"], {"x": x})[0]
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    trained_on = stem.load(tmp_path / "made" / "stem.keras").predict(x, verbose=0)
    assert np.abs(trained_on - expected).max() < 1e-4 * np.abs(expected).max()


def _awaken(network: Any) -> None:
    """Weights of some size everywhere: those that Keras begins with give hardly a vector."""
    rng = np.random.default_rng(4)
    for layer in network.layers:
        weights, kind = layer.get_weights(), type(layer).__name__
        if kind == "BatchNormalization":
            shape = weights[0].shape
            layer.set_weights(
                [np.ones(shape), np.zeros(shape), rng.normal(0, 0.1, shape), rng.uniform(0.5, 1.5, shape)]
            )
        elif "Conv" in kind:
            seen = np.prod(weights[0].shape[:2] if kind == "DepthwiseConv2D" else weights[0].shape[:3])
            layer.set_weights([rng.normal(0, (2 / seen) ** 0.5, one.shape) for one in weights])


def test_published_variances_of_efficientnet_are_deviations(tmp_path: Path) -> None:
    """As Keras itself does by a layer more, which it leaves out where weights come from a file of one's own."""
    import keras

    from luodi.pretrained import stem_file

    layer = keras.layers.Normalization()
    layer.build((None, None, None, 3))
    for published, variance in ((True, [0.229, 0.224, 0.225]), (False, [0.2, 0.2, 0.2])):
        layer.set_weights([np.array([0.485, 0.456, 0.406], "f4"), np.array(variance, "f4"), np.array(1, "i4")])
        layer.finalize_state()
        stem_file._mend(layer)
        expected = (1 - np.array([0.485, 0.456, 0.406])) / (variance if published else np.sqrt(variance))
        assert np.allclose(np.asarray(layer(np.ones((1, 1, 1, 3), "f4"))).reshape(-1), expected, atol=1e-5)
