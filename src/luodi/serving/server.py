"""The process that answers: uvicorn on uvloop, with a bound on whatever a client may make it wait for or keep."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from luodi.errors import LuodiError
from luodi.serving.app import Service
from luodi.serving.following import Follower
from luodi.serving.limits import CONNECTIONS, HEAD
from luodi.system.guard import GRACE
from luodi.terminal import shown

IDLE = 75  # seconds that a connection may be kept between two requests
DRAIN = GRACE - 2  # seconds in which what was asked is answered before the process ends
TURN = 0.001  # seconds after which a thread lets another go on; Python's 0.005 is as long as fifty answers
OPEN = 128  # files that are open beside the connections
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Protocol(HttpToolsProtocol):
    """One connection; uvicorn alone would wait for the head of a request for ever, and keep whatever came of it."""

    most = CONNECTIONS
    seconds = 10.0
    _head = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.most:
            transport.abort()
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        self._head += len(data)
        super().data_received(data)
        if self._deadline and self._head > HEAD:
            self.transport.write(TOO_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._forget_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head = 0
        self._deadline = self.loop.call_later(self.seconds, self.transport.abort)

    def _forget_head(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None


class _Server(uvicorn.Server):
    """Ends in order on the first signal: no new connections, what was asked is answered."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.end)
        yield

    def end(self) -> None:
        """Answer what was asked, and end."""
        self.service.draining = self.should_exit = True


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any that is free.

    Raises:
        LuodiError: The address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(found[4][:2], family=found[0], backlog=2048)
    except OSError as error:
        raise LuodiError(
            f"cannot listen on {shown(host)}, port {port} ({error.strerror}): choose another by --port, or another "
            "address by --host"
        ) from None


def run(service: Service, where: socket.socket, follower: Callable[[Callable[..., object]], Follower]) -> None:
    """Answer until a signal comes; `follower` is given what calls a function on the event loop."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # a scanner's nonsense is no event of ours
    sys.setswitchinterval(TURN)
    _Protocol.most, _Protocol.seconds = _connections(), service.limits.timeout
    config = uvicorn.Config(
        service.app(), http=_Protocol, loop="uvloop", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=IDLE, timeout_graceful_shutdown=int(DRAIN),
    )  # fmt: skip
    server = _Server(config, service)

    async def serve() -> None:
        followed = follower(asyncio.get_running_loop().call_soon_threadsafe)
        followed.start()
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection need look at it again
        await server.serve([where])

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())


def _connections() -> int:
    """How many connections there may be: as many files as this process may open, and some for itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OPEN if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS + OPEN)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OPEN, 16)


def tokens(text: str, where: str) -> list[str]:
    """Return the tokens in a text, one a line: while two are in it, the old one may still be used.

    Raises:
        LuodiError: There is none.
    """
    found = text.split()
    if not found:
        raise LuodiError(f"{shown(where)} holds no token: expected one a line, as `openssl rand -hex 32` makes them")
    return found
