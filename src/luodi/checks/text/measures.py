"""What is wrong with each row of text, and what the suite and the report look at."""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import quarantine
from luodi.checks.profile import Chart, up_to
from luodi.config import TextSettings as ModelSettings
from luodi.config import TextValidate
from luodi.data import near_copies, ngrams

ITEM = SHOWN = "text"
BLANK, SHORT, LONG = "text is blank", "text is too short", "text is too long"
OUT_OF_BOUNDS = "length is out of bounds"
WHOLE = True
CHUNK = 4096  # texts whose characters are counted at a time

# Nothing a reader would see: spaces of every script, control and zero-width characters.
NOTHING = r"\A[\p{Z}\p{Cc}\p{Cf}]*\z"
# C0 and C1 without tab, line feed and carriage return, which plain text may hold.
CONTROL = r"[\x{00}-\x{08}\x{0B}\x{0C}\x{0E}-\x{1F}\x{7F}-\x{9F}]"


def flags(table: pa.Table, content: NDArray[np.int32], labels: tuple[str, ...], limits: TextValidate) -> pa.Table:
    """Mark every row of text, label, source (strings [rows]) with its reasons, see `quarantine.flags`."""
    text = table["text"]
    length, amiss = pc.utf8_length(text), unfit(text)
    own = {
        quarantine.missing(ITEM): pc.is_null(text),
        BLANK: amiss[BLANK],
        SHORT: pc.less(length, limits.min_length),
        LONG: pc.greater(length, limits.max_length),
        **amiss,
    }
    return quarantine.flags(table, content, own, item=ITEM, labels=labels)


def unfit(text: pa.Array | pa.ChunkedArray) -> dict[str, pa.Array | pa.ChunkedArray]:
    """Return, by its reason, a mark for each text [rows] that no limit makes fit: true, false, or null."""
    return {
        BLANK: pc.match_substring_regex(text, NOTHING),
        "text holds U+FFFD": pc.match_substring(text, "\ufffd"),
        "text holds control characters": pc.match_substring_regex(text, CONTROL),
    }


def measure(parts: Iterable[pa.Table], settings: ModelSettings) -> quarantine.Checked:
    """Measure all rows.

    Returns:
        text, label, source, shard, row of every row, with these measures of a text: "characters" (length, null
        for a missing text), "length is out of bounds" (boolean) and "share of Chinese" (of the letters of all rows:
        the same in each).
    """
    table = pa.concat_tables(parts)
    content = quarantine.codes(table["text"])
    marks = flags(table, content, settings.labels, settings.validate_)
    own = {"characters": pc.utf8_length(table["text"]), OUT_OF_BOUNDS: pc.or_(marks[SHORT], marks[LONG])}
    measured = quarantine.measure(table, marks, content, own, item=ITEM, labels=settings.labels)
    chinese = pa.repeat(_chinese_share(table["text"]), table.num_rows)
    measured = measured.append_column("share of Chinese", chinese)
    return quarantine.Checked(measured, tuple(marks.column_names), table["text"])


def alike(checked: quarantine.Checked) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return what ties texts that are nearly alike, see `near_copies.bands`."""
    return list(near_copies.bands(checked.content.combine_chunks())), np.empty((0, 2), np.int64)


def charts(measured: pa.Table) -> tuple[Chart, ...]:
    """What the report shows of the texts."""
    edges = up_to(pc.max(measured["characters"]).as_py() or 0)
    return (Chart("characters", edges),)


def facts(measured: pa.Table) -> dict[str, Any]:
    """How many texts hold no Chinese character."""
    chinese = pc.sum(pc.match_substring_regex(measured["text"], r"\p{Han}")).as_py() or 0
    return {"without_chinese": len(measured) - measured["text"].null_count - chinese}


def pictures(
    parts: Iterable[pa.Table], places: set[tuple[str, int]], settings: ModelSettings
) -> dict[tuple[str, int], str]:
    """A text is its own picture."""
    return {}


def _chinese_share(text: pa.ChunkedArray) -> float:
    counts = np.zeros(sys.maxunicode + 1, np.int64)
    for chunk in text.drop_null().chunks:
        for start in range(0, len(chunk), CHUNK):
            points, _ = ngrams.points_of(chunk.slice(start, CHUNK))
            found = np.bincount(points)  # of Chinese alone a sixteenth of all code points
            counts[: len(found)] += found
    present = np.flatnonzero(counts)
    char = pa.array(map(chr, present), pa.string())
    letter, han = (
        pc.match_substring_regex(char, kind).to_numpy(zero_copy_only=False) for kind in (r"\p{L}", r"\p{Han}")
    )
    chinese, letters = counts[present[letter & han]].sum(), counts[present[letter]].sum()
    return float(chinese / max(letters, 1))
