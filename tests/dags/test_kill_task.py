"""A real Airflow task is ended: dvc and the stage that it started end with it."""

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest
from project import Done, Project

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
    from luodi import embedded
    from luodi.processes import Runner

    origin, commit = embedded.prepare(project.root, Runner(print))
    embedded.advance(origin, commit, Runner(print))
    environment = embedded.environment(project.root, origin)
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


def test_interrupting_luodi_run_ends_everything(project: Project) -> None:
    """Ctrl-C on a terminal: SIGINT to the whole foreground group."""
    # A suite that runs in the background ignores SIGINT, and so would all it starts.
    run = project.start("env", "--default-signal=INT", "luodi", "run", "reviews")
    try:
        assert wait_for(lambda: works(project), 90), (project.home / "started.log").read_text()
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(30) != 0
        assert wait_for(lambda: commands(project) == [], 5)
    finally:
        for process in project.alive():
            process.kill()
    assert [version.name for version in project.versions()] == ["reviews@v1.0.0"]
