"""`dvc`, except for three things that it has no setting for.

An SSH remote whose host key is not known is refused, as ssh itself refuses it in a script: sshfs, on which DVC's SSH
remotes stand, accepts any. The files of a cache that only this user may enter are for this user alone. And a text of
YAML is parsed once.

Several commands stand between semicolons: `repro train@reviews ; push train@reviews`. Each needs the one before it to
have gone well, and DVC is imported once, which takes as long as a small command.

With `--standing FD` it imports DVC, and goes on in a child of its own for each command that
`luodi.project.standing_dvc` asks for through that socket.

This file is run by its path, from the installed luodi, whatever code a clone holds.
"""

import copy
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any


def check_host_keys() -> None:
    """Let DVC's SSH remotes trust the hosts in OpenSSH's two files and no others."""
    try:
        from dvc_ssh import SSHFileSystem
    except ImportError:
        return  # DVC has no SSH remotes here
    prepare = SSHFileSystem._prepare_credentials
    files = (Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))

    def prepare_checked(self: Any, **config: Any) -> dict[str, Any]:
        known = [str(path) for path in files if path.exists()]
        return {**prepare(self, **config), "known_hosts": known or b""}

    SSHFileSystem._prepare_credentials = prepare_checked


def keep_private() -> None:
    """Let DVC write-protect the files of a private cache, or folder remote, by 0400, not by 0444."""
    from dvc_data.hashfile.db.local import LocalHashFileDB

    def mode(self: Any) -> int:
        others = os.stat(self.path).st_mode & 0o077 if os.path.exists(self.path) else 0o077  # noqa: PTH110, PTH116
        return 0o444 if others else 0o400

    LocalHashFileDB.CACHE_MODE = property(mode)  # type: ignore[assignment]


def parse_once() -> None:
    """Let DVC parse a text of YAML once in a process, not each time that it looks at a file of settings or a lock.

    It does so in Python, and that takes most of the time of a command that runs or pushes a stage.
    """
    from ruamel.yaml import YAML

    load, known = YAML.load, dict[str, Any]()

    def load_once(self: YAML, stream: Any) -> Any:
        if self.typ != ["safe"] or not isinstance(stream, str):
            return load(self, stream)
        if stream not in known:
            known[stream] = load(self, stream)
        return copy.deepcopy(known[stream])

    YAML.load = load_once  # type: ignore[method-assign]


NEEDED = (
    "configobj", "dulwich.worktree", "dvc.cli.parser", "dvc.parsing", "dvc.repo.index", "dvc.repo.push",
    "dvc.repo.reproduce", "dvc.repo.stage", "dvc.repo.worktree", "dvc.rwlock", "dvc.scm", "dvc.stage.cache",
    "dvc.stage.loader", "dvc.utils.strictyaml", "dvc_data.index.push", "dvc_render", "networkx", "pyparsing",
    "ruamel.yaml",
)  # fmt: skip
"""Modules that a command would import."""


def asked_for(channel: socket.socket) -> list[str]:
    """Wait for commands; return the arguments of each in a child, which is as if it had been started for it.

    It leads a session of its own before its id is told, prints where the descriptor that came says, and is ended by the
    kernel if this process is; the exit code follows when it ends.
    """
    for name in NEEDED:
        importlib.import_module(name)
    gc.freeze()
    server = os.getpid()
    while True:
        message, outputs, *_ = socket.recv_fds(channel, 2**20, 1)
        if not message:  # who asks is gone
            sys.exit()
        if not (child := os.fork()):
            os.setsid()
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
            if os.getppid() != server:
                os._exit(128 + signal.SIGKILL)
            channel.send(str(os.getpid()).encode())
            channel.close()
            return _begin(json.loads(message), outputs)
        os.close(outputs[0])
        channel.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _begin(asked: dict[str, Any], outputs: list[int]) -> list[str]:
    for standard in (1, 2):
        os.dup2(outputs[0], standard)
    os.close(outputs[0])
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    arguments: list[str] = asked["arguments"]
    return arguments


def run(arguments: list[str]) -> int:
    """Run the commands that stand between semicolons, until one fails; return the last exit code."""
    from dvc.cli import main

    code = 0
    while arguments and not code:
        end = arguments.index(";") if ";" in arguments else len(arguments)
        code = main(arguments[:end])
        arguments = arguments[end + 1 :]
    return code


if __name__ == "__main__":
    check_host_keys()
    keep_private()
    parse_once()
    standing = sys.argv[1:2] == ["--standing"]
    sys.exit(run(asked_for(socket.socket(fileno=int(sys.argv[2]))) if standing else sys.argv[1:]))
