"""A DVC that is imported once for all stages of a run on this machine: to import it takes as long as a small command.

Each command still has a process and a session of its own; see `luodi.project.strict_dvc`.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from luodi.system.processes import CommandFailed, dies_too

SCRIPT = str(Path(__file__).with_name("strict_dvc.py"))
LARGEST = 2**16  # bytes of a request that a socket is sure to take
_here: list["_Standing"] = []


class Command:
    """A command that the standing DVC runs, as of `subprocess.Popen`."""

    stderr: TextIO | None = None

    def __init__(self, arguments: Sequence[str], channel: socket.socket, output: int) -> None:
        self.args = arguments
        self._channel = channel
        self._code: int | None = None
        self.stdout: TextIO | None = open(output, encoding="utf-8", errors="replace")  # noqa: SIM115
        self.pid = int(channel.recv(LARGEST) or 0)
        if not self.pid:
            raise CommandFailed(arguments, -signal.SIGKILL, "the process of DVC that its stages share has ended")

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative if a signal ended it; raises subprocess.TimeoutExpired."""
        if self._code is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._code = int(self._channel.recv(LARGEST) or -signal.SIGKILL)
        return self._code


class _Standing:
    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.last: Command | None = None
        with theirs:
            self.process = subprocess.Popen(
                [*dies_too("KILL"), sys.executable, "-P", SCRIPT, "--standing", str(theirs.fileno())],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # the log would stay locked by it; without it, DVC is started as ever
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def start(self, arguments: Sequence[str], request: bytes) -> Command:
        if self.last:  # it was killed, perhaps, and nobody waited
            self.last.wait()
        reading, writing = os.pipe()
        try:
            socket.send_fds(self.channel, [request], [writing])
        finally:
            os.close(writing)
        self.last = Command(arguments, self.channel, reading)
        return self.last


def begin() -> None:
    """Have a DVC stand by from now on, while this process lives; Linux alone can end it, and what it began, in time."""
    if sys.platform == "linux" and not _here:
        _here.append(_Standing())


def start(command: Sequence[str], **options: Any) -> Any:
    """Start a command as `subprocess.Popen` does; by the standing DVC if there is one, and both outputs are one."""
    if _here and SCRIPT in command and options["stderr"] == subprocess.STDOUT and options["umask"] == -1:
        asked = {"arguments": command[command.index(SCRIPT) + 1 :], "cwd": str(options["cwd"]), "env": options["env"]}
        request = json.dumps(asked).encode()
        if _here[0].process.poll() is None and len(request) <= LARGEST:
            return _here[0].start(command, request)
    return subprocess.Popen(command, **options)
