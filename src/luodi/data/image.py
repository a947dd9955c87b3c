"""Images in, pixels out: opening files that may be hostile, canonical form, augmentation, encoding.

The same functions run on all images in preprocess and on one image in `luodi predict`, so that what was learned
is what is served.
"""

import contextlib
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from luodi.config import ImageAugment, ImagePreprocess
from luodi.data import image_files
from luodi.data.modality import Augment
from luodi.errors import ArtifactError, BrokenData

MISSING = "image is missing"
UNDECODABLE = "image cannot be decoded"
ANIMATED = "image is animated"
DEEP = "image has more than 8 bits per channel"
CMYK = "image is CMYK"
TOO_SMALL = "image is too small"
TOO_LARGE = "image is too large"
REASONS = (MISSING, UNDECODABLE, ANIMATED, DEEP, CMYK, TOO_SMALL, TOO_LARGE)

MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
LARGEST = 8192  # pixels a side, whatever params.yaml says: four bytes a pixel are 256 MiB then
PNG = b"\x89PNG\r\n\x1a\n"
CHUNK = 256  # files cleaned and encoded at a time: an image as it came may be large
CLEAN = pa.large_binary()  # large: a column may hold more than 2 GiB
DECODED = 4096  # canonical images decoded at a time
SAMPLES = 9  # augmented copies of an image beside it


class Unfit(BrokenData):
    """An image that cannot be used; `reason` is one of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}: expected one picture ({', '.join(image_files.KINDS)}), grey or colour, 8 bits per channel; "
            "convert it"
        )
        self.reason = reason


def open_image(data: bytes | None, max_side: int) -> Image.Image:
    """Decode an image file of `image_files.KINDS`, of a GIF the first frame, turned as its EXIF data says.

    Its mode is 1, L, LA, P, RGB or RGBA.

    What the header tells is judged before a pixel is decoded: a decompression bomb costs no memory.

    Raises:
        Unfit: The file is none of that, is cut short, or has a side above `max_side` (or `LARGEST`) pixels.
    """
    if not data:
        raise Unfit(MISSING)
    try:
        image = _header(data)
        if max(image.size) > min(max_side, LARGEST):
            raise Unfit(TOO_LARGE)
        if not isinstance(image, GifImageFile) and getattr(image, "n_frames", 1) > 1:
            raise Unfit(ANIMATED)
        if image.mode == "CMYK":
            raise Unfit(CMYK)
        if image.mode.startswith(("I", "F")):
            raise Unfit(DEEP)
        image.load()
        _turn(image)
        return image if image.mode in MODES else image.convert("RGBA" if image.has_transparency_data else "RGB")
    except Unfit:
        raise
    except Exception:  # bytes made to break a decoder break it in many ways
        raise Unfit(UNDECODABLE) from None


def _header(data: bytes) -> Image.Image:
    # Not Image.open: it warns of large files, by a filter that is not safe in threads, and takes the pictures of
    # a phone (MPO: a JPEG with more behind it) for an animation.
    kind = image_files.kind(data[: image_files.HEAD])
    if kind is None or (kind == "PNG" and data[12:16] != b"IHDR"):
        raise Unfit(UNDECODABLE)
    if kind == "PNG" and data[24] > 8:
        raise Unfit(DEEP)  # Pillow drops the low bits of colour without a word
    if kind == "WebP" and max(_webp_size(data)) > LARGEST:
        raise Unfit(TOO_LARGE)  # Pillow makes room for its pixels when it opens it
    image = READERS[kind](io.BytesIO(data))
    if isinstance(image, TiffImageFile) and max(image.tag_v2.get(BITS_PER_SAMPLE) or (1,)) > 8:
        raise Unfit(DEEP)
    return image


READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
}
BITS_PER_SAMPLE = 258  # a tag of TIFF


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of a WebP file, by the header of its first chunk (RFC 9649)."""
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _turn(image: Image.Image) -> None:
    # Broken EXIF data does not spoil the picture.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def clean(images: pa.Array, settings: ImagePreprocess) -> pa.Array:
    """Bring a column of image files [n] to canonical PNG: one size, grey or RGB, alpha composited on white.

    Equal pixels are equal bytes, and cleaning a clean image changes nothing. The files are not compressed:
    Parquet compresses the column.

    Raises:
        ArtifactError: An image cannot be used: validate would have held it back.
    """
    try:
        files = [
            png(canonical(open_image(data, LARGEST), settings.height, settings.width, settings.channels))
            for data in images.to_pylist()
        ]
    except Unfit as error:
        raise ArtifactError(f"a row that passed validation is unfit: {error}; run the stage validate again") from None
    return pa.array(files, CLEAN)


def canonical(image: Image.Image, height: int, width: int, channels: int) -> Image.Image:
    """Return a decoded image composited on white, grey (`channels` 1) or RGB (3), of `height` x `width` pixels."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != (mode := "L" if channels == 1 else "RGB"):
        image = image.convert(mode)
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BILINEAR)


def png(image: Image.Image) -> bytes:
    """Return a grey or RGB image as a PNG file of its pixels and nothing else, its bytes a function of them alone.

    Not by Pillow: the bytes of a compressor change with its version. The pixels lie in stored blocks (RFC 1951,
    3.2.4), each line of pixels behind a zero for "no filter".
    """
    lines = np.pad(np.asarray(image, np.uint8).reshape(image.height, -1), ((0, 0), (1, 0))).tobytes()
    starts = range(0, len(lines), 0xFFFF)
    blocks = [
        struct.pack("<BHH", start == starts[-1], len(block), len(block) ^ 0xFFFF) + block
        for start in starts
        for block in (lines[start : start + 0xFFFF],)
    ]
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, {"L": 0, "RGB": 2}[image.mode], 0, 0, 0)
    stored = b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(lines))
    return PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", stored) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def pixels(images: Iterable[bytes] | pa.Array) -> NDArray[np.uint8]:
    """Decode one or more canonical PNG files of one size: uint8 [n, height, width, channels]."""
    files = images.to_pylist() if isinstance(images, pa.Array | pa.ChunkedArray) else images
    return np.stack([_array(open_image(data, LARGEST)) for data in files])


def _array(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)


def augments(settings: ImageAugment) -> bool:
    """Tell whether `augment` changes anything."""
    return settings.flip != "none" or bool(settings.rotation or settings.zoom or settings.shift)


def augment(pixels: NDArray[np.uint8], settings: ImageAugment, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return images, uint8 [n, height, width, channels], each changed at random as `config` allows.

    Flips are exact. Rotation, scale and shift are drawn evenly, joined to one affine map about the centre, and
    resampled once, bilinearly; outside of an image lies its nearest border pixel.
    """
    pixels = _flip(pixels, settings.flip, rng)
    if not (settings.rotation or settings.zoom or settings.shift):
        return pixels
    count, height, width = pixels.shape[:3]
    angle = np.radians(rng.uniform(-settings.rotation, settings.rotation, (count, 1, 1)))
    scale = rng.uniform(1 - settings.zoom, 1 + settings.zoom, (count, 1, 1))
    move = rng.uniform(-settings.shift, settings.shift, (2, count, 1, 1))
    # Where each pixel comes from, in float32 from here on: half the memory, and far finer than 1/256 of a pixel.
    y = (np.arange(height)[:, None] - (height - 1) / 2 - move[0] * height).astype(np.float32)
    x = (np.arange(width) - (width - 1) / 2 - move[1] * width).astype(np.float32)
    cos, sin = ((turn(angle) / scale).astype(np.float32) for turn in (np.cos, np.sin))
    return _resample(pixels, cos * y - sin * x + (height - 1) / 2, sin * y + cos * x + (width - 1) / 2)


def _flip(pixels: NDArray[np.uint8], kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    for name, axis in (("horizontal", 2), ("vertical", 1)):
        if kind in (name, "both"):
            chosen = rng.random((len(pixels), 1, 1, 1)) < 0.5
            pixels = np.where(chosen, np.flip(pixels, axis), pixels)
    return pixels


def _resample(pixels: NDArray[np.uint8], y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bilinear values of `pixels` [n, h, w, c] at the places `y`, `x`, float32 [n, h, w], held inside the image."""
    count, height, width, channels = pixels.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = y.astype(np.int32), x.astype(np.int32)
    down, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    below, beside = (y - top)[..., None], (x - left)[..., None]
    flat = pixels.reshape(-1, channels)
    first = np.arange(count)[:, None, None] * (height * width)

    def row(line: NDArray[np.int32]) -> NDArray[np.float32]:
        start = first + line * width
        near = flat[start + left].astype(np.float32)
        between: NDArray[np.float32] = near + (flat[start + right] - near) * beside
        return between

    upper = row(top)
    return np.rint(upper + (row(down) - upper) * below).astype(np.uint8)


def sheet(pixels: NDArray[np.uint8], side: int = 64, gap: int = 1) -> bytes:
    """Return one PNG of a table of images, uint8 [rows, columns, height, width, channels], no side above `side`."""
    rows, columns, height, width, channels = pixels.shape
    step = min(max(1, -(-max(height, width) // side)), height, width)
    height, width = height // step, width // step
    blocks = pixels[:, :, : height * step, : width * step].reshape(rows, columns, height, step, width, step, channels)
    pixels = blocks.mean((3, 5)).astype(np.uint8)
    pixels = np.pad(pixels, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=128)
    joined = pixels.swapaxes(1, 2).reshape(rows * pixels.shape[2], columns * pixels.shape[3], channels)
    return png(Image.fromarray(joined[..., 0] if channels == 1 else joined))


@dataclass(frozen=True)
class Encoder:
    """Turns image files into pixels, uint8; holds what the network standardises them with, fitted on train.

    `mean` and `std` are those of each channel of the train pixels, scaled to [0, 1].
    """

    labels: tuple[str, ...]
    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    modality: ClassVar[str] = "image"
    dtype: ClassVar[str] = "uint8"
    fixed: ClassVar[bool] = True
    size: ClassVar[int] = 256
    """Number of distinct values."""

    @classmethod
    def fit(cls, images: Iterable[pa.Array], settings: ImagePreprocess, labels: Sequence[str]) -> Self:
        """Measure columns of canonical train images. A channel that never changes has `std` 1."""
        count, total, squares = 0, 0, 0
        for column in images:
            # Whole numbers: the result depends on the pixels alone, not on the order of a sum.
            values = pixels(column).reshape(-1, settings.channels)
            count += len(values)
            total = total + values.sum(axis=0, dtype=np.int64)
            squares = squares + np.square(values, dtype=np.uint32).sum(axis=0, dtype=np.int64)
        mean = np.asarray(total) / count
        std = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 0))
        std[np.asarray(squares) * count == np.asarray(total) ** 2] = 255
        scaled = [tuple((values / 255).tolist()) for values in (mean, std)]
        return cls(tuple(labels), settings.height, settings.width, settings.channels, mean=scaled[0], std=scaled[1])

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Inverse of `as_json`; raises ValueError, TypeError or KeyError if `raw` is none of it."""
        raw = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
        return cls(**raw)

    def as_json(self) -> dict[str, Any]:
        return {"modality": "image", **asdict(self)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an encoded row."""
        return self.height, self.width, self.channels

    def encode(self, images: Sequence[bytes]) -> NDArray[np.uint8]:
        """Decode and resize image files: uint8 [n, height, width, channels].

        Raises:
            Unfit: An image cannot be used.
        """
        return self.encode_ready(self.ready(images))

    def ready(self, images: Sequence[bytes]) -> Sequence[bytes]:
        """Return them as they are: all of them open would fill the memory."""
        return images

    def encode_ready(self, images: Sequence[bytes], *, narrow: bool = False) -> NDArray[np.uint8]:
        """See `encode`."""
        return np.stack([_array(canonical(open_image(data, LARGEST), *self.shape)) for data in images])

    def encode_clean(self, images: pa.Array) -> NDArray[np.uint8]:
        """Encode a column of canonical images: uint8 [n, height, width, channels]."""
        return pixels(images)


# What `luodi.data.modality.Modality` asks for.


def item(one: Any) -> bytes:
    """Return the bytes of an image file, of its path, or of uint8 pixels; see `luodi.data.modality`."""
    if isinstance(one, bytes):
        return one
    if isinstance(one, str | Path):
        return Path(one).read_bytes()
    if isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.size and (one.ndim == 2 or one.shape[2:] == (3,)):
        return png(Image.fromarray(one))
    raise TypeError("expected the bytes or the path of an image, or uint8 pixels [height, width] or [height, width, 3]")


def column(images: Sequence[bytes]) -> pa.Array:
    return pa.array(images, CLEAN)


def cleaner(settings: ImagePreprocess) -> Callable[[pa.Array], pa.Array]:
    return partial(clean, settings=settings)


def fit_encoder(train: Iterable[pa.Array], settings: ImagePreprocess, labels: Sequence[str]) -> Encoder:
    return Encoder.fit(train, settings, labels)


def read_encoder(raw: dict[str, Any], folder: Path = Path()) -> Encoder:
    return Encoder.from_json(raw)


def copies(train: Callable[[], Iterable[pa.Array]], settings: ImagePreprocess) -> list[Iterator[pa.Array]]:
    """None: images are augmented as they are trained on, by `augmenter`."""
    return []


def augmenter(settings: ImagePreprocess) -> Augment | None:
    return lambda pixels, rng: augment(pixels, settings.augment, rng)


def samples(items: pa.Array, settings: ImagePreprocess, rng: np.random.Generator) -> dict[str, Any]:
    """Return {"sheet": PNG of a row an image: as it is, and augmented copies}."""
    if not augments(settings.augment):
        return {}
    found = pixels(items)
    return {"sheet": sheet(np.stack([found, *(augment(found, settings.augment, rng) for _ in range(SAMPLES))], axis=1))}


def slices(items: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    """Return the mean "intensity" of each canonical image, 0 to 1."""
    parts = (pixels(items[start : start + DECODED]) for start in range(0, len(items), DECODED))
    intensity = np.concatenate([part.mean((1, 2, 3), dtype=np.float64) for part in parts]) / 255
    return {"intensity": intensity.round(6)}
