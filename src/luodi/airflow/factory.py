"""One DAG a model, made from params.yaml and dvc.yaml alone; parsing imports no ML library."""

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, BaseOperator

from luodi import config, graph
from luodi.airflow.operators import RegisterOperator, StageOperator
from luodi.paths import PARAMS

DOC = """\
### Retrain `{model}`
{stages} run in private clones of the project; then **register** lands the new version if it is proven better.

Each task clones the repository at the run's commit, pulls what it needs from the DVC remote, runs
`dvc repro --single-item STAGE@{model}` and hands its entry of `dvc.lock` to the next. Nothing is shared but the
git origin and the DVC remote. Settings: block `{model}` of `params.yaml`.
"""

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


def retrain_dag(root: Path, name: str, block: config.Model) -> DAG:
    """Return the DAG of one model: a task a stage with the edges of dvc.yaml, followed by register."""
    stages = graph.stages(root / "dvc.yaml", name, block.modality)
    with DAG(
        dag_id=f"retrain_{name}",
        description=f"Retrain {name} and land it if it is proven better",
        schedule=block.schedule,
        start_date=datetime(2024, 1, 1),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS | {"owner": block.owner},
        tags=["luodi", "retrain", block.modality],
        doc_md=DOC.format(model=name, stages=", ".join(f"**{stage}**" for stage in stages)),
    ) as dag:
        tasks: dict[str, BaseOperator] = {
            stage: StageOperator(task_id=stage, stage=stage, model=name) for stage in stages
        }
        for before, after in sorted(graph.edges(stages)):
            tasks[before] >> tasks[after]
        register = RegisterOperator(task_id="register", model=name)
        [task for task in tasks.values() if not task.downstream_task_ids] >> register
    return dag
