"""A real Airflow task is ended: dvc and the stage that it started end with it."""

import contextlib
import fcntl
import os
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from project import Done, Project

from luodi.local import embedded, standalone
from luodi.system.processes import Runner

pytestmark = pytest.mark.slow


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def commands(project: Project) -> list[str]:
    """Command lines of the project's processes."""
    lines = []
    for process in project.alive():
        try:
            lines.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return lines


def works(project: Project) -> bool:
    return any("luodi validate" in line for line in commands(project))


@pytest.fixture
def project(ran: Done, request: pytest.FixtureRequest) -> Project:
    """A project whose Airflow is set up, with a change that makes validate run."""
    project = ran.project.copy(request.node.name.replace("[", "-").rstrip("]"))
    project.set({"validate": {"max_length": 4000}})
    return project


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ending_a_task_ends_dvc_and_its_stage(project: Project, number: signal.Signals) -> None:
    """SIGTERM is what Airflow's supervisor sends; SIGKILL what it sends next, and what the kernel sends."""
    origin, commit = embedded.prepare(project.root, Runner(print))
    embedded.advance(origin, commit, Runner(print))
    environment = standalone.environment(project.root, origin)
    command = ("airflow", "tasks", "test", "retrain_reviews", "validate", "2026-01-01")
    task = project.start(*command, env=environment)
    try:
        assert wait_for(lambda: works(project), 60), (project.home / "started.log").read_text()
        os.kill(task.pid, number)
        assert wait_for(lambda: not works(project), 5)
        task.wait(30)
        assert wait_for(lambda: commands(project) == [], 5)
    finally:
        for process in project.alive():
            process.kill()
    assert project.versions()[0].name == "reviews@v1.0.0"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.proof),
        pytest.param(signal.SIGHUP, marks=pytest.mark.proof),
    ],
)
def test_ending_luodi_run_ends_everything_and_lands_nothing(project: Project, number: signal.Signals) -> None:
    """SIGINT is what Ctrl-C sends, to the whole foreground group; the others go to the command alone."""
    # A suite that runs in the background ignores SIGINT and SIGHUP, and so would all it starts.
    run = project.start("env", "--default-signal=HUP,INT", "luodi", "run", "reviews")
    try:
        assert wait_for(lambda: works(project), 120), (project.home / "started.log").read_text()
        (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
        assert run.wait(30) != 0
        assert wait_for(lambda: commands(project) == [], 5)
    finally:
        for process in project.alive():
            process.kill()
    assert [version.name for version in project.versions()] == ["reviews@v1.0.0"]
    assert states(project) == {"success": 1, "running": 1}
    project.run("python", "-m", "luodi.airflow.local", env=standalone.environment(project.root, project.origin))
    assert states(project) == {"success": 1, "failed": 1}, "`luodi up` would go on with it"


def test_one_run_at_a_time_makes_airflow_ready(project: Project) -> None:
    """Of two that found the DAG new at once, one failed: `UNIQUE constraint failed: dag_bundle.name`."""
    log = standalone.new_log(project.origin, "reviews")
    command = ("python", "-m", "luodi.airflow.local_run", str(project.root), "reviews", "0", str(log), "r", "0")
    with (project.origin.home / "airflow" / "migrating").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        run = project.start(*command, env=standalone.environment(project.root, project.origin))
        try:
            blocked = re.compile(rf"-> FLOCK +ADVISORY +WRITE {run.pid} ")
            assert wait_for(lambda: blocked.search(Path("/proc/locks").read_text()) is not None, 60), log.read_text()
            assert states(project) == {"success": 1}
        finally:
            run.kill()
            run.wait()


def states(project: Project) -> dict[str, int]:
    """How many runs Airflow knows in each state."""
    with contextlib.closing(sqlite3.connect(project.origin.home / "airflow" / "airflow.db")) as database:
        return Counter(state for (state,) in database.execute("SELECT state FROM dag_run"))


@pytest.mark.proof
def test_luodi_run_beside_luodi_up_is_its_own_and_over_when_it_is_killed(project: Project) -> None:
    """The scheduler neither runs its tasks, nor goes on with it, nor waits for it before its own next run."""
    up = project.start("luodi", "up", "--port", "18473")
    ready = project.home / "started.log"
    try:
        assert wait_for(lambda: "Airflow is ready" in ready.read_text(), 240), ready.read_text()
        project.run("luodi", "run", "reviews")  # the same model
        assert states(project) == {"success": 2}
        logs = project.origin.home / "airflow" / "logs" / "dag_id=retrain_reviews"
        assert {path.name for path in logs.glob("*/task_id=*/*")} == {"attempt=1.log"}
        project.set({"validate": {"max_length": 4001}})
        run = project.start("luodi", "run", "reviews")
        assert wait_for(lambda: works(project), 120)
        run.kill()
        run.wait(30)
        assert wait_for(lambda: not works(project), 5)
        assert wait_for(lambda: states(project) == {"success": 2, "failed": 1}, 60)
        assert up.is_running()
        up.kill()
        up.wait(30)
        assert wait_for(lambda: commands(project) == [], 5)
    finally:
        for process in project.alive():
            process.kill()
