"""Requests that come at the same time are one batch of the model; nobody waits for others to come.

While a batch is being predicted the next one gathers. A quick batch is predicted on the event loop itself: to hand it
to a thread and back takes longer than many a model does (benchmarks/serving.md), and a slow one must not stop the loop.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luodi.errors import DataError
from luodi.registry.classifier import Registered
from luodi.scoring.inference import batch_rows
from luodi.serving.refusing import Refused

Row = NDArray[np.float32] | str
"""The probabilities [classes] of an item, or why there are none."""

QUICK = 0.005  # seconds that the event loop may be kept from everything else
SHORT = 2**14  # characters, or bytes, of a batch whose cost is told by its number of items alone
SLOWER = 1.02  # as much longer an item is thought to take, at most, than one of the batch before


class _Ask(NamedTuple):
    items: Sequence[Any]
    done: "asyncio.Future[list[Row]]"


class Batcher:
    """The queue of one version.

    Args:
        most: Items that may wait.
        told: Is called with the number of items of each batch.
    """

    def __init__(self, classifier: Registered, most: int, told: Callable[[int], None]) -> None:
        self.classifier, self._most, self._told = classifier, most, told
        self._waiting, self._items, self._busy = deque[_Ask](), 0, False
        self._rows = batch_rows(classifier.encoder)
        self._cost = 0.0  # seconds an item, about
        # Its thread ends when nobody knows the batcher any more: some may wait for it when its version goes.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=classifier.version)

    @property
    def quick(self) -> bool:
        """Whether an item is predicted in no time that the event loop would miss."""
        return self._cost <= QUICK

    @property
    def waiting(self) -> int:
        """Items that wait for their turn."""
        return self._items

    def warm(self, item: Any) -> None:
        """Predict an item until it is known what one costs: what is made at first use is made then."""
        for _ in range(3):
            answers(self.classifier, [item])
        self._cost = math.inf
        for _ in range(5):
            self._predict([item])

    async def ask(self, items: Sequence[Any]) -> list[Row]:
        """Return the answer to each item.

        Raises:
            Refused: Too many wait already.
        """
        if self._items and self._items + len(items) > self._most:
            raise Refused(429, f"{self._items} items wait for {self.classifier.version} already: come again later")
        loop = asyncio.get_running_loop()
        ask = _Ask(items, loop.create_future())
        self._waiting.append(ask)
        self._items += len(items)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._next)  # what else came with this turn of the loop is in the queue by then
        return await ask.done

    def _next(self) -> None:
        batch = self._taken()
        if not batch:
            self._busy = False
            return
        items = [item for ask in batch for item in ask.items]
        loop = asyncio.get_running_loop()
        if len(items) * self._cost <= QUICK and sum(map(len, items)) <= SHORT:
            try:
                self._answer(batch, self._predict(items))
            except Exception as error:
                self._fail(batch, error)
            loop.call_soon(self._next)
        else:
            task = loop.run_in_executor(self._pool, self._predict, items)
            task.add_done_callback(lambda done: self._done(batch, done))

    def _done(self, batch: list[_Ask], done: "asyncio.Future[list[Row]]") -> None:
        if done.cancelled():  # the server ends
            return
        if error := done.exception():
            self._fail(batch, error)
        else:
            self._answer(batch, done.result())
        self._next()

    def _taken(self) -> list[_Ask]:
        """The requests that are next, of as many items as are predicted at a time, and one at least."""
        batch, count = list[_Ask](), 0
        while self._waiting and (not batch or count + len(self._waiting[0].items) <= self._rows):
            ask = self._waiting.popleft()
            self._items -= len(ask.items)
            if not ask.done.done():  # who asked has gone, or waited for too long
                batch.append(ask)
                count += len(ask.items)
        return batch

    def _predict(self, items: Sequence[Any]) -> list[Row]:
        begun = time.perf_counter()
        rows = answers(self.classifier, items)
        # The least of late: what the machine does beside makes it longer, and nothing shorter.
        self._cost = min(SLOWER * self._cost, (time.perf_counter() - begun) / len(items))
        return rows

    def _answer(self, batch: list[_Ask], rows: list[Row]) -> None:
        self._told(len(rows))
        at = 0
        for ask in batch:
            if not ask.done.done():
                ask.done.set_result(rows[at : at + len(ask.items)])
            at += len(ask.items)

    def _fail(self, batch: list[_Ask], error: BaseException) -> None:
        for ask in batch:
            if not ask.done.done():
                ask.done.set_exception(error)


def answers(classifier: Registered, items: Sequence[Any]) -> list[Row]:
    """Return the answer to each raw item: one that cannot be used spoils no other."""
    try:
        return list(classifier.probabilities(items))
    except DataError as error:
        if len(items) == 1:
            return [str(error)]
        half = len(items) // 2
        return answers(classifier, items[:half]) + answers(classifier, items[half:])
