"""The linear model of images: it learns, repeats to the bit, and is exported as it was fitted."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from linear_rows import Size, make_images

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


def test_large_images_are_averaged_down() -> None:
    pixels = np.arange(2 * 64 * 96 * 3, dtype=np.uint8).reshape(2, 64, 96, 3)
    side = linear.block(image.Encoder(("a", "b"), 64, 96, 3, (0.5,) * 3, (0.2,) * 3))
    small = linear._shrink(pixels, side)
    assert small.shape == (2, 21, 32, 3)
    assert np.allclose(small[1, 2, 3], pixels[1, 6:9, 9:12].mean((0, 1)))
    assert (linear._shrink(pixels[:, :32, :32], 1) == pixels[:, :32, :32]).all()


def test_images_of_one_class_are_refused() -> None:
    with pytest.raises(ArtifactError, match="one class"):
        fitted(make_images(20, 1), make_images(5, 1), 2)


def test_images_without_contrast_still_score(tmp_path: Path) -> None:
    flat = make_images(20, 2).items[:1] * 20
    train = split_rows.Rows(flat, np.arange(20, dtype=np.int32) % 2, ["here"] * 20)
    encoder, model = fitted(train, train, 2)
    assert np.allclose(scores(model, encoder, flat[:3], tmp_path), 0.5, atol=1e-3)
