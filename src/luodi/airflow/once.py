"""Run one DAG once, without a scheduler, against the Airflow of this environment: `python -m luodi.airflow.once`.

Progress goes to standard output, Airflow's own output to a log file, the result of `register` to a JSON file.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from airflow.sdk import DagRunState, TaskInstanceState
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from luodi.airflow.factory import retrain_dags
from luodi.files import write_json


class Progress:
    """An Airflow listener that prints a line when a task starts and when it ends."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.started: dict[str, float] = {}

    def begin(self, task: str) -> None:
        self.started[task] = time.monotonic()
        if self.out.isatty():
            print(f"  {task:<12} ...", end="\r", flush=True, file=self.out)

    def end(self, task: str, state: str) -> None:
        seconds = time.monotonic() - self.started.pop(task, time.monotonic())
        print(f"  {task:<12} {state:<8} {seconds:6.1f} s", flush=True, file=self.out)


def listen(progress: Progress) -> None:
    """Attach `progress` to the task events of this process."""
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class Listener:
        @hookimpl
        def on_task_instance_running(self, previous_state: Any, task_instance: RuntimeTaskInstance) -> None:
            progress.begin(task_instance.task_id)

        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: RuntimeTaskInstance) -> None:
            progress.end(task_instance.task_id, "done")

        @hookimpl
        def on_task_instance_failed(self, previous_state: Any, task_instance: RuntimeTaskInstance, error: Any) -> None:
            progress.end(task_instance.task_id, "failed")

    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]


def main(root: Path, model: str, log: Path, result: Path) -> int:
    """Run `retrain_MODEL`; return 0 if the run succeeded."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    listen(Progress(out))
    run = retrain_dags(root)[f"retrain_{model}"].test()
    if run.state != DagRunState.SUCCESS:
        return 1
    register = run.get_task_instance("register")
    assert register is not None and register.state == TaskInstanceState.SUCCESS
    write_json(result, register.xcom_pull(task_ids="register"))
    return 0


if __name__ == "__main__":
    _, root, model, log, result = sys.argv
    sys.exit(main(Path(root), model, Path(log), Path(result)))
