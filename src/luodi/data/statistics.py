"""What the data of a new model is like, measured while it goes by: the limits of its validation come from it."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luodi.data.importing import Batch


@dataclass
class Traits:
    """Counts over the rows seen; eight bytes a row are kept of an item, and four of its label."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    _digests: "array[int]" = field(default_factory=lambda: array("Q"))
    _codes: "array[int]" = field(default_factory=lambda: array("i"))
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Take the rows of a batch in."""
        self.rows += len(batch.items)
        self.counts.update(label for label in batch.labels if label is not None)
        for item, label in zip(batch.items, batch.labels, strict=True):
            if item is not None and label is not None:
                content = item.encode("utf-8", "replace") if isinstance(item, str) else item
                self._digests.append(int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big"))
                self._codes.append(self._known.setdefault(label, len(self._known)))

    @property
    def unlabelled(self) -> int:
        """Rows that lack a label, or what it is of."""
        return self.rows - len(self._digests)

    @property
    def distinct(self) -> int:
        """Different items among the labelled rows."""
        return len(np.unique(np.frombuffer(self._digests, np.uint64)))

    @property
    def labels(self) -> list[str]:
        return sorted(self.counts)

    @property
    def class_shares(self) -> list[float]:
        """Share of all rows that each label has."""
        return [self.counts[label] / self.rows for label in self.labels]

    def repeats(self) -> tuple[float, int]:
        """Return the share of rows that repeat an earlier one, and the number of items with several labels."""
        digests, codes = np.frombuffer(self._digests, np.uint64), np.frombuffer(self._codes, np.int32)
        distinct, places = np.unique(digests, return_inverse=True)
        low, high = np.full(len(distinct), len(self._known)), np.full(len(distinct), -1)
        np.minimum.at(low, places, codes)
        np.maximum.at(high, places, codes)
        return 1 - len(distinct) / max(len(digests), 1), int((low < high).sum())


@dataclass
class TextTraits(Traits):
    """Also the lengths of texts, in characters, and how many of their letters are Chinese."""

    _lengths: "array[int]" = field(default_factory=lambda: array("I"))
    letters: int = 0
    chinese: int = 0

    def add(self, batch: Batch) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        super().add(batch)
        texts = pa.array([text for text in batch.items if text is not None], pa.string())
        self._lengths.extend(pc.utf8_length(texts).to_pylist())
        letters = pc.replace_substring_regex(texts, r"\P{L}+", "")
        other = pc.replace_substring_regex(letters, r"\p{Han}+", "")
        total = pc.sum(pc.utf8_length(letters)).as_py() or 0
        self.letters += total
        self.chinese += total - (pc.sum(pc.utf8_length(other)).as_py() or 0)

    def length(self, share: float) -> int:
        """Characters that this share of texts does not exceed."""
        return int(np.quantile(np.frombuffer(self._lengths, np.uint32), share)) if self._lengths else 0


@dataclass(frozen=True)
class Look:
    """What a sample of images is like: `sides` are height and width in pixels, int [images, 2]; intensity 0 to 1."""

    sides: Any
    intensity: float
    coloured: float
    """Share of images with more than a tinge of colour."""

    @property
    def median(self) -> tuple[float, float]:
        """Median height and median width."""
        height, width = np.median(self.sides, axis=0)
        return float(height), float(width)


THUMBNAIL = 32  # pixels a side; enough to tell how bright a picture is, and whether it has colour
TINGE = 8  # of 255: mean difference of red, green and blue


def look(images: Iterable[bytes]) -> Look | None:
    """Measure images; those that cannot be used are passed over. None if none can."""
    from luodi.data import image

    sides, thumbnails = [], []
    for data in images:
        try:
            opened = image.open_image(data, image.LARGEST)
        except image.Unfit:
            continue
        sides.append((opened.height, opened.width))
        thumbnails.append(np.asarray(image.canonical(opened, THUMBNAIL, THUMBNAIL, 3), np.int16))
    if not sides:
        return None
    pixels = np.stack(thumbnails)
    spread = (pixels.max(-1) - pixels.min(-1)).mean((1, 2))
    return Look(np.array(sides), float(pixels.mean() / 255), float((spread > TINGE).mean()))
