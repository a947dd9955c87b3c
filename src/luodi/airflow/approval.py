"""The task that waits for a person, who reads what the gate found, and approves or rejects."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from luodi import config
from luodi.airflow import notifying, pages
from luodi.airflow.trigger import LOST
from luodi.registry.records import Approval, Decision
from luodi.report.formatting import part

if TYPE_CHECKING:
    from airflow.sdk import Context

TASK = "approve"


class ApproveOperator(ApprovalOperator):
    """Show the gate's decision and wait, in no process; no answer in time is a rejection, which skips what follows."""

    template_fields = ()  # the texts hold what data say: they are put together, never rendered

    def __init__(
        self, *, model: str, notify: config.Notify | None = None, language: config.Language = "en", **kwargs: Any
    ) -> None:
        kwargs.pop("params", None)  # those of the DAG, by which a run is triggered: no part of the question
        kwargs["execution_timeout"] = None  # `response_timeout` limits the wait
        comment = Param("", type="string", title="Comment", description="Kept with the version.")
        super().__init__(
            subject=f"Land {model}?",
            defaults=self.REJECT,
            params={"comment": comment},
            **kwargs,
        )
        self.model, self.notify, self.language = model, notify, language

    def execute(self, context: "Context") -> Any:
        if not (judged := context["ti"].xcom_pull(task_ids="gate")):
            raise AirflowFailException(LOST.format("gate"))
        decision = Decision.from_json(judged["decision"])
        self.subject = f"Land {self.model}? The gate says: {decision.verdict}"
        self.body = body(self.model, decision, context["ti"].dag_id, context["ti"].run_id, self.language)
        if self._asked(context).body != self.body:
            raise AirflowFailException(
                "the gate has judged again since this question was asked, and Airflow keeps the words of a question: "
                "trigger a new run"
            )
        text = f"{self._form(context)}\n\n{self.body}"
        notifying.tell(context, self.notify, "approval", self.subject, key=context["run_id"], text=text)
        return super().execute(context)

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> Any:
        if event.get("chosen_options") == [self.REJECT]:
            who = event.get("responded_by_user")
            why = f"{who['name']} rejected it" if who else "nobody answered in time"
            notifying.held(context, self.notify, self.model, ["rejected", why])
        return super().execute_complete(context, event)

    def _form(self, context: "Context") -> str:
        """Where a person answers; nothing if Airflow was not told its own address."""
        try:
            return self.generate_link_to_ui_from_context(context=context)
        except ValueError:
            return "Answer in Airflow, under Required Actions."

    def _asked(self, context: "Context") -> Any:
        """Ask, and return the question as Airflow shows it: when the task was cleared, that is still the first one."""
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        question = {name: getattr(self, name) for name in ("options", "subject", "body", "defaults", "multiple")}
        who: dict[str, Any] = {"params": self.serialized_params, "assigned_users": []}
        return SUPERVISOR_COMMS.send(CreateHITLDetailPayload(ti_id=context["ti"].id, **question, **who))


def body(model: str, decision: Decision, dag_id: str, run_id: str, lang: str = "en") -> str:
    """Return, in Markdown, what the gate found and links to the pages of the run."""
    from luodi.registry import acting, card
    from luodi.report.language import markdown

    links = " | ".join(f"[{page}]({pages.link(dag_id, run_id, page, lang)})" for page in pages.TASKS)
    names = frozenset(part(decision.metrics, "classes"))
    facts = decision.to_json()
    said = card.summary(facts, acting.todo(model, facts, "airflow"))
    return f"{markdown(said, lang, names)}\n\nReports: {links}\n"


def given(answer: Mapping[str, Any]) -> bool:
    """Whether what the task returned says that a person approved."""
    return answer["chosen_options"] == [ApprovalOperator.APPROVE] and bool(answer["responded_by_user"])


def record(answer: Mapping[str, Any]) -> Approval:
    """Return what is kept of an approval."""
    who = answer["responded_by_user"]
    by = who["name"] if who["name"] == who["id"] else f"{who['name']} ({who['id']})"
    comment = answer["params_input"].get("comment", "")
    return Approval(mode="human", by=by, at=answer["responded_at"], comment=comment)
