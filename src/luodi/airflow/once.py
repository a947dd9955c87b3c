"""Run one DAG once, without a scheduler, against the Airflow of this environment: `python -m luodi.airflow.once`.

Progress goes to standard output, Airflow's own output to a log file, what came of the run to a JSON file. A run that
nobody here approves or rejects stays in Airflow's database, for `luodi up` to go on with.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from airflow.models.dagrun import DagRun
from airflow.sdk import DagRunState, TaskInstanceState
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from luodi.airflow.approval import TASK
from luodi.airflow.desk import Desk, Unanswered, refusal
from luodi.airflow.factory import retrain_dags
from luodi.airflow.operators import COMMIT, outcome
from luodi.files import write_json


class Progress:
    """An Airflow listener that prints a line when a task starts and when it ends."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.started: dict[str, float] = {}
        self.run = ""

    def begin(self, task: str) -> None:
        self.started[task] = time.monotonic()
        if self.out.isatty():
            print(f"  {task:<12} ...", end="\r", flush=True, file=self.out)

    def end(self, task: str, state: str) -> None:
        seconds = time.monotonic() - self.started.pop(task, time.monotonic())
        print(f"  {task:<12} {state:<8} {seconds:6.1f} s", flush=True, file=self.out)

    def idle(self, task: str, state: str) -> None:
        print(f"  {task:<12} {state}", flush=True, file=self.out)


def listen(progress: Progress, desk: Desk) -> None:
    """Attach `progress` and `desk` to the task events of this process."""
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class Listener:
        @hookimpl
        def on_task_instance_running(self, previous_state: Any, task_instance: RuntimeTaskInstance) -> None:
            progress.run = task_instance.run_id
            progress.begin(task_instance.task_id)
            desk.notice(task_instance)

        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: RuntimeTaskInstance) -> None:
            progress.end(task_instance.task_id, "done")

        @hookimpl
        def on_task_instance_failed(self, previous_state: Any, task_instance: RuntimeTaskInstance, error: Any) -> None:
            progress.end(task_instance.task_id, "failed")

    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]


def main(root: Path, model: str, commit: str, log: Path, result: Path) -> int:
    """Run `retrain_MODEL` of `commit`; return 0 unless a task failed."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    progress = Progress(out)
    listen(progress, Desk(out))
    dag = retrain_dags(root)[f"retrain_{model}"]
    try:
        state = dag.test(run_conf={COMMIT: commit}).state
    except Unanswered:
        state = None
    if state == DagRunState.FAILED:
        return 1
    (run,) = DagRun.find(dag_id=dag.dag_id, run_id=progress.run)
    write_json(result, came_of(run, progress))
    return 0


def came_of(run: DagRun, progress: Progress) -> dict[str, Any]:
    """Return what came of a run that did not fail: the word of register or, if it did not run, of the gate.

    With the commit that it ran on and the lock entries of its stages, by which its reports are found.
    """
    tasks = {task.task_id: task for task in run.get_task_instances()}
    for name in ("approve", "register"):
        if name in tasks and tasks[name].state == TaskInstanceState.SKIPPED:
            progress.idle(name, "skipped")
    left = {name: task.xcom_pull(task_ids=name) for name, task in tasks.items()}
    entries = {name: entry for one in left.values() if one for name, entry in one.get("entries", {}).items()}
    ran = {"commit": left["gate"]["commit"], "entries": entries}
    if tasks["register"].state == TaskInstanceState.SUCCESS:
        return {**left["register"], **ran}
    result = {**outcome(left["gate"]["decision"]), **ran}
    asked = tasks.get(TASK)
    if asked and asked.state != TaskInstanceState.SKIPPED:
        verdict, reason = refusal(asked.id)
        result |= {"verdict": verdict, "reasons": [*result["reasons"], reason]}
    return result


if __name__ == "__main__":
    _, root, model, commit, log, result = sys.argv
    sys.exit(main(Path(root), model, commit, Path(log), Path(result)))
