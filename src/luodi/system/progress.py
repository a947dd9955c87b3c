"""What a command is doing, told while it does it: for whoever waits, and no result."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self, TextIO, TypeAlias, TypeVar

EVERY = 10.0  # seconds without a line, after which a person wonders
KEPT = "train: kept a checkpoint"
"""Begins what training says when nothing before that can be lost any more."""

Part = TypeVar("Part")
Follower: TypeAlias = Callable[[str, float], None]
"""Takes what a step of the work is called, and the share of it that is done, in [0, 1]."""

_silenced = threading.Event()
_followers: list[Follower] = []


def silence(silent: bool) -> None:
    """Tell nothing from now on, or tell again."""
    (_silenced.set if silent else _silenced.clear)()


def silent() -> bool:
    """Whether nothing is told."""
    return _silenced.is_set()


def tell(line: str, file: TextIO | None = None) -> None:
    """Print a line of progress to `file`, standard output if None."""
    if not silent():
        print(line, flush=True, file=file or sys.stdout)


@contextlib.contextmanager
def followed(follower: Follower) -> Iterator[None]:
    """Have a follower told of what `steps` go on."""
    _followers.append(follower)
    try:
        yield
    finally:
        _followers.remove(follower)


def steps(name: str, parts: Iterable[Part], total: int, size: Callable[[Part], int] = lambda part: 1) -> Iterator[Part]:
    """Yield the parts of a step of the work, whose sizes add up to `total`, and tell followers how far it is."""
    done = 0
    for part in parts:
        yield part
        done += size(part)
        for follower in _followers:
            follower(name, min(done / max(total, 1), 1.0))


class Heartbeat:
    """Tells, from a thread of its own, what is still going on: "  still starting Airflow (20 s)".

    Args:
        doing: What goes on, to follow "still".
        file: Where to; standard output if None.
        every: Seconds between two lines, counted from when it began.
        since: When it began, by the monotonic clock; None is now.
        unless: Says that somebody else tells it.
    """

    def __init__(
        self,
        doing: str,
        file: TextIO | None = None,
        *,
        every: float = EVERY,
        since: float | None = None,
        unless: Callable[[], bool] = lambda: False,
    ) -> None:
        self.file, self.every, self.unless = file, every, unless
        self.doing: str | None = doing
        self.since = time.monotonic() if since is None else since
        self.over = False
        self.changed = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def now(self, doing: str | None) -> None:
        """Something else goes on from now; None is nothing that should be told, because a person is asked, say."""
        self.doing, self.since = doing, time.monotonic()
        self.changed.set()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self.over = True
        self.changed.set()
        self.thread.join()  # no line of it comes after the result

    def _beat(self) -> None:
        while not self.over:
            waited = time.monotonic() - self.since
            if self.changed.wait(self.every - waited % self.every):
                self.changed.clear()
            elif self.doing and not self.unless():
                with contextlib.suppress(OSError, ValueError):  # nobody reads any more
                    tell(f"  still {self.doing} ({time.monotonic() - self.since:.0f} s)", self.file)
