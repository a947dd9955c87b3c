"""Which columns of a table hold what: those that a person names, and for the rest what their names tell."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from luodi.data import tables
from luodi.data.tables import Table
from luodi.errors import BrokenData, DataError, EmptyData, MissingColumn
from luodi.terminal import shown

TEXT = ("text", "review", "content", "sentence", "comment", "message", "title", "文本", "评论", "内容", "标题")
IMAGE = ("image", "path", "file", "filename", "file_name", "file_path", "image_path", "图片", "路径", "文件")
LABEL = ("label", "class", "category", "cat", "sentiment", "target", "标签", "类别", "分类")
SPLIT = ("split", "subset", "partition")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
          "test": "test", "testing": "test"}  # fmt: skip
"""Names of folders, files and values of a column -> the part of the data that they say it is."""
NAME = "name"
"""Column of what a pattern finds in the path of an image."""
LONGEST = 256  # characters of a column that is remembered, less than
ID = re.compile(r"(?i)(?:^|[\W_])id$")
"""What ends so names rows, or whom they are from."""
NUMBER = re.compile(r"[-+]?\d*[.,]?\d+(?:[eE][-+]?\d+)?")
INSIDE = 100  # rows of JSON of which keys inside one another are listed
LOOKED_AT = 10_000  # rows that tell which column may hold what: a table may be sorted by its labels
OWN = ("text", "image", "label", "source", "origin", "id", "revision", "shard", "row", "split", "reasons")
"""Columns of luodi's own, in shards and in what is made of them."""
APART = "kept "
"""In front of the name of a column that is stored beside one of these."""


@dataclass(frozen=True)
class Wanted:
    """The columns of a table that a person names; what is None is guessed (`item`, `label`) or left out.

    Attributes:
        item: Of the texts, or of the paths of images.
        keep: Stored beside, under their own names, but for `OWN`: see `stored_as`.
        groups: Stored beside too; rows that share a value of one are to stand in one split.
        split: Of what says train, val or test; guessed too.
        pattern: What of the path of an image names its group, kept as column `NAME`: a regular expression.
    """

    item: str | None = None
    label: str | None = None
    id: str | None = None
    revision: str | None = None
    keep: tuple[str, ...] = ()
    split: str | None = None
    groups: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def together(self) -> tuple[str, ...]:
        """Columns of shards whose equal values keep rows together."""
        named = tuple(map(stored_as, self.groups))
        return (*named, NAME) if self.pattern else named

    @property
    def stored(self) -> dict[str, str]:
        """Columns of shards -> columns of the table."""
        named = {"id": self.id, "revision": self.revision}
        own = {own: name for own, name in named.items() if name}
        found = ((stored_as(name), name) for name in (*self.keep, *self.groups))
        return own | dict(found) | ({NAME: NAME} if self.pattern else {})


NOTHING = Wanted()


def stored_as(name: str) -> str:
    """Return the name in shards of a column that is kept; its inverse is `given_as`."""
    return APART + name if name in OWN else name


def given_as(stored: str) -> str:
    """Return the name in a table of what shards keep under the name `stored`."""
    name = stored.removeprefix(APART)
    return name if name in OWN else stored


def choose_columns(table: Table, wanted: Wanted, usual: Sequence[str] = TEXT) -> Wanted:
    """Return the columns wanted, those of items and labels guessed by name where none is given.

    Raises:
        MissingColumn: One is not there, or cannot be guessed.
        EmptyData: There is no row, nor names of columns.
        BrokenData: Two columns have the name of one of them.
    """
    _require_rows(table)
    item, label = _guessed(table, wanted, usual)
    if item is None or label is None or item == label:
        asked = "labels: name it with --label-column" if item is not None else _asked(usual)
        raise _untold(table, asked, usual, wanted.item or item, wanted.label or label)
    split = wanted.split or _named([name for name in table.columns if name not in (item, label)], SPLIT, None)
    chosen = replace(wanted, item=item, label=label, split=split)
    _require_one_of_each(table, [item, label, split, *wanted.stored.values()])
    return chosen


def choose_item(table: Table, item: str | None, usual: Sequence[str] = TEXT, known: str | None = None) -> str:
    """Return the column of the texts, or of the paths of images, as `choose_columns` would; it may be the only one.

    Args:
        known: That which the model was made from; it is taken where it is there and no other is named.

    Raises:
        MissingColumn: It is not there, or cannot be guessed.
        EmptyData: There is no row, nor names of columns.
        BrokenData: Two columns have its name.
    """
    _require_rows(table)
    chosen = _item(table, item, usual, known)
    _require_one_of_each(table, [chosen])
    return chosen


def _item(table: Table, item: str | None, usual: Sequence[str], known: str | None) -> str:
    if item is None and known is not None and tables.has(table, known):
        return known
    found = _guessed(table, Wanted(item), usual)[0]
    if found is None and len(table.columns) == 1:
        return table.columns[0]
    if found is None and table.keyed and not table.columns:
        return usual[0]  # of no row at all
    if found is None:
        raise _untold(table, _asked(usual), usual, labelled=False)
    return found


def unusual(item: str | None, usual: Sequence[str] = TEXT) -> dict[str, str]:
    """Return the setting that remembers a column of items; of one that is found by its name there is none."""
    found = item is not None and item.strip().lower() not in usual and item == item.strip() and item.isprintable()
    return {"column": str(item)} if found and 0 < len(str(item)) < LONGEST else {}


def _asked(usual: Sequence[str]) -> str:
    return "texts: name it with --text-column" if usual is TEXT else "images: name it with --image-column"


def _require_one_of_each(table: Table, chosen: Sequence[str | None]) -> None:
    """Of two columns of one name, as of a joined table, either may be meant."""
    if twice := [name for name in chosen if name and table.columns.count(name) > 1]:
        raise BrokenData(
            f"{table.path}: expected one column `{shown(twice[0], 60)}`, found {table.columns.count(twice[0])}: give "
            "the others another name"
        )


def _require_rows(table: Table) -> None:
    if not table.columns and not table.keyed:
        raise EmptyData(f"{table.path} holds no row: expected at least one")


def _untold(
    table: Table,
    what: str,
    usual: Sequence[str],
    item: str | None = None,
    label: str | None = None,
    *,
    labelled: bool = True,
) -> MissingColumn:
    header = "; if its first row is a row as the others, say --no-header" if table.headed else ""
    alone = "; if a character stands between columns, name it with --delimiter" if len(table.columns) == 1 else ""
    known = {"--text-column" if usual is TEXT else "--image-column": item, "--label-column": label if labelled else ""}
    options, numbers = _likely(table, known)
    hint = numbers + alone + header
    error = MissingColumn(
        f"{table.path}: cannot tell the column of the {what}; found {tables.names(table.columns)}{hint}"
    )
    error.options = options
    return error


def _likely(table: Table, known: dict[str, str | None]) -> tuple[str, str]:
    """The options that would name what is not known: of the longest texts, each counted once, and of the fewest labels.

    Args:
        known: The option of the items and that of the labels, each with its column if that is known.

    Returns:
        They; or, where what is longest are numbers, nothing and why.
    """
    try:
        rows = [row for _, row in islice(tables.records(table, (), tuple(table.columns)), LOOKED_AT)]
    except DataError:
        return "", ""
    names = [*dict.fromkeys(name for row in rows[:INSIDE] for name in _inside(row, table))] or table.columns
    values = {name: [_said(tables.value(row, name)) for row in rows] for name in names}
    (of_item, item), (of_label, label) = known.items()
    free = {name: column for name, column in values.items() if name and name not in (item, label) and any(column)}
    if item is None:
        item = max(free, key=lambda name: sum(map(len, {*free[name]})), default=None)
        if item and all(NUMBER.fullmatch(value.strip()) for value in free[item] if value):
            return "", f"; `{shown(item, 60)}`, the longest, holds numbers alone: a model reads texts or images"
    counts = {name: len({*column}) for name, column in free.items() if name != item}
    if label is None:
        label = min(counts, key=lambda name: (counts[name] < 2, bool(ID.search(name)), counts[name]), default=None)
    if item is None or label is None:
        return "", ""
    bare = table.headed and _is_row(table.columns, values)
    chosen = {of_item: item} | ({of_label: label} if label else {})
    asked = {option: name for option, name in chosen.items() if bare or not known[option]}
    named = {option: str(1 + table.columns.index(name)) if bare else name for option, name in asked.items()}
    return " ".join([*(["--no-header"] if bare else []), *(f"{one} {shlex.quote(named[one])}" for one in named)]), ""


def _inside(row: tables.Record, table: Table) -> list[str]:
    """The columns of a row, of those that hold an object the keys inside it."""
    return [
        f"{name}.{key}" if isinstance(row.get(name), dict) else name
        for name in table.columns
        for key in (row[name] if isinstance(row.get(name), dict) else [name])
    ]


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _is_row(first: Sequence[str], values: dict[str, list[str]]) -> bool:
    """Whether the first row reads as the rows below it: a value of its own again, a number, or a long text."""
    named = first[1:] if first[:1] == [""] else first  # pandas writes the numbers of rows below no name
    return any(not name or name in values[name] or len(name) > 40 or name.isdecimal() for name in named)


def _guessed(table: Table, wanted: Wanted, usual: Sequence[str]) -> tuple[str | None, str | None]:
    for given in (wanted.item, wanted.label, wanted.split, *wanted.stored.values()):
        if given is not None and not tables.has(table, given):
            raise tables.missing(str(table.path), (given,), table.columns)
    found = [name for name in table.columns if name]
    item = wanted.item or _named(found, usual, wanted.label)
    label = wanted.label or _named(found, LABEL, item) or _other(found, item)
    return item or _other(found, label), label


def _named(found: Sequence[str], names: Sequence[str], taken: str | None) -> str | None:
    folded = {column.strip().lower(): column for column in reversed(found) if column != taken}
    return next((folded[name] for name in names if name in folded), None)


def _other(found: Sequence[str], taken: str | None) -> str | None:
    """Of two columns the one that is not `taken`."""
    left = [column for column in found if column != taken]
    return left[0] if taken and len(found) == 2 and len(left) == 1 else None
