"""What is wrong with each row of text, and what the suite and the report look at."""

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import findings, quarantine, reasons
from luodi.checks.profile import Chart, up_to
from luodi.config import TextSettings as ModelSettings
from luodi.config import TextValidate
from luodi.data import near_copies, ngrams, text

ITEM = SHOWN = "text"
BLANK, SHORT, LONG = "text is blank", "text is too short", "text is too long"
OUT_OF_BOUNDS = "length is out of bounds"
WHOLE = True
CHUNK = 4096  # texts whose characters are counted at a time

# Nothing a reader would see: spaces of every script, control and zero-width characters.
NOTHING = r"\A[\p{Z}\p{Cc}\p{Cf}]*\z"
# C0 and C1 without tab, line feed and carriage return, which plain text may hold.
# Whatever may hold personal data once it is clean: digits of any form, entities, tags.
MAYBE_MASKED = r"[@＠&<]|\p{Nd}{3}[^\p{L}]?\p{Nd}{4}"
SCRIPTS = (
    ("Japanese", r"[\p{Hiragana}\p{Katakana}]"), ("Korean", r"\p{Hangul}"), ("Chinese", r"\p{Han}"),
    ("Cyrillic", r"\p{Cyrillic}"), ("Arabic", r"\p{Arabic}"), ("Hebrew", r"\p{Hebrew}"), ("Thai", r"\p{Thai}"),
    ("Devanagari", r"\p{Devanagari}"), ("Greek", r"\p{Greek}"), ("Latin", r"\p{Latin}"), ("other", r"\p{L}"),
)  # fmt: skip
"""What a text is written in, and a letter of it; of several the first: a Chinese text that names a brand is Chinese."""
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
    """What the page says of the clean texts.

    Returns:
        "scripts": rows of each, most first; "other": of those in another script than more than half are, their kinds,
        files, some of them, and all as a table like the quarantine, None without any; "masked": rows of each kind of
        personal data that preprocessing masks.
    """
    clean = measured.filter(pc.invert(measured[quarantine.HELD]))
    script = scripts(clean["text"])
    counts = Counter(SCRIPTS[one][0] if one >= 0 else "no letters" for one in script.tolist()).most_common()
    main = next((place for place in range(len(SCRIPTS)) if (script == place).sum() > len(script) / 2), None)
    other = np.flatnonzero((script != main) & (script >= 0)) if main is not None else np.zeros(0, np.int64)
    return {"scripts": counts, "other": _other(clean, script, other, main), "masked": personal(clean["text"])}


def _other(clean: pa.Table, script: NDArray[np.int8], rows: NDArray[np.int64], main: int | None) -> Any:
    if main is None or not len(rows):
        return None
    some = clean.take(pa.array(rows))
    told = [[f"in another script: {SCRIPTS[one][0]}"] for one in script[rows].tolist()]
    known = [name for name in ("shard", "row", "text", "label", "source", "origin") if name in some.column_names]
    return {
        "table": some.select(known).append_column("reasons", pa.array(told)),
        "main": SCRIPTS[main][0],
        "rows": len(rows),
        "kinds": Counter(SCRIPTS[one][0] for one in script[rows].tolist()).most_common(),
        "files": Counter(reasons.files(some).to_pylist()).most_common(reasons.FILES),
        "labels": Counter(some["label"].to_pylist()).most_common(reasons.FILES),
        "examples": findings.examples(some, range(min(len(rows), reasons.SHOWN)), SHOWN),
    }


def scripts(texts: pa.ChunkedArray) -> NDArray[np.int8]:
    """Return what each text is written in, the first of `SCRIPTS` that it has a letter of, by its place; -1 of none."""
    found = np.full(len(texts), -1, np.int8)
    for place in reversed(range(len(SCRIPTS))):
        found[pc.match_substring_regex(texts, SCRIPTS[place][1]).to_numpy()] = place
    return found


def personal(texts: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Return in how many texts preprocessing masks each kind of personal data, by the token that takes its place."""
    raw = texts.filter(pc.match_substring_regex(texts, MAYBE_MASKED)).combine_chunks()
    masked = text.clean(raw)
    counts = {
        token: pc.sum(pc.greater(*(pc.count_substring(each, token) for each in (masked, raw)))).as_py() or 0
        for token in dict.fromkeys(token for token, _ in text.PERSONAL)
    }
    return [(token, rows) for token, rows in counts.items() if rows]


def pictures(
    parts: Iterable[pa.Table], places: set[tuple[str, int]], settings: ModelSettings
) -> dict[tuple[str, int], str]:
    """A text is its own picture."""
    return {}


def _chinese_share(text: pa.ChunkedArray) -> float:
    counts, most = np.zeros(sys.maxunicode + 1, np.int64), 0
    for chunk in text.drop_null().chunks:
        for start in range(0, len(chunk), CHUNK):
            points, _ = ngrams.points_of(chunk.slice(start, CHUNK))
            found = np.bincount(points)  # of Chinese alone a sixteenth of all code points
            counts[: len(found)] += found
            most = max(most, len(found))
    present = np.flatnonzero(counts[:most])  # a few rows at a time, the whole would take longer than they do
    char = pa.array(map(chr, present), pa.string())
    letter, han = (
        pc.match_substring_regex(char, kind).to_numpy(zero_copy_only=False) for kind in (r"\p{L}", r"\p{Han}")
    )
    chinese, letters = counts[present[letter & han]].sum(), counts[present[letter]].sum()
    return float(chinese / max(letters, 1))
