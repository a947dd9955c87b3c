"""A git server and a DVC store behind HTTP, for whoever shows what is asked for: a password, or a token in a header."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class Handler(BaseHTTPRequestHandler):
    """Bare repositories by git's own http-backend; every other folder is a store of files."""

    protocol_version = "HTTP/1.1"
    folder: Path
    asked: Mapping[str, str]
    """First part of the path -> the header Authorization that it takes."""

    def handle_any(self) -> None:
        content = self._content()
        path, _, query = self.path.partition("?")
        if self.headers.get("Authorization") != self.asked.get(path.split("/")[1]):
            return self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="team"'})
        if ".git/" in path:
            return self._git(path, query, content)
        return self._file(self.folder / path.lstrip("/"), content)

    do_GET = do_HEAD = do_PUT = do_POST = handle_any  # noqa: N815, the names are those of http.server

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _git(self, path: str, query: str, content: bytes) -> None:
        variables = {
            "GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "me", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(content)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "PATH": os.environ["PATH"],
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=content, env=variables, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._answer(int(headers.pop("Status", "200").split()[0]), body, headers)

    def _file(self, file: Path, content: bytes) -> None:
        if self.command in ("PUT", "POST"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            return self._answer(201, b"")
        return self._answer(200, file.read_bytes()) if file.is_file() else self._answer(404, b"")

    def _answer(self, code: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: clients hang up as they like."""


@contextmanager
def serving(folder: Path, asked: Mapping[str, str]) -> Iterator[int]:
    """Serve what lies in `folder`; yield the port."""
    handler = type("Serving", (Handler,), {"folder": folder, "asked": asked})
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
