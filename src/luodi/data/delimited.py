"""Tell what divides the columns of a text, and whether its quotes are quotes, by its first rows."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from luodi.errors import BrokenData

if TYPE_CHECKING:
    import _csv

LONGEST = 2**27  # characters of a line, or of a text: what is longer is no text
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "pipes"}
NONE = "\x1f"  # for a file of one column: no text holds it


def reader(lines: Iterable[str], delimiter: str, quotes: bool = True, strict: bool = False) -> "_csv.Reader":
    """Return a reader of the fields of each row; without `quotes` they are characters as any other."""
    csv.field_size_limit(LONGEST)
    if quotes:
        return csv.reader(lines, delimiter=delimiter, strict=strict)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def delimiter_of(sample: str, cut: bool, path: Path, kind: str) -> str:
    """Return the one character that splits the first row, and if several do, the one that splits every row as often.

    Args:
        sample: The beginning of the text at `path`, `cut` if there is more.
        kind: Its suffix, which decides where nothing divides the rows.

    Raises:
        BrokenData: Several characters do.
    """
    widths = {one: _widths(sample, cut, one) for one in DELIMITERS}
    found = [one for one, counts in widths.items() if counts and counts[0] > 1]
    even = [one for one in found if len(set(widths[one])) == 1]
    if len(found) > 1 and len(even) != 1:
        raise BrokenData(
            f"{path}: {' and '.join(DELIMITERS[one] for one in found)} divide its rows: name which, "
            f"for example --delimiter '{found[0]}'"
        )
    if found:
        return (even if len(found) > 1 else found)[0]
    return {".csv": ",", ".tsv": "\t", ".tab": "\t"}.get(kind, NONE)


def _widths(sample: str, cut: bool, delimiter: str) -> list[int]:
    """Columns of each row that is not blank; of a sample that is cut the last row is none."""
    rows = reader(io.StringIO(sample, newline=""), delimiter, quoted(sample, cut, delimiter))
    counts = [len(row) for row in rows if row]
    return counts[:-1] if cut and len(counts) > 1 else counts


def quoted(sample: str, cut: bool, delimiter: str) -> bool:
    """Return whether quotes stand around values: not where they are no pairs, and lines are rows without them."""
    if '"' not in sample:
        return True
    lines = sample.splitlines()[: -1 if cut else None]
    rows = 0
    try:
        for _ in reader(io.StringIO(sample, newline=""), delimiter, strict=True):
            rows += 1
    except csv.Error as error:
        inside = cut and "unexpected end" in str(error) and rows > len(lines) / 2
        rows = rows if inside else 0
    bare = {len(row) for row in reader(lines, delimiter, quotes=False) if row}
    return rows > 0 or len(bare) != 1 or bare == {1}
