"""How far a command is: a bar with the time that is left at a terminal, else a line now and then; no result."""

import sys
import time
from typing import TYPE_CHECKING, Self

from luodi import terminal
from luodi.system import progress
from luodi.system.progress import Heartbeat

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS = 90.0  # up to which these are told, not minutes


class Bar:
    """Tells on standard error what goes on and, where that is known, which share of it is done.

    Args:
        doing: What goes on: "scoring".
        every: Seconds between two lines, where there is no terminal.
    """

    def __init__(self, doing: str, *, every: float = progress.EVERY) -> None:
        self._name = self._doing = doing
        self._share, self._since = 0.0, time.monotonic()
        hidden = progress.silent() or not sys.stderr.isatty()
        self._bar = None if hidden else _bar()
        self._beat = Heartbeat(doing, sys.stderr, every=every, unless=lambda: not hidden)

    def at(self, step: str, share: float) -> None:
        """So much of a step of what goes on is done, in [0, 1]; see `progress.followed`."""
        doing = f"{self._name}: {step}" if share < 1 else self._name
        if doing != self._doing:
            self._doing, self._since = doing, time.monotonic()
            if self._bar:
                self._bar.remove_task(self._bar.task_ids[0])
                self._bar.add_task(doing, total=None, rows="")
        self._share = share % 1
        self._tell("")

    def read(self, share: float) -> None:
        """So much of the input was read."""
        self._share = share

    def reached(self, rows: int) -> None:
        """So many rows are done."""
        self._tell(f"{rows:,} rows")

    def _tell(self, rows: str) -> None:
        if self._bar:
            (task,), total = self._bar.task_ids, 1 if self._share else None
            self._bar.update(task, description=self._doing, total=total, completed=self._share, rows=rows)
        self._beat.doing = ", ".join([f"{self._doing}: {rows}" if rows else self._doing, *self._left()])

    def _left(self) -> list[str]:
        """How much is done, and how long it may take still, if that is known."""
        if not self._share:
            return []
        left = (time.monotonic() - self._since) * (1 / self._share - 1)
        return [
            f"{self._share:.0%}",
            f"about {left / 60:.0f} min left" if left > SECONDS else f"about {left:.0f} s left",
        ]

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
            self._bar.add_task(self._doing, total=None, rows="")
        self._beat.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._beat.__exit__()
        if self._bar:
            self._bar.stop()


def _bar() -> "Progress":
    # Imported here, not above: a stage that tells nobody starts without it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[rows]}"),
        console=Console(file=terminal.bare(sys.stderr)), transient=True, redirect_stdout=sys.stdout.isatty(),
    )  # fmt: skip
