"""What the data of a new model is like, measured while it goes by: the limits of its validation come from it."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luodi.data.importing import Batch
from luodi.data.labels import is_none
from luodi.errors import BrokenData

NOTHING = 20  # characters: what is written for nothing is short


@dataclass
class Traits:
    """Counts over the rows seen; eight bytes a row are kept of an item, and four each of its label and its source."""

    counts: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    valued: Counter[int] = field(default_factory=Counter)
    """Rows that have a value of each column that is kept beside, by its place."""
    none: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Rows that have what many write for nothing in each column that is kept beside, by its place and the value."""
    rows: int = 0
    _digests: "array[int]" = field(default_factory=lambda: array("Q"))
    _codes: "array[int]" = field(default_factory=lambda: array("i"))
    _known: dict[str, int] = field(default_factory=dict)
    _places: "array[int]" = field(default_factory=lambda: array("i"))
    _named: dict[str, int] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Take the rows of a batch in."""
        self.rows += len(batch.items)
        self.counts.update(label for label in batch.labels if label is not None)
        self.sources.update(row.source for row in batch.rows)
        valued = Counter((place, value) for row in batch.rows for place, value in enumerate(row.kept) if value)
        for (place, value), rows in valued.items():
            self.valued[place] += rows
            if len(value) <= NOTHING and is_none(value):
                self.none[place, value] += rows
        for item, label, source in (row[:3] for row in batch.rows):
            if item is not None and label is not None:
                self._places.append(self._named.setdefault(source, len(self._named)))
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

    def learned(self, first: Sequence[str] = ()) -> dict[str, Counter[str]]:
        """Count by source and label the rows that will be used: one of equal items, none with several labels.

        Args:
            first: Sources of which a row is kept rather than an equal row of another source.
        """
        digests, codes, places = (
            np.frombuffer(kept, kind)
            for kept, kind in ((self._digests, np.uint64), (self._codes, np.int32), (self._places, np.int32))
        )
        ranks = np.array([first.index(name) if name in first else len(first) for name in self._named], np.int32)
        order = np.lexsort((ranks[places], digests))
        starts = np.unique(digests[order], return_index=True)[1]
        if len(starts):
            clear = np.minimum.reduceat(codes[order], starts) == np.maximum.reduceat(codes[order], starts)
            order = order[starts[clear]]
        pairs = np.unique(np.stack([places[order], codes[order]]), axis=1, return_counts=True)
        found: dict[str, Counter[str]] = {name: Counter() for name in self._named}
        sources, labels = list(self._named), list(self._known)
        for (place, code), count in zip(pairs[0].T.tolist(), pairs[1].tolist(), strict=True):
            found[sources[place]][labels[code]] = count
        return found

    @property
    def labels(self) -> list[str]:
        return sorted(self.counts)

    @property
    def class_shares(self) -> list[float]:
        """Share of all rows that each label has."""
        return [self.counts[label] / self.rows for label in self.labels]

    def repeats(self) -> tuple[float, int, int]:
        """Return the share of rows that repeat an earlier one, and the numbers of items with several labels and of rows
        of these."""
        digests, codes = np.frombuffer(self._digests, np.uint64), np.frombuffer(self._codes, np.int32)
        distinct, places, counts = np.unique(digests, return_inverse=True, return_counts=True)
        low, high = np.full(len(distinct), len(self._known)), np.full(len(distinct), -1)
        np.minimum.at(low, places, codes)
        np.maximum.at(high, places, codes)
        several = low < high
        return 1 - len(distinct) / max(len(digests), 1), int(several.sum()), int(counts[several].sum())


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

    def longer(self, characters: int) -> float:
        """The share of texts that have more."""
        return float((np.frombuffer(self._lengths, np.uint32) > characters).mean()) if self._lengths else 0.0


@dataclass(frozen=True)
class Look:
    """What a sample of images is like: `sides` are height and width in pixels, int [images, 2]; intensity 0 to 1."""

    sides: Any
    intensity: float
    coloured: float
    """Share of images with more than a tinge of colour."""
    looked: int
    """Images of the sample, those that cannot be used among them."""
    unfit: Counter[str]
    """Of those, by their reason."""

    @property
    def median(self) -> tuple[float, float]:
        """Median height and median width."""
        height, width = np.median(self.sides, axis=0)
        return float(height), float(width)


THUMBNAIL = 32  # pixels a side; enough to tell how bright a picture is, and whether it has colour
TINGE = 8  # of 255: mean difference of red, green and blue


def look(images: Iterable[bytes], where: str) -> Look:
    """Measure images; those that cannot be used are counted by reason.

    Raises:
        BrokenData: None of those of `where` can be used.
    """
    from luodi.data import image

    sides, thumbnails, unfit = [], [], Counter[str]()
    for data in images:
        try:
            opened = image.open_image(data, image.LARGEST)
        except image.Unfit as error:
            unfit[error.reason] += 1
            continue
        sides.append((opened.height, opened.width))
        thumbnails.append(np.asarray(image.canonical(opened, THUMBNAIL, THUMBNAIL, 3), np.int16))
    if not sides:
        reason = max(unfit, key=unfit.__getitem__, default=image.MISSING)
        raise BrokenData(f"{where}: no image looked at can be used; {image.Unfit(reason)}")
    pixels = np.stack(thumbnails)
    spread = (pixels.max(-1) - pixels.min(-1)).mean((1, 2))
    coloured = float((spread > TINGE).mean())
    return Look(np.array(sides), float(pixels.mean() / 255), coloured, len(sides) + unfit.total(), unfit)
