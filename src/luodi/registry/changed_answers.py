"""Test rows that are newly right or newly wrong beside the champion: where they stand, and what a page shows of them.

Where there is no champion to compare with, the linear baseline stands in its place.

A decision goes into tags, which are for ever: it holds the places of rows alone. What they hold is read where a page is
made, from the rows that both were scored on.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luodi import files
from luodi.registry.records import Turned
from luodi.report import page
from luodi.report.formatting import at, count, text

if TYPE_CHECKING:
    from luodi.scoring.scored import Ints, Mask, Scored

PLACES = 200  # of rows newly right, and as many of rows newly wrong: the surest
SHOWN = 10  # that are not folded
LONGEST = 2_000  # characters of a text in the CSV file
HEAD = ("where", "truth", "challenger", "champion", "text")
KINDS = ("text", "image")


@dataclass(frozen=True)
class Row:
    """A row as a page shows it: its text, or the PNG of its image, and where it stood before it was added."""

    item: str | bytes
    where: str


Rows = Mapping[int, Row]
"""By their place in rows.parquet."""


def of(challenger: "Scored", champion: "Scored", labels: Sequence[str], places: "Ints") -> tuple[Turned, ...]:
    """Return the rows that one of the two alone gets right, those that are newly wrong first, most of a kind first.

    Args:
        challenger, champion: The rows as either scores them.
        places: Of each row in rows.parquet, int64 [rows].
    """
    lost, won = champion.correct & ~challenger.correct, challenger.correct & ~champion.correct
    return (
        *_kinds(lost, challenger, challenger, champion, labels, places),
        *_kinds(won, champion, challenger, champion, labels, places),
    )


def _kinds(  # noqa: PLR0917, each is another thing
    mask: "Mask", wrong: "Scored", challenger: "Scored", champion: "Scored", labels: Sequence[str], places: "Ints"
) -> Iterator[Turned]:
    """Kinds of the rows of `mask`, those that are `wrong` with most confidence first."""
    import numpy as np  # pages are made where it is not installed

    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(-wrong.confidence[rows], kind="stable")]
    codes = [(int(challenger.truth[row]), int(challenger.predicted[row]), int(champion.predicted[row])) for row in rows]
    kept: dict[tuple[int, int, int], list[int]] = {}
    for row, code in zip(rows[:PLACES], codes, strict=False):
        kept.setdefault(code, []).append(int(places[row]))
    for (truth, ours, theirs), number in Counter(codes).most_common():
        found = kept.get((truth, ours, theirs), ())
        yield Turned(truth=labels[truth], challenger=labels[ours], champion=labels[theirs], rows=number, places=found)


def read(path: Path, decision: Mapping[str, Any]) -> Rows:
    """Return the rows of a decision; none where the file of the rows is away."""
    wanted = sorted({place for one in _kinds_of(decision) for place in _places(one)} | {*doubted(decision)})
    if not wanted or not path.exists():
        return {}
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names = [name for name in (*KINDS, "source", "origin") if name in file.schema_arrow.names]
    table = file.read(columns=names)
    # Picked here and not by Arrow, which would import pandas.
    found = [{name: table[name][place].as_py() for name in names} for place in wanted if place < len(table)]
    item = next(name for name in KINDS if name in names)
    return {
        place: Row(row[item], text(row.get("origin") or row["source"]))
        for place, row in zip(wanted, found, strict=False)
    }


def view(decision: Mapping[str, Any], rows: Rows) -> list[dict[str, Any]]:
    """Return what the page shows: of rows newly wrong, and of those newly right, their kinds and the rows."""
    found, known = _found(decision), _kinds_of(decision)
    if not isinstance(found, list | tuple):
        return []
    lost = [one for one in known if at(one, "challenger") != at(one, "truth")]
    won = [one for one in known if at(one, "challenger") == at(one, "truth")]
    head = (*HEAD[:3], against(decision).rpartition(" ")[2], HEAD[4])
    return [_side("wrong", lost, rows, "challenger", head), _side("right", won, rows, "champion", head)]


def _side(name: str, kinds: Sequence[Mapping[str, Any]], rows: Rows, wrong: str, head: Sequence[str]) -> dict[str, Any]:
    turns = zip_longest(*(_lines(one, rows) for one in kinds))
    lines = [line for turn in turns for line in turn if line]
    number = sum(int(at(one, "rows") or 0) for one in kinds)
    return {
        "name": name,
        "rows": number,
        "kinds": [(count(at(one, "rows")), text(at(one, "truth")), text(at(one, wrong))) for one in kinds],
        "lines": lines,
        "shown": SHOWN,
        "sheet": page.download(_sheet(head, lines)) if lines else "",
    }


def _lines(one: Mapping[str, Any], rows: Rows) -> Iterator[dict[str, Any]]:
    for place in _places(one):
        if row := rows.get(place):
            picture = isinstance(row.item, bytes)
            yield {
                "item": page.data_uri(row.item) if isinstance(row.item, bytes) else row.item,
                "picture": picture,
                "where": row.where,
                **{name: text(at(one, name)) for name in ("truth", "challenger", "champion")},
            }


def _sheet(head: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> bytes:
    """The rows as a CSV file, texts cut; an image is named by its place alone."""
    told = [(*(one[name] for name in HEAD[:-1]), None if one["picture"] else one["item"][:LONGEST]) for one in lines]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        files.write_sheet(path, head, told)
        return path.read_bytes()


def against(decision: Mapping[str, Any]) -> str:
    """Name what the rows are told beside."""
    return "champion" if at(decision, "comparison") else "linear baseline"


def named(decision: Mapping[str, Any]) -> bool:
    """Whether a decision names any row."""
    return any(_places(one) for one in _kinds_of(decision)) or bool(doubted(decision))


def doubted(decision: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return the rows whose label is in doubt by their place, in their order, see `luodi.registry.doubts`."""
    found = at(decision, "doubts", "shown")
    known = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []
    return {place: one for one in known if type(place := one.get("place")) is int and place >= 0}


def _found(decision: Mapping[str, Any]) -> object:
    return at(decision, "comparison", "turned") if at(decision, "comparison") else at(decision, "turned")


def _kinds_of(decision: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = _found(decision)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def _places(one: Mapping[str, Any]) -> list[int]:
    found = at(one, "places")
    return [place for place in found if type(place) is int and place >= 0] if isinstance(found, list | tuple) else []
