"""Read rows of named columns from a table of any usual kind, one at a time; what a table is, is told by its content."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from luodi.data import delimited, encodings, packed, parquet_tables, workbooks
from luodi.data.delimited import DELIMITERS, LONGEST
from luodi.data.encodings import UTF8
from luodi.data.parquet_tables import BATCH, Block
from luodi.errors import BrokenData, MissingColumn, MissingData
from luodi.files import unmarked
from luodi.terminal import shown

if TYPE_CHECKING:
    import _csv

    import pyarrow as pa

SIZE = 2**22  # characters read at a time, about
DELIMITED = (".csv", ".tsv", ".tab", ".txt")
LINES = (".jsonl", ".ndjson")
WORKBOOKS = (".xlsx", ".xlsm", ".xls")
KINDS = (*DELIMITED, *LINES, ".json", ".parquet", *WORKBOOKS)
SAMPLE = 2**18  # characters that tell the delimiter, and whether quotes are quotes
FIRST = 100  # rows of JSON whose keys are taken for columns
WHOLE = 2**29  # characters of JSON that are read as a whole
NAMED = 3  # tables read alike that are named
SHEETS = (
    {"place", "reasons"}, {"verdict", "suggested"}, {"why", "request"}, {"truth", "predicted"}, {"truth", "challenger"}
)  # fmt: skip
"""Columns by which a sheet is known that `files.write_sheet` wrote, and a person may hand back."""

Record = Mapping[Any, Any]


@dataclass(frozen=True)
class Given:
    """What a person says of a table; the rest is told by its content.

    Attributes:
        encoding: Of text; None tells it by the bytes.
        delimiter: Between the columns; None tells it by the rows.
        header: Whether the first row names the columns; else they are named "1", "2" and on.
        sheet: Of a workbook; None is its only one.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    sheet: str | None = None


PLAIN = Given()


@dataclass(frozen=True)
class Table:
    """A table that was looked at; `said` says in words what was found."""

    path: Path
    given: Given
    kind: str
    columns: list[str]
    said: str
    encoding: str = UTF8
    delimiter: str = ","
    quoted: bool = True

    @property
    def marked(self) -> bool:
        """Whether luodi wrote it for a spreadsheet, see `files.unmarked`."""
        return any(one <= {*self.columns} for one in SHEETS)

    @property
    def keyed(self) -> bool:
        """Whether each row names its own columns."""
        return self.kind in (*LINES, ".json")

    @property
    def by_columns(self) -> bool:
        """Whether `blocks` reads it."""
        return self.kind in (*DELIMITED, ".parquet")

    @property
    def headed(self) -> bool:
        """Whether its first row is taken for the names of the columns, and might be none."""
        return self.given.header and self.kind in (*DELIMITED, *WORKBOOKS)


def look(path: Path, given: Given = PLAIN) -> Table:
    """Tell what the table at `path` is, in itself or in a .gz, .bz2, .zst, .zip or tar.

    Raises:
        MissingData: No such file, or a suffix that is not known.
        BrokenData: It is not what its suffix says, or it is not plain how to read it.
    """
    with packed.opened(path) as (file, kind):
        if kind == ".parquet":
            with packed.seekable(file, path) as whole:
                names = sorted(parquet_tables.class_names(whole, path))
                said = f"{kind}, with the names of the classes of {', '.join(map(shown, names))}" if names else kind
                return Table(path, given, kind, parquet_tables.columns(whole, path), said)
        if kind in WORKBOOKS:
            sheet, rows = workbooks.sheet(file, path, given.sheet)
            columns = _names(next(rows, []), given.header)
            return Table(path, given, kind, columns, f"{kind}, sheet {shown(sheet, 40)}")
        if kind not in KINDS:
            raise MissingData(
                f"{path}: expected {', '.join(KINDS)}, found {kind or 'no suffix'}; convert it, or rename it"
            )
        encoding = _codec(given.encoding) or encodings.detect(file, str(path))
    text = Table(path, given, kind, [], f"{kind} in {encodings.words(encoding)}", encoding)
    if kind in DELIMITED:
        return _delimited(text)
    if kind == ".json":
        with packed.opened(path) as (file, _), _text(file, text) as stream:
            text = replace(text, said=text.said + _document(_whole(stream, text), text)[1])
    return replace(text, columns=_keys(text))


def records(
    table: Table,
    texts: tuple[str, ...],
    scalars: tuple[str, ...] = (),
    *,
    images: str | None = None,
    raw: Callable[[BinaryIO], object] = id,
) -> Iterator[tuple[str, Record]]:
    """Yield each row with the words that say where it stands ("line 3").

    A row has the columns `texts` (of strings) and `scalars` (of anything that reads as one), their values strings or
    None, and of Parquet the column `images`, see `holds_images`, of bytes or None; in JSON it has what it has. A row of
    delimited text with more fields than the header has them under None. `raw` see `packed.opened`.

    Raises:
        BrokenData: It is not in its encoding, or not what its suffix says.
        MissingColumn: A column is not there.
    """
    if not table.keyed and (absent := [one for one in (*texts, *scalars) if one not in table.columns]):
        raise missing(str(table.path), tuple(absent), table.columns)
    with packed.opened(table.path, raw) as (file, _):
        if table.kind == ".parquet":
            with packed.seekable(file, table.path) as whole:
                yield from parquet_tables.records(whole, table.path, texts, scalars, images)
        elif table.kind in WORKBOOKS:
            rows, marked = workbooks.sheet(file, table.path, table.given.sheet)[1], table.marked
            for number, row in enumerate(rows, 1):
                if number > 1 or not table.given.header:
                    cells = [one and unmarked(one) for one in row] if marked else row
                    yield f"row {number}", dict(zip(table.columns, cells, strict=False))
        else:
            with _text(file, table) as stream:
                yield from _rows(stream, table)


def parts(
    table: Table, item: str, rows: int, size: int, read: Callable[[float], object] = id
) -> Iterator[tuple[list[str | None], "pa.Table | list[Record]"]]:
    """Yield what `records` does many rows at a time, with all columns: the texts of column `item`, and their rows.

    Rows are a table of Arrow: of Parquet as it stands, of delimited text and workbooks of strings; in JSON they are
    the objects.

    Args:
        rows, size: Of a part at most so many rows, and about so many bytes.
        read: Takes the share of the table that was read, before each part.

    Raises:
        DataError: As `records`; or a row of delimited text has more fields than the header.
    """
    if table.kind == ".parquet":
        if item not in table.columns:
            raise missing(str(table.path), (item,), table.columns)
        with packed.opened(table.path) as (file, _), packed.seekable(file, table.path) as seekable:
            yield from parquet_tables.parts(seekable, table.path, item, rows=rows, size=size, read=read)
        return
    files: list[BinaryIO] = []
    found = records(table, (item,), raw=files.append)
    whole = max(1, table.path.stat().st_size)
    while gathered := list(_taken(found, rows, size, table)):
        read(1.0 if files[-1].closed else files[-1].tell() / whole)
        texts = [_a_text(value(row, item), place, table, item) for place, row in gathered]
        yield texts, [row for _, row in gathered] if table.keyed else _strings_of([row for _, row in gathered], table)


def blocks(table: Table, texts: tuple[str, ...], scalars: tuple[str, ...] = ()) -> Iterator[Block]:
    """Yield what `records` does of delimited text and of Parquet, by columns: `BATCH` rows at a time, at a third of the
    cost. What has no such form is no `by_columns`.

    Raises:
        DataError: As `parts`.
    """
    names = list(dict.fromkeys([*texts, *scalars]))
    if absent := [one for one in names if one not in table.columns]:
        raise missing(str(table.path), tuple(absent), table.columns)
    with packed.opened(table.path) as (file, _):
        if table.kind == ".parquet":
            with packed.seekable(file, table.path) as whole:
                yield from parquet_tables.blocks(whole, table.path, texts, scalars)
        else:
            with _text(file, table) as stream:
                yield from _delimited_blocks(stream, table, names)


def _taken(found: Iterator[tuple[str, Record]], rows: int, size: int, table: Table) -> Iterator[tuple[str, Record]]:
    for place, row in islice(found, rows):
        if None in row:
            raise too_many_fields(table, place)
        yield place, row
        size -= sum(len(one) if isinstance(one, str) else 1 for one in row.values())
        if size < 0:
            return


def too_many_fields(table: Table, place: str) -> BrokenData:
    return BrokenData(f"{table.path}, {place}: more fields than the header names: put texts that hold commas in quotes")


def _a_text(found: Any, place: str, table: Table, item: str) -> str | None:
    if found is None or isinstance(found, str):
        return found and encodings.storable(found)
    raise BrokenData(f"{table.path}, {place}: expected a text in quotes under `{item}`, found {found!r:.40}")


def _strings_of(rows: list[Record], table: Table) -> "pa.Table":
    import pyarrow as pa

    names = list(dict.fromkeys(table.columns))
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def value(row: Record, name: str) -> Any:
    """Return what a row has under `name`, in JSON also under keys inside one another: "data.text"; None if nothing."""
    if name in row:
        return row[name]
    found: Any = row
    for key in name.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def has(table: Table, name: str) -> bool:
    """Whether `name` is a column, or in JSON may be one: what lies inside a key is found row by row."""
    inside = table.keyed and name.partition(".")[0] in table.columns
    return name in table.columns or inside


def plain(table: Table) -> list[str]:
    """Return the columns that have one value a row; in Parquet those of texts, numbers and yes or no."""
    if table.kind != ".parquet":
        return table.columns
    with packed.opened(table.path) as (file, _), packed.seekable(file, table.path) as whole:
        return parquet_tables.columns(whole, table.path, plain=True)


def holds_images(table: Table, name: str) -> bool:
    """Whether a column holds images and not their paths: bytes or, from Hugging Face's libraries, bytes and a path."""
    if table.kind != ".parquet":
        return False
    import pyarrow.parquet as pq

    path = table.path
    with packed.opened(path) as (file, _), packed.seekable(file, path) as whole, parquet_tables.readable(path):
        return parquet_tables.is_image(pq.read_schema(whole).field(name).type)


def json_object(line: str, where: str) -> Record:
    """Parse one line of JSONL.

    Raises:
        BrokenData: It is not JSON, or no object.
    """
    try:
        return _object(json.loads(line), where)
    except (ValueError, RecursionError) as error:
        raise BrokenData(f"{where}: expected a JSON object, found {line[:40]!r} ({error})") from None


def _object(row: Any, where: str) -> Record:
    if not isinstance(row, dict):
        raise BrokenData(f"{where}: expected a JSON object, found {row!r:.40}")
    return row


def missing(where: str, wanted: tuple[str, ...], found: list[str]) -> MissingColumn:
    """The error for a table, or a row, without one of the columns `wanted`."""
    expected = ", ".join(f"`{shown(name, 60)}`" for name in wanted)
    return MissingColumn(f"{where}: expected a column or key {expected}, found {names(found)}")


def told(read: Sequence[tuple[Path, str]]) -> list[str]:
    """Return a line on each way in which tables were read, of many that were read alike with the first names alone."""
    ways: dict[str, list[str]] = {}
    for path, how in read:
        ways.setdefault(how, []).append(shown(path.name))
    return [f"read {', '.join(found[:NAMED])}{_more(found[NAMED:])} as {how}" for how, found in ways.items()]


def _more(rest: Sequence[str]) -> str:
    return f" and {len(rest):,} more" if rest else ""


def names(found: Sequence[str]) -> str:
    """Return some columns of a table, as they stand in a message."""
    return ", ".join(shown(name, 60) for name in found[:9]) or "none"


def _codec(encoding: str | None) -> str | None:
    import codecs

    return UTF8 if encoding and codecs.lookup(encoding).name == "utf-8" else encoding


@contextmanager
def _text(file: BinaryIO, table: Table) -> Iterator[TextIO]:
    try:
        yield io.TextIOWrapper(file, table.encoding, newline="")
    except UnicodeError:
        raise encodings.not_text(str(table.path), table.encoding) from None


def _lines(stream: TextIO, name: str) -> Iterator[str]:
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise BrokenData(
                f"{name}, line {number} has more than {LONGEST:,} characters: expected a row; correct that line"
            )
        yield line


def _rows(stream: TextIO, table: Table) -> Iterator[tuple[str, Record]]:
    if table.kind in DELIMITED:
        yield from _delimited_rows(stream, table)
    elif table.kind == ".json":
        yield from _json(stream, table)
    else:
        yield from _jsonl(stream, str(table.path))


def _jsonl(stream: TextIO, name: str) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(_lines(stream, name), 1):
        if line.strip():
            yield f"line {number}", json_object(line, f"{name}, line {number}")


def _json(stream: TextIO, table: Table) -> Iterator[tuple[str, Record]]:
    """The objects of a document; a file of one object a line is taken too, whatever it is called."""
    text = _whole(stream, table)
    rows = _document(text, table)[0]
    if rows is None:
        yield from _jsonl(io.StringIO(text, newline=""), str(table.path))
        return
    for number, row in enumerate(rows, 1):
        yield f"row {number}", _object(row, f"{table.path}, row {number}")


def _whole(stream: TextIO, table: Table) -> str:
    text = stream.read(WHOLE + 1)
    if len(text) > WHOLE:
        raise BrokenData(
            f"{table.path} has more than {WHOLE:,} characters, too many to read at once: write it as .jsonl"
        )
    return text


def _document(text: str, table: Table) -> tuple[list[Any] | None, str]:
    """Return the rows of a document, and the words that say where in it they lie; None if each line is an object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            raise BrokenData(
                f"{table.path} is not JSON ({error}): expected an array of objects; write it again"
            ) from None
        return None, ""
    return (found, "") if isinstance(found, list) else _rows_of_object(found, table)


def _rows_of_object(found: Any, table: Table) -> tuple[list[Any] | None, str]:
    """The rows of an object: an array of objects under a key, a list for each column, or numbered objects."""
    keys = [key for key, value in _object(found, str(table.path)).items() if _is_rows(value)]
    if len(keys) > 1:
        raise BrokenData(
            f"{table.path}: expected one array of objects, found {len(keys)} ({names(keys)}): write each as a file"
        )
    if keys:
        return found[keys[0]], f", rows under `{shown(keys[0], 60)}`"
    if _is_rows(rows := _values(found)):
        return rows, ", numbered rows"
    columns = [_values(value) for value in found.values()]
    if len({len(one) for one in columns}) == 1 and columns[0]:
        return [dict(zip(found, row, strict=True)) for row in zip(*columns, strict=True)], ", a list for each column"
    return None, ""


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _values(value: Any) -> list[Any]:
    """The values of a list or, as pandas writes one, of an object that numbers them; of anything else none."""
    if isinstance(value, dict) and all(key.isdecimal() for key in value):
        return list(value.values())
    return value if isinstance(value, list) else []


def _keys(table: Table) -> list[str]:
    """The keys of the first rows, in their order."""
    keys: dict[str, None] = {}
    for _, row in islice(records(table, ()), FIRST):
        keys |= dict.fromkeys(row)
    return list(keys)


def _delimited(table: Table) -> Table:
    """Tell the delimiter, whether quotes are quotes, and the columns, by the first rows."""
    with packed.opened(table.path) as (file, _), _text(file, table) as stream:
        sample = stream.read(SAMPLE)
    cut = len(sample) == SAMPLE
    delimiter = table.given.delimiter or delimited.delimiter_of(sample, cut, table.path, table.kind)
    told = replace(table, delimiter=delimiter, quoted=delimited.quoted(sample, cut, delimiter))
    first = next(_split(sample, told), [])
    between = DELIMITERS.get(delimiter, repr(delimiter))
    said = f"{table.said}, {between} between columns" if len(first) > 1 else table.said
    said += "" if told.quoted else ", quotes as they stand"
    return replace(told, columns=_names(first, table.given.header), said=said)


def _names(first: Sequence[str | None], header: bool) -> list[str]:
    return [name or "" for name in first] if header else [str(number) for number in range(1, len(first) + 1)]


def _split(sample: str, table: Table) -> "_csv.Reader":
    return delimited.reader(io.StringIO(sample, newline=""), table.delimiter, table.quoted)


def _delimited_rows(stream: TextIO, table: Table) -> Iterator[tuple[str, Record]]:
    for number, row in _delimited_lists(stream, table):
        more = row[len(table.columns) :]
        yield f"line {number}", dict(zip(table.columns, row, strict=False)) | ({None: more} if more else {})


def _delimited_lists(stream: TextIO, table: Table) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row that is not blank, and the number of its last line."""
    ended: list[bool] = []

    def lines() -> Iterator[str]:
        yield from _lines(stream, str(table.path))
        ended.append(True)

    rows, marked = delimited.reader(lines(), table.delimiter, table.quoted), table.marked
    try:
        if table.given.header:
            next(rows, None)
        for row in filter(None, rows):
            if ended:  # the last row ends with its line, unless it waits for a quote
                raise csv.Error("a quote opens in the last row and is never closed")
            yield rows.line_num, [*map(unmarked, row)] if marked else row
    except csv.Error as error:
        raise BrokenData(f"{table.path}, line {rows.line_num}: {error}; correct that line") from None


def _few(found: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Some rows: texts may be long."""
    size = 0
    for one in islice(found, BATCH):
        yield one
        size += sum(map(len, one[1]))
        if size > SIZE:
            return


def _delimited_blocks(stream: TextIO, table: Table, names: Sequence[str]) -> Iterator[Block]:
    width, found = len(table.columns), _delimited_lists(stream, table)
    places = {name: place for place, name in enumerate(table.columns)}  # of names that stand twice the last
    while block := list(_few(found)):
        numbers, rows = zip(*block, strict=True)
        if max(map(len, rows)) > width:
            raise too_many_fields(table, next(f"line {number}" for number, row in block if len(row) > width))
        if min(map(len, rows)) < width:
            rows = tuple([*row, *[None] * (width - len(row))] for row in rows)
        columns = list(zip(*rows, strict=True))
        yield [f"line {number}" for number in numbers], {name: columns[places[name]] for name in names}
