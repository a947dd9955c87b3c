"""Columns of the shards that tell the label alone, such as a rating beside a review: an answer that data carries along.

A model sees none of them. But what the label was made of may stand in the texts or on the images as well, and whoever
takes such a column for a group or a source has one class in each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi.checks.findings import EXAMPLES, Finding, percent, shown
from luodi.checks.quarantine import codes

ALONE = 0.8  # of what the largest class leaves to be told


@dataclass(frozen=True)
class Told:
    """How many labels are told by the values of a column, and how many by always naming the largest class: 0 to 1."""

    column: str
    right: float
    largest: float

    @property
    def said(self) -> str:
        return (
            f"`{shown(self.column, 60)}` alone tells {percent(self.right)} of the labels, the largest class is "
            f"{percent(self.largest)}"
        )

    @property
    def alone(self) -> bool:
        return self.right - self.largest >= ALONE * (1 - self.largest) > 0


def told(column: str, values: pa.ChunkedArray, label: NDArray[np.int32], looked_at: NDArray[np.bool_]) -> Told | None:
    """Return how well a column tells the labels; None of one that has one value at most.

    Each row is given the label that most of the other rows of its value have: a value of one row alone, such as a
    number of the row, tells nothing, nor does one of which two labels have equally many.

    Args:
        values: Strings, null where there is none, which is a value too [rows].
        label: A number for each label [rows].
        looked_at: Which rows count [rows].
    """
    value, label = codes(values)[looked_at] + 1, label[looked_at]
    several = int(label.max(initial=0)) + 1
    pair, count = np.unique(value.astype(np.int64) * several + label, return_counts=True)
    return counted(column, np.stack(np.divmod(pair, several)), count)


def counted(column: str, pair: NDArray[np.int64], count: NDArray[np.int64]) -> Told | None:
    """Return the same of rows that are counted: `pair` [2, pairs] has the numbers of a value and of a label."""
    if len(np.unique(pair[0])) < 2:
        return None
    order = np.lexsort((-count, pair[0]))
    start = np.flatnonzero(np.diff(pair[0][order], prepend=-1))
    first, size = order[start], np.diff(start, append=len(order))
    second = np.where(size > 1, count[order[np.minimum(start + 1, len(order) - 1)]], 0)
    right = count[first][count[first] - 1 > second].sum()
    rows = count.sum()
    return Told(column, float(right / rows), float(np.bincount(pair[1], count).max() / rows))


def finding(found: Iterable[Told]) -> Finding:
    """Tell of the columns that tell the label alone; a warning."""
    columns = sorted(found, key=lambda one: -one.right)
    alone = [one for one in columns if one.alone]
    said = [one.said for one in (alone or columns)[:EXAMPLES]]
    return Finding(
        title="No column gives the label away",
        severity="warning",
        passed=not alone,
        expected=f"no column beside the labels tells {percent(ALONE)} or more of what the largest class leaves",
        found="; ".join(said),
        examples=(),
    )
