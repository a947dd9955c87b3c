"""Steps over chunks of data on all cores."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

WAITING = min(8, 1 + (os.cpu_count() or 1))  # chunks read ahead of the one that is asked for
Taken = TypeVar("Taken")
Made = TypeVar("Made")


def in_threads(step: Callable[[Taken], Made], chunks: Iterable[Taken]) -> Iterator[Made]:
    """Yield what `step` makes of each chunk, in their order, and read but a few ahead: all may be more than memory."""
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor() as pool:  # Arrow, NumPy and Pillow release the GIL
        for chunk in chunks:
            pending.append(pool.submit(step, chunk))
            if len(pending) > WAITING:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
