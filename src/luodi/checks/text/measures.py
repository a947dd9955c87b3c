"""What is wrong with each row of text, and what the suite and the report look at."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from luodi.checks import quarantine
from luodi.checks.profile import Chart, up_to
from luodi.config import TextSettings as ModelSettings
from luodi.config import TextValidate

ITEM = SHOWN = "text"
WHOLE = True

# Nothing a reader would see: spaces of every script, control and zero-width characters.
BLANK = r"\A[\p{Z}\p{Cc}\p{Cf}]*\z"
# C0 and C1 without tab, line feed and carriage return, which plain text may hold.
CONTROL = r"[\x{00}-\x{08}\x{0B}\x{0C}\x{0E}-\x{1F}\x{7F}-\x{9F}]"


def flags(table: pa.Table, labels: tuple[str, ...], limits: TextValidate) -> pa.Table:
    """Mark every row of text, label, source (strings [rows]) with its reasons, see `rows.flags`."""
    text = table["text"]
    length = pc.utf8_length(text)
    own = {
        quarantine.missing(ITEM): pc.is_null(text),
        "text is blank": pc.match_substring_regex(text, BLANK),
        "text is too short": pc.less(length, limits.min_length),
        "text is too long": pc.greater(length, limits.max_length),
        "text holds U+FFFD": pc.match_substring(text, "\ufffd"),
        "text holds control characters": pc.match_substring_regex(text, CONTROL),
    }
    return quarantine.flags(table, text, own, item=ITEM, labels=labels)


def measure(parts: Iterable[pa.Table], settings: ModelSettings) -> quarantine.Checked:
    """Measure all rows.

    Returns:
        text, label, source, shard, row of every row, with these measures of a text: "characters" (length, null
        for a missing text) and "Chinese part" (the row's Chinese letters over the letters of all rows: the sum is
        the share of Chinese).
    """
    table = pa.concat_tables(parts)
    marks = flags(table, settings.labels, settings.validate_)
    own = {"characters": pc.utf8_length(table["text"])}
    measured = quarantine.measure(table, marks, table["text"], own, item=ITEM, labels=settings.labels)
    measured = measured.append_column("Chinese part", _chinese_parts(table["text"]))
    return quarantine.Checked(measured, tuple(marks.column_names))


def charts(measured: pa.Table) -> tuple[Chart, ...]:
    """What the report shows of the texts."""
    edges = up_to(pc.max(measured["characters"]).as_py() or 0)
    return (Chart("characters", edges),)


def facts(measured: pa.Table) -> dict[str, Any]:
    """Nothing more to say of texts."""
    return {}


def pictures(
    parts: Iterable[pa.Table], places: set[tuple[str, int]], settings: ModelSettings
) -> dict[tuple[str, int], str]:
    """A text is its own picture."""
    return {}


def _chinese_parts(text: pa.ChunkedArray) -> Any:
    letters = pc.replace_substring_regex(text, r"\P{L}+", "")
    other = pc.utf8_length(pc.replace_substring_regex(letters, r"\p{Han}+", ""))
    total = pc.utf8_length(letters)
    return pc.divide(pc.subtract(total, other), float(max(pc.sum(total).as_py() or 0, 1)))
