"""Text in, ids of a pretrained encoder's tokens out, by Hugging Face's `tokenizers`, in training and serving alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi.data.text import cleaned

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
KIND = "subwords"


def opened(text: str) -> "Tokenizer":
    """Return the tokenizer of that JSON. What a text says is text to it: one may hold "[SEP]".

    Raises:
        ValueError: It is none.
    """
    import tokenizers

    try:
        found = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # it has no class of its own
        raise ValueError(str(error)) from None
    found.no_padding()
    found.no_truncation()
    found.encode_special_tokens = True
    return found


def padded(rows: Sequence[Sequence[int]], pad: int, step: int = 1) -> NDArray[np.int32]:
    """Return ids as int32 [rows, the longest of them up to a multiple of `step`]; behind a row's last id is `pad`."""
    steps = max([1, *(-(-len(row) // step) for row in rows)])
    found = np.full((len(rows), steps * step), pad, np.int32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


@dataclass(frozen=True)
class Encoder:
    """Turns texts into rows of ids, as long as the longest of a batch; see `luodi.data.modality.Encoder`."""

    labels: tuple[str, ...]
    length: int
    """Tokens of the longest row: what a text has beyond them is not read."""
    pad: int
    tokenizer: str = field(repr=False)
    """JSON, which lies beside the model as tokenizer.json."""

    modality: ClassVar[str] = "text"
    dtype: ClassVar[str] = "int32"
    fixed: ClassVar[bool] = False
    """Rows are as long as the longest of their batch."""

    @classmethod
    def from_json(cls, raw: dict[str, Any], folder: Path) -> Self:
        """Inverse of `as_json`, with the tokenizer in `folder`; raises ValueError, TypeError, KeyError or OSError."""
        text = (folder / TOKENIZER).read_text(encoding="utf-8")
        found = cls(tuple(raw["labels"]), int(raw["length"]), int(raw["pad"]), text)
        found._tokenizer  # noqa: B018, to know now that it is one
        return found

    def as_json(self) -> dict[str, Any]:
        """What encoder.json holds: all but the tokenizer."""
        return {
            "modality": self.modality, "tokenizer": KIND, "labels": self.labels, "length": self.length, "pad": self.pad,
            "size": self.size,
        }  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the longest row."""
        return (self.length,)

    @property
    def size(self) -> int:
        """Number of distinct ids."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Clean and encode raw texts: int32 [n, tokens of the longest].

        Raises:
            Nothing: Of one nothing is left when it is clean.
        """
        return self.encode_ready(self.ready(texts))

    def ready(self, texts: Sequence[str]) -> list[str]:
        """Return the texts clean; see `encode`."""
        return cleaned(texts)

    def encode_ready(self, texts: Sequence[str], *, narrow: bool = True) -> NDArray[np.int32]:
        """Encode clean texts: int32 [n, tokens of the longest]."""
        return padded(self.ids(texts), self.pad)

    def encode_clean(self, texts: pa.Array) -> NDArray[np.int32]:
        """Encode a column of clean texts: int32 [n, tokens of the longest]."""
        return self.encode_ready(texts.to_pylist())

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of clean texts, those that begin and end a text among them."""
        return [one.ids for one in self._tokenizer.encode_batch_fast(list(texts))]

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        found = opened(self.tokenizer)
        found.enable_truncation(self.length)
        return found
