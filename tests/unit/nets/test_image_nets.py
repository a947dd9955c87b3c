"""Every architecture for images: shapes, learning, standardisation; the catalogue; augmented batches."""

import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest

from luodi import config
from luodi.config.image import ImageAugment
from luodi.data import image
from luodi.data.image import Encoder
from luodi.data.text import Encoder as TextEncoder
from luodi.nets.stderr import quiet

with quiet():
    from luodi.nets import batches, catalogue, training

pytestmark = pytest.mark.slow

CLASSES = 3
NETS = [one for one in catalogue.ARCHITECTURES if one.name not in catalogue.NO_NETWORK]
NAMES = [one.name for one in NETS if one.modality == "image"]
SMALL = config.ImageTrain(
    architecture="cnn",
    filters=(4, 8),
    kernel=3,
    units=16,
    dropout=0.0,
    activation="relu",
    loss="categorical_crossentropy",
    optimizer="adam",
    learning_rate=0.01,
    batch_size=8,
    epochs=12,
    patience=12,
    precision="float32",
    seed=7,
)
GREY = Encoder(("a", "b", "c"), 8, 6, 1, (0.4,), (0.3,))
COLOUR = Encoder(("a", "b", "c"), 5, 9, 3, (0.2, 0.5, 0.7), (0.1, 0.3, 1.0))


def setting(**changes: Any) -> Any:
    return SMALL.model_copy(update=changes)


def build(settings: Any, encoder: Any = GREY) -> Any:
    return catalogue.find("image", settings.architecture).build(settings, encoder)


def rows(encoder: Any = GREY, count: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Dark noise; a bright bar in the third of the columns that the class owns."""
    rng = np.random.default_rng(seed)
    y = np.arange(count, dtype=np.int32) % CLASSES
    x = rng.integers(0, 100, (count, *encoder.shape), np.uint8)
    third = encoder.width // CLASSES
    for row, label in enumerate(y):
        x[row, :, label * third : (label + 1) * third] += 150
    return x, y


@pytest.mark.parametrize("architecture", NAMES)
class TestEveryArchitecture:
    @pytest.mark.parametrize("encoder", [GREY, COLOUR], ids=["grey", "colour"])
    def test_gives_probabilities_for_any_batch_of_uint8(self, architecture: str, encoder: Encoder) -> None:
        model = build(setting(architecture=architecture), encoder)
        assert (model.inputs[0].dtype, model.inputs[0].shape[1:]) == ("uint8", encoder.shape)
        y = model.predict(rows(encoder, 4)[0], verbose=0)
        assert (y.shape, y.dtype) == ((4, CLASSES), np.float32)
        np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)

    def test_standardises_first_by_the_constants_of_the_encoder(self, architecture: str) -> None:
        layer = build(setting(architecture=architecture), COLOUR).get_layer("standardise")
        x, _ = rows(COLOUR)
        expected = (x / 255 - np.array(COLOUR.mean)) / np.array(COLOUR.std)
        np.testing.assert_allclose(np.asarray(layer(x)), expected, atol=1e-5)

    def test_learns_where_the_bar_is(self, architecture: str) -> None:
        settings = setting(architecture=architecture)
        training.make_deterministic(7)
        model = build(settings)
        data = batches.Batches(*rows(), CLASSES, 8, seed=7)
        training.compile_model(model, settings, CLASSES, len(data))
        training.fit(model, settings, data, batches.Batches(*rows(seed=1), CLASSES, 8))
        x, y = rows(seed=2)
        assert np.mean(model.predict(x, verbose=0).argmax(axis=1) == y) >= 0.9

    @pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (4, 1, 3)])
    def test_stands_images_smaller_than_kernels_and_pools(self, architecture: str, shape: tuple[int, int, int]) -> None:
        encoder = Encoder(("a", "b", "c"), *shape, (0.5,) * shape[2], (0.5,) * shape[2])
        model = build(setting(architecture=architecture, kernel=7, filters=(4, 4, 4, 4)), encoder)
        assert model.output_shape == (None, CLASSES)

    def test_mixed_precision_ends_in_float32(self, architecture: str) -> None:
        mixed = setting(architecture=architecture, precision="mixed_bfloat16")
        settings: Any = config.ImageSettings
        block = settings.model_construct(modality="image", train=mixed)
        model = catalogue.build(block, GREY)
        assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
        final = catalogue.as_float32(model.get_weights(), block, GREY)
        assert {layer.compute_dtype for layer in final.layers if layer.weights} == {"float32"}
        x, _ = rows()
        np.testing.assert_allclose(final.predict(x, verbose=0), model.predict(x, verbose=0), atol=0.05)


def convolutions(model: Any) -> list[int]:
    return [layer.filters for layer in model.layers if type(layer).__name__ == "Conv2D"]


@pytest.mark.parametrize("filters", [(4,), (4, 8), (4, 8, 6)])
def test_filters_has_an_entry_for_each_block_of_a_cnn(filters: tuple[int, ...]) -> None:
    model = build(setting(architecture="cnn", filters=filters))
    assert convolutions(model) == [count for count in filters for _ in range(2)]


def test_a_cnn_drops_of_its_hidden_layer_alone_which_is_normalised() -> None:
    """Dropout in each block took four times the epochs to learn letters (benchmarks/images.md)."""
    kinds = [type(layer).__name__ for layer in build(setting(architecture="cnn", dropout=0.2)).layers]
    assert kinds[-5:] == ["Dense", "BatchNormalization", "Activation", "Dropout", "Dense"]
    assert kinds.count("Dropout") == 1


def test_filters_has_an_entry_for_each_stage_of_a_resnet() -> None:
    one, two = (build(setting(architecture="resnet", filters=filters)) for filters in ((4,), (4, 8)))
    assert convolutions(one) == [4, 4, 4]
    assert sorted(convolutions(two)) == [4, 4, 4, 8, 8, 8]  # the stem, two a stage, and the shortcut of the second


class Reader:
    """Notes which attributes of a block are read."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.block, name)


TEXT = config.TextTrain(
    **{key: value for key, value in SMALL.model_dump().items() if key not in ("architecture", "filters")},
    architecture="mlp",
    embedding=4,
    filters=4,
    pool=2,
)
OF_MODALITY = {"text": (TEXT, TextEncoder(("a", "b"), "char", 9, 16, (), ("x", "y"))), "image": (SMALL, GREY)}


@pytest.mark.parametrize("one", NETS, ids=lambda one: f"{one.modality}-{one.name}")
def test_the_catalogue_lists_the_parameters_that_shape_a_network(one: Any) -> None:
    block, encoder = OF_MODALITY[one.modality]
    reader = Reader(block)
    one.build(reader, encoder)
    assert reader.read == {*one.parameters, "precision"}


@pytest.mark.parametrize("modality", config.MODALITIES)
def test_every_architecture_of_params_is_in_the_catalogue(modality: str) -> None:
    train: Any = config.MODALITIES[modality].model_fields["train"].annotation
    allowed, _ = train.model_fields["architecture"].annotation.__args__  # or one of a user's own
    names = [one.name for one in catalogue.ARCHITECTURES if one.modality == modality]
    assert sorted(allowed.__args__) == sorted(names)


def test_the_catalogue_is_read_without_keras() -> None:
    code = (
        "import sys, luodi.nets.catalogue as c; assert c.ARCHITECTURES; "
        "print(sorted({'tensorflow', 'keras', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


ALL = config.ImageAugment(flip="both", rotation=20.0, zoom=0.2, shift=0.2)


def augmented(seed: int | None = 3, augment: Any = None) -> Any:
    x, y = rows(count=20)
    return batches.Batches(x, y, CLASSES, 8, seed, augment=augment or partial(change, settings=ALL))


def change(pixels: np.ndarray, rng: Any, settings: ImageAugment) -> np.ndarray:
    return image.augment(pixels, settings, rng)


def test_augmentation_is_decided_by_seed_epoch_and_batch_in_any_order_of_asking() -> None:
    one, two = augmented(), augmented()
    seen: list[Any] = []
    for _ in range(2):
        forward = [one[i][0] for i in range(len(one))]
        backward = [two[i][0] for i in reversed(range(len(two)))][::-1]
        for left, right in zip(forward, backward, strict=True):
            np.testing.assert_array_equal(left, right)
        seen.append(np.concatenate(forward))
        one.begin(2)
        two.begin(2)
    assert not np.array_equal(*seen)
    assert not np.array_equal(seen[0][:8], augmented(seed=4)[0][0])


def test_the_arrays_stay_as_they_are_and_so_do_rows_in_order() -> None:
    data = augmented()
    before = data.x.copy()
    for index in range(len(data)):
        data[index]
    np.testing.assert_array_equal(data.x, before)
    still = augmented(seed=None)
    np.testing.assert_array_equal(still[0][0], before[:8])
