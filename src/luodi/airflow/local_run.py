"""Run one DAG once, without a scheduler, against the Airflow of this environment: `python -m luodi.airflow.local_run`.

Progress goes to standard output, the question for approval to standard error, Airflow's own output to a log file, what
came of the run to a JSON file. A run that nobody here approves or rejects stays in Airflow's database, for `luodi up`
to go on with.
"""

import fcntl
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from airflow import settings
from airflow.configuration import conf
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG, DagRunState, TaskInstanceState
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.utils.helpers import log_filename_template_renderer

from luodi import terminal
from luodi.airflow import local
from luodi.airflow.approval import TASK
from luodi.airflow.factory import retrain_dags
from luodi.airflow.operators import measured, outcome
from luodi.airflow.terminal_approval import Desk, Unanswered, refusal
from luodi.errors import NO_DATABASE
from luodi.files import write_json
from luodi.project import standing_dvc
from luodi.registry.records import Decision
from luodi.system.progress import Heartbeat


class Progress:
    """Prints a line when a task starts and when it ends; the heartbeat learns what runs."""

    def __init__(self, out: TextIO, heartbeat: Heartbeat) -> None:
        self.out = out
        self.heartbeat = heartbeat
        self.started: dict[str, float] = {}
        self.run = ""

    def begin(self, task: str) -> None:
        self.started[task] = time.monotonic()
        self.heartbeat.now(None if task == TASK else f"running {task}")  # who is asked need not be told
        if self.out.isatty():
            print(f"  {task:<12} ...", end="\r", flush=True, file=terminal.bare(self.out))

    def end(self, task: str, state: str) -> None:
        seconds = time.monotonic() - self.started.pop(task, time.monotonic())
        self.heartbeat.now("running the DAG")
        print(f"  {task:<12} {state:<8} {seconds:6.1f} s", flush=True, file=self.out)

    def idle(self, task: str, state: str) -> None:
        print(f"  {task:<12} {state}", flush=True, file=self.out)


class TaskLogs:
    """Copies what is added to the run's log while a task runs to the task's own log, which Airflow's pages show."""

    def __init__(self, log: Path) -> None:
        self.log = log.open("rb")
        self.task: BinaryIO | None = None
        self.lock = threading.Lock()
        threading.Thread(target=self._follow, daemon=True).start()

    def begin(self, task: RuntimeTaskInstance) -> None:
        path = Path(conf.get("logging", "base_log_folder"), log_filename_template_renderer()(ti=task))
        path.parent.mkdir(parents=True, exist_ok=True)
        self.copy()
        with self.lock:
            self.log.seek(0, os.SEEK_END)
            self.task = path.open("ab", buffering=0)

    def copy(self) -> None:
        with self.lock:
            if self.task:
                self.task.write(self.log.read())

    def _follow(self) -> None:
        while True:
            time.sleep(1)
            self.copy()


def listen(progress: Progress, desk: Desk, logs: TaskLogs, turn: ExitStack) -> None:
    """Attach these to the task events of this process; with the first, it is the turn of another."""
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class Listener:
        @hookimpl
        def on_task_instance_running(self, previous_state: Any, task_instance: RuntimeTaskInstance) -> None:
            turn.close()
            progress.run = task_instance.run_id
            progress.begin(task_instance.task_id)
            logs.begin(task_instance)
            desk.notice(task_instance)

        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: RuntimeTaskInstance) -> None:
            progress.end(task_instance.task_id, "done")
            logs.copy()

        @hookimpl
        def on_task_instance_failed(self, previous_state: Any, task_instance: RuntimeTaskInstance, error: Any) -> None:
            progress.end(task_instance.task_id, "failed")
            logs.copy()

    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]


def speak_newest() -> None:
    """Let Airflow's API in this process speak its newest version alone, as its one client does.

    To make the older ones too takes it three seconds of each run, before the first task.
    """
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG

    routes = execution_api_router.routes
    routes[:] = [route for route in routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]  # of older ones
    versions.bundle = VersionBundle(HeadVersion(), Version(versions.bundle.versions[0].value))


def main(root: Path, model: str, asked: int, log: Path, result: Path, *, began: float) -> int:
    """Run `retrain_MODEL` with the conf that comes through the pipe `asked`, for one who waits since `began`.

    Returns:
        The exit code: 0, or 1 if a task failed, or NO_DATABASE.
    """
    out, err = (
        terminal.screen(os.fdopen(os.dup(number), "w", encoding="utf-8", errors="backslashreplace"))
        for number in (1, 2)
    )
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    fcntl.flock(1, fcntl.LOCK_EX)  # as long as this process lives
    standing_dvc.begin()  # it is ready when Airflow is
    with Heartbeat("starting Airflow", out, since=began) as heartbeat:
        progress, turn = Progress(out, heartbeat), ExitStack()
        turn.enter_context(local.alone())
        try:
            local.make_database()
        except (Exception, SystemExit):
            traceback.print_exc()  # into the log
            return NO_DATABASE
        speak_newest()
        listen(progress, Desk(err), TaskLogs(log), turn)
        local.end_killed()
        dag = retrain_dags(root)[f"retrain_{model}"]
        for task in dag.tasks:
            task.pool = f"{local.OWN}{log}"
        with os.fdopen(asked) as pipe:
            given = json.load(pipe)
        state = ran(dag, given)
    (run,) = DagRun.find(dag_id=dag.dag_id, run_id=progress.run)
    local.release(run)
    if state == DagRunState.FAILED:
        return 1
    write_json(result, came_of(run, progress))
    return 0


def ran(dag: DAG, given: dict[str, Any]) -> str | None:
    """Run `dag` with the conf `given`, and return its state; None if a question was left to later."""
    try:
        state: str = dag.test(run_conf=given).state
    except Unanswered:
        if settings.Session:
            settings.Session.remove()  # Airflow leaves it open, maybe in the middle of a query
        return None
    return state


def came_of(run: DagRun, progress: Progress) -> dict[str, Any]:
    """Return what came of a run that did not fail: the word of register or, if it did not run, of the gate.

    With the commit that it ran on, the lock entries of its stages, by which its reports are found, and what it cost.
    """
    tasks = {task.task_id: task for task in run.get_task_instances()}
    for name in ("approve", "register"):
        if name in tasks and tasks[name].state == TaskInstanceState.SKIPPED:
            progress.idle(name, "skipped")
    found = {name: task.xcom_pull(task_ids=name) for name, task in tasks.items()}
    left = {name: one for name, one in found.items() if isinstance(one, Mapping)}  # mapped tasks left several
    entries = {name: entry for one in left.values() for name, entry in one.get("entries", {}).items()}
    ran = {"commit": left["gate"]["commit"], "entries": entries, "training": measured(left)}
    if tasks["register"].state == TaskInstanceState.SUCCESS:
        return {**left["register"], **ran}
    result = {**outcome(Decision.from_json(left["gate"]["decision"])), **ran}
    asked = tasks.get(TASK)
    if asked and asked.state != TaskInstanceState.SKIPPED:
        verdict, reason = refusal(asked.id)
        result |= {"verdict": verdict, "reasons": [*result["reasons"], reason]}
    return result


if __name__ == "__main__":
    _, root, model, asked, log, result, began = sys.argv
    sys.exit(main(Path(root), model, int(asked), Path(log), Path(result), began=float(began)))
