"""Where a run without a scheduler asks for approval: at the terminal, if there is one."""

import getpass
import signal
import sys
import threading
import time
from typing import Any, TextIO

from airflow.models.hitl import HITLDetail
from airflow.sdk import TaskInstanceState
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.utils.session import create_session

from luodi.airflow.approval import TASK, ApproveOperator

POLL = 0.5  # seconds
LATER = "the run waits for approval: run `luodi up` and answer there, under Required Actions; nothing is computed again"
CHOICES = (ApproveOperator.APPROVE, ApproveOperator.REJECT)


class Unanswered(KeyboardInterrupt):
    """Nobody answers here: ends the wait of `dag.test()` as Ctrl-C would."""


class Desk:
    """Asks in a thread of its own, because the main one runs the DAG and waits.

    Raises Unanswered in the main thread if there is no terminal, or the person there leaves the answer to later.
    """

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.asked = False
        signal.signal(signal.SIGUSR1, self._leave)

    def notice(self, instance: RuntimeTaskInstance) -> None:
        """Take note of a task that starts: the one that asks starts twice, before the answer and after."""
        if instance.task_id == TASK and not self.asked:
            self.asked = True
            threading.Thread(target=self._attend, args=(instance,), daemon=True).start()

    def _attend(self, instance: RuntimeTaskInstance) -> None:
        question = wait(instance.id)
        if answer := self._ask(question) if sys.stdin.isatty() else None:
            respond(instance.dag_id, instance.run_id, *answer)
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _ask(self, question: str) -> tuple[str, str] | None:
        """Return one of `CHOICES` and a comment; None if that is left to later."""
        print(f"\n{question}\n", file=self.out)
        reply = self._read("approve, reject, or Enter to decide later: ").lower()
        chosen = next((choice for choice in CHOICES if reply and choice.lower().startswith(reply)), None)
        return (chosen, self._read("comment: ")) if chosen else None

    def _read(self, prompt: str) -> str:
        print(prompt, end="", flush=True, file=self.out)
        return sys.stdin.readline().strip()

    def _leave(self, number: int, frame: Any) -> None:
        raise Unanswered


def wait(task: Any) -> str:
    """Wait until the task instance of that id waits for an answer; return its question."""
    while True:
        with create_session() as session:
            detail = session.get(HITLDetail, task)
            if detail and detail.task_instance.state == TaskInstanceState.AWAITING_INPUT:
                return f"{detail.subject}\n\n{detail.body}"
        time.sleep(POLL)


def respond(dag_id: str, run_id: str, choice: str, comment: str) -> None:
    """Record an answer by whoever runs this process, as Airflow's REST API does."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail

    payload = UpdateHITLDetailPayload(chosen_options=[choice], params_input={"comment": comment})
    person = SimpleAuthManagerUser(username=getpass.getuser(), role=None)
    with create_session() as session:
        update_hitl_detail(dag_id, run_id, TASK, payload, person, session)


def refusal(task: Any) -> tuple[str, str]:
    """Return why the task instance of that id, which asks for approval, let nothing land: a verdict and a reason."""
    with create_session() as session:
        detail = session.get_one(HITLDetail, task)
        if not detail.response_received:
            return "waiting for approval", LATER
        who = detail.responded_by_user
        comment = detail.params_input.get("comment")
        return "rejected", f"rejected by {who['name'] if who else 'nobody'}" + (f": {comment}" if comment else "")
