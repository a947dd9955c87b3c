"""Small pictures of rows for the report, bounded in number and bytes."""

from collections.abc import Iterable

import pyarrow as pa

from luodi.data import image
from luodi.report import page

SIDE = 48  # pixels; a colour thumbnail is then 7 KiB, 9 KiB in base64
Place = tuple[str, int]  # shard and row


def thumbnails(parts: Iterable[pa.Table], places: set[Place], max_side: int) -> dict[Place, str]:
    """Return a data URI for each of `places` whose image can be decoded; a file's own bytes are never shown."""
    found: dict[Place, str] = {}
    left = set(places)
    for part in parts:
        if not left:
            break
        for position, place in enumerate(zip(part["shard"].to_pylist(), part["row"].to_pylist(), strict=True)):
            if place in left:
                left.remove(place)
                found |= _thumbnail(place, part["image"][position].as_py(), max_side)
    return found


def _thumbnail(place: Place, data: bytes | None, max_side: int) -> dict[Place, str]:
    try:
        picture = image.open_image(data, max_side)
    except image.Unfit:
        return {}
    scale = min(1, SIDE / max(picture.size))
    width, height = (max(1, round(scale * side)) for side in picture.size)
    png = image.png(image.canonical(picture, height, width, 1 if picture.mode in ("1", "L") else 3))
    return {place: page.data_uri(png)}
