"""What a modality supplies to whatever handles rows: the module `luodi.data.MODALITY`, found by its name.

Nobody else asks which modality it is. `luodi.checks.modality` is the same for validation; networks are named in
`luodi.nets.catalogue`, settings in `luodi.config`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Augment: TypeAlias = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]
"""Changes encoded rows [n, ...] at random."""


class Encoder(Protocol):
    """Turns items into rows of numbers; fitted on train, saved beside the model."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def modality(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def fixed(self) -> bool:
        """Whether all rows are of its shape; else they are as long as the longest of those encoded with them."""

    @property
    def size(self) -> int:
        """Number of distinct values."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an encoded row."""

    def encode(self, items: Sequence[Any]) -> NDArray[Any]:
        """Clean and encode raw items: [n, *shape]."""
        ...

    def ready(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return raw items with that done to them, for `encode_ready`, which costs all at once less than some."""
        ...

    def encode_ready(self, items: Sequence[Any], *, narrow: bool = False) -> NDArray[Any]:
        """Do the rest of `encode`: [n, *shape]; `narrow` pads no row beyond the longest of them."""
        ...

    def encode_clean(self, items: pa.Array) -> NDArray[Any]:
        """Encode a column of clean items: [n, *shape]."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return its fields; `read_encoder` is the inverse."""
        ...


class Modality(Protocol):
    """The functions of `luodi.data.text` and `luodi.data.image` that do the same to different items."""

    CHUNK: int
    """Rows cleaned and encoded at a time."""
    CLEAN: pa.DataType
    """Type of a column of clean items."""

    def item(self, one: Any) -> Any:
        """Return a raw item of what a user of Python has in hand. Raises TypeError if it is nothing of that kind."""

    def column(self, items: Sequence[Any]) -> pa.Array:
        """Return raw or clean items as a column [n]."""

    def cleaner(self, settings: Any) -> Callable[[pa.Array], pa.Array]:
        """Return what cleans a column [n] of raw items; `settings` is the block preprocess."""

    def fit_encoder(self, train: Iterable[pa.Array], settings: Any, labels: Sequence[str]) -> Encoder:
        """Fit the encoder on columns of clean train items."""

    def read_encoder(self, raw: dict[str, Any], folder: Path = Path()) -> Encoder:
        """Return the encoder of that JSON, which may need a file in `folder` too.

        Raises ValueError, TypeError, KeyError or FileNotFoundError if it is none.
        """

    def copies(self, train: Callable[[], Iterable[pa.Array]], settings: Any) -> list[Iterator[pa.Array]]:
        """Return the augmented copies that are trained on beside clean train items, column by column."""

    def augmenter(self, settings: Any) -> Augment | None:
        """Return what changes encoded train rows anew in each epoch; None if nothing does."""

    def samples(self, items: pa.Array, settings: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return what the page of preprocess shows of augmentation; empty where it is off."""

    def slices(self, items: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """Return what clean items are sliced by, a number an item."""


def of(name: str) -> Modality:
    """Return the modality of that name; only its module is imported."""
    module: Any = import_module(f"luodi.data.{name}")
    return module  # type: ignore[no-any-return]  # _known holds both modules to the protocol


if TYPE_CHECKING:
    from luodi.data import image, text

    _known: tuple[Modality, ...] = (text, image)
