"""A DVC remote behind a real OpenSSH server: a host whose key is not known is refused, and nothing is sent to it."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from project import Done

from luodi.errors import RemoteError
from luodi.project import locks, programs, workspace
from luodi.project.origin import Origin
from luodi.system.processes import Runner

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(SSHD is None, reason="needs openssh-server")]
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PidFile none
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Server:
    port: int
    folder: Path

    @property
    def remote(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{self.folder}/remote"


def key(path: Path) -> str:
    """Make a key pair; return the public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sshd")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key(folder / "host")
    key(folder / "user")
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
    yield Server(port, folder)
    process.terminate()
    process.wait()


@pytest.fixture
def origin(ready: Done, server: Server) -> Origin:
    """The origin of a project that keeps its bytes on the server; its user has the key that the server lets in."""
    home = ready.project.home / ".ssh"
    home.mkdir(mode=0o700)
    shutil.copy(server.folder / "user", home / "id_ed25519")
    return replace(ready.project.origin, remote=server.remote)


def push(origin: Origin, ready: Done) -> None:
    quiet = Runner(lambda line: None)
    with workspace.clone(origin, programs.head(origin, quiet), quiet) as clone:
        locks.write(clone.lock, ready.entries)
        clone.dvc("push", "evaluate@reviews")


@pytest.mark.parametrize("known", ["no file", "another key"])
def test_a_host_that_is_not_known_is_refused(
    origin: Origin, ready: Done, server: Server, known: str, tmp_path: Path
) -> None:
    if known == "another key":
        line = f"[127.0.0.1]:{server.port} {key(tmp_path / 'other')}"
        (ready.project.home / ".ssh" / "known_hosts").write_text(line)
    with pytest.raises(RemoteError, match=r"[Hh]ost key is not trusted"):
        push(origin, ready)
    assert not (server.folder / "remote").exists()


def test_a_known_host_is_used(origin: Origin, ready: Done, server: Server) -> None:
    line = f"[127.0.0.1]:{server.port} {(server.folder / 'host.pub').read_text()}"
    (ready.project.home / ".ssh" / "known_hosts").write_text(line)
    push(origin, ready)
    assert any((server.folder / "remote" / "files" / "md5").iterdir())
