"""One DAG a model, made from params.yaml and dvc.yaml alone; parsing imports no ML library."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from airflow import settings
from airflow.sdk import DAG, BaseOperator, TriggerRule

from luodi import config
from luodi.airflow import trigger
from luodi.airflow.approval import TASK, ApproveOperator
from luodi.airflow.operators import GateOperator, RegisterOperator, StageOperator
from luodi.airflow.timetable import NextTick
from luodi.project import graph
from luodi.project.paths import PARAMS

DOC = """\
### Retrain `{model}`
{stages} run in private clones of the project; the **gate** compares the model with the one in production{approve};
**register** lands it if it is proven better, and is skipped if not.

Each stage clones the repository at the run's commit, pulls what it needs from the DVC remote, runs
`dvc repro --single-item STAGE@{model}` and hands its entry of `dvc.lock` to the next. Nothing is shared but the
git origin and the DVC remote. Settings: block `{model}` of `params.yaml`.

A run whose **register** is skipped landed nothing: production is what it was, and the report of **gate** says why. One
whose **register** ended well landed, or found that what is in production is this very model. The asset
`{model}_production` has an event for each version that landed.
"""

TASKS = {
    "validate": "Checks the raw rows by Great Expectations, and holds back bad ones with their reasons.",
    "preprocess": "Cleans, drops duplicates, splits by content, and encodes.",
    "baseline": "Fits the linear model that every version is compared with.",
    "train": "Trains, and exports what validation rows favour.",
    "evaluate": "Scores the exported model on the test rows, beside the baseline.",
    "gate": "Compares the model with the one in production on the same test rows, and says whether it may land.",
    TASK: "Waits for a person's answer.",
    "register": "Lands the model: lock entries, a tag, and production, in one push. Skipped where nothing may land.",
}
"""What each task does, for its page."""

DEFAULTS = {
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=6),
}


def retrain_dags(root: Path) -> dict[str, DAG]:
    """Return `retrain_MODEL` -> DAG for every model in the params.yaml of `root`."""
    models = config.load(root / PARAMS).models
    return {f"retrain_{name}": retrain_dag(root, name, block) for name, block in models.items()}


def retrain_dag(root: Path, name: str, block: config.ModelSettings) -> DAG:
    """Return the DAG of one model: a task a stage with the edges of dvc.yaml; then gate, approve if asked, register."""
    stages = graph.stages(root / "dvc.yaml", name, block.modality)
    with DAG(
        dag_id=f"retrain_{name}",
        description=f"Retrain {name} and land it if it is proven better",
        schedule=timetable(block.schedule),
        start_date=datetime(2024, 1, 1),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS | {"owner": block.owner},
        tags=["luodi", "retrain", block.modality],
        params=trigger.form(block),
        doc_md=DOC.format(
            model=name,
            stages=", ".join(f"**{stage}**" for stage in stages),
            approve=", a person **approves**" if block.register_.approval == "human" else "",
        ),
    ) as dag:
        tasks: dict[str, BaseOperator] = {
            stage: StageOperator(task_id=stage, stage=stage, model=name, doc_md=TASKS.get(stage)) for stage in stages
        }
        for before, after in sorted(graph.edges(stages)):
            tasks[before] >> tasks[after]
        _land(tasks, name, block.register_)
    return dag


def timetable(schedule: str) -> str | NextTick:
    """Return what Airflow runs a DAG by: of a cron expression, or a name of one, only the ticks that come."""
    return schedule if schedule in ("@once", "@continuous") else NextTick(schedule, timezone=settings.TIMEZONE)


def _land(tasks: Mapping[str, BaseOperator], name: str, rule: config.Register) -> None:
    """Follow the stages with what decides on their model, and lands it."""
    gate = GateOperator(task_id="gate", model=name, doc_md=TASKS["gate"])
    [task for task in tasks.values() if not task.downstream_task_ids] >> gate
    if rule.approval == "auto":
        gate >> RegisterOperator(task_id="register", model=name, doc_md=TASKS["register"])
        return
    wait = timedelta(hours=rule.timeout_hours)
    approve = ApproveOperator(task_id=TASK, model=name, response_timeout=wait, doc_md=TASKS[TASK])
    # The gate may skip the question alone; where it skips both, or the answer is no, they say so themselves.
    register = RegisterOperator(
        task_id="register", model=name, trigger_rule=TriggerRule.NONE_FAILED, doc_md=TASKS["register"]
    )
    gate >> approve >> register
