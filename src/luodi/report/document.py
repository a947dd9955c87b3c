"""What a page says, apart from how it is written: sections of lists and tables, for HTML and Markdown alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from luodi.report import formatting

Tone = Literal["", "good", "warn", "bad"]


@dataclass(frozen=True)
class Cell:
    """Text of a table; `soft` is a lesser word after it, `below` one under it, a tone makes it a badge."""

    text: str
    soft: str = ""
    below: str = ""
    tone: Tone = ""
    code: bool = False
    link: str = ""


Pair = tuple[str, str | Cell]
"""A name and a value."""


@dataclass(frozen=True)
class Drawing:
    """A number as a picture of a line's height; places run from 0, its left end, to 1.

    Attributes:
        kind: "share", a bar; "meter", a bar with its interval; "gap", an interval beside zero, which is in the middle.
        value, low, high: Places of the number and of the ends of its interval.
        mark: Place of a limit in a gap, None if there is none.
    """

    kind: Literal["share", "meter", "gap"]
    value: float
    low: float = 0.0
    high: float = 0.0
    mark: float | None = None
    tone: Tone = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of which names its row.

    Attributes:
        head: Names of the columns; empty in a table of names and values.
        numbers: How many columns after the first are aligned right.
        drawn: A last column of pictures, one a row, which HTML alone shows; empty for none.
        scale: The name of that column.
        title: Stands above the table.
        stacked: Lesser words stand under the words they belong to, not after them: for wide tables.
    """

    rows: Sequence[Sequence[Cell]]
    head: Sequence[str] = ()
    numbers: int = 0
    drawn: Sequence[Drawing | None] = ()
    scale: str = ""
    title: str = ""
    stacked: bool = False


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two, a list, tables (`beside` each other if there is room), and a remark under them."""

    title: str
    lead: str = ""
    items: Sequence[str] = ()
    tables: Sequence[Table] = ()
    note: str = ""
    beside: bool = False


def pairs(rows: Iterable[Pair], title: str = "") -> Table:
    """Return a table of names and values."""
    return Table([(Cell(name), one if isinstance(one, Cell) else Cell(one)) for name, one in rows], title=title)


def counted(number: object, whole: object) -> Cell:
    """Return a count with its share of `whole`."""
    return Cell(formatting.count(number), formatting.share(number, whole))


def span(figure: object) -> Cell:
    """Return a figure with its interval, four digits each."""
    return Cell(formatting.four(formatting.at(figure, "value")), formatting.between(figure, "{:.4f}"))


def change(figure: object) -> Cell:
    """Return a difference with its interval, signed."""
    return Cell(
        formatting.number(formatting.at(figure, "value"), "{:+.4f}"), formatting.between(figure, "{:+.4f}", word=" to ")
    )


def percents(figure: object) -> Cell:
    """Return a share with its interval, in percent."""
    return Cell(formatting.percent(formatting.at(figure, "value")), formatting.between(figure, "{:.1f}%", 100))


def bar(some: object, whole: object) -> Drawing | None:
    """Draw the share that `some` is of `whole`."""
    if formatting.known(some) and formatting.known(whole) and 0 <= some <= whole and whole > 0:
        return Drawing("share", some / whole)
    return None


def meter(figure: object) -> Drawing | None:
    """Draw a share from 0 to 1 with its interval."""
    ends = [formatting.at(figure, name) for name in ("value", "low", "high")]
    return Drawing("meter", *ends) if all(formatting.known(end) and 0 <= end <= 1 for end in ends) else None


def gap(figure: object, tone: Tone = "", mark: object = None, reach: float = 0) -> Drawing | None:
    """Draw an interval beside zero and a limit `mark`; the picture covers -reach to reach, or all that is in it."""
    ends = [formatting.at(figure, name) for name in ("value", "low", "high")]
    if not all(map(formatting.known, ends)):
        return None
    wide = 1.15 * (reach or max(map(abs, [*ends, formatting.value(mark)])) or 1)
    low, middle, high = (0.5 + end / wide / 2 for end in (ends[1], ends[0], ends[2]))
    return Drawing("gap", middle, low, high, 0.5 + mark / wide / 2 if formatting.known(mark) else None, tone)
