"""What one client may ask for, so that the others are answered."""

from dataclasses import dataclass

MIB = 2**20
HEAD = 64 * 2**10
"""Bytes of the first line and the headers of a request."""
PIXELS = 2**24
"""Of the images of one request together, decoded: a file of a few kilobytes may hold so many."""
CONNECTIONS = 4096
"""At once; fewer where the process may not open so many files."""


@dataclass(frozen=True)
class Limits:
    """Attributes:
    body: Bytes of a request's body.
    items: Texts or images of a request.
    item: Bytes of one of them.
    queue: Items of a model that wait for their turn; who comes then is told to come again.
    timeout: Seconds in which its head has to come, its body, and in which an answer is given.
    """

    body: int = 8 * MIB
    items: int = 256
    item: int = 4 * MIB
    queue: int = 1024
    timeout: float = 10.0
