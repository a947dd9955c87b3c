"""What a command asks of other machines, and of whoever knows their names: seen by strace, in all of its processes."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest
from project import Project

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="no strace, which shows what a process asks: apt-get install strace"
)

CALL = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\b")
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
NAME_SERVER = re.compile(r"sin6?_port=htons\((53|5353|853)\)")
# Services of this machine that look names up for others: resolved, avahi; nscd, whose answers on users do no harm.
RESOLVER = re.compile(r'sun_path="[^"]*(io\.systemd\.Resolve|avahi)[^"]*".* = 0|\\0hosts\\0')


def asks(line: str) -> bool:
    """Whether a line of strace shows a look-up of a name, or a call to another machine."""
    if not CALL.search(line):
        return False
    found = [ip_address(one or other) for one, other in ADDRESS.findall(line)]
    addresses = [getattr(address, "ipv4_mapped", None) or address for address in found]
    near = all(address.is_loopback or address.is_unspecified for address in addresses)  # 0.0.0.0 is this machine
    return not near or bool(NAME_SERVER.search(line) or RESOLVER.search(line))


@cache
def away() -> tuple[str, ...]:
    """Run what follows on a host whose name stands in no file, to tempt it to ask; empty where that is not allowed."""
    command = ("unshare", "--uts", "--", "sh", "-c", 'hostname elsewhere-4711 && exec "$@"', "sh")
    return command if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0 else ()


def traced(log: Path) -> tuple[str, ...]:
    """What to put before a command so that `log` holds every call that `asks` reads."""
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    return (*away(), "strace", "-f", "-qq", "-s", "64", "-e", calls, "-e", "signal=none", "-o", str(log))


def asked(log: Path) -> list[str]:
    return [line for line in log.read_text(errors="replace").splitlines() if asks(line)]


def told_others(project: Project, log: Path, *command: str, env: Mapping[str, str] = {}) -> list[str]:
    """Run a command with an empty home folder; return what it asked of others, and what it left there."""
    with tempfile.TemporaryDirectory() as home:
        project.run(*traced(log), *command, env={"HOME": home, **env})
        return [*asked(log), *map(str, Path(home).rglob("*"))]
