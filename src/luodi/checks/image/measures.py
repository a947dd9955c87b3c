"""What is wrong with each row of images, and what the suite and the report look at."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from luodi.checks import quarantine
from luodi.checks.image import near_duplicates
from luodi.checks.image.thumbnails import Place, thumbnails
from luodi.checks.profile import Chart, up_to
from luodi.config import ImageSettings as ModelSettings
from luodi.config import ImageValidate
from luodi.data import image, image_files

ITEM = "image"
SHOWN = "appearance"
WHOLE = False  # together they may be larger than memory
CONSTANT = "image is nearly constant"
NEAR = "image nearly repeats an earlier row"
EARLIER = "earlier image"

MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "RGB": "colour",
    "RGBA": "colour with alpha",
}
LEVELS = np.arange(256)
GREY, COLOUR = 1, 3


@dataclass(frozen=True)
class Look:
    """What is kept of one image; `histogram` counts its pixels by grey level, `small` is 32 x 32 grey pixels."""

    width: int
    height: int
    kind: str
    digest: bytes
    histogram: list[int]
    small: bytes


def measure(parts: Iterable[pa.Table], settings: ModelSettings) -> quarantine.Checked:
    """Decode all images, one at a time, and keep some two hundred bytes of each.

    Args:
        parts: image (binary), label, source, shard, row: some rows each.

    Returns:
        label, source, shard, row of every row, with these measures of an image, null where it cannot be decoded:
        "width" and "height" (pixels), "kind" ("grey PNG"), "appearance" (in words, of every file), "intensity" and
        "contrast" (mean and standard deviation of the grey pixels, 0 to 1). "image nearly repeats an earlier row"
        (boolean) leaves out exact repeats; "earlier image" is the place of that earlier row, or null.
    """
    tables, looks = [], []
    for part in parts:
        tables.append(part.drop_columns([ITEM]))
        looks.append(_look_at(part[ITEM], settings.validate_.max_side))
    table, seen = pa.concat_tables(tables), pa.concat_tables(looks)
    reasons = _reasons(seen, settings.validate_)
    content = quarantine.codes(seen["pixels"])
    marks = quarantine.flags(table, content, reasons, item=ITEM, labels=settings.labels)
    earlier = _earlier(seen, content, marks)
    own = {name: seen[name] for name in ("width", "height", "kind", SHOWN, "intensity", "contrast")}
    own |= {NEAR: pc.is_valid(earlier), EARLIER: earlier}
    measured = quarantine.measure(table, marks, content, own, item=ITEM, labels=settings.labels)
    waves = _waves(seen["waves"])
    return quarantine.Checked(measured, tuple(marks.column_names), seen["pixels"], content, waves=waves)


def alike(checked: quarantine.Checked) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return what ties copies of one image, see `near_duplicates.links`."""
    assert checked.waves is not None
    return [], near_duplicates.links(checked.waves)


def charts(measured: pa.Table) -> tuple[Chart, ...]:
    """What the report shows of the images; sides only where they vary."""
    sides = {name: pc.min_max(measured[name]).as_py() for name in ("width", "height")}
    varying = [name for name, found in sides.items() if found["min"] != found["max"]]
    return (
        Chart("intensity", tuple(step / 20 for step in range(21))),
        Chart("contrast", tuple(step / 40 for step in range(21))),
        *(Chart(name, up_to(sides[name]["max"])) for name in varying),
    )


def facts(checked: quarantine.Checked) -> dict[str, Any]:
    """Return the kinds of files with their counts, the most frequent first, and the one size of all, or None."""
    measured = checked.table
    counts = pc.value_counts(measured["kind"].drop_null()).to_pylist()
    kinds = sorted((-one["counts"], one["values"]) for one in counts)
    sizes = measured.select(["width", "height"]).group_by(["width", "height"]).aggregate([]).drop_null().to_pylist()
    return {"kinds": [(name, -count) for count, name in kinds], "size": sizes[0] if len(sizes) == 1 else None}


def pictures(parts: Iterable[pa.Table], places: set[Place], settings: ModelSettings) -> dict[Place, str]:
    """Return thumbnails for the report, see `thumbnails`."""
    return thumbnails(parts, places, settings.validate_.max_side)


def _look_at(images: pa.ChunkedArray, max_side: int) -> pa.Table:
    looks: list[Look | None] = []
    faults: list[str | None] = []
    words: list[str | None] = []
    for data in images.to_pylist():
        try:
            look = _look(data, max_side)
        except image.Unfit as unfit:
            looks.append(None)
            faults.append(unfit.reason)
            words.append(f"{len(data):,} bytes" if data is not None else None)
        else:
            looks.append(look)
            faults.append(None)
            words.append(f"{look.width} x {look.height} {look.kind}")
    return pa.table(_columns(looks) | {"fault": pa.array(faults, pa.string()), SHOWN: pa.array(words, pa.string())})


def _look(data: bytes | None, max_side: int) -> Look:
    opened = image.open_image(data, max_side)
    plain = image.canonical(opened, opened.height, opened.width, GREY if opened.mode in ("1", "L") else COLOUR)
    grey = plain.convert("L")
    return Look(
        width=plain.width,
        height=plain.height,
        kind=f"{MODES[opened.mode]} {image_files.kind((data or b'')[: image_files.HEAD])}",
        digest=_digest(plain, grey),
        histogram=grey.histogram(),
        small=near_duplicates.small(grey),
    )


def _digest(plain: Image.Image, grey: Image.Image) -> bytes:
    """Equal for equal pixels, whatever file they come from: a grey image may be stored in colour."""
    if plain.mode == "RGB":
        red, green, blue = plain.split()
        if red == green == blue:
            plain = grey
    shape = f"{plain.mode} {plain.width} {plain.height}".encode()
    return hashlib.blake2b(plain.tobytes(), digest_size=16, person=shape[:16]).digest()


def _columns(looks: list[Look | None]) -> dict[str, pa.Array]:
    """A row for each look; null, and a hash of 0, where there is none."""
    seen = np.array([look is not None for look in looks], bool)
    there = [look for look in looks if look is not None]
    histogram = np.array([look.histogram for look in there], np.int64).reshape(-1, 256)
    # Sums of whole numbers: no order of adding can change a digit.
    count = np.maximum(histogram.sum(axis=1), 1)
    mean = histogram @ LEVELS / count
    variance = (histogram @ LEVELS**2 * count - (histogram @ LEVELS) ** 2) / count**2
    small = np.frombuffer(b"".join(look.small for look in there), np.uint8).reshape(
        -1, near_duplicates.SIDE, near_duplicates.SIDE
    )
    hashes = np.zeros(len(looks), np.uint64)
    hashes[seen] = near_duplicates.hashes(small)
    waves = np.zeros((len(looks), near_duplicates.WAVES), np.int16)
    waves[seen] = near_duplicates.waves(small)
    return {
        "width": pa.array([look and look.width for look in looks], pa.int64()),
        "height": pa.array([look and look.height for look in looks], pa.int64()),
        "kind": pa.array([look and look.kind for look in looks], pa.string()),
        "pixels": pa.array([look and look.digest for look in looks], pa.binary()),
        "intensity": _spread(mean / 255, seen),
        "contrast": _spread(np.sqrt(variance) / 255, seen),
        "hash": pa.array(hashes),
        "waves": pa.FixedSizeListArray.from_arrays(waves.ravel(), near_duplicates.WAVES),
    }


def _waves(column: pa.ChunkedArray) -> NDArray[np.int16]:
    parts = [part.flatten().to_numpy().reshape(-1, near_duplicates.WAVES) for part in column.chunks]
    return np.concatenate([np.empty((0, near_duplicates.WAVES), np.int16), *parts])


def _spread(values: Any, seen: Any) -> pa.Array:
    whole = np.zeros(len(seen))
    whole[seen] = values
    return pa.array(whole, mask=~seen)


def _reasons(seen: pa.Table, limits: ImageValidate) -> dict[str, Any]:
    side = pc.min_element_wise(seen["width"], seen["height"])
    faults = {reason: pc.equal(seen["fault"], reason) for reason in image.REASONS}
    small = {image.TOO_SMALL: pc.less(side, limits.min_side)}
    return faults | small | {CONSTANT: pc.less(seen["contrast"], limits.min_contrast)}


def _earlier(seen: pa.Table, content: NDArray[np.int32], marks: pa.Table) -> pa.Array:
    """The place of an earlier image that looks alike but is not equal, or null [rows]."""
    # The hash of a nearly constant image is that of its noise.
    telling = pc.and_(pc.is_valid(seen["pixels"]), pc.invert(marks[CONSTANT]))
    places = telling.to_numpy().nonzero()[0]
    found = near_duplicates.earlier(seen["hash"].to_numpy()[places])
    twin = np.full(seen.num_rows, -1)
    twin[places] = np.where(found >= 0, places[found], -1)
    return pa.array(twin, mask=(twin < 0) | quarantine.duplicates(content))
