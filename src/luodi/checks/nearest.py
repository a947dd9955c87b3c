"""How near test rows come to train rows: a figure on rows that have a double in train says little of new ones."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LOOKED_AT = 5000  # test rows: the time is bounded, and a share is known to 1.4 points
PAIRS = 10  # that the page shows

Places: TypeAlias = NDArray[np.int64]
Similar: TypeAlias = NDArray[np.float64]
Batches: TypeAlias = Callable[[], Iterable[pa.Array]]


class Nearest(Protocol):
    """What a modality supplies: the modules `nearest` of `luodi.checks.MODALITY`."""

    LEVELS: dict[str, float]
    """The least similarity of each level, the highest first, by its name."""
    MEANING: str
    """What the similarity is, in words."""

    def nearest(self, test: pa.Array, train: Batches, at: Callable[[Places], pa.Array]) -> tuple[Places, Similar]:
        """Return for each test item the place of the nearest train item, -1 if none is near, and their similarity.

        Args:
            test: Clean items [n].
            train: Gives all clean train items, some at a time.
            at: Gives those at some places.
        """


def of(name: str) -> Nearest:
    """Return what the modality of that name supplies; only its module is imported."""
    module: Any = import_module(f"luodi.checks.{name}.nearest")
    return module  # type: ignore[no-any-return]  # _known holds both modules to the protocol


def looked_at(rows: int) -> Places:
    """Return the places of the test rows that are looked at, spread over all: int64 [at most LOOKED_AT]."""
    found: Places = np.unique(np.linspace(0, max(rows - 1, 0), min(rows, LOOKED_AT)).astype(np.int64))
    return found


def table(test: Places, train: Places, similarity: Similar, levels: dict[str, float]) -> pa.Table:
    """Return what nearest.parquet holds.

    Args:
        test, train: Places in their splits [n]; -1 where no train row is near.
        similarity: Of the two, 0 to 1 [n].
        levels: See `Nearest.LEVELS`.

    Returns:
        test, train (int64), similarity (float64), level (the name of the highest that it reaches, else null).
    """
    reached = (similarity[:, None] >= np.array([*levels.values()])).argmax(axis=1)
    some = similarity >= min(levels.values())
    names = [name if near else None for name, near in zip(np.array([*levels])[reached].tolist(), some, strict=True)]
    return pa.table({
        "test": test, "train": train, "similarity": similarity, "level": pa.array(names, pa.string())
    })  # fmt: skip


def counts(found: pa.Table, levels: dict[str, float]) -> dict[str, Any]:
    """Return how many test rows were looked at, and how many of these come as near as each level, by its name."""
    similarity = np.array(found["similarity"].to_pylist())
    return {"rows": len(found), "levels": {name: int((similarity >= least).sum()) for name, least in levels.items()}}


def worst(found: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of the nearest pairs, at most PAIRS."""
    rows = [row for row in found.to_pylist() if row["level"]]
    return sorted(rows, key=lambda row: (-row["similarity"], row["test"]))[:PAIRS]


if TYPE_CHECKING:
    from luodi.checks.image import nearest as image
    from luodi.checks.text import nearest as text

    _known: tuple[Nearest, ...] = (text, image)
