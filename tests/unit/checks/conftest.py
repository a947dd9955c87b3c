"""Great Expectations would tell others of itself."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_host() -> Iterator[None]:
    """Any attempt to reach a host is an error."""

    def refuse(*args: Any) -> None:
        raise AssertionError(f"tried to reach {args[1:]}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
