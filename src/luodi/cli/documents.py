"""Answers for programs: one document on standard output, JSON or Markdown."""

import math
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from luodi import terminal


def print_json(value: Any) -> None:
    """Print `value` as JSON on one line; a number that JSON lacks is null."""
    print_text(terminal.json_line(_plain(value)))


def print_text(text: str) -> None:
    """Print it in UTF-8 whatever the locale."""
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    print(text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
