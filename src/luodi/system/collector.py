"""Python's collector of cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no cycles while many objects are made that stay: to look through them takes as long as to make them.

    Modules of a large library are such, and rows that are read. They are the oldest generation at once, or it would
    look through all of them in each of the younger ones first.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if enabled:
            gc.enable()
