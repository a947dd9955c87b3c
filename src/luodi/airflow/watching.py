"""The task of `watch_MODEL`: somebody is told where nothing happened for as long as `notify.silence` says."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from luodi import config
from luodi.airflow import notifying
from luodi.airflow.dag_ids import dag_id
from luodi.airflow.operators import Job, WorkspaceOperator
from luodi.airflow.trigger import FIRST

if TYPE_CHECKING:
    from airflow.sdk import Context

    from luodi.registry.silence import Last

TASK = "watch"
SILENT = {
    "ingested": "no new rows came",
    "run": f"no scheduled run got past {FIRST}",
    "landed": "no version landed",
}


class WatchOperator(WorkspaceOperator):
    """Tell of each silence once; return what happened last, and when, where that is longer ago than it may be."""

    def __init__(self, *, notify: config.Notify, **kwargs: Any) -> None:
        super().__init__(notify=notify, **kwargs)
        self.silence = notify.silence

    def execute(self, context: "Context") -> dict[str, Any]:
        result = super().execute(context)
        for what, (name, at) in result["silent"].items():
            title = f"{self.model}: {SILENT[what]} for {(datetime.now(UTC) - datetime.fromisoformat(at)).days} days"
            text = f"{title}, since {at}; expected within {getattr(self.silence, what)} (notify.silence.{what})"
            notifying.tell(context, self.notify, "silence", title, key=f"{what} {name}", text=text)
        return result

    def work(self, job: Job) -> dict[str, Any]:
        found = {
            what: last
            for what in SILENT
            if (days := getattr(self.silence, what)) and (last := self._last(job, what, days))
        }
        return {"silent": {what: [last.name, last.at.isoformat()] for what, last in found.items()}}

    def _last(self, job: Job, what: str, days: int) -> "Last | None":
        """What happened last, if that is longer ago than it may be."""
        from luodi.registry import silence

        if what == "ingested":
            return silence.ingested(job.origin, self.model, days, job.runner)
        if what == "run":
            last = _ran(dag_id("retrain", self.model, self.project))
        else:
            last = silence.landed(job.origin, self.model, job.runner)
        last = last or silence.began(job.origin, job.runner)
        return last if last.longer_than(days) else None


def _ran(dag: str) -> "Last | None":
    """The last scheduled run of a DAG that got past its first task. Airflow tells no task of others."""
    from airflow.sdk import TaskInstanceState
    from airflow.sdk.execution_time.comms import GetPreviousTI, PreviousTIResult
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    from luodi.registry.silence import Last

    asked = GetPreviousTI(dag_id=dag, task_id=FIRST, logical_date=datetime.now(UTC), state=TaskInstanceState.SUCCESS)
    answer = SUPERVISOR_COMMS.send(asked)
    task = answer.task_instance if isinstance(answer, PreviousTIResult) else None
    return Last(task.run_id, task.end_date) if task and task.end_date else None
