"""What is served is what is in production: when that moves, the version that is there is brought, proven and put in.

A thread looks at the registry every few seconds, and when it is woken. What cannot be brought, or is not what was
registered, never answers: the version before goes on, which the log and /metrics tell, and it is tried again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luodi.errors import LuodiError
from luodi.serving.log import CANARY
from luodi.serving.served import Loaded, Model
from luodi.serving.sources import Source, Wanted

SLOWEST = 60.0  # seconds between two tries of what does not go

Ready = Callable[[Model, Source, str, str], Loaded]


@dataclass(frozen=True)
class Followed:
    """A model and where its versions come from; `beside` is whether the registry says which canary it has."""

    model: Model
    source: Source
    beside: bool = True


class Follower:
    """Puts the versions in production in.

    Args:
        ready: Brings a version and makes it ready: (model, source, version, role).
        every: Seconds between two looks; 0 is only when it is woken.
        soon: Calls a function on the event loop.
        tell: Writes a line to the log of the server.
    """

    def __init__(
        self,
        followed: Sequence[Followed],
        ready: Ready,
        every: float,
        soon: Callable[..., object],
        tell: Callable[[str], None],
    ) -> None:
        self._followed, self._ready, self._every, self._soon, self._tell = followed, ready, every, soon, tell
        self._wake = threading.Event()
        self._failed: dict[str, tuple[int, float]] = {}  # model -> tries in a row, and when it is tried next
        self._refused: dict[str, tuple[str, float]] = {}  # model -> a canary that did not go, and when it is tried next

    def start(self) -> None:
        """Follow from now on, looking at once, in a thread that ends with the process."""
        self._wake.set()
        threading.Thread(target=self._run, name="follow the registry", daemon=True).start()

    def refresh(self) -> None:
        """Look at the registry now, at what did not go too."""
        self._failed.clear()
        self._refused.clear()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._every or None)
            self._wake.clear()
            for followed in self._followed:
                if self._failed.get(followed.model.name, (0, 0.0))[1] <= time.monotonic():
                    self.look(followed)

    def look(self, followed: Followed) -> None:
        """Look at one model once, and put the version in that is in production now, then its canary."""
        model, stage = followed.model, followed.source.stage
        wanted = f"the version in {stage}"
        try:
            found = followed.source.current()
            wanted = found.version
            if wanted != model.current.name:
                begun = time.monotonic()
                loaded = self._ready(model, followed.source, wanted, stage)
                before = model.current.name
                self._soon(model.put, loaded)
                self._tell(f"{wanted} answers now, {before} did; it was ready in {time.monotonic() - begun:.1f} s")
        except LuodiError as error:
            self._fail(model, f"{wanted} is not taken over, {model.current.name} goes on: {error}")
        except Exception as error:  # of a library, or of ours: nothing may end this thread
            self._fail(model, f"{wanted} is not taken over, {model.current.name} goes on: {error!r}")
        else:
            self._failed.pop(model.name, None)
            model.why = ""
            model.metrics.behind.labels(model.name).set(0)
            if followed.beside and stage != CANARY:
                self._look_beside(followed, found)

    def _look_beside(self, followed: Followed, wanted: Wanted) -> None:
        """Put the canary in that the registry names, or take the one away that it names no longer."""
        model, canary = followed.model, followed.model.canary
        before, share = canary and canary.name, model.share if canary else 0.0
        if (wanted.canary, wanted.share) == (before, share):
            return
        if wanted.canary and wanted.canary != before:
            canary = self._bring(followed, wanted.canary)
        elif wanted.canary is None:
            canary = None
        self._soon(model.beside, canary, wanted.share if canary else 0.0)
        if before and (canary is None or canary.name != before):
            self._tell(f"{before} is no canary of {model.name} any more")
        if canary:
            self._tell(f"{canary.name} answers {wanted.share:.3g} of requests as canary")

    def _bring(self, followed: Followed, name: str) -> Loaded | None:
        """Return a canary that is ready; None where it does not go: it is tried again in a minute."""
        model = followed.model
        refused, later = self._refused.get(model.name, ("", 0.0))
        if refused == name and later > time.monotonic():
            return None
        try:
            return self._ready(model, followed.source, name, CANARY)
        except Exception as error:  # as in `look`
            self._refused[model.name] = name, time.monotonic() + SLOWEST
            model.metrics.failures.labels(model.name).inc()
            told = error if isinstance(error, LuodiError) else repr(error)
            self._tell(f"warning: {name} does not answer as canary: {told}")
            return None

    def _fail(self, model: Model, why: str) -> None:
        tries = self._failed.get(model.name, (0, 0.0))[0] + 1
        self._failed[model.name] = tries, time.monotonic() + min(self._every * 2**tries, SLOWEST)
        model.metrics.failures.labels(model.name).inc()
        model.metrics.behind.labels(model.name).set(1)
        if why != model.why:
            self._tell(f"warning: {why}")
        model.why = why
