"""The versions of one model that answer here: that in production, a canary, a shadow.

A version is put in by one assignment between two requests. Those that it found in the queue of the one before are
answered by that one, and say so.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from luodi.registry.classifier import Registered
from luodi.serving.asking import Asked
from luodi.serving.batching import Batcher, Row
from luodi.serving.log import Answered
from luodi.serving.metrics import Metrics, OfVersion
from luodi.serving.refusing import Refused

Observer = Callable[[Answered], None]
"""Is handed each answer, those of a shadow too, and must not wait: the request log, say."""

SHADOWED = 256  # items that wait for a shadow at most; more are dropped


@dataclass(frozen=True)
class Loaded:
    """A version that is ready to answer in a role."""

    classifier: Registered
    batcher: Batcher
    figures: OfVersion
    role: str

    @property
    def name(self) -> str:
        """Such as "reviews@v1.0.0"."""
        return self.classifier.version

    @property
    def number(self) -> str:
        """Such as "v1.0.0"."""
        return self.name.partition("@")[2]


class Answer(NamedTuple):
    """What a version says of the items of a request."""

    request: str
    by: Loaded
    rows: list[Row]


@dataclass
class Model:
    """What is served under one name.

    Attributes:
        modality: Of its items; every version has the same.
        share: Of requests that the canary answers, 0 to 1.
        why: Why the version in production is not the one that answers; empty where it is.
    """

    name: str
    metrics: Metrics
    queue: int
    observer: Observer | None = None
    production: Loaded | None = None
    canary: Loaded | None = None
    shadow: Loaded | None = None
    share: float = 0.0
    why: str = ""
    _shadows: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def modality(self) -> str:
        return self.current.classifier.encoder.modality

    @property
    def current(self) -> Loaded:
        """The version that answers what no canary does: that in production, or a canary that stands alone."""
        found = self.production or self.canary
        assert found is not None, f"{self.name} was put in before it was asked"
        return found

    def ready(self, classifier: Registered, role: str, warm: Any) -> Loaded:
        """Return a version that was warmed by an item, for a role."""
        figures = self.metrics.of(self.name, classifier.version, role)
        batcher = Batcher(classifier, self.queue, figures.batches.observe)
        batcher.warm(warm)
        return Loaded(classifier, batcher, figures, role)

    def put(self, loaded: Loaded) -> None:
        """Let a version take its role from now on."""
        before: Loaded | None = getattr(self, loaded.role)
        setattr(self, loaded.role, loaded)
        if before:
            before.figures.served.set(0)
        loaded.figures.served.set(1)
        loaded.figures.since.set(time.time())

    def beside(self, canary: Loaded | None, share: float) -> None:
        """Let a canary answer a share of requests from now on; without one, none does."""
        if canary is None and self.canary:
            self.canary.figures.served.set(0)
            self.canary = None
        elif canary is not None and canary is not self.canary:
            self.put(canary)
        self.share = share

    def answering(self) -> list[Loaded]:
        """The versions that answer."""
        return [one for one in (self.production, self.canary) if one]

    def chosen(self, key: bytes, number: str | None = None) -> Loaded:
        """Return the version that answers a request.

        Args:
            key: What tells the request from others: of one key all are answered alike.
            number: The version that it asks for, such as "v1.0.0".

        Raises:
            Refused: That version is not served.
        """
        if number is not None:
            for one in self.answering():
                if number in (one.number, one.number.removeprefix("v")):
                    return one
            there = ", ".join(one.number for one in self.answering())
            raise Refused(404, f"that version of {self.name} is not served here; there is: {there}")
        current, canary = self.current, self.canary
        if canary and canary.name != current.name and falls_within(key, self.share):
            return canary
        return current

    async def answer(self, asked: Asked, by: Loaded, timeout: float) -> Answer:
        """Let a version answer, and count, show to the observer and to the shadow what it said.

        Raises:
            Refused: Too many wait already, or the answer took too long.
        """
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(timeout):
                rows = await by.batcher.ask(asked.items)
        except TimeoutError:
            raise Refused(504, f"no answer within {timeout:g} s: ask for less at a time, or come again later") from None
        self._tell(asked, by, rows, time.perf_counter() - begun)
        if self.shadow and self.shadow.name != by.name:
            self._let(self.shadow, asked, by, rows)
        return Answer(asked.request, by, rows)

    def _let(self, shadow: Loaded, asked: Asked, by: Loaded, rows: list[Row]) -> None:
        """Let the shadow score what `by` has answered, unless it is too far behind."""
        if shadow.batcher.waiting and shadow.batcher.waiting + len(asked.items) > SHADOWED:
            self.metrics.shadow(self.name, shadow.name, by.name, "dropped").inc(len(asked.items))
            return
        task = asyncio.get_running_loop().create_task(self._score(shadow, asked, by, rows))
        self._shadows.add(task)  # the loop keeps none
        task.add_done_callback(self._shadows.discard)

    async def _score(self, shadow: Loaded, asked: Asked, by: Loaded, rows: list[Row]) -> None:
        begun = time.perf_counter()
        theirs = await shadow.batcher.ask(asked.items)
        self._tell(asked, shadow, theirs, time.perf_counter() - begun)
        for ours, other in zip(rows, theirs, strict=True):
            outcome = "same" if label(by, ours) == label(shadow, other) else "other"
            self.metrics.shadow(self.name, shadow.name, by.name, outcome).inc()

    def _tell(self, asked: Asked, by: Loaded, rows: list[Row], seconds: float) -> None:
        by.figures.seconds.observe(seconds)
        for row in rows:
            by.figures.label(label(by, row) or "").inc()
        if self.observer:
            # An item that cannot be classified has no probabilities to keep.
            told = [(place, row) for place, row in enumerate(rows) if not isinstance(row, str)]
            if told:
                places = [place for place, _ in told]
                self.observer(
                    Answered(
                        asked.request, asked.at, self.name, by.name, by.role, [asked.items[place] for place in places],
                        np.stack([row for _, row in told]), 1000 * seconds, by.classifier.encoder, places,
                    )
                )  # fmt: skip


def label(by: Loaded, row: Row) -> str | None:
    """Return the likeliest label; None where the item cannot be classified."""
    return None if isinstance(row, str) else by.classifier.labels[int(row.argmax())]


def falls_within(key: bytes, share: float) -> bool:
    """Whether the hash of a key falls within a share, 0 to 1."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") < share * 2**64
