"""What is read of files that anybody may have written: JSON and text of a bounded size."""

import json
from pathlib import Path
from typing import Any

from luodi.errors import BrokenData
from luodi.system import lfs
from luodi.terminal import shown

LONGEST = 64 << 20  # bytes of a file of JSON or text that is read


def json_value(path: Path) -> Any:
    """Return what a file of JSON holds. Raises BrokenData: it holds none."""
    try:
        return json.loads(text(path))
    except (ValueError, RecursionError) as error:
        raise BrokenData(f"{path} is not JSON ({error}): get it again") from None


def json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds. Raises BrokenData: it holds none."""
    found = json_value(path)
    if not isinstance(found, dict):
        raise BrokenData(f"{path}: expected a JSON object, found {shown(repr(found), 60)}: get it again")
    return found


def text(path: Path) -> str:
    """Return the text that a file holds. Raises BrokenData: it is longer than any that belongs to a checkpoint."""
    if (size := path.stat().st_size) > LONGEST:
        raise BrokenData(f"{path} has {size:,} bytes, expected at most {LONGEST:,}: get it again")
    lfs.require_content(path, BrokenData)
    return path.read_text(encoding="utf-8", errors="replace")


def lines(content: str) -> list[str]:
    """Return the lines of a text: of what Unicode has for their end, a token may hold all but the newline."""
    return content.removesuffix("\n").split("\n")
