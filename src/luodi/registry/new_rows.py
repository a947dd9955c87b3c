"""What the rows of a run are beside those that the version in production was made of: facts of validation, both."""

from collections.abc import Iterator, Mapping
from typing import Any

from luodi.report.document import Cell, Section, Table
from luodi.report.formatting import MISSING, at, count, known, number, part, text, value

FIGURES = {"rows": "Rows", "usable": "Of use, each once", "clean": "Clean", "quarantined": "Held back",
           "duplicates": "Duplicates"}  # fmt: skip
PARTS = {"held": "held back: {}", "scripts": "clean, in script {}", "masked": "clean, masked as {}"}

TITLE = "Rows since the version in production"
FIRST = Section(TITLE, "No version was in production before: there is nothing to compare with.")
UNTOLD = Section(TITLE, "What was in production before tells nothing of its rows: there is nothing to compare with.")

Facts = Mapping[str, Any]


def rows(name: str, before: Facts, now: Facts) -> Section | None:
    """Return what changed in the rows since the version of that `name`; None where its tag tells nothing of them.

    Args:
        before, now: What validation counted, as its summary has it.
    """
    if not known(at(before, "rows")) or not known(at(now, "rows")):
        return None
    lines = [_line(title, at(before, key), at(now, key)) for key, title in FIGURES.items()]
    table = Table([*lines, *_parts(before, now)], ("Rows", text(name), "This run", "Change"), 3)
    same = all(at(before, key) == at(now, key) for key in FIGURES) and not [*_parts(before, now)]
    lead = "Nothing changed: each of these counts is what it was." if same else "What validation counted then, and now."
    return Section(f"Rows since {text(name)}", lead, tables=[table])


def _parts(before: Facts, now: Facts) -> Iterator[tuple[Cell, ...]]:
    """Lines of what is counted by name; nothing where an older luodi did not, or where nothing changed."""
    for key, title in PARTS.items():
        then, found = part(before, key), part(now, key)
        for name in dict.fromkeys([*found, *then]) if key in before and key in now else ():
            if then.get(name, 0) != found.get(name, 0):
                yield _line(title.format(text(name)), then.get(name, 0), found.get(name, 0))


def _line(title: str, before: object, now: object) -> tuple[Cell, ...]:
    change = number(value(now) - value(before), "{:+,}") if known(before) and known(now) else MISSING
    return Cell(title), Cell(count(before)), Cell(count(now)), Cell(change)
