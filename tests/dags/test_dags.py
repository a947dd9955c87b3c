"""The DAGs as Airflow itself parses them, and what parsing costs."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from conftest import Project

from luodi import config, graph

HEAVY = {"tensorflow", "keras", "pandas", "great_expectations", "dvc", "sklearn", "onnxruntime", "gto", "scipy"}

# One process parses the DAGs through Airflow's DagBag and tells what came out.
PARSE = """
import json, sys, time
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import DagBag
import airflow.sdk
from airflow.sdk import DAG, BaseOperator
before, started = set(sys.modules), time.process_time()
bag = DagBag(sys.argv[1])
seconds = time.process_time() - started
def tell(dag):
    return {
        "tasks": sorted(dag.task_ids),
        "edges": sorted([task.task_id, after] for task in dag.tasks for after in task.downstream_task_ids),
        "schedule": dag.timetable.summary if hasattr(dag.timetable, "summary") else str(dag.schedule),
        "expression": str(dag.schedule),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "owner": dag.owner,
        "doc": dag.doc_md,
        "retries": [task.retries for task in dag.tasks],
        "backoff": [bool(task.retry_exponential_backoff) for task in dag.tasks],
        "delay": [task.retry_delay.total_seconds() for task in dag.tasks],
        "longest": [task.max_retry_delay.total_seconds() for task in dag.tasks],
        "timeout": [task.execution_timeout.total_seconds() for task in dag.tasks],
    }
print("RESULT", json.dumps({
    "dags": {name: tell(dag) for name, dag in bag.dags.items()},
    "errors": bag.import_errors,
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "new": sorted(set(sys.modules) - before),
    "seconds": seconds,
}))
"""


@pytest.fixture(scope="module")
def parsed(make_project: Callable[[str], Project]) -> dict[str, Any]:
    project = make_project("parsed")
    output = project.run("python", "-c", PARSE, str(project.root / "dags"), env={
        "AIRFLOW_HOME": str(project.home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"
    })  # fmt: skip
    (line,) = [line for line in output.splitlines() if line.startswith("RESULT ")]
    return dict(json.loads(line.removeprefix("RESULT ")), root=project.root)


@pytest.fixture(scope="module")
def dag(parsed: dict[str, Any]) -> dict[str, Any]:
    return dict(parsed["dags"]["retrain_reviews"])


def test_every_model_has_its_dag_and_nothing_fails_to_import(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    models = config.load(parsed["root"] / "params.yaml").models
    assert set(parsed["dags"]) == {f"retrain_{model}" for model in models}


def test_tasks_and_edges_are_those_of_dvc_yaml_followed_by_register(
    parsed: dict[str, Any], dag: dict[str, Any]
) -> None:
    stages = graph.stages(parsed["root"] / "dvc.yaml", "reviews", "text")
    edges = {tuple(edge) for edge in dag["edges"]}
    last = {before for before, after in edges if after == "register"}
    assert set(dag["tasks"]) == {*stages, "register"}
    assert edges - {(stage, "register") for stage in last} == graph.edges(stages)
    assert last == set(stages) - {before for before, _ in graph.edges(stages)} == {"evaluate"}


def test_a_run_a_week_one_at_a_time(dag: dict[str, Any]) -> None:
    assert "@weekly" in dag["expression"] or "0 0 * * 0" in dag["schedule"]
    assert dag["max_active_runs"] == 1
    assert dag["catchup"] is False


def test_tasks_are_retried_with_growing_delays_and_end_in_time(dag: dict[str, Any]) -> None:
    assert set(dag["retries"]) == {2}
    assert all(dag["backoff"])
    assert all(0 < delay < longest for delay, longest in zip(dag["delay"], dag["longest"], strict=True))
    assert all(0 < seconds <= timedelta(hours=12).total_seconds() for seconds in dag["timeout"])


def test_it_says_whose_and_what_it_is(parsed: dict[str, Any], dag: dict[str, Any]) -> None:
    block = config.load(parsed["root"] / "params.yaml").models["reviews"]
    assert dag["owner"] == block.owner
    assert {"luodi", "retrain", "text"} <= set(dag["tags"])
    assert "register" in dag["doc"]
    assert all(stage in dag["doc"] for stage in dag["tasks"])


def test_parsing_imports_no_ml_library(parsed: dict[str, Any]) -> None:
    assert not HEAVY & set(parsed["modules"])


def test_parsing_takes_well_under_a_second(parsed: dict[str, Any]) -> None:
    """Of the processor, once Airflow is imported: luodi's modules, params.yaml, dvc.yaml and the DAGs themselves."""
    assert any(name.startswith("luodi.airflow") for name in parsed["new"])
    assert parsed["seconds"] < 0.8
