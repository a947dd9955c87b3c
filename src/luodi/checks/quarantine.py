"""What every batch of rows is asked, whatever is in them, and its split into clean rows and quarantine.

`item` stands for what a row holds, "text" or "image": it names the column, and the reasons that speak of it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.data.groups import Groups

HELD = "row is held back"
FEW = "Few rows are held back"
"""The title of the expectation on them."""
PLACED = ("group", "split")
"""Columns that say which rows stand together and where, if any do."""


@dataclass(frozen=True)
class Checked:
    """All rows with their marks and measures, see `measure`.

    Attributes:
        reasons: Names of the marks.
        content: The text of each row, or a digest of the pixels of its image; null where it has none.
        codes: A number for each content, see `codes`: to tell a million texts apart takes as long as to read them.
        scripts: What each text is written in, int8 [rows], see `luodi.checks.text.measures`; None of images.
        waves: What each image looks like, int16 [rows, 64], see `luodi.checks.image.near_duplicates`; None of texts.
        groups: Which rows stand together; None where rows are split by what they hold alone.
    """

    table: pa.Table
    reasons: tuple[str, ...]
    content: pa.ChunkedArray
    codes: NDArray[np.int32]
    scripts: NDArray[np.int8] | None = None
    waves: NDArray[np.int16] | None = None
    groups: Groups | None = None

    @property
    def marks(self) -> pa.Table:
        return self.table.select(self.reasons)


def missing(item: str) -> str:
    return f"{item} is missing"


def contradiction(item: str) -> str:
    return f"{item} carries several labels"


def duplicate(item: str) -> str:
    return f"{item} repeats an earlier row"


def flags(
    table: pa.Table, content: NDArray[np.int32], own: dict[str, Any], *, item: str, labels: tuple[str, ...]
) -> pa.Table:
    """Mark every row with every reason for quarantine that holds for it.

    Args:
        table: label, source: strings [rows].
        content: What the rows hold, see `codes` [rows].
        own: The reasons of this kind of item and their marks, which may be null [rows].

    Returns:
        One boolean column [rows] without nulls for each reason; the column's name is the reason.
    """
    label = table["label"]
    unknown = pc.invert(pc.is_in(label, value_set=pa.array(labels, pa.string())))
    marks = {
        **own,
        contradiction(item): pa.array(contradicting(content, label, labels)),
        "label is missing": pc.is_null(label),
        "label is unknown": pc.and_(pc.is_valid(label), unknown),
        "source is missing": pc.is_null(table["source"]),
    }
    return pa.table({reason: pc.fill_null(mark, False) for reason, mark in marks.items()})


def measure(
    table: pa.Table,
    marks: pa.Table,
    content: NDArray[np.int32],
    own: dict[str, Any],
    *,
    item: str,
    labels: tuple[str, ...],
) -> pa.Table:
    """Append to `table` the columns of `marks` and the measures that the suite looks at.

    Args:
        own: The measures of this kind of item [rows].

    Returns:
        `table`, its marks and its own measures, and [rows] of: "ITEM repeats an earlier row" and "row is held
        back" (booleans); "contradicting ITEM" (a number for each such one, else null); "share of the label" (of
        all rows, 0 to 1, null for an unknown label).
    """
    measures = {
        **own,
        duplicate(item): duplicates(content),
        HELD: held(marks),
        f"contradicting {item}": pc.if_else(marks[contradiction(item)], content, None),
        "share of the label": _label_shares(table["label"], labels),
    }
    for name, column in [*zip(marks.column_names, marks.columns, strict=True), *measures.items()]:
        table = table.append_column(name, _chunked(column))
    return table


def also_held(checked: Checked, reason: str, marked: NDArray[np.bool_]) -> Checked:
    """Return the rows, of which those that are `marked` [rows] are held back too, for `reason`."""
    table, mark = checked.table, pa.array(marked)
    place = table.column_names.index(HELD)
    table = table.set_column(place, HELD, pc.or_(table[HELD], mark)).append_column(reason, _chunked(mark))
    return replace(checked, table=table, reasons=(*checked.reasons, reason))


def split(table: pa.Table, marks: pa.Table, item: str) -> tuple[pa.Table, pa.Table]:
    """Split into (clean, quarantine), each in the order of `table`; every row is in exactly one of them.

    Returns:
        clean: text or image, label, source, none of them null; group and split, if `table` has them.
        quarantine: shard, row, text or image, label, source, reasons (list of all the row's reasons, never empty).
        Both with the origin behind the source, if `table` has it.
    """
    known = [item, "label", "source", *(["origin"] if "origin" in table.column_names else [])]
    out = pa.array(held(marks))
    clean = table.select([*known, *(name for name in PLACED if name in table.column_names)])
    clean = clean.filter(pc.invert(out)) if pc.any(out).as_py() else clean
    quarantine = table.filter(out).select(["shard", "row", *known])
    return clean, quarantine.append_column("reasons", reasons(marks.filter(out)))


def held(marks: pa.Table) -> Any:
    """Whether any mark is set: booleans [rows]."""
    return _matrix(marks).any(axis=1)


def reasons(marks: pa.Table) -> pa.ListArray:
    """The names of the marks that are set: lists of strings [rows]."""
    matrix = _matrix(marks).astype(bool)
    offsets = np.concatenate([[0], matrix.sum(axis=1).cumsum()])
    names = pa.array(marks.column_names).take(pa.array(matrix.nonzero()[1]))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names)


def duplicates(content: NDArray[np.int32]) -> Any:
    """Whether an earlier row holds the same: booleans [rows]; a row that holds nothing repeats nothing."""
    # Codes count up in order of appearance: what is not above all before it was there.
    return (content <= np.maximum.accumulate(np.concatenate([[-1], content[:-1]]))) & (content >= 0)


def _matrix(marks: pa.Table) -> Any:
    """Booleans [rows, reasons]."""
    return np.column_stack([column.to_numpy() for column in marks.columns])


def codes(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """A number for each distinct value [rows], from 0 in order of appearance; -1 for null."""
    encoded = column.combine_chunks().dictionary_encode()
    numbers: NDArray[np.int32] = pc.fill_null(encoded.indices, -1).to_numpy()
    return numbers


def contradicting(content: NDArray[np.int32], label: pa.ChunkedArray, labels: tuple[str, ...]) -> Any:
    """Mark the rows that hold what another row has under another label [rows]; see `codes` for `content`."""
    # A misspelt label is no opinion: only rows with known labels can contradict each other.
    known = pc.fill_null(pc.index_in(label, value_set=pa.array(labels, pa.string())), -1).to_numpy()
    usable = (known >= 0) & (content >= 0)
    one = np.full(content.max(initial=-1) + 2, -1)  # some label of each content; the last place is for null
    one[content[usable]] = known[usable]
    clash = np.zeros(len(one), bool)
    clash[content[usable & (known != one[content])]] = True
    return usable & clash[content]


def _label_shares(label: pa.ChunkedArray, labels: tuple[str, ...]) -> pa.Array:
    known = pc.index_in(label, value_set=pa.array(labels, pa.string()))
    counts = np.bincount(known.drop_null().to_numpy(), minlength=len(labels))
    return pa.array(counts / max(len(label), 1)).take(known.combine_chunks())


def _chunked(column: Any) -> pa.ChunkedArray:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([pa.array(column)])
