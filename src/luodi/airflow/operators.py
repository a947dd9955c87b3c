"""The two kinds of task. Each works in a private clone, in subprocesses; hashes travel by XCom, bytes by DVC."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from luodi import locks, workspace
from luodi.errors import DataError, LuodiError, ParamsError, StageFailed, ValidationFailed
from luodi.origin import Origin
from luodi.processes import Runner

if TYPE_CHECKING:
    from airflow.sdk import Context

# What no retry can mend: the same commit and the same data would fail the same way again.
FINAL = {
    kind.exit_code for root in (DataError, ParamsError, ValidationFailed) for kind in (root, *root.__subclasses__())
}


class WorkspaceOperator(BaseOperator):
    """A task with a subprocess: its output streams into the task's log, and it dies with the task."""

    template_fields = ("model",)

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self._runner: Runner | None = None

    def execute(self, context: "Context") -> dict[str, Any]:
        self._runner = Runner(self.log.info)
        upstream = self._upstream(context)
        origin = Origin.from_environment()
        commit = upstream[0]["commit"] if upstream else workspace.head(origin, self._runner)
        entries = {name: entry for result in upstream for name, entry in result["entries"].items()}
        try:
            return self.work(origin, commit, entries, self._runner)
        except StageFailed as error:
            raise (AirflowFailException if error.code in FINAL else LuodiError)(str(error)) from None

    @abstractmethod
    def work(self, origin: Origin, commit: str, entries: locks.Entries, runner: Runner) -> dict[str, Any]:
        """Do the task at `commit` with the lock entries of the tasks before it; return what goes to XCom."""

    def on_kill(self) -> None:
        if self._runner:
            self._runner.kill()

    def _upstream(self, context: "Context") -> list[Mapping[str, Any]]:
        """Results of all tasks before this one, nearest or not: a lock holds the whole history of a run."""
        tasks = sorted(self.get_flat_relative_ids(upstream=True))
        return [context["ti"].xcom_pull(task_ids=task) for task in tasks]


class StageOperator(WorkspaceOperator):
    """Run one stage of dvc.yaml; return the commit and the stage's new lock entry."""

    def __init__(self, *, stage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage = stage

    def work(self, origin: Origin, commit: str, entries: locks.Entries, runner: Runner) -> dict[str, Any]:
        with workspace.clone(origin, commit, runner) as clone:
            locks.write(clone.lock, {**locks.read(clone.lock), **entries})
            return {"commit": commit, "entries": clone.reproduce(f"{self.stage}@{self.model}")}


class RegisterOperator(WorkspaceOperator):
    """Land the run's model; return the verdict."""

    def work(self, origin: Origin, commit: str, entries: locks.Entries, runner: Runner) -> dict[str, Any]:
        from luodi import landing

        result = landing.register(origin, commit, self.model, entries, runner)
        for reason in result.reasons:
            self.log.warning("not landed: %s", reason)
        return {
            "verdict": "hold" if result.reasons else "promote",
            "new": result.new,
            "reasons": list(result.reasons),
            "version": result.version.name if result.version else None,
            "latency_ms": result.latency,
            "metrics": result.metrics,
        }
