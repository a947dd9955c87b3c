"""What an item is made of, to ask a model what it would say without some of it: words of a text, regions of an image.

Of the stages evaluate alone imports this: a change here makes no model anew.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.data.modality import Encoder

MOST = 64  # parts of a text; where it has more, neighbours are one
SIDE = 8  # regions along each side of an image, at most
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Chinese: a character is a part
PART = re.compile(rf"[{UNSPACED}]|[0-9]+(?:[.,:][0-9]+)*|[^\W{UNSPACED}]+|[^\w\s]")


@dataclass(frozen=True)
class Parts:
    """The parts of one item, in its order.

    Attributes:
        whole: The clean text; or what the model reads of the image, uint8 [height, width, channels].
        places: Where each part stands: start and end in the text; or top, bottom, left and right, in pixels.
        without: Encodes the item with the parts of a row alone, bool [n, parts]: [n, ...].
    """

    whole: Any
    places: Sequence[tuple[int, ...]]
    without: Callable[[NDArray[np.bool_]], NDArray[Any]]


def of(encoder: Encoder, item: Any, *, narrow: bool = False) -> Parts:
    """Take a raw item apart that `encoder` reads.

    With `narrow` encoded texts are no longer than the longest of them.

    Raises:
        Nothing: A text holds nothing to classify.
        Unfit: An image cannot be used.
    """
    kinds: dict[str, Callable[[Encoder, Any], Parts]] = {"text": partial(_text, narrow=narrow), "image": _image}
    return kinds[encoder.modality](encoder, item)


def _text(encoder: Encoder, item: str, *, narrow: bool) -> Parts:
    """Words, or characters of scripts without spaces, and marks between them; blanks stay wherever they stand."""
    from luodi.data import text

    (whole,) = text.cleaned([item])
    single = [found.span() for found in PART.finditer(whole)]
    together = -(-len(single) // MOST)
    places = [
        (some[0][0], some[-1][1]) for some in (single[at : at + together] for at in range(0, len(single), together))
    ]
    gaps = [
        whole[end:start] for (_, end), (start, _) in zip([(0, 0), *places], [*places, (len(whole), 0)], strict=True)
    ]

    def without(kept: NDArray[np.bool_]) -> NDArray[Any]:
        rows = []
        for mask in kept.tolist():
            pieces = [whole[start:end] if there else "" for (start, end), there in zip(places, mask, strict=True)]
            rows.append("".join(part for pair in zip(gaps, [*pieces, ""], strict=True) for part in pair))
        return encoder.encode_ready(text.clean_list(rows), narrow=narrow)

    return Parts(whole, places, without)


def _image(encoder: Encoder, item: bytes) -> Parts:
    """Squares of a grid; one that is taken away has the median of each channel, which is the ground of many images."""
    (row,) = encoder.encode([item])
    edges = [np.linspace(0, side, min(side, SIDE) + 1).round().astype(int) for side in row.shape[:2]]
    places = [
        (int(top), int(bottom), int(left), int(right))
        for top, bottom in zip(edges[0], edges[0][1:], strict=False)
        for left, right in zip(edges[1], edges[1][1:], strict=False)
    ]
    number = np.zeros(row.shape[:2], int)
    for place, (top, bottom, left, right) in enumerate(places):
        number[top:bottom, left:right] = place
    ground = np.median(row, axis=(0, 1)).astype(row.dtype)

    def without(kept: NDArray[np.bool_]) -> NDArray[Any]:
        found: NDArray[Any] = np.where(kept[:, number][..., None], row, ground)
        return found

    return Parts(row, places, without)
