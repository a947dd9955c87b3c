"""Read the labels of rows: what means one label to everybody becomes one, and what is changed is told."""

import ast
import math
import re
import shlex
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from luodi.data import encodings, parquet_tables
from luodi.data.beside import Beside
from luodi.errors import BrokenData
from luodi.terminal import json_line, shown

DIFFERENT = 50_000  # labels that are remembered
WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+")
BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
TOLD = 3  # labels, or groups of them, that are shown
TYPED = 20  # groups of labels that a command to be typed has
MISSING = ("na", "n/a", "#n/a", "<na>", "nan", "null", "nil", "none", "-", "--", "?")
"""What many write for nothing, folded; it may as well be a class."""


@dataclass
class Labels:
    """Reads labels: white space around them and `.0` behind whole numbers go, line breaks become spaces.

    An accent is one character with its letter, as Unicode's form NFC has it: nobody can see the difference.

    Attributes:
        names: Labels as they are in the data -> as they are to be, None for no label.
    """

    names: Mapping[str, str | None] = field(default_factory=dict)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: set[str] = field(default_factory=set)
    beside: Beside = field(default_factory=Beside)
    """What lies beside them."""
    same: set[str] = field(default_factory=set)
    """Labels that are read as themselves, known so that a million rows are quick."""

    def __post_init__(self) -> None:
        self.names = {unicodedata.normalize("NFC", label): name for label, name in self.names.items()}

    def read(self, value: Any, where: str) -> str | None:
        """Return the label that a row has; None for none.

        Raises:
            BrokenData: It has several, or an object.
        """
        if isinstance(value, str) and value in self.same:
            return value
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, list) or (isinstance(value, str) and _is_list(value)):
            raise BrokenData(f"{where}: found a list of labels, {value!r:.60}; {parquet_tables.ONE_LABEL}")
        if isinstance(value, dict):
            raise BrokenData(f"{where}: expected one label, in quotes, found {value!r:.40}")
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        raw = encodings.storable(str(value))
        label = unicodedata.normalize("NFC", BREAKS.sub(" ", raw.strip()).strip())
        if whole := WHOLE_NUMBER.fullmatch(label):
            label = whole[1]
        if label in self.names:
            self.found.add(label)
            return self.names[label]
        if raw == label:
            if label and len(self.same) < DIFFERENT:
                self.same.add(label)
        elif len(self.changed) < DIFFERENT:
            self.changed[raw, label] += bool(label)
        return label or None

    def told(self) -> list[str]:
        """Return a line each on labels that are read as others, and on those that no map names; none if there are none.

        Raises:
            BrokenData: No row has a label that `names` names.
        """
        if absent := sorted(self.names.keys() - self.found):
            raise BrokenData(f"--label-map names {shown(absent[0], 60)}, which no row has for a label: correct it")
        kept = sorted(self.same - {name for name in self.names.values() if name}) if any(self.names.values()) else []
        left = ", ".join(shown(one, 40) for one in kept[:TOLD])
        pairs = [one for one in self.changed.most_common() if one[1]]
        some = ", ".join(
            f"{shown(repr(raw), 40)} as {shown(label, 40)} ({count:,})" for (raw, label), count in pairs[:TOLD]
        )
        more = f", and {len(pairs) - TOLD:,} more" if len(pairs) > TOLD else ""
        return [
            *([f"labels read as others: {some}{more}"] if pairs else []),
            *([f"labels that --label-map does not name stay as they are: {left}"] if kept else []),
        ]


def doubts(counts: Mapping[str, int]) -> list[str]:
    """Return lines that ask whether classes are what they are taken for: nobody but who knows the data can tell.

    Args:
        counts: Rows of each class.
    """
    alike = defaultdict(list)
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        alike[_folded(label)].append(label)
    groups = [group for group in alike.values() if len(group) > 1]
    nothing = [label for group in alike.values() for label in group if is_none(label)]
    several = "; ".join(_counted(group, counts) for group in groups[:TOLD])
    more = f"; and {len(groups) - TOLD:,} more" if len(groups) > TOLD else ""
    joined = {label: group[0] for group in groups[:TYPED] for label in group[1:]}
    found = []
    if groups:
        found.append(
            f"classes that differ in case, width, spaces or invisible characters alone: {several}{more}; "
            f"one class each with {_label_map(joined)}"
        )
    if nothing:
        found.append(
            f"classes that may stand for no label: {_counted(nothing[:TOLD], counts)}; no class with "
            f"{_label_map(dict.fromkeys(nothing[:TYPED]))}"
        )
    return found


def is_none(value: str) -> bool:
    """Whether many write it for nothing."""
    return _folded(value) in MISSING


def _folded(label: str) -> str:
    seen = (one for one in unicodedata.normalize("NFKC", label).casefold() if unicodedata.category(one) != "Cf")
    return " ".join("".join(seen).split())


def _counted(labels: list[str], counts: Mapping[str, int]) -> str:
    return ", ".join(f"{shown(label, 40)} ({counts[label]:,})" for label in labels)


def _label_map(names: Mapping[str, str | None]) -> str:
    """The option that gives labels these names, as it is typed."""
    return f"--label-map {shlex.quote(json_line(names))}"


def _is_list(value: str) -> bool:
    """Whether a cell holds a list of texts, as JSON or Python writes it."""
    if not (value[:1] == "[" and value[-1:] == "]" and len(value) < 1000):
        return False
    try:
        return all(isinstance(one, str) for one in ast.literal_eval(value))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
