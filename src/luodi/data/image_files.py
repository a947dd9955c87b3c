"""Image files of a folder: regular files that lie inside it, none too large to hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from luodi.errors import BrokenData

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
KINDS = ("PNG", "JPEG", "WebP", "BMP", "TIFF", "GIF")
HEAD = 32  # bytes that tell the kind
LARGEST = 64 * 2**20  # bytes of a file


def images(folder: Path) -> Iterator[Path]:
    """Yield the image files below `folder`, at any depth, in order of name; hidden files are passed over.

    Raises:
        BrokenData: A link leads out of the folder, or nowhere.
    """
    return _images(folder, folder.resolve())


def _images(folder: Path, root: Path) -> Iterator[Path]:
    for path in visible(folder):
        if path.is_dir():
            require_inside(path, root)
            if not path.is_symlink():  # what it holds is found where it lies
                yield from _images(path, root)
        elif is_image(path):
            require_inside(path, root)
            yield path


def visible(folder: Path) -> list[Path]:
    """Return what lies in `folder`, hidden files left out, in order of name."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise BrokenData(f"{folder} cannot be read: {error.strerror}; let this user read it") from None


def kind(head: bytes) -> str | None:
    """Tell the kind of an image file, one of `KINDS`, by its first bytes; None if it is none."""
    if head.startswith(b"BM") and head[14:18] in BITMAPS:
        return "BMP"
    return next((name for name, found in SIGNATURES.items() if found.match(head)), None)


SIGNATURES = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WebP": re.compile(rb"(?s)RIFF.{4}WEBPVP8"),
    "TIFF": re.compile(rb"II\*\x00|MM\x00\*"),
    "GIF": re.compile(rb"GIF8[79]a"),
}
BITMAPS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))  # headers of BMP: bytes


def is_image(path: Path) -> bool:
    """Tell by the suffix, and where that says nothing by the content."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return kind(file.read(HEAD)) is not None
    except OSError:
        return False


def require_inside(path: Path, root: Path) -> None:
    """Raise BrokenData if `path` is a link that leads out of the folder `root` (resolved), or nowhere."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # no such file, or a loop
        raise BrokenData(f"{path} is a link that leads nowhere: remove it") from None
    if not target.is_relative_to(root):
        raise BrokenData(f"{path} is a link that leads out of {root}: put the file itself there, or remove the link")


def read(path: Path, what: str = "an image") -> bytes:
    """Return the bytes of a regular file that is to be `what`.

    Raises:
        BrokenData: It is none, it is too large, or it cannot be read.
    """
    if not path.is_file():
        raise BrokenData(f"{path} is not a regular file: expected {what}; move it away")
    try:
        with path.open("rb") as file:
            return bounded(file, path, what)
    except OSError as error:
        raise BrokenData(f"{path} cannot be read: {error.strerror}; let this user read it") from None


def bounded(file: BinaryIO, path: Path, what: str) -> bytes:
    """Return the bytes of an open file, that of `path`. Raises BrokenData if it is too large."""
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        size = f"{path.stat().st_size:,} bytes"
        raise BrokenData(
            f"{path} is too large: expected {what} of at most {LARGEST:,} bytes, found {size}; move it away"
        )
    return data
