"""Image files for tests, good and hostile, and folders of such."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def folder(root: Path, files: Mapping[str, bytes], under: str = "in") -> Path:
    """Write files, of any kind, into a folder below `root`; return that folder."""
    for name, content in files.items():
        (root / under / name).parent.mkdir(parents=True, exist_ok=True)
        (root / under / name).write_bytes(content)
    return root / under


def drawing(seed: int, side: int = 28) -> Image.Image:
    """A grey picture of its own for each seed: a few broad strokes."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6), np.uint8)
    return Image.fromarray(rough).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def png(seed: int, side: int = 28) -> bytes:
    return encoded(drawing(seed, side))


def colour(seed: int) -> Image.Image:
    return Image.merge("RGB", [drawing(seed), drawing(seed + 1), drawing(seed + 2)])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(side: int = 50_000) -> bytes:
    """A whole PNG, black and white, of `side` x `side` pixels: 0.3 MB that are 2.5 GB of pixels."""
    lines = _zeros((side // 8 + 1) * 1000, side // 1000)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", lines) + _chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG with a comment that inflates to 1 GB."""
    whole = png(1)
    return whole[:33] + _chunk(b"zTXt", b"Comment\0\0" + _zeros(2**24, 64)) + whole[33:]


def _zeros(size: int, times: int) -> bytes:
    """What zlib makes of `size` x `times` zero bytes, `size` of them packed once: all would take seconds."""
    pack = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = pack.compress(bytes(size)) + pack.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    adler = (size * times % 65521) << 16 | 1  # RFC 1950, of zeros
    return b"\x78\xda" + packed * times + b"\x03\x00" + struct.pack(">I", adler)


def animated() -> bytes:
    return encoded(drawing(1), save_all=True, append_images=[drawing(2), drawing(3)])


def deep() -> bytes:
    return encoded(Image.fromarray(np.asarray(drawing(1)).astype(np.uint16) * 257))
