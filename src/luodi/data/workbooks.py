"""Read a sheet of a workbook as rows of strings."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from luodi.errors import BrokenData
from luodi.terminal import shown

WHOLE = 2**29  # bytes that are read as a whole
OLDEST = b"\xd0\xcf\x11\xe0"  # what an .xls begins with: as it stands in memory, nothing in it is packed
STEP, LONGEST = 2**22, 16  # bytes that are searched at a time, and of what names a cell
CELLS = 2**25  # that a sheet may span: each takes 32 bytes, empty or not
CELL = re.compile(b"r=[\"']([A-Z]{1,3})([0-9]{1,7})[\"']")


def sheet(file: BinaryIO, path: Path, name: str | None) -> tuple[str, Iterator[list[str | None]]]:
    """Return the name and the rows of the sheet `name` of a workbook, or of the one that holds anything.

    Raises:
        BrokenData: It is no workbook, too large, or it is not plain which sheet is meant.
    """
    from python_calamine import CalamineError, load_workbook

    content = file.read(WHOLE + 1)
    _require_small(content, path)
    try:
        book = load_workbook(io.BytesIO(content))
        sheets = {one: book.get_sheet_by_name(one) for one in book.sheet_names if name in (None, one)}
    except (CalamineError, ValueError) as error:
        raise BrokenData(
            f"{path} is not a readable workbook ({error}): save it again as .xlsx, without a password"
        ) from None
    filled = [one for one, sheet in sheets.items() if sheet.total_height]
    if len(filled) != 1:
        some = ", ".join(shown(one, 40) for one in (filled or book.sheet_names)[:5])
        raise BrokenData(f"{path}: cannot tell which sheet holds the rows: name it with --sheet; found {some}")
    return filled[0], ([_cell(one) for one in row] for row in sheets[filled[0]].iter_rows())


def _require_small(content: bytes, path: Path) -> None:
    """What a workbook unpacks to, and spans, is bounded before memory is taken: it is a zip, but for the oldest."""
    if content.startswith(OLDEST) and len(content) <= WHOLE:
        return
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        if max(sum(one.file_size for one in archive.infolist()), len(content)) > WHOLE:
            raise BrokenData(f"{path} unpacks to more than {WHOLE:,} bytes: expected a workbook; save it as .csv")
        spans = [_span(archive.read(name)) for name in archive.namelist() if name.endswith(".xml")]
    # The last two are what zipfile raises where an entry is packed in a way that it does not know, or has a password.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise BrokenData(f"{path} is not a readable workbook ({error}): save it again as .xlsx") from None
    if far := [last for rows, columns, last in spans if rows * columns > CELLS]:
        raise BrokenData(
            f"{path}: a sheet ends at cell {far[0]}, so spans more than {CELLS:,} cells: delete what stands there, as "
            "a rule a lone cell far from the others, or save it as .csv"
        )


def _span(part: bytes) -> tuple[int, int, str]:
    """How many rows and columns the cells of a part of a workbook span, and the corner: memory is taken for all."""
    row, columns = 0, {b""}
    for start in range(0, len(part), STEP):  # what is found of a part takes more memory than the part
        found = CELL.findall(part, start, start + STEP + LONGEST)
        row = max([row, *(int(number) for _, number in found)])
        columns |= {letters for letters, _ in found}
    last = max(columns, key=lambda one: (len(one), one))
    number = sum((letter - 64) * 26**place for place, letter in enumerate(reversed(last)))
    return row, number, f"{last.decode()}{row}"


def _cell(found: Any) -> str | None:
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool):
        found = str(found).lower()
    return None if found is None or found == "" else str(found)
