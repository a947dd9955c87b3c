"""Read a sheet of a workbook as rows of strings."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from luodi.errors import BrokenData
from luodi.terminal import shown

WHOLE = 2**29  # bytes that are read as a whole


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
    """A workbook is a zip: what it says that it unpacks to is bounded before it is unpacked."""
    try:
        size = sum(one.file_size for one in zipfile.ZipFile(io.BytesIO(content)).infolist())
    except zipfile.BadZipFile as error:
        raise BrokenData(f"{path} is not a readable workbook ({error}): save it again as .xlsx") from None
    if max(size, len(content)) > WHOLE:
        raise BrokenData(f"{path} unpacks to more than {WHOLE:,} bytes: expected a workbook; save it as .csv")


def _cell(found: Any) -> str | None:
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool):
        found = str(found).lower()
    return None if found is None or found == "" else str(found)
