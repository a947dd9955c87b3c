"""What is wrong with each row, and the split of a batch into clean rows and quarantine."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luodi.config import Validate

# Nothing a reader would see: spaces of every script, control and zero-width characters.
BLANK = r"\A[\p{Z}\p{Cc}\p{Cf}]*\z"
# C0 and C1 without tab, line feed and carriage return, which plain text may hold.
CONTROL = r"[\x{00}-\x{08}\x{0B}\x{0C}\x{0E}-\x{1F}\x{7F}-\x{9F}]"

CONTRADICTION = "text carries several labels"
DUPLICATE = "text repeats an earlier row"
HELD = "row is held back"


def flags(table: pa.Table, labels: tuple[str, ...], limits: Validate) -> pa.Table:
    """Mark every row with every reason for quarantine that holds for it.

    Args:
        table: text, label, source: strings [rows].

    Returns:
        One boolean column [rows] without nulls for each reason; the column's name is the reason.
    """
    text, label = table["text"], table["label"]
    length = pc.utf8_length(text)
    unknown = pc.invert(pc.is_in(label, value_set=pa.array(labels, pa.string())))
    marks = {
        "text is missing": pc.is_null(text),
        "text is blank": pc.match_substring_regex(text, BLANK),
        "text is too short": pc.less(length, limits.min_length),
        "text is too long": pc.greater(length, limits.max_length),
        "text holds U+FFFD": pc.match_substring(text, "\ufffd"),
        "text holds control characters": pc.match_substring_regex(text, CONTROL),
        CONTRADICTION: pa.array(_contradicting(text, label, labels)),
        "label is missing": pc.is_null(label),
        "label is unknown": pc.and_(pc.is_valid(label), unknown),
        "source is missing": pc.is_null(table["source"]),
    }
    return pa.table({reason: pc.fill_null(mark, False) for reason, mark in marks.items()})


def measure(table: pa.Table, marks: pa.Table, labels: tuple[str, ...]) -> pa.Table:
    """Append to `table` the columns of `marks` and the measures that the suite looks at.

    Returns:
        `table` and its marks, and [rows] of: "characters" (length, null for a missing text); "text repeats
        an earlier row" and "row is held back" (booleans); "contradicting text" (a number for each such text,
        else null); "share of the label" (of all rows, 0 to 1, null for an unknown label); "Chinese part"
        (the row's Chinese letters over the letters of all rows: the sum is the share of Chinese).
    """
    measures = {
        "characters": pc.utf8_length(table["text"]),
        DUPLICATE: _duplicates(table["text"]),
        HELD: _held(marks),
        "contradicting text": pc.if_else(marks[CONTRADICTION], _codes(table["text"]), None),
        "share of the label": _label_shares(table["label"], labels),
        "Chinese part": _chinese_parts(table["text"]),
    }
    for name, column in [*zip(marks.column_names, marks.columns, strict=True), *measures.items()]:
        table = table.append_column(name, _chunked(column))
    return table


def split(table: pa.Table, marks: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Split into (clean, quarantine), each in the order of `table`; every row is in exactly one of them.

    Returns:
        clean: text, label, source, none of them null.
        quarantine: shard, row, text, label, source, reasons (list of all the row's reasons, never empty).
    """
    held = pa.array(_held(marks))
    clean = table.filter(pc.invert(held)).select(["text", "label", "source"])
    quarantine = table.filter(held).select(["shard", "row", "text", "label", "source"])
    return clean, quarantine.append_column("reasons", _reasons(marks.filter(held)))


def _matrix(marks: pa.Table) -> Any:
    """Booleans [rows, reasons]."""
    return np.column_stack([column.to_numpy() for column in marks.columns])


def _held(marks: pa.Table) -> Any:
    return _matrix(marks).any(axis=1)


def _reasons(marks: pa.Table) -> pa.ListArray:
    matrix = _matrix(marks).astype(bool)
    offsets = np.concatenate([[0], matrix.sum(axis=1).cumsum()])
    names = pa.array(marks.column_names).take(pa.array(matrix.nonzero()[1]))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names)


def _codes(column: pa.ChunkedArray) -> Any:
    """A number for each distinct value [rows], from 0 in order of appearance; -1 for null."""
    encoded = column.combine_chunks().dictionary_encode()
    return pc.fill_null(encoded.indices, -1).to_numpy()


def _duplicates(text: pa.ChunkedArray) -> Any:
    codes = _codes(text)
    repeats = np.ones(len(codes), bool)
    repeats[np.unique(codes, return_index=True)[1]] = False
    return repeats & (codes >= 0)


def _contradicting(text: pa.ChunkedArray, label: pa.ChunkedArray, labels: tuple[str, ...]) -> Any:
    # A misspelt label is no opinion: only rows with known labels can contradict each other.
    known = pc.fill_null(pc.index_in(label, value_set=pa.array(labels, pa.string())), -1).to_numpy()
    codes = _codes(text)
    usable = (known >= 0) & (codes >= 0)
    one = np.full(codes.max(initial=-1) + 2, -1)  # some label of each text; the last place is for null
    one[codes[usable]] = known[usable]
    clash = np.zeros(len(one), bool)
    clash[codes[usable & (known != one[codes])]] = True
    return usable & clash[codes]


def _label_shares(label: pa.ChunkedArray, labels: tuple[str, ...]) -> pa.Array:
    known = pc.index_in(label, value_set=pa.array(labels, pa.string()))
    counts = np.bincount(known.drop_null().to_numpy(), minlength=len(labels))
    return pa.array(counts / max(len(label), 1)).take(known.combine_chunks())


def _chinese_parts(text: pa.ChunkedArray) -> Any:
    letters = pc.replace_substring_regex(text, r"\P{L}+", "")
    other = pc.utf8_length(pc.replace_substring_regex(letters, r"\p{Han}+", ""))
    total = pc.utf8_length(letters)
    return pc.divide(pc.subtract(total, other), float(max(pc.sum(total).as_py() or 0, 1)))


def _chunked(column: Any) -> pa.ChunkedArray:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([pa.array(column)])
