"""True labels that come later, joined to the request log by the id of the request and the place of the item in it."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from luodi import files
from luodi.data import tables
from luodi.errors import BrokenData, MissingColumn, MissingData
from luodi.monitoring.asked import Key
from luodi.terminal import shown

REQUEST, ITEM, LABEL, WHY = "request", "item", "label", "why"
RANDOM = "drawn at random"
"""Why a row was chosen to be labelled, where nothing about it was the reason."""


@dataclass
class Truths:
    """What is known.

    Attributes:
        known: The label of each row; of several that are given the last.
        chosen: Rows that were labelled because a model was unsure of them, or for another such reason: how often a
            model is right on these says nothing of all rows.
        empty: Rows of the table without a label.
    """

    known: dict[Key, str] = field(default_factory=dict)
    chosen: set[Key] = field(default_factory=set)
    empty: int = 0


def read(path: Path) -> Truths:
    """Read a table with the columns request and label; item, 0 where there is none; and why, see `Truths.chosen`.

    Raises:
        DataError: It cannot be read, lacks a column, or an item is no number.
    """
    table = tables.look(path)
    if absent := [name for name in (REQUEST, LABEL) if not tables.has(table, name)]:
        found = ", ".join(shown(one, 40) for one in table.columns[:9]) or "none"
        raise MissingColumn(
            f"{shown(path)}: expected the columns {REQUEST} and {LABEL}, and {ITEM} where a request has several; found "
            f"{found}, without {', '.join(absent)}: name them so"
        )
    columns = tuple(name for name in (REQUEST, LABEL, ITEM, WHY) if tables.has(table, name))
    truths = Truths()
    for place, row in tables.records(table, (), columns):
        values = {name: tables.value(row, name) for name in columns}
        if values[LABEL] in (None, ""):
            truths.empty += 1
            continue
        key = _plain(values[REQUEST]), _item(values.get(ITEM), f"{shown(path)}, {place}")
        truths.known[key] = _plain(values[LABEL])
        if values.get(WHY) in (None, "", RANDOM):
            truths.chosen.discard(key)
        else:
            truths.chosen.add(key)
    return truths


def _plain(value: object) -> str:
    """A cell as it was before a sheet of luodi made sure that it is no formula."""
    text = str(value)
    return text[1:] if text.startswith("'") and text[1:].startswith(files.ACTING) else text


def _item(value: object, where: str) -> int:
    try:
        return int(str(value)) if value not in (None, "") else 0
    except ValueError:
        raise BrokenData(
            f"{where}: expected the place of an item in its request, 0 for the first, found {shown(value, 40)}"
        ) from None


def fetched(url: str) -> Truths:
    """Read such a table at a path, or at a URL that fsspec knows.

    Raises:
        MissingData: There is none.
        DataError: As `read`.
    """
    import fsspec

    if "://" not in url:
        return read(Path(url))
    try:
        fs, path = fsspec.url_to_fs(url)
        with tempfile.TemporaryDirectory(prefix="luodi-") as folder:
            here = Path(folder) / path.rpartition("/")[2]
            fs.get_file(path, str(here))
            return read(here)
    except (OSError, ValueError, ImportError) as error:
        raise MissingData(
            f"{shown(url)}, the table of true labels, cannot be read ({type(error).__name__}: {shown(error)}): look at "
            "the address and the credentials that its library finds"
        ) from None
