"""Airflow on one machine, on SQLite: one run of a DAG, or all of it until Ctrl-C."""

import base64
import contextlib
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from luodi.errors import NO_DATABASE, DiskFull, LuodiError, StageFailed
from luodi.files import in_use, private, read_json, write_text
from luodi.local.embedded import BOT
from luodi.project.origin import Origin
from luodi.system import disk, processes, progress
from luodi.system.guard import GRACE
from luodi.system.processes import dies_too, end_group
from luodi.system.progress import Heartbeat

DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
SETTINGS = """\
# Made once: by these the parts of Airflow know each other. All else is Airflow's default, or set by luodi.
[core]
fernet_key = {}
[api]
secret_key = {}
[api_auth]
jwt_secret = {}
"""
PARTS = (
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("api-server",),
    ("triggerer", "--skip-serve-logs"),
)
LOGS_KEPT = 20


def environment(root: Path, origin: Origin) -> dict[str, str]:
    """The variables under which Airflow runs the DAGs of `root` against `origin`."""
    variables = {
        "AIRFLOW_HOME": str(origin.home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        # Of this folder, even if it was copied or moved with the settings that Airflow once wrote into it.
        # Several processes write: they wait for each other, in seconds.
        DATABASE: os.environ.get(DATABASE) or f"sqlite:///{origin.home / 'airflow' / 'airflow.db'}?timeout=60",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "luodi.airflow.hostname",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(origin.home / "airflow" / "logs"),
        "AIRFLOW__API__EXPOSE_CONFIG": "False",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__API__ENABLE_SWAGGER_UI": "False",  # a page whose scripts come from another host
        # A machine of two cores that is busy training may answer late, and only after the scheduler began: a task that
        # gave up after 12 seconds had one try less.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "9",  # within some minutes
        "PATH": processes.path(),
        "PYTHONPATH": str(root / "src"),
        "LUODI_POOLS": os.environ.get("LUODI_POOLS", "gpu"),  # see `luodi.airflow.local.make_pool`
        "LUODI_SINCE": datetime.now(UTC).isoformat(),  # what the schedules asked for before, nobody saw
    }
    identity = {
        f"GIT_{role}_{part}": os.environ.get(f"GIT_{role}_{part}", value)
        for role in ("AUTHOR", "COMMITTER")
        for part, value in BOT.items()
    }
    return origin.environment() | variables | identity


@private()
def new_log(origin: Origin, name: str) -> Path:
    """Make the log file of what begins now; keep the last ones, and those in use."""
    log = origin.home / "logs" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    for old in sorted(log.parent.glob("*.log"), key=os.path.getmtime)[:-LOGS_KEPT]:
        if not in_use(old):
            old.unlink(missing_ok=True)
    return log


@private()
def run_dag(
    root: Path, origin: Origin, ready: Callable[[], str], model: str, log: Path, **asked: Any
) -> Mapping[str, Any]:
    """Run `retrain_MODEL` on Airflow, its progress on standard output; return the result of register.

    While Airflow starts, `ready` brings what is to run to the origin, and returns the commit. `asked` is what the
    conf of the run says beside it, as the form of Airflow has it.

    Raises:
        StageFailed: A task failed; the message ends with the last lines of `log`.
        LuodiError: Airflow's database cannot be reached or brought up to date.
    """
    variables = {**os.environ, **environment(root, origin)}
    result = log.with_suffix(".json")
    reading, writing = os.pipe()
    arguments = [str(root), model, str(reading), str(log), str(result), str(time.monotonic())]
    command = [*dies_too("KILL"), sys.executable, "-m", "luodi.airflow.local_run", *arguments]
    to = subprocess.DEVNULL if progress.silent() else None  # it asks for approval on standard error
    _settle(origin)
    with Heartbeat("starting Airflow", unless=lambda: in_use(log)), os.fdopen(writing, "w") as conf:
        process = subprocess.Popen(command, env=variables, stdout=to, pass_fds=(reading,))
        os.close(reading)
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended, and says why
                conf.write(json.dumps({"commit": ready(), **asked}))
                conf.close()
            failed = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if failed == NO_DATABASE:
        raise _no_database(log)
    if failed:
        raise _failed(StageFailed, f"retrain_{model} failed", log)
    outcome: Mapping[str, Any] = read_json(result)
    result.unlink()
    return outcome


@private()
def command(root: Path, origin: Origin, arguments: Sequence[str]) -> int:
    """Run `airflow ARGUMENTS` in the environment of the embedded Airflow; return its exit code.

    Raises:
        LuodiError: Airflow's database could not be made.
    """
    variables = {**os.environ, **environment(root, origin)}
    _settle(origin)
    log = new_log(origin, "airflow")
    started = [*dies_too("KILL"), sys.executable, "-m", "luodi.airflow.command", str(log), *arguments]
    if (code := subprocess.run(started, check=False, env=variables).returncode) == NO_DATABASE:
        raise _no_database(log)
    return code


def _settle(origin: Origin) -> None:
    """Write the settings of the embedded Airflow, once."""
    home = origin.home / "airflow"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "migrating").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # see `luodi.airflow.local.alone`
        if not (home / "airflow.cfg").exists():
            keys = (base64.urlsafe_b64encode(os.urandom(32)).decode() for _ in range(3))
            write_text(home / "airflow.cfg", SETTINGS.format(*keys))


def _airflow(module: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
    """Run a module that works on Airflow's database."""
    with log.open("ab") as file:
        command = [*dies_too("KILL"), sys.executable, "-m", *module]
        if subprocess.run(command, check=False, stdout=file, stderr=file, env=variables).returncode:
            raise _no_database(log)


@private()
def stand(root: Path, origin: Origin, port: int) -> None:
    """Run Airflow until it is interrupted, the DAGs' schedules on; print its URL, its login and when models run next.

    Nothing listens but its pages, on this machine: its parts share the folder of the logs, and need no log server.

    Raises:
        LuodiError: The port cannot be used, or a part of Airflow ended by itself.
    """
    _require_free(port)
    url = f"http://localhost:{port}"
    variables = {
        **os.environ,
        **environment(root, origin),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "0",  # where none is, none is asked
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": "0",
    }
    log = new_log(origin, "up")
    progress.tell(f"starting Airflow (log: {log})")
    began = time.monotonic()
    with Heartbeat("starting Airflow"):
        _settle(origin)
        next_runs = _load_dags(variables, log)
    parts: dict[str, subprocess.Popen[bytes]] = {}
    try:
        _start(parts, variables, log)
        with Heartbeat("starting Airflow", since=began):
            while not (ended := _ended(parts)) and not _answers(f"{url}/api/v2/monitor/health"):
                time.sleep(1)
        if not ended:
            _welcome(url, origin, next_runs)
        _wait(parts, variables, log)
        raise _failed(LuodiError, f"Airflow's {_ended(parts)} ended by itself", log)
    except KeyboardInterrupt:
        progress.tell("stopping Airflow")
    finally:
        until = time.monotonic() + GRACE / 2  # for all of them together: the guard does not wait longer for this one
        for process in parts.values():
            process.terminate()
        for process in parts.values():
            end_group(process, max(until - time.monotonic(), 0.1))


def _load_dags(variables: Mapping[str, str], log: Path) -> dict[str, str | None]:
    """End in Airflow's database what was killed, and load the DAGs; return when each runs next."""
    result = log.with_suffix(".json")
    _airflow(["luodi.airflow.local", str(result)], variables, log)
    times: dict[str, str | None] = read_json(result)
    result.unlink()
    return times


def _start(parts: dict[str, "subprocess.Popen[bytes]"], variables: Mapping[str, str], log: Path) -> None:
    with log.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # kept by the parts
        for name, *options in PARTS:
            # Guarded each: the scheduler's workers do not notice that it was killed.
            command = [*dies_too("KILL"), sys.executable, "-m", "luodi.system.guard", "airflow", name, *options]
            parts[name] = subprocess.Popen(command, stdout=file, stderr=file, env=variables, start_new_session=True)


def _welcome(url: str, origin: Origin, next_runs: Mapping[str, str | None]) -> None:
    passwords = read_json(origin.home / "airflow" / "simple_auth_manager_passwords.json.generated")
    print(f"Airflow is ready: {url}\nlogin: admin\npassword: {passwords['admin']}")
    for name, at in next_runs.items():
        print(f"{name.removeprefix('retrain_')}: {_when(at)}")
    print("a run at once: `luodi run MODEL`, or Trigger on the DAG's page\nend it with Ctrl-C", flush=True)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise LuodiError(f"port {port} may not be used by you: choose one above 1023 with --port") from None
        except OSError:
            raise LuodiError(f"port {port} is taken: stop what listens there, or choose another with --port") from None


def _ended(parts: Mapping[str, "subprocess.Popen[bytes]"]) -> str:
    return next((name for name, process in parts.items() if process.poll() is not None), "")


def _wait(parts: Mapping[str, "subprocess.Popen[bytes]"], variables: Mapping[str, str], log: Path) -> None:
    """Wait until a part of Airflow ends; each time a `luodi run` beside it is over, see whether it was killed."""
    before: set[Path] = set()
    while not _ended(parts):
        running = {path for path in log.parent.glob("*.log") if in_use(path)}
        if before - running:
            _airflow(["luodi.airflow.local"], variables, log)
        before = running
        time.sleep(1)


def _when(time_of_run: str | None) -> str:
    if time_of_run is None:
        return "paused, or without a schedule"
    at = datetime.fromisoformat(time_of_run)
    return "runs at once" if at <= datetime.now(UTC) else f"next run {at.astimezone():%Y-%m-%d %H:%M %Z}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310, the URL is our own
            return bool(answer.status == 200)
    except OSError:
        return False


def _no_database(log: Path) -> LuodiError:
    return _failed(LuodiError, "Airflow's database could not be made or updated", log)


def _failed(kind: type[LuodiError], what: str, log: Path) -> LuodiError:
    """What ended Airflow, by its log; where that was the disk, which may have cut off the log too, in one line."""
    why = _why(log)
    told = re.findall(r"(?:DiskFull|FailException): (.*(?:the disk is full|a file may not grow).*)", "\n".join(why))
    full = told[-1] if told else disk.full_in("\n".join(why), log.parent) or (None if why else disk.probe(log.parent))
    return DiskFull(f"{what}: {full}") if full else kind(f"{what}; the end of {log}:", *why)


def _why(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace")
    # An error of ours to its last line, which stands before the next line of the log's own.
    if told := re.findall(r"^error: .*(?:\n(?!\d{4}-\d\d-|Traceback|$).*)*", text, re.MULTILINE):
        return str(told[-1]).splitlines()
    lines = text.splitlines()
    errors = [line for line in lines if "error: " in line or "ERROR" in line]
    said = [line for line in lines if line and not line.startswith((" ", "Traceback"))]
    return (errors or said)[-15:]
