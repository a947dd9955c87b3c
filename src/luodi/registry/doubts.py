"""Rows whose label the others contradict: told of each run, of the rows that its linear baseline was not fitted on.

The rule of confident learning: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels" (2021), section 3. A row counts as another class where its probability is at least the mean of what rows of that
class get for it. A decision holds the places of rows, as it does of those that turned: what they hold is read where a
page is made.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luodi.registry import changed_answers
from luodi.registry.records import Doubt, Doubts
from luodi.report.document import Cell, Section, Table
from luodi.report.formatting import at, count, number, text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TITLE = "Labels that the other rows contradict"
HEAD = ("Row", "Its label", "Rather")
SHOWN = 30  # rows of a run: a tag keeps their places
LONGEST = 300  # characters of a row on a page


def suspects(label: "NDArray[np.int32]", found: "NDArray[np.float32]") -> "tuple[NDArray[np.int64], NDArray[np.int32]]":
    """Return the places of rows that count as another class, the most suspicious first, and that class of each.

    Args:
        label: Of each row [n].
        found: Probabilities by models that were not fitted on it [n, classes].
    """
    import numpy as np  # pages are made where it is not installed

    rows, classes = np.arange(len(label)), found.shape[1]
    threshold = np.array([found[label == one, one].mean() if (label == one).any() else 1 for one in range(classes)])
    confident = np.where(found >= threshold, found, -1)
    counted = confident.argmax(axis=1).astype(np.int32)
    places = np.flatnonzero((confident.max(axis=1) >= 0) & (counted != label))
    margin = found[rows, label][places] - found[places, counted[places]]
    places = places[np.argsort(margin, kind="stable")]
    return places, counted[places]


def of(
    label: "NDArray[np.int32]", found: "NDArray[np.float32]", place: "NDArray[np.int64]", labels: Sequence[str]
) -> Doubts:
    """Return how many rows are suspicious, and the places of the first.

    Args:
        label, found: As for `suspects`.
        place: Of each row in rows.parquet, int64 [n].
        labels: Names of the classes.
    """
    rows, others = suspects(label, found)
    shown = tuple(
        Doubt(
            place=int(place[row]),
            label=labels[label[row]],
            suggested=labels[other],
            own=round(float(found[row, label[row]]), 3),
            other=round(float(found[row, other]), 3),
        )
        for row, other in zip(rows[:SHOWN].tolist(), others.tolist(), strict=False)
    )
    return Doubts(rows=len(label), found=len(rows), shown=shown)


def section(model: str, decision: Mapping[str, Any], rows: changed_answers.Rows) -> Section | None:
    """Return what the page of validation says of them; None where there is none, or an older luodi decided."""
    shown = changed_answers.doubted(decision)
    lines = [_line(one, rows[place]) for place, one in shown.items() if place in rows]
    if not lines:
        return None
    looked, found = (at(decision, "doubts", name) for name in ("rows", "found"))
    return Section(
        TITLE,
        f"{count(found)} of the {count(looked)} rows that the linear baseline was not fitted on, the most suspicious "
        f"first{f': {len(lines)} of them' if len(lines) != found else ''}.",
        tables=[Table(lines, HEAD)],
        note="Nothing changes by itself; what is here and rightly labelled is often hard, or says both. All rows, and "
        f"a sheet to correct and hand back: luodi labels review {model} --csv doubts.csv.",
    )


def _line(one: Mapping[str, Any], row: changed_answers.Row) -> tuple[Cell, ...]:
    item = row.item[:LONGEST] if isinstance(row.item, str) else row.where
    return (
        Cell(item, below=row.where if item is not row.where else ""),
        Cell(text(at(one, "label")), number(at(one, "own"), "{:.0%}")),
        Cell(text(at(one, "suggested")), number(at(one, "other"), "{:.0%}")),
    )
