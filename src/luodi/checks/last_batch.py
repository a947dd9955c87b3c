"""What the last batch changed: the rows beside those that there were before it, and which of these it has held back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import findings, quarantine, reasons
from luodi.checks.findings import Example
from luodi.checks.quarantine import HELD, Checked
from luodi.checks.reasons import Spelling
from luodi.data.arrivals import Arrival

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Lately:
    """The last batch.

    Attributes:
        files: The names of what it came in.
        lines: Name of a figure, without the batch, with it.
        newly: Rows from before the batch that count as held back only since it came.
        examples: Some of these, each beside a row of the batch that contradicts it.
        spellings: Labels of the batch that are unknown.
    """

    files: tuple[str, ...]
    lines: tuple[tuple[str, int, int], ...]
    newly: int
    examples: tuple[Example, ...]
    spellings: tuple[Spelling, ...]


def of(checked: Checked, came: Sequence[Arrival], labels: tuple[str, ...], item: str, shown: str) -> Lately | None:
    """Tell of the last of the batches that `came`; None where none did, or where all rows are of it.

    Args:
        item: What a row holds, "text" or "image".
        shown: The column of the table that shows it.
    """
    batches = [one for one in came if one.shards]
    if not batches:
        return None
    table, codes = checked.table, checked.codes
    new: Mask = pc.is_in(table["shard"], pa.array(batches[-1].shards, pa.string())).to_numpy()
    if not new.any() or new.all():
        return None
    marks = _before(checked, codes, new, labels, item)
    was, now = quarantine.held(pa.table(marks)) & ~new, table[HELD].to_numpy()
    newly = np.flatnonzero(now & ~new & ~was)
    lines = [
        ("Rows", int((~new).sum()), len(new)),
        ("Of use, each once", len(np.unique(codes[~new & ~was])), reasons.usable(checked)),
        ("Held back", int(was.sum()), int(now.sum())),
        *((name, int((mark & ~new).sum()), int(table[name].to_numpy().sum())) for name, mark in marks.items()),
    ]
    return Lately(
        files=tuple(findings.shown(name, 80) for name in batches[-1].files),
        lines=tuple(one for one in lines[:3]) + tuple(one for one in lines[3:] if one[1] != one[2]),
        newly=len(newly),
        examples=reasons.contradicted(table, codes, newly[: reasons.SHOWN], shown),
        spellings=tuple(reasons.spellings(table.filter(pa.array(new)), labels)),
    )


def _before(
    checked: Checked, codes: NDArray[np.int32], new: Mask, labels: tuple[str, ...], item: str
) -> dict[str, Mask]:
    """The marks of all rows, of which those from before the batch contradict each other alone."""
    marks: dict[str, Mask] = {name: checked.table[name].to_numpy() for name in checked.reasons}
    contradiction = marks[quarantine.contradiction(item)].copy()
    old = checked.table["label"].filter(pa.array(~new))
    contradiction[~new] = quarantine.contradicting(codes[~new], old, labels)
    return {**marks, quarantine.contradiction(item): contradiction}
