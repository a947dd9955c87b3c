"""How far a command is: a bar with the time that is left at a terminal, else a line now and then; no result."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from luodi import terminal
from luodi.system import progress
from luodi.system.progress import Heartbeat


class Bar:
    """Tells on standard error how many rows are done, and of input whose size is known when all will be.

    Args:
        doing: What goes on: "scoring".
    """

    def __init__(self, doing: str) -> None:
        self._doing, self._share, self._since = doing, 0.0, time.monotonic()
        hidden = progress.silent() or not sys.stderr.isatty()
        self._bar = Progress(
            TextColumn(doing), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            console=Console(file=terminal.bare(sys.stderr)), disable=hidden,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None, rows=0)
        self._beat = Heartbeat(doing, sys.stderr, unless=lambda: not hidden)

    def read(self, share: float) -> None:
        """So much of the input was read."""
        self._share = share

    def reached(self, rows: int) -> None:
        """So many rows are done."""
        self._bar.update(self._task, total=1 if self._share else None, completed=self._share, rows=rows)
        told = ""
        if self._share:
            left = (time.monotonic() - self._since) * (1 / self._share - 1)
            told = f", {self._share:.0%}, about {left / 60:.0f} min left"
        self._beat.doing = f"{self._doing}: {rows:,} rows{told}"

    def __enter__(self) -> Self:
        self._bar.start()
        self._beat.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._beat.__exit__()
        self._bar.stop()
