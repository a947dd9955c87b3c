"""Images: hostile files end as a reason, clean ones in one canonical form, and augmentation does what it says."""

import io
import json
import math
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from luodi.config import ImageAugment, ImagePreprocess, Shares
from luodi.data import encoders, image
from luodi.data.image import Encoder, Unfit
from luodi.errors import ArtifactError

STILL = ImageAugment(flip="none", rotation=0.0, zoom=0.0, shift=0.0)
PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])))
BATCHES = hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 7)] * 3, st.sampled_from([1, 3])))


def block(height: int = 4, width: int = 5, channels: Any = 1) -> Any:
    shares = Shares(train=0.8, validation=0.1, test=0.1)
    return ImagePreprocess(seed=0, shares=shares, height=height, width=width, channels=channels, augment=STILL)


def picture(pixels: Any) -> Any:
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def saved(one: Any, kind: str = "PNG", **options: object) -> Any:
    file = io.BytesIO()
    one.save(file, kind, **options)
    return file.getvalue()


def noise(mode: str = "RGB", side: int = 40) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (side, side, 4), np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode)


def header(width: int, height: int, depth: int = 8, kind: int = 2) -> bytes:
    """A PNG of a header and a few bytes that inflate to whatever is asked for."""
    body = zlib.compress(bytes(2**20))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)), (b"IDAT", body), (b"IEND", b""))
    return image.PNG + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def clean(files: Any, **size: int) -> Any:
    return image.clean(pa.array(files, pa.binary()), block(**size)).to_pylist()


GOOD = saved(noise())
JPEG = saved(noise(), "JPEG")
FRAMES = [noise(), noise().rotate(90)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, image.MISSING),
        (b"", image.MISSING),
        (bytes(64), image.UNDECODABLE),
        ("一段文字,不是图片\n".encode() * 9, image.UNDECODABLE),
        (image.PNG, image.UNDECODABLE),
        (b"\xff\xd8\xff", image.UNDECODABLE),
        (image.PNG + b"\0\0\0\x0dIEND" + GOOD[16:], image.UNDECODABLE),
        (GOOD[:33], image.UNDECODABLE),
        (GOOD[: len(GOOD) // 2], image.UNDECODABLE),
        (GOOD[:60] + bytes(200) + GOOD[260:], image.UNDECODABLE),
        (JPEG[: len(JPEG) // 2], image.UNDECODABLE),
        (JPEG[:30], image.UNDECODABLE),
        (header(2, 2, depth=3), image.UNDECODABLE),
        (saved(noise(), "BMP")[:60], image.UNDECODABLE),
        (saved(noise(), "TIFF")[:60], image.UNDECODABLE),
        (saved(noise(), "WEBP")[:60], image.UNDECODABLE),
        (saved(FRAMES[0].convert("RGB"), "WEBP", save_all=True, append_images=FRAMES[1:]), image.ANIMATED),
        (saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]), image.ANIMATED),
        (saved(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 999), "TIFF"), image.DEEP),
        (saved(noise("RGB").convert("CMYK"), "TIFF"), image.CMYK),
        (saved(FRAMES[0], save_all=True, append_images=FRAMES[1:]), image.ANIMATED),
        (saved(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 999)), image.DEEP),
        (header(2, 2, depth=16), image.DEEP),
        (saved(noise("RGB").convert("CMYK"), "JPEG"), image.CMYK),
        (saved(Image.new("L", (101, 1))), image.TOO_LARGE),
        (header(2**31 - 1, 2**31 - 1), image.TOO_LARGE),
        (header(60000, 60000, kind=6), image.TOO_LARGE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_file_is_a_reason_and_costs_no_memory(data: bytes | None, reason: str) -> None:
    assert reason in image.REASONS
    tracemalloc.start()
    with pytest.raises(Unfit, match=f"^{reason}: expected one picture") as caught:
        image.open_image(data, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.reason == reason
    assert peak < 4 * 2**20


def test_whatever_is_asked_for_the_largest_side_is_bounded() -> None:
    with pytest.raises(Unfit, match=image.TOO_LARGE):
        image.open_image(header(image.LARGEST + 1, 1), 10**9)


@settings(max_examples=100)
@given(st.data())
def test_broken_bytes_are_an_image_or_a_reason(data: Any) -> None:
    raw = bytearray(data.draw(st.sampled_from([GOOD, JPEG])))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=8)):
        raw[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    try:
        assert max(image.open_image(bytes(raw[:cut]), 2048).size) <= 2048
    except Unfit as error:
        assert error.reason in image.REASONS


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_grey_or_colour(mode: str, channels: int) -> None:
    (found,) = clean([saved(noise(mode))], height=40, width=40, channels=channels)
    assert image.open_image(found, 40).mode == {1: "L", 3: "RGB"}[channels]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_is_its_pixels(mode: str) -> None:
    data = saved(noise(mode), "JPEG", quality=95)
    (found,) = image.pixels(clean([data], height=40, width=40, channels=len(mode)))
    assert (picture(found).tobytes()) == Image.open(io.BytesIO(data)).tobytes()


def test_the_pictures_of_a_phone_are_their_first() -> None:
    data = saved(FRAMES[0], "MPO", save_all=True, append_images=FRAMES[1:])
    opened: Any = Image.open(io.BytesIO(data))
    assert opened.n_frames == 2
    assert image.open_image(data, 40).size == (40, 40)


def test_alpha_lies_on_white() -> None:
    one = Image.new("RGBA", (3, 1))
    for place, colour in enumerate([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 127)]):
        one.putpixel((place, 0), colour)
    (found,) = image.pixels(clean([saved(one)], height=1, width=3, channels=3))
    assert found[0].tolist() == [[255, 0, 0], [255, 255, 255], [128, 128, 128]]
    palette = saved(Image.new("P", (2, 2)), transparency=0)
    assert (image.pixels(clean([palette], height=2, width=2)) == 255).all()


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 180), (6, 270), (8, 90)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_is_turned_as_its_camera_says(orientation: int, turned: int, kind: str) -> None:
    upright = Image.new("RGB", (16, 8))
    upright.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = image.open_image(saved(upright, kind, exif=exif), 40)
    wanted = upright.rotate(turned, expand=True)
    assert found.size == wanted.size
    assert np.abs(np.asarray(found, int) - np.asarray(wanted, int)).max() < 30


def test_broken_exif_data_does_not_spoil_the_picture() -> None:
    assert image.open_image(saved(noise(), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff"), 40).size == (40, 40)


@given(PIXELS)
def test_png_holds_the_pixels_and_nothing_else(pixels: np.ndarray) -> None:
    data = image.png(picture(pixels))
    assert (image.pixels([data])[0] == pixels).all()
    other = Image.open(io.BytesIO(data))
    other.load()
    assert (other.info, other.size) == ({}, (pixels.shape[1], pixels.shape[0]))


@pytest.mark.parametrize("side", [254, 255, 256, 600])  # around one stored block, and many
def test_png_of_more_than_one_block(side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    assert (image.pixels([image.png(picture(pixels))])[0] == pixels).all()


@given(PIXELS, st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
def test_cleaning_a_clean_image_changes_nothing(pixels: np.ndarray, height: int, width: int, channels: int) -> None:
    once = clean([saved(picture(pixels))], height=height, width=width, channels=channels)
    assert clean(once, height=height, width=width, channels=channels) == once
    assert image.pixels(once).shape == (1, height, width, channels)


@given(PIXELS)
def test_equal_pixels_are_equal_bytes(pixels: np.ndarray) -> None:
    one = picture(pixels)
    height, width = pixels.shape[:2]
    other = one.convert("RGB")
    files = [saved(one), saved(one, compress_level=1), saved(other, dpi=(72, 72)), saved(one.convert("RGBA"))]
    assert len(set(clean(files, height=height, width=width, channels=3))) == 1


def test_clean_names_what_validation_would_have_held_back() -> None:
    with pytest.raises(ArtifactError, match=r"image cannot be decoded.*run the stage validate again"):
        clean([GOOD, b"text"])


@given(BATCHES, st.integers(0, 9))
def test_rates_of_zero_change_nothing(pixels: np.ndarray, seed: int) -> None:
    assert not image.augments(STILL)
    assert (image.augment(pixels, STILL, np.random.default_rng(seed)) == pixels).all()


@given(BATCHES, st.sampled_from(["horizontal", "vertical", "both"]), st.integers(0, 9))
def test_flips_are_exact(pixels: np.ndarray, flip: str, seed: int) -> None:
    rates = STILL.model_copy(update={"flip": flip})
    axes = {"horizontal": [(), (1,)], "vertical": [(), (0,)], "both": [(), (0,), (1,), (0, 1)]}[flip]
    assert image.augments(rates)
    for before, after in zip(pixels, image.augment(pixels, rates, np.random.default_rng(seed)), strict=True):
        assert any((np.flip(before, axis) == after).all() for axis in axes)


@pytest.mark.parametrize(("flip", "kinds"), [("horizontal", 2), ("vertical", 2), ("both", 4)])
def test_flips_are_even(flip: str, kinds: int) -> None:
    pixels = np.tile(np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1), (4000, 1, 1, 1))
    found = image.augment(pixels, STILL.model_copy(update={"flip": flip}), np.random.default_rng(0))
    counts = np.unique(found.reshape(4000, -1), axis=0, return_counts=True)[1]
    assert len(counts) == kinds
    assert counts / 4000 == pytest.approx(1 / kinds, abs=0.03)


RATES = st.builds(
    ImageAugment,
    flip=st.sampled_from(["none", "horizontal", "vertical", "both"]),
    rotation=st.floats(0, 180),
    zoom=st.floats(0, 0.9),
    shift=st.floats(0, 0.9),
)


@given(BATCHES, RATES, st.integers(0, 99))
def test_augmented_values_lie_among_those_of_the_image(pixels: Any, rates: Any, seed: int) -> None:
    before = pixels.copy()
    found: Any = image.augment(pixels, rates, np.random.default_rng(seed))
    assert (pixels == before).all()
    assert (found.shape, found.dtype) == (pixels.shape, np.uint8)
    assert (found >= pixels.min((1, 2), keepdims=True)).all()
    assert (found <= pixels.max((1, 2), keepdims=True)).all()
    assert (image.augment(pixels, rates, np.random.default_rng(seed)) == found).all()


class Drawn:
    """A generator that draws the top of every range."""

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, high)


DRAWN: Any = Drawn()


@pytest.mark.parametrize(("rotation", "quarters"), [(90.0, -1), (180.0, 2)])
def test_a_right_angle_is_exact(rotation: Any, quarters: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 7, 7, 3), np.uint8)
    found = image.augment(pixels, STILL.model_copy(update={"rotation": rotation}), DRAWN)
    assert (found == np.rot90(pixels, quarters, axes=(1, 2))).all()


def test_a_shift_moves_and_repeats_the_border() -> None:
    pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    found = image.augment(pixels, STILL.model_copy(update={"shift": 0.25}), DRAWN)[0, :, :, 0]
    assert found.tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [4, 4, 5, 6], [8, 8, 9, 10]]


def test_zoom_enlarges_about_the_centre() -> None:
    pixels = np.zeros((1, 9, 9, 1), np.uint8)
    pixels[0, 3:6, 3:6] = 200
    found = image.augment(pixels, STILL.model_copy(update={"zoom": 0.5}), DRAWN)[0, :, :, 0]
    assert (found == found[::-1]).all() and (found == found.T).all()
    assert found.astype(int).sum() == pytest.approx(1.5**2 * 9 * 200, rel=0.12)


@pytest.mark.slow
def test_statistics_are_those_of_the_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (image.DECODED + 3, 4, 5, 3), np.uint8)
    files = pa.array([image.png(picture(one)) for one in pixels], pa.large_binary())
    found = Encoder.fit([files], block(channels=3), ["a"])
    assert found.mean == pytest.approx(tuple((pixels / 255).mean((0, 1, 2))))
    assert found.std == pytest.approx(tuple((pixels / 255).std((0, 1, 2))))


def test_a_constant_channel_is_not_divided_by_zero() -> None:
    pixels = np.full((2, 4, 5, 1), 77, np.uint8)
    found: Any = Encoder.fit([pa.array([image.png(picture(one)) for one in pixels])], block(), ["a"])
    assert (found.mean, found.std) == (pytest.approx((77 / 255,)), (1.0,))


def encoder(channels: int = 1) -> Encoder:
    return Encoder(("a", "b"), 4, 5, channels, (0.25,) * channels, (1 / 3,) * channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_json_round_trip(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(encoder(channels).as_json()))
    assert encoders.load(path) == encoder(channels)


@pytest.mark.parametrize("content", [{"modality": "image"}, {"modality": "sound"}, {"modality": "image", "x": 1}])
def test_a_broken_encoder_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"encoder\.json is not an encoder .*run `dvc repro`"):
        encoders.load(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_served_is_what_was_learned(channels: int) -> None:
    one, files = encoder(channels), [GOOD, JPEG, saved(noise("LA"))]
    found = one.encode(files)
    assert (found == one.encode_clean(image.clean(pa.array(files), block(channels=channels)))).all()
    assert (found.shape[1:], str(found.dtype)) == (one.shape, one.dtype)
    assert (found == np.concatenate([one.encode([file]) for file in files])).all()
    with pytest.raises(Unfit, match=image.UNDECODABLE):
        one.encode([GOOD, b"text"])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 64), (65, 30), (200, 300), (1, 500)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_small_and_holds_every_image(height: int, width: int, channels: int) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1) * 40
    found = image.pixels([image.sheet(np.tile(values, (1, 1, height, width, channels)))])[0]
    rows, columns = found.shape[0] // 2, found.shape[1] // 3
    assert max(rows, columns) <= max(65, math.ceil(width / height) + 1)
    for row, column in np.ndindex(2, 3):
        assert (found[row * rows, column * columns] == values[row, column]).all()
