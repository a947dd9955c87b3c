"""A mail server of this process, for what luodi tells by Airflow's own notifier."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default


class Postbox(socketserver.ThreadingTCPServer):
    """Keeps the messages that come by SMTP."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.messages: list[EmailMessage] = []

    @property
    def connection(self) -> dict[str, str]:
        """The connection of Airflow that leads here, as a variable of the environment."""
        port = self.server_address[1]
        url = f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true&from_email=luodi%40example.org"
        return {"AIRFLOW_CONN_SMTP_DEFAULT": url}

    def subjects(self) -> list[str]:
        return [str(message["subject"]) for message in self.messages]

    def text(self, subject: str) -> str:
        """The body of the one message of that subject."""
        (found,) = [message for message in self.messages if message["subject"] == subject]
        return "".join(part.get_content() for part in found.walk() if part.get_content_maintype() == "text")


class Taker(socketserver.StreamRequestHandler):
    """Speaks as much of SMTP as a client needs that neither encrypts nor logs in."""

    server: Postbox

    def handle(self) -> None:
        self.say(220)
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.say(354)
                self.server.messages.append(BytesParser(EmailMessage, policy=default).parsebytes(self.data()))
            self.say(221 if word == b"QUIT" else 250)

    def data(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def say(self, code: int) -> None:
        self.wfile.write(b"%d luodi\r\n" % code)


@contextmanager
def postbox() -> Iterator[Postbox]:
    """Serve until the context ends."""
    with Postbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
