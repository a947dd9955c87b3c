"""What one machine needs for Airflow: a port, logs."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from luodi.errors import LuodiError
from luodi.local import standalone
from luodi.project.origin import Origin


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin.embedded(tmp_path)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")])
def test_a_port_that_is_taken_is_told_before_anything_starts(
    tmp_path: Path, origin: Origin, family: int, host: str
) -> None:
    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LuodiError, match=f"^port {port} is taken: .*--port$"):
            standalone.stand(tmp_path, origin, port)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("setpriv") or os.geteuid() != 0, reason="takes rights away from root")
def test_a_port_that_one_may_not_use_is_told(tmp_path: Path) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("everybody may use port 80 here")
    code = "from luodi.local.standalone import _require_free; _require_free(80)"
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-net_bind_service", sys.executable, "-c", code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "port 80 may not be used by you: choose one above 1023 with --port" in done.stderr


def test_each_log_is_its_own_and_they_are_bounded_in_number(origin: Origin) -> None:
    logs = origin.home / "logs"
    first = standalone.new_log(origin, "reviews")
    os.utime(first, (0, 0))
    with first.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # by a run that takes long
        for number in range(standalone.LOGS_KEPT + 10):
            old = logs / f"digits-{number}.log"
            old.touch()
            os.utime(old, (number, number))
        last = standalone.new_log(origin, "up")
    left = set(logs.iterdir())
    assert {first, last} <= left
    assert len(left) == standalone.LOGS_KEPT + 1


def test_what_cannot_be_brought_ends_the_airflow_that_was_started_for_it(tmp_path: Path, origin: Origin) -> None:
    log = standalone.new_log(origin, "reviews")

    def ready() -> str:
        assert "luodi.airflow.local_run" in children()
        raise LuodiError("no room for it")

    with pytest.raises(LuodiError, match="no room for it"):
        standalone.run_dag(tmp_path, origin, ready, "reviews", log)
    assert "luodi.airflow.local_run" not in children()


def children() -> str:
    """Command lines of the processes that this one started."""
    return "\n".join(" ".join(process.cmdline()) for process in psutil.Process().children())
