"""One DAG a model, made from params.yaml and dvc.yaml alone; parsing imports no ML library."""

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow import settings
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, BaseOperator, Param, TriggerRule

from luodi import config
from luodi.airflow import GPU, inbox, monitoring, notifying, pods, predicting, trigger, watching
from luodi.airflow.approval import TASK, ApproveOperator
from luodi.airflow.dag_ids import dag_id
from luodi.airflow.operators import GateOperator, RegisterOperator, StageOperator, TrialOperator
from luodi.airflow.timetable import ByDate, NextTick
from luodi.errors import ParamsError
from luodi.project import graph
from luodi.project.paths import PARAMS

DOC = """\
### Retrain `{model}`
{stages} run in private clones of the project; the **gate** compares the model with the one in production{approve};
**register** lands it if it is proven better, and is skipped if not.

Each stage clones the repository at the run's commit, pulls what it needs from the DVC remote, runs
`dvc repro --single-item STAGE@{model}` and hands its entry of `dvc.lock` to the next. Nothing is shared but the
git origin and the DVC remote. Settings: block `{model}` of `params.yaml`.

A run for which nothing is new since one was judged, landed or held, says so in **validate** and skips the rest;
`again` in the form of *Trigger* runs all the same. Rows that come while it runs make one more run.

A run whose **register** is skipped landed nothing: production is what it was, and the report of **gate** says why. One
whose **register** ended well landed, or found that what is in production is this very model. The asset
`{model}_production` has an event for each version that landed.
"""

ARRIVING = """\
### Take in what arrives for `{model}`
Looks into `{inbox}` as soon as the triggerer, which looks there three times a minute, has seen a file, and by its
schedule, where no triggerer runs, or it cannot read the inbox. Each file that is whole, which was not written to for
half a minute, is taken in as `luodi ingest {model}` does, and lands as a commit of `data.dvc`: each row once, whatever
ends it. Then the file lies in `done/`; one that cannot be used lies in `refused/`, beside a text that says why. Where
nothing lies there, the task is skipped.

Drift, or enough rows that no model was judged on, are an event of the asset `{model}_rows`, by which `retrain_{model}`
runs at once. Settings: `ingest` in the block `{model}` of `params.yaml`.
"""

WATCHING = """\
### Tell where nothing happens to `{model}`
Looks each day whether new rows came, `retrain_{model}` ran and a version landed within the days that
`notify.silence` allows, and tells of each silence once. Settings: `notify` in the block `{model}` of `params.yaml`.
"""

MONITORING = """\
### Look at what `{model}` is asked
Reads the last days of the request log `{log}` as `luodi monitor {model} --act` does: drift of what is asked from what
the version in production was trained on, how often it is right where true labels are known, other versions beside it.
Where that is proven, and `monitor.rollback` or `monitor.canary` allows it, production moves. Drift and alarms are told
by `notify`, and fail no task. Settings: `monitor` in the block `{model}` of `params.yaml`.
"""

PREDICTING = """\
### Predict the files that come for `{model}`
Looks for the files of a date, by default that of yesterday: `{input}`. Each is predicted by the version that was in
production when the run began, and lies then in `{output}`, its columns and the answers behind them; `_NAME.json` beside
it says of which file and by which version it was made. What is there already is left as it is: a run may be repeated,
and gives the same bytes. Where no file lies there, the run is skipped. `date` in the form of *Trigger* predicts another
date, and a backfill those that the schedule has passed. Settings: `predict` in the block `{model}` of `params.yaml`.
"""

TRIALS = "trials"
TASKS = {
    inbox.TASK: "Takes in the files of the inbox: rows that are not there yet land, and the files are put aside.",
    monitoring.TASK: "Looks at the request log: drift, live accuracy, other versions; moves production where allowed.",
    predicting.FILES: "Finds the files of the date, and the version in production, by which all are predicted.",
    predicting.TASK: "Predicts some of the files, and puts what comes of each in its place.",
    watching.TASK: "Looks how long nothing happened, and tells of a silence once.",
    "validate": "Checks the raw rows by Great Expectations, and holds back bad ones with their reasons.",
    TRIALS: "Each trains by other settings, and notes in the study what comes of it.",
    "tune": "Searches better settings of preprocess and train, where the model asks for it.",
    "preprocess": "Cleans, drops duplicates, splits by content, and encodes.",
    "baseline": "Fits the linear model that every version is compared with.",
    "train": "Trains, and exports what validation rows favour.",
    "compress": "Makes smaller models of it, and takes the smallest that validation rows prove no worse.",
    "evaluate": "Scores the exported model on the test rows, beside the baseline.",
    "gate": "Compares the model with the one in production on the same test rows, and says whether it may land.",
    TASK: "Waits for a person's answer.",
    "register": "Lands the model: lock entries, a tag, and production, in one push. Skipped where nothing may land.",
}
"""What each task does, for its page."""

NAME = "[a-z]([a-z0-9_]*[a-z0-9])?"
"""What a project may be called."""

TRAINING = ("tune", "train")  # worth a GPU
NO_POOL = (
    "\n\nIt runs in the default pool: LUODI_POOLS, which names the pools that this Airflow has, does not name `{}`. "
    "Make it with `airflow pools set`, and name it there."
)
"""Airflow starts no task of a pool that is missing, and who parses a DAG cannot ask for the pools."""
LONGEST = timedelta(minutes=10)  # between two tries, unless the first delay is longer


def retrain_dags(root: Path | str, *, project: str = "") -> dict[str, DAG]:
    """Return `retrain_MODEL` -> DAG for every model in the params.yaml of `root`, and those that blocks ask for.

    Of a `project` that shares its Airflow with others the DAGs are `PROJECT.retrain_MODEL`, and so are the assets; its
    origin is that of the variables `LUODI_PROJECT_GIT_URL` and on: see `Origin.from_environment`.

    Raises:
        ParamsError: There is no params.yaml, as beside a DAG file that was copied to another Airflow's folder, or it is
            wrong; or `project` is no name.
    """
    if project and not re.fullmatch(NAME, project):
        raise ParamsError(
            f"retrain_dags: project {project!r}: expected a name of small letters, digits and _, such as shop"
        )
    if not os.path.lexists((root := Path(root)) / PARAMS):
        raise ParamsError(
            f"{root} holds no {PARAMS}: expected a checkout of the project; a DAG file that stands elsewhere names it, "
            'as in retrain_dags("/srv/models")'
        )
    params = config.load(root / PARAMS)
    models = params.models
    found = [retrain_dag(root, name, block, params.language, project=project) for name, block in models.items()]
    for name, block in models.items():
        if block.ingest:
            found.append(ingest_dag(name, block, block.ingest, project))
        if block.notify and any(block.notify.silence.model_dump().values()):
            found.append(watch_dag(name, block, block.notify, project))
        if block.monitor:
            found.append(monitor_dag(name, block, block.monitor, project))
        if block.predict:
            found.append(predict_dag(name, block, block.predict, project))
    return {dag.dag_id: dag for dag in found}


def _beside(dag_id: str, name: str, block: config.ModelSettings, schedule: Any, description: str, **form: Param) -> DAG:
    """A DAG that stands beside that which retrains a model: one run at a time, none for what was missed."""
    return DAG(
        dag_id=dag_id,
        description=description,
        schedule=schedule,
        start_date=datetime(2024, 1, 1),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": block.owner, "retry_exponential_backoff": True},
        tags=_tags(dag_id, block),
        params=form,
        **_failing(name, block),
    )


def ingest_dag(name: str, block: config.ModelSettings, ingest: config.Ingest, project: str = "") -> DAG:
    """Return the DAG that looks into the inbox of a model."""
    when = _or_at(timetable(ingest.schedule), inbox.files_for(name, ingest.inbox, project))
    own = dag_id("ingest", name, project)
    with _beside(own, name, block, when, f"Take the files of an inbox into the rows of {name}") as dag:
        dag.doc_md = ARRIVING.format(model=name, inbox=ingest.inbox)
        inbox.IngestOperator(model=name, ingest=ingest, notify=block.notify, **_options(inbox.TASK, block.airflow))
    return dag


def watch_dag(name: str, block: config.ModelSettings, notify: config.Notify, project: str = "") -> DAG:
    """Return the DAG that tells where nothing happens to a model."""
    own = dag_id("watch", name, project)
    with _beside(own, name, block, timetable("@daily"), f"Tell where nothing happens to {name}") as dag:
        dag.doc_md = WATCHING.format(model=name)
        watching.WatchOperator(model=name, notify=notify, **_options(watching.TASK, block.airflow))
    return dag


def monitor_dag(name: str, block: config.ModelSettings, monitor: config.Monitor, project: str = "") -> DAG:
    """Return the DAG that looks at what a model in use is asked."""
    own, what = dag_id("monitor", name, project), f"Look at what {name} is asked, and how often it is right"
    with _beside(own, name, block, timetable(monitor.schedule), what) as dag:
        dag.doc_md = MONITORING.format(model=name, log=monitor.log)
        options = _options(monitoring.TASK, block.airflow)
        monitoring.MonitorOperator(model=name, monitor=monitor, notify=block.notify, **options)
    return dag


def predict_dag(name: str, block: config.ModelSettings, predict: config.Predict, project: str = "") -> DAG:
    """Return the DAG that predicts the files of a date, shared out to tasks."""
    description = f"Predict the files of a date by {name}"
    when = timetable(predict.schedule, ByDate)
    own = dag_id("predict", name, project)
    with _beside(own, name, block, when, description, date=trigger.OF_DATE) as dag:
        dag.doc_md = PREDICTING.format(model=name, input=predict.input, output=predict.output)
        given: dict[str, Any] = {"model": name, "predict": predict}
        files = predicting.FilesOperator(**given, **_options(predicting.FILES, block.airflow))
        predicting.PredictOperator.partial(
            **given, max_active_tis_per_dagrun=predict.workers, **_options(predicting.TASK, block.airflow)
        ).expand(share=files.output)
    return dag


def _tags(dag_id: str, block: config.ModelSettings) -> list[str]:
    """What the list of DAGs may be narrowed to: the project among it, if it has a name."""
    project, _, own = dag_id.rpartition(".")
    return ["luodi", own.partition("_")[0], block.modality, *([project] if project else [])]


def _failing(name: str, block: config.ModelSettings) -> dict[str, Any]:
    """What Airflow calls when a run failed."""
    return {"on_failure_callback": partial(notifying.failed, name, block.notify)} if block.notify else {}


def retrain_dag(
    root: Path, name: str, block: config.ModelSettings, language: config.Language = "en", *, project: str = ""
) -> DAG:
    """Return the DAG of one model: a task a stage with the edges of dvc.yaml; then gate, approve if asked, register.

    `language` is that of the pages it leads to.
    """
    stages, own = graph.stages(root / "dvc.yaml", name, block.modality), dag_id("retrain", name, project)
    with DAG(
        dag_id=own,
        description=f"Retrain {name} and land it if it is proven better",
        schedule=_when(name, block, project),
        start_date=datetime(2024, 1, 1),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": block.owner, "retry_exponential_backoff": True, "language": language},
        tags=_tags(own, block),
        params=trigger.form(block),
        doc_md=DOC.format(
            model=name,
            stages=", ".join(f"**{stage}**" for stage in stages),
            approve=", a person **approves**" if block.register_.approval == "human" else "",
        ),
        **_failing(name, block),
    ) as dag:
        tasks: dict[str, BaseOperator] = {
            stage: StageOperator(stage=stage, model=name, **_options(stage, block.airflow)) for stage in stages
        }
        for before, after in sorted(graph.edges(stages)):
            tasks[before] >> tasks[after]
        if block.tune and "tune" in tasks:
            _search(tasks, name, block, block.tune)
        _land(tasks, name, block)
    return dag


def _search(tasks: Mapping[str, BaseOperator], name: str, block: config.ModelSettings, tune: config.Tune) -> None:
    """Run the trials of a search before its stage, each as a task, at most `workers` at once; the stage collects."""
    options = _options("tune", block.airflow) | {"task_id": TRIALS, "doc_md": TASKS[TRIALS]}
    trials = TrialOperator.partial(model=name, max_active_tis_per_dagrun=tune.workers, **options)
    tasks["validate"] >> trials.expand(slot=list(range(tune.trials))) >> tasks["tune"]
    tasks["tune"].trigger_rule = TriggerRule.NONE_FAILED  # a run that tries settings skips the trials


def _options(name: str, settings: config.Airflow) -> dict[str, Any]:
    """What Airflow is told of the task of that name."""
    task = settings.of(name)
    delay = timedelta(seconds=task.delay_seconds)
    pool = task.pool or (GPU if name in TRAINING else None)
    there = pool is None or pool in os.environ.get("LUODI_POOLS", "").split(",")
    return {
        "task_id": name,
        "doc_md": TASKS.get(name, "") + ("" if there else NO_POOL.format(pool)),
        "execution_timeout": timedelta(hours=task.timeout_hours),
        "retries": task.retries,
        "retry_delay": delay,
        "max_retry_delay": max(LONGEST, 2 * delay),
        "pool": pool if there else None,
        "priority_weight": task.priority,
        "executor_config": pods.executor_config(task),
        **({"queue": task.queue} if task.queue else {}),
    }


def timetable(schedule: str, kind: type[NextTick] = NextTick) -> str | NextTick:
    """Return what Airflow runs a DAG by: of a cron expression, or a name of one, only the ticks that come."""
    return schedule if schedule in ("@once", "@continuous") else kind(schedule, timezone=settings.TIMEZONE)


def _when(name: str, block: config.ModelSettings, project: str) -> Any:
    """What a model is retrained by: its schedule, or rows that are a reason to, whichever comes first."""
    at = timetable(block.schedule)
    return _or_at(at, inbox.rows_of(name, project)) if block.ingest else at


def _or_at(at: Any, asset: Asset) -> Any:
    """What a DAG runs by: an asset, or a schedule, whichever comes first; of @once and @continuous these alone."""
    return at if isinstance(at, str) else AssetOrTimeSchedule(timetable=at, assets=[asset])


def _land(tasks: Mapping[str, BaseOperator], name: str, block: config.ModelSettings) -> None:
    """Follow the stages with what decides on their model, and lands it."""
    gate = GateOperator(model=name, notify=block.notify, **_options("gate", block.airflow))
    [task for task in tasks.values() if not task.downstream_task_ids] >> gate
    landing = {**_options("register", block.airflow), "notify": block.notify}
    if block.register_.approval == "auto":
        gate >> RegisterOperator(model=name, **landing)
        return
    wait = timedelta(hours=block.register_.timeout_hours)
    options = _options(TASK, block.airflow)
    approve = ApproveOperator(model=name, notify=block.notify, response_timeout=wait, **options)
    # The gate may skip the question alone; where it skips both, or the answer is no, they say so themselves.
    gate >> approve >> RegisterOperator(model=name, trigger_rule=TriggerRule.NONE_FAILED, **landing)
