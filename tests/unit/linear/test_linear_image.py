"""The linear model of images: it learns, repeats to the bit, and is exported as it was fitted."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny_stem
from linear_rows import Size, make_images
from PIL import Image

from luodi import config
from luodi.data import image, split_rows
from luodi.errors import ArtifactError
from luodi.linear import image as linear
from luodi.scoring import inference

SETTINGS = config.ImageBaseline(regularization=(0.1, 1.0), all_rows=True)


def fitted(
    train: Any,
    validation: Any,
    classes: int,
    shape: Any = (8, 8),
    channels: int = 1,
) -> Any:
    encoder = image.Encoder.fit([pa.array(train.items)], Size(*shape, channels), tuple(map(str, range(classes))))
    return encoder, linear.fit(encoder, train, validation, SETTINGS).final


def scores(model: Any, encoder: image.Encoder, items: list[bytes], folder: Path) -> np.ndarray:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return inference.run_session(inference.open_session(folder / "model.onnx"), encoder.encode(items))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "shape", "channels"),
    [(2, (8, 8), 1), (3, (9, 5), 3), (2, (70, 40), 1), (2, (33, 100), 3), (2, (90, 2), 1)],
)
def test_it_learns_images_of_any_size(tmp_path: Path, classes: int, shape: Any, channels: int) -> None:
    train, test = (make_images(rows, classes, seed, shape, channels) for seed, rows in enumerate((120, 60)))
    encoder, model = fitted(train, test, classes, shape, channels)
    found = scores(model, encoder, test.items, tmp_path)
    assert found.dtype == np.float32
    assert found.shape == (60, classes)
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert (found.argmax(1) == test.label).mean() > 0.9


def test_images_repeat_to_the_bit() -> None:
    train, test = make_images(200, 3), make_images(50, 3, seed=1)
    assert len({fitted(train, test, 3)[1].SerializeToString() for _ in range(2)}) == 1


def test_a_shape_is_known_wherever_it_is_and_however_bright(tmp_path: Path) -> None:
    rows, fresh = (tiny_stem.images(count, seed) for count, seed in ((120, 0), (60, 5)))
    train, validation = (
        split_rows.Rows([one for one, _ in part], np.array([label == "along" for _, label in part], np.int32), [])
        for part in (rows[:90], rows[90:])
    )
    encoder, model = fitted(train, validation, 2, (tiny_stem.SIDE, tiny_stem.SIDE), 3)
    found = scores(model, encoder, [one for one, _ in fresh], tmp_path).argmax(1)
    assert np.mean(found == [label == "along" for _, label in fresh]) > 0.95


def read(pixels: np.ndarray) -> np.ndarray:
    """Edges [cells, directions] of grey pixels [h, w], by the graph that is exported."""
    height, width = pixels.shape
    shape = Size(height, width, 1)
    canonical = [image.png(Image.fromarray(pixels.astype(np.uint8)))]
    encoder = image.Encoder.fit([pa.array(canonical)], shape, ("a", "b"))
    found: np.ndarray = linear.features(encoder, canonical)[0]
    cells = min(-(-height // linear.block(encoder)), linear.CELLS)
    return found[: cells**2 * linear.DIRECTIONS].reshape(linear.DIRECTIONS, -1).T


@pytest.mark.parametrize("side", [8, 16, 64])
def test_an_edge_counts_for_the_way_it_rises(side: int) -> None:
    step = np.repeat((np.arange(side) >= side // 2) * 100, side).reshape(side, side)
    for turns, direction in ((0, 2), (1, 0), (2, 6), (3, 4)):
        strongest = read(np.rot90(step, turns)).sum(0)
        assert strongest.argmax() == direction
        assert strongest[direction] > 0.99 * strongest.sum()
    assert np.allclose(read(step), read(step // 2), atol=0.2), "a fainter picture reads nearly the same"
    assert np.allclose(read(np.full((side, side), 80)), 0, atol=1e-5)


def test_shares_of_colours_are_those_of_all_pixels() -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :24] = (255, 0, 64)
    encoder = image.Encoder(("a", "b"), 64, 96, 3, (0.5,) * 3, (0.2,) * 3)
    found = linear.features(encoder, [image.png(Image.fromarray(pixels))])[0, -64:]
    assert {place: round(float(value), 4) for place, value in enumerate(found) if value} == {
        0: round(linear.SHARES * 0.75**0.5, 4),
        3 + 4 * 0 + 16 * 1: round(linear.SHARES * 0.25**0.5, 4),
    }


def test_images_of_one_class_are_refused() -> None:
    with pytest.raises(ArtifactError, match="one class"):
        fitted(make_images(20, 1), make_images(5, 1), 2)


def test_images_without_contrast_still_score(tmp_path: Path) -> None:
    flat = make_images(20, 2).items[:1] * 20
    train = split_rows.Rows(flat, np.arange(20, dtype=np.int32) % 2, ["here"] * 20)
    encoder, model = fitted(train, train, 2)
    assert np.allclose(scores(model, encoder, flat[:3], tmp_path), 0.5, atol=1e-3)
