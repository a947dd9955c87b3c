"""What a person has to know of the rows that are held back: by reason and file, with the rows that contradict each."""

import difflib
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import findings, quarantine
from luodi.checks.findings import Example
from luodi.checks.quarantine import Checked

SHOWN = 10  # rows of a reason
FILES = 10  # that are named of a reason
SPELLINGS = 20  # of labels that are unknown
WHERE = r", (sheet .*, )?(line|row) [0-9].*$"  # what follows the name of the file
LAST = r"/[^/]*$"  # of an image, its own name below that of its folder

LIMITS = {
    "is too short": "validate.min_length", "is too long": "validate.max_length",
    "is too small": "validate.min_side", "is too large": "validate.max_side",
    "is nearly constant": "validate.min_contrast", "carries several labels": "validate.contradictions",
    "label is unknown": "labels",
}  # fmt: skip
"""The key of the model in params.yaml that decides of a reason, by how its name ends."""


@dataclass(frozen=True)
class Reason:
    """Why rows are held back.

    Attributes:
        files: Where they came from and how many of each, most first, at most `FILES`.
        others: How many files more there are.
        examples: Some of them; of those that are contradicted each text or image once, beside a row that does it.
        key: The setting that decides it; empty where none does.
        across: Of rows that contradict each other, how many of each file only rows of other files contradict.
    """

    name: str
    rows: int
    files: tuple[tuple[str, int], ...]
    others: int
    examples: tuple[Example, ...]
    key: str = ""
    across: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Spelling:
    """A label that is unknown: in how many rows, and the known one it comes near to, None if it does to none."""

    label: str
    rows: int
    near: str | None


def of(checked: Checked, item: str, shown: str) -> list[Reason]:
    """Return every reason, that of most rows first; a row with several is counted for each.

    Args:
        item: What a row holds, "text" or "image".
        shown: The column of the table that shows it.
    """
    codes, file = checked.codes, files(checked.table)
    found = [
        _reason(checked, reason, np.flatnonzero(checked.marks[reason].to_numpy()), codes, file, item, shown)
        for reason in checked.reasons
    ]
    return sorted((one for one in found if one.rows), key=lambda one: (-one.rows, one.name))


def files(table: pa.Table) -> pa.Array:
    """Return the file that each row came from, of images the folder; the shard, where nobody knows: strings [rows]."""
    shard = table["shard"].combine_chunks()
    if "origin" not in table.column_names:
        return shard
    origin = table["origin"].combine_chunks()
    name = pc.replace_substring_regex(origin, WHERE, "")
    folder = pc.replace_substring_regex(origin, LAST, "")
    return pc.coalesce(pc.if_else(pc.equal(name, origin), folder, name), shard)


def spellings(table: pa.Table, labels: tuple[str, ...]) -> list[Spelling]:
    """Return the labels that are unknown, that of most rows first, at most `SPELLINGS`."""
    label = table["label"].drop_null()
    counts = Counter(label.filter(pc.invert(pc.is_in(label, pa.array(labels, pa.string())))).to_pylist())
    plain = {label.casefold().strip(): label for label in labels}
    return [
        Spelling(findings.shown(label, 60), rows, _near(label, plain)) for label, rows in counts.most_common(SPELLINGS)
    ]


def usable(checked: Checked) -> int:
    """Return how many clean rows hold what no clean row before them holds."""
    kept = checked.codes[~checked.table[quarantine.HELD].to_numpy()]
    something = kept[kept >= 0]
    return len(kept) - len(something) + int(np.count_nonzero(np.bincount(something)))


def _near(label: str, plain: dict[str, str]) -> str | None:
    found = difflib.get_close_matches(label.casefold().strip(), plain, 1, 0.75)
    return plain[found[0]] if found else None


def _reason(  # noqa: PLR0917, each is another thing
    checked: Checked,
    name: str,
    rows: NDArray[np.int64],
    codes: NDArray[np.int32],
    file: pa.Array,
    item: str,
    shown: str,
) -> Reason:
    contradicts = name == quarantine.contradiction(item)
    each = np.sort(np.unique(codes[rows], return_index=True)[1]) if contradicts else slice(None)
    shown_rows = rows[each][:SHOWN]
    examples = (
        contradicted(checked.table, codes, shown_rows, shown)
        if contradicts
        else findings.examples(checked.table, shown_rows, shown)
    )
    counts = _counted(file.take(pa.array(rows)))
    across = _across(checked.table, codes, file, rows) if contradicts else []
    key = next((key for end, key in LIMITS.items() if name.endswith(end)), "")
    return Reason(
        name, len(rows), tuple(counts[:FILES]), len(counts[FILES:]), examples, key, tuple(_counted(across)[:FILES])
    )


def contradicted(table: pa.Table, codes: NDArray[np.int32], rows: NDArray[np.int64], shown: str) -> tuple[Example, ...]:
    """Show `rows`, each beside the first row that holds the same and has another label."""
    examples = findings.examples(table, rows, shown)
    others = findings.examples(table, [_against(table, codes, row) for row in rows], shown)
    return tuple(replace(one, beside=other) for one, other in zip(examples, others, strict=True))


def _counted(names: Any) -> list[tuple[str, int]]:
    names = names.to_pylist() if isinstance(names, pa.Array) else names
    return [(findings.shown(name, 80), rows) for name, rows in Counter(names).most_common()]


def _against(table: pa.Table, codes: NDArray[np.int32], row: int) -> int:
    """The first row that holds the same, and another label."""
    same = np.flatnonzero(codes == codes[row])
    label = table["label"].take(pa.array([*same, row])).to_pylist()
    return next(int(other) for other, its in zip(same, label, strict=False) if its not in (None, label[-1]))


def _across(table: pa.Table, codes: NDArray[np.int32], file: pa.Array, rows: NDArray[np.int64]) -> list[str]:
    """The file of each of the rows that no row of its own file contradicts."""
    labels: dict[tuple[int, str], set[str]] = {}
    places = pa.array(rows)
    told = list(zip(codes[rows].tolist(), file.take(places).to_pylist(), table["label"].take(places).to_pylist(),
                    strict=True))  # fmt: skip
    for code, name, label in told:
        labels.setdefault((code, name), set()).add(label)
    return [name for code, name, _ in told if len(labels[code, name]) == 1]
