"""The tasks that compute. Each works in a private clone, in subprocesses; hashes travel by XCom, bytes by DVC."""

import signal
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, BaseOperator, BaseOperatorLink
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from airflow.sdk.log import mask_secret

from luodi import config
from luodi.airflow import approval, dag_ids, notifying, pages
from luodi.airflow.trigger import FIRST, LOST, MORE, NOTHING_NEW, SETTINGS, Trigger
from luodi.compression import latency
from luodi.errors import DiskFull, LuodiError, StageFailed, StaleProject
from luodi.files import read_facts
from luodi.project import locks, programs, standing_dvc, workspace
from luodi.project.origin import Origin
from luodi.project.paths import PARAMS, ModelPaths
from luodi.registry.records import AUTO, Approval, Decision, Verdict, lands
from luodi.system import disk, masking, progress
from luodi.system.processes import Runner
from luodi.terminal import shown

if TYPE_CHECKING:
    from airflow.models.taskinstancekey import TaskInstanceKey
    from airflow.sdk import Context

TOO_LONG = (
    "neither ended nor kept a checkpoint within its execution_timeout of {} (airflow in params.yaml), and was ended; a "
    "retry of train goes on from its last checkpoint, other stages begin anew"
)

EXACT = {"commit", "entries", "version"}

Results = Mapping[str, Mapping[str, Any]]
"""From the id of a task to what it returned; tasks that were skipped have none."""


@dataclass(frozen=True)
class Job:
    """What a task works with: where the project lives, the run's commit, and what the tasks before it left."""

    origin: Origin
    commit: str
    before: Results
    runner: Runner
    trigger: Trigger

    @property
    def entries(self) -> locks.Entries:
        """Lock entries of all stages before this task, nearest or not: a lock holds the whole history of a run."""
        return {name: entry for result in self.before.values() for name, entry in result.get("entries", {}).items()}


class ReportLink(BaseOperatorLink):
    """A button on the page of a task that leads to what it found."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: "TaskInstanceKey") -> str:  # type: ignore[override]
        found = (page for page, task in pages.TASKS.items() if task == ti_key.task_id)
        return pages.link(ti_key.dag_id, ti_key.run_id, next(found), getattr(operator, "language", "en"))


class WorkspaceOperator(BaseOperator):
    """A task with a subprocess: its output streams into the task's log, and it dies with the task."""

    template_fields = ("model",)

    def __init__(
        self, *, model: str, notify: config.Notify | None = None, language: config.Language = "en", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model, self.notify, self.language = model, notify, language
        if self.task_id in pages.TASKS.values():
            self.operator_extra_links = (ReportLink(),)
        self._runner: Runner | None = None

    @property
    def project(self) -> str:
        """That of its DAG, whose origin the task works with; an empty text if this Airflow has one alone."""
        return dag_ids.project(self.dag_id)

    def execute(self, context: "Context") -> dict[str, Any]:
        self._runner = Runner(self.heard, standing_dvc.start)
        for value in masking.secrets():
            mask_secret(value)  # in what Airflow itself logs, tracebacks among it
        before = self._before(context)
        origin, trigger = Origin.from_environment(self.project), self.trigger(context)
        if began := _commit(before) or _commit(self._left(context)):
            trigger = replace(trigger, commit=began)
        commit = trigger.commit or programs.head(origin, self._runner)
        return self.attempt(Job(origin, commit, before, self._runner, trigger))

    def trigger(self, context: "Context") -> Trigger:
        """Return how the run was triggered."""
        return Trigger.read(context["dag_run"].conf)

    def heard(self, line: str) -> None:
        """Log a line of what runs; from a checkpoint on, the time that Airflow gives the task counts anew."""
        self.log.info(line)
        if line.startswith(progress.KEPT) and self.execution_timeout and signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, self.execution_timeout.total_seconds())

    def attempt(self, job: Job) -> dict[str, Any]:
        """Do the task once; what no retry can mend ends it for good."""
        try:
            result = self.work(job)
        except (LuodiError, OSError) as error:
            told = error if isinstance(error, LuodiError) else disk.explain(error)
            if told is None:
                raise
            told.args = tuple(masking.redact(str(line)) for line in told.args)
            raise AirflowFailException(str(told)) if _final(told, job.origin) else told from None
        # What others work with by its letters stays as it is, should a password be the name of a model.
        return {**masking.redacted(result), **{name: result[name] for name in EXACT & result.keys()}}

    @abstractmethod
    def work(self, job: Job) -> dict[str, Any]:
        """Do the task; return what goes to XCom."""

    def on_kill(self) -> None:
        if self._runner:
            self._runner.kill()

    def _before(self, context: "Context") -> Results:
        """What the tasks before this one left; none is without what it works with, unless somebody set their state."""
        before = _pull(context, self.get_flat_relative_ids(upstream=True))
        tasks = self.get_flat_relatives(upstream=True)
        needed = {task.task_id for task in tasks if isinstance(task, StageOperator | GateOperator)}
        if lost := sorted(needed - before.keys()):
            raise AirflowFailException(LOST.format(", ".join(lost)))
        return before

    def _left(self, context: "Context") -> Results:
        """What the tasks after this one left before it was cleared: a run stays with the commit it began with."""
        return _pull(context, self.get_flat_relative_ids(upstream=False))


def _pull(context: "Context", tasks: set[str]) -> Results:
    results = {task: context["ti"].xcom_pull(task_ids=task) for task in sorted(tasks)}
    return {task: result for task, result in results.items() if isinstance(result, dict) and result}


def _commit(results: Results) -> str | None:
    return next((result["commit"] for result in results.values() if "commit" in result), None)


def _final(error: LuodiError, origin: Origin) -> bool:
    """Whether no retry mends an error. What is wrong with this host is wrong for all tasks, unless there are others."""
    alone = Path(origin.git).is_relative_to(origin.home)
    return not error.retryable or (alone and (isinstance(error, DiskFull) or _code(error) == StaleProject.exit_code))


def _code(error: LuodiError) -> int:
    """The exit code of the stage's command, where it is one that failed."""
    return error.code if isinstance(error, StageFailed) else error.exit_code


class StageOperator(WorkspaceOperator, SkipMixin):
    """Run one stage of dvc.yaml; return the commit, the stage's new lock entry, and what it cost.

    The first stage of a run for which nothing is new does nothing, skips all others, and returns why.
    """

    inherits_from_skipmixin = True

    def __init__(self, *, stage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage = stage

    def execute(self, context: "Context") -> dict[str, Any]:
        result = super().execute(context)
        if NOTHING_NEW in result:
            context["ti"].xcom_push(key="return_value", value=result)
            self.skip(context["ti"], self.get_flat_relatives(upstream=False))
        return result

    def work(self, job: Job) -> dict[str, Any]:
        with workspace.clone(job.origin, job.commit, job.runner) as clone:
            if self.stage == FIRST and job.trigger.for_news and (why := self._nothing_new(job, clone)):
                return {NOTHING_NEW: why}
            locks.write(clone.lock, {**locks.read(clone.lock), **job.entries})
            if job.trigger.settings:
                config.change(clone.root / PARAMS, self.model, job.trigger.blocks)
            try:
                entries = clone.reproduce(f"{self.stage}@{self.model}")
            except AirflowTaskTimeout:
                self.log.error("%s of %s %s", self.stage, self.model, TOO_LONG.format(self.execution_timeout))
                raise
            return {"commit": job.commit, "entries": entries, "training": training(clone.root, self.model)}

    def _nothing_new(self, job: Job, clone: workspace.Workspace) -> str | None:
        from luodi.registry import last_judged

        known = last_judged.nothing_new(job.origin, self.model, last_judged.of_clone(clone, self.model), job.runner)
        if known:
            self.log.info("%s: %s", self.model, known.said)
        return known.said if known else None


class TrialOperator(WorkspaceOperator):
    """Run one trial of a search. What it finds goes into the study, from which stage `tune` takes it."""

    def __init__(self, *, slot: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slot = slot

    def work(self, job: Job) -> dict[str, Any]:
        if job.trigger.settings:
            raise AirflowSkipException("what the run tries is tried as it stands")
        with workspace.clone(job.origin, job.commit, job.runner) as clone:
            locks.write(clone.lock, {**locks.read(clone.lock), **job.entries})
            clone.run_trial(self.model, self.slot)
        return {}


def training(root: Path, model: str) -> dict[str, Any] | None:
    """Return what was measured of time in this clone; None where nothing was computed, but came from a cache."""
    paths = ModelPaths(root, model)
    cost = read_facts(paths.cost) if paths.cost.exists() else {}
    return {name: value for name, value in cost.items() if name != "export"} | latency.read(paths) or None


def measured(results: Results) -> dict[str, Any]:
    """Return what the tasks of a run measured of time, together."""
    found = [result["training"] for result in results.values() if result.get("training")]
    return {name: value for one in found for name, value in one.items()}


class LastOperator(WorkspaceOperator):
    """A task that may be the last of a run: at its end it looks whether rows came meanwhile, and sees to them."""

    def look_again(self, context: "Context", commit: str) -> None:
        """Trigger one more run where the branch has rows that this one did not see, and tell it why in its note.

        Airflow may hold back, or lose, what told of them: see `max_active_runs` of the DAG.
        """
        if not Trigger.read(context["dag_run"].conf).for_news:
            return
        from luodi.registry import last_judged

        assert self._runner
        head, files = last_judged.new_rows(Origin.from_environment(self.project), self.model, commit, self._runner)
        if files:
            why = f"{files:,} {'file' if files == 1 else 'files'} of rows came while {context['run_id']} ran"
            self.log.info("%s: one more run", why)
            trigger_once(context["ti"].dag_id, f"{MORE}{head[:12]}", why)


def trigger_once(dag_id: str, run_id: str, why: str) -> None:
    """Trigger a run by Airflow's API, with a note; nothing where it is there."""
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=dag_id, run_id=run_id, conf={}, note=why))
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.DAGRUN_ALREADY_EXISTS:
            raise


class GateOperator(LastOperator, SkipMixin):
    """Compare the run's model with the champion; return the decision, and skip the tasks that it leaves nothing to."""

    inherits_from_skipmixin = True

    def execute(self, context: "Context") -> dict[str, Any]:
        result = super().execute(context)
        after = self.get_flat_relatives(upstream=False)
        lands = Trigger.read(context["dag_run"].conf).lands
        skipped = to_skip(Verdict(result["decision"]["verdict"]), {task.task_id for task in after}, dry=not lands)
        if "register" in skipped:
            self.look_again(context, result["commit"])
        if "register" in skipped and lands:
            decision = Decision.from_json(result["decision"])
            notifying.held(context, self.notify, self.model, [decision.verdict, *decision.reasons])
        # To skip ends the task by an exception, which would lose what it returns.
        context["ti"].xcom_push(key="return_value", value=result)
        self.skip(context["ti"], [task for task in after if task.task_id in skipped])
        return result

    def work(self, job: Job) -> dict[str, Any]:
        from luodi.registry import champion

        counted = job.trigger.lands
        decision = champion.decide(job.origin, job.commit, self.model, job.entries, job.runner, counted=counted)
        if job.trigger.settings:
            tried = ", ".join(f"{SETTINGS[name]}.{name} {value}" for name, value in job.trigger.settings.items())
            decision = decision.model_copy(update={"reasons": (*decision.reasons, f"it tries {tried}: it never lands")})
        self.log.info("%s: %s", self.model, "; ".join(map(shown, [decision.verdict, *decision.reasons])))
        return {"commit": job.commit, "entries": {}, "decision": decision.to_json()}


def to_skip(verdict: Verdict, after: set[str], *, dry: bool = False) -> set[str]:
    """Return which of the tasks after the gate a verdict leaves nothing to do: all of them in a dry run.

    A person decides what the figures leave open; the same model again needs nobody, yet its lock entries may be new.
    """
    if dry:
        return after
    if verdict is Verdict.UNCHANGED:
        return after & {approval.TASK}
    return set() if lands(verdict, "human" if approval.TASK in after else "auto") else after


def outcome(decision: Decision, version: str | None = None, new: bool = False) -> dict[str, Any]:
    """Return what came of a run: the gate's words and figures, and the name of the version that landed, if any."""
    found = decision.to_json()
    said = {key: found[key] for key in ("verdict", "reasons", "metrics", "latency_ms")}
    return {**said, "version": version, "new": new, "decision": found}


def production_of(model: str, project: str = "") -> Asset:
    """Return the asset that a landing changes: what other DAGs wait for."""
    own = dag_ids.of_project(model, project)
    return Asset(name=f"{own}_production", uri=f"luodi://production/{own}", group="luodi")


class RegisterOperator(LastOperator):
    """Land the run's model; return what came of it. A new version is an event of the asset `production_of`."""

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(model=model, **kwargs)
        self.outlets = [AssetAlias(dag_ids.of_project(f"landed_{model}", self.project))]

    def execute(self, context: "Context") -> dict[str, Any]:
        result = super().execute(context)
        if result["new"]:
            (alias,) = self.outlets
            figures = {name: figure["value"] for name, figure in result["metrics"]["model"].items()}
            context["outlet_events"][alias].add(
                production_of(self.model, self.project), extra={"version": result["version"], **figures}
            )
        self.look_again(context, result["commit"])
        if result["version"] is None:
            notifying.held(context, self.notify, self.model, [result["verdict"], *result["reasons"]])
        elif result["new"] or context["ti"].try_number > 1:  # the try before may have landed it, and ended then
            notifying.landed(context, self.notify, result)
        return result

    def work(self, job: Job) -> dict[str, Any]:
        if not job.trigger.lands:  # whatever was cleared or set by hand
            raise AirflowSkipException("a dry run, and one that tries settings, lands nothing")
        from luodi.registry import promotion

        decision = Decision.from_json(job.before["gate"]["decision"])
        landed = promotion.register(
            job.origin, job.commit, self.model, job.entries, job.runner,
            decision=decision, approval=self._approval(decision.verdict, job.before),
            training=measured(job.before) or None,
        )  # fmt: skip
        if landed.version is None:
            self.log.warning("not landed: %s", "; ".join(map(shown, landed.decision.reasons)))
        version = landed.version.name if landed.version else None
        return {"commit": job.commit, **outcome(landed.decision, version, landed.new)}

    def _approval(self, verdict: Verdict, before: Results) -> Approval:
        """Who lets it land. Whatever states were set by hand: where a person has to approve, nothing lands without."""
        if approval.TASK not in self.upstream_task_ids or verdict is Verdict.UNCHANGED:
            return AUTO
        answer = before.get(approval.TASK)
        if answer is None or not approval.given(answer):
            raise AirflowSkipException(f"nobody approved {self.model}")
        return approval.record(answer)
