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
CHUNK = 4096  # texts whose characters are looked at at a time

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
NO_LETTER, UNSEEN = 255, 254  # behind all scripts, as bytes: -1 is the former
REPLACEMENT = r"\x{FFFD}"
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
    """Return, by its reason, a mark for each text [rows] that no limit makes fit: true, false, or null.

    Few texts hold an odd character, so one look finds these and another tells which.
    """
    odd = pc.fill_null(pc.match_substring_regex(text, f"{REPLACEMENT}|{CONTROL}"), False)
    rows, few = np.flatnonzero(odd.to_numpy(zero_copy_only=False)), text.filter(odd)
    marks: dict[str, Any] = {BLANK: pc.match_substring_regex(text, NOTHING)}
    for reason, pattern in (("text holds U+FFFD", REPLACEMENT), ("text holds control characters", CONTROL)):
        mark = np.zeros(len(text), np.bool_)
        mark[rows] = pc.match_substring_regex(few, pattern).to_numpy(zero_copy_only=False)
        marks[reason] = pa.array(mark)
    return marks


def measure(parts: Iterable[pa.Table], settings: ModelSettings) -> quarantine.Checked:
    """Measure all rows.

    Returns:
        text, label, source, shard, row of every row, with these measures of a text: "characters" (length, null
        for a missing text), "length is out of bounds" (boolean) and "share of Chinese" (of the letters of all rows:
        the same in each). Its scripts are those of `scripts`.
    """
    table = pa.concat_tables(parts)
    content = quarantine.codes(table["text"])
    marks = flags(table, content, settings.labels, settings.validate_)
    own = {"characters": pc.utf8_length(table["text"]), OUT_OF_BOUNDS: pc.or_(marks[SHORT], marks[LONG])}
    measured = quarantine.measure(table, marks, content, own, item=ITEM, labels=settings.labels)
    script, counts = _characters(table["text"])
    chinese = pa.repeat(_chinese_share(counts), table.num_rows)
    measured = measured.append_column("share of Chinese", chinese)
    return quarantine.Checked(measured, tuple(marks.column_names), table["text"], content, scripts=script)


def alike(checked: quarantine.Checked) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return what ties texts that are nearly alike, see `near_copies.bands`."""
    return list(near_copies.bands(checked.content.combine_chunks())), np.empty((0, 2), np.int64)


def charts(measured: pa.Table) -> tuple[Chart, ...]:
    """What the report shows of the texts."""
    edges = up_to(pc.max(measured["characters"]).as_py() or 0)
    return (Chart("characters", edges),)


def facts(checked: quarantine.Checked) -> dict[str, Any]:
    """What the page says of the clean texts.

    Returns:
        "scripts": rows of each, most first; "other": of those in another script than more than half are, their kinds,
        files, some of them, and all as a table like the quarantine, None without any; "masked": rows of each kind of
        personal data that preprocessing masks.
    """
    assert checked.scripts is not None
    clean = ~checked.table[quarantine.HELD].to_numpy()
    script = checked.scripts[clean]
    counts = [(SCRIPTS[one][0] if one >= 0 else "no letters", rows) for one, rows in _most(script)]
    main = next((place for place in range(len(SCRIPTS)) if (script == place).sum() > len(script) / 2), None)
    other = np.flatnonzero(clean)[(script != main) & (script >= 0)] if main is not None else np.zeros(0, np.int64)
    masked = personal(checked.table["text"], clean)
    return {"scripts": counts, "other": _other(checked.table, checked.scripts, other, main), "masked": masked}


def _other(table: pa.Table, script: NDArray[np.int8], rows: NDArray[np.int64], main: int | None) -> Any:
    if main is None or not len(rows):
        return None
    some = table.take(pa.array(rows))
    told = [[f"in another script: {SCRIPTS[one][0]}"] for one in script[rows].tolist()]
    known = [name for name in ("shard", "row", "text", "label", "source", "origin") if name in some.column_names]
    return {
        "table": some.select(known).append_column("reasons", pa.array(told)),
        "main": SCRIPTS[main][0],
        "rows": len(rows),
        "kinds": [(SCRIPTS[one][0], count) for one, count in _most(script[rows])],
        "files": Counter(reasons.files(some).to_pylist()).most_common(reasons.FILES),
        "labels": Counter(some["label"].to_pylist()).most_common(reasons.FILES),
        "examples": findings.examples(some, range(min(len(rows), reasons.SHOWN)), SHOWN),
    }


def _most(script: NDArray[np.int8]) -> list[tuple[int, int]]:
    """How often each occurs, the most first, of equal ones the one that comes first."""
    distinct, first, count = np.unique(script, return_index=True, return_counts=True)
    order = np.lexsort((first, -count))
    return list(zip(distinct[order].tolist(), count[order].tolist(), strict=True))


def scripts(texts: pa.Array) -> NDArray[np.int8]:
    """Return what each text is written in, the first of `SCRIPTS` that it has a letter of, by its place; -1 of none."""
    found = np.full(len(texts), -1, np.int8)
    for place in reversed(range(len(SCRIPTS))):
        found[pc.match_substring_regex(texts, SCRIPTS[place][1]).to_numpy(zero_copy_only=False)] = place
    return found


def personal(texts: pa.ChunkedArray, clean: NDArray[np.bool_]) -> list[tuple[str, int]]:
    """Return in how many clean texts preprocessing masks each kind of personal data, by the token in its place."""
    looked_at = pc.and_(pc.match_substring_regex(texts, MAYBE_MASKED), pa.array(clean))
    raw = texts.filter(looked_at).combine_chunks()
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


def _characters(texts: pa.ChunkedArray) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """What each text is written in, as `scripts` has it, -1 of a missing one; and how often each code point occurs.

    A character is looked up when it first occurs: there are a few thousand; expressions would read each text eleven
    times.
    """
    counts, most = np.zeros(sys.maxunicode + 1, np.int64), 0
    script, found = np.full(len(counts), UNSEEN, np.uint8), [np.zeros(0, np.uint8)]
    for chunk in texts.fill_null("").chunks:
        for start in range(0, len(chunk), CHUNK):
            points, lengths = ngrams.points_of(chunk.slice(start, CHUNK))
            seen = np.bincount(points)  # of Chinese alone a sixteenth of all code points
            counts[: len(seen)] += seen
            most = max(most, len(seen))
            new = np.flatnonzero(seen)
            if len(new := new[script[new] == UNSEEN]):
                script[new] = scripts(_chars(new)).astype(np.uint8)
            least, some = np.full(len(lengths), NO_LETTER, np.uint8), lengths > 0
            least[some] = np.minimum.reduceat(script.take(points), (lengths.cumsum() - lengths)[some])
            found.append(least)
    return np.concatenate(found).astype(np.int8), counts[:most]


def _chinese_share(counts: NDArray[np.int64]) -> float:
    """The share of Chinese of all letters, by how often each code point occurs."""
    present = np.flatnonzero(counts)
    chars = _chars(present)
    letter, han = (
        pc.match_substring_regex(chars, kind).to_numpy(zero_copy_only=False) for kind in (r"\p{L}", r"\p{Han}")
    )
    chinese, letters = counts[present[letter & han]].sum(), counts[present[letter]].sum()
    return float(chinese / max(letters, 1))


def _chars(points: NDArray[np.int64]) -> pa.Array:
    return pa.array(map(chr, points), pa.string())
