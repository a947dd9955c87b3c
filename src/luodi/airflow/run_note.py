"""The note of a run that ended: what came of it, where Airflow's pages list runs.

The plugin listens for runs that end: Airflow tells the scheduler, in the transaction that says so.
"""

from collections.abc import Mapping
from typing import Any

from airflow.listeners import hookimpl
from airflow.models.dagrun import DagRun
from sqlalchemy.orm import Session, object_session

from luodi.airflow import dag_ids, inbox
from luodi.airflow.trigger import FIRST, MORE, NOTHING_NEW
from luodi.report.formatting import at, text, texts
from luodi.terminal import shown

LENGTH = 900  # characters; Airflow takes 1,000


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Note what came of a run of luodi's; `luodi run`, which holds no session here, does so after it."""
    if session := object_session(dag_run):
        note(dag_run, session)


def note(run: DagRun, session: Session) -> None:
    """Note what came of a run of luodi's, unless a person wrote a note of their own."""
    left = _left(run, session)
    if (files := left.get(inbox.TASK, {}).get("files")) and not run.note:
        run.note = shown(inbox.said(files), LENGTH)
    came = said(left["gate"], left.get("register")) if left.get("gate") else left.get(FIRST, {}).get(NOTHING_NEW)
    why = run.note if run.run_id.startswith(MORE) else None  # which luodi wrote itself
    if came and (why or not run.note):
        run.note = shown("; ".join(filter(None, [why, came])), LENGTH)


def said(gate: Mapping[str, Any], register: Mapping[str, Any] | None) -> str:
    """Return one line: what landed, or why nothing did.

    Args:
        gate, register: What these tasks returned; None of one that was skipped.
    """
    if version := at(register, "version"):
        return f"landed {text(version)}" if at(register, "new") else f"{text(version)} is this model already"
    decision = gate["decision"] if register is None else register["decision"]
    verdict, reasons = text(at(decision, "verdict")), texts(decision, "reasons")
    dry = "a dry run says " if register is None and at(decision, "dry") else ""
    return shown(f"nothing landed: {dry}{'; '.join([verdict, *reasons])}", LENGTH)


def _left(run: DagRun, session: Session) -> dict[str, Any]:
    """What tasks that decide returned, by their ids; nothing of a DAG that is none of luodi's."""
    if not dag_ids.is_of(run.dag_id, "retrain", "ingest"):
        return {}
    tasks = {task.task_id: task for task in run.get_task_instances(session=session)}
    ours = [name for name in (inbox.TASK, FIRST, "gate", "register") if name in tasks]
    pulled = {name: tasks[name].xcom_pull(task_ids=name, session=session) for name in ours}
    return {name: one for name, one in pulled.items() if isinstance(one, Mapping)}
