"""The DAGs as Airflow itself parses them, and what parsing costs."""

import json
import re
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import TimeoutPosix
from project import ROOT, Project

from luodi import config
from luodi.airflow import pods
from luodi.airflow.factory import retrain_dags
from luodi.airflow.operators import StageOperator, _final, to_skip
from luodi.airflow.trigger import Trigger
from luodi.config.operations import TaskName
from luodi.errors import DiskFull, LuodiError, ParamsError, RemoteError, StageFailed
from luodi.project import graph
from luodi.project.origin import Origin
from luodi.registry.records import Verdict
from luodi.system import progress

HEAVY = {"tensorflow", "keras", "pandas", "great_expectations", "dvc", "sklearn", "onnxruntime", "gto", "scipy"}

README = (ROOT / "README.md").read_text(encoding="utf-8")

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
        "schedule": getattr(getattr(dag.timetable, "timetable", dag.timetable), "summary", str(dag.schedule)),
        "expression": str(dag.schedule),
        "assets": [asset.uri for asset in getattr(getattr(dag.timetable, "asset_condition", None), "objects", ())],
        "watched": [
            watcher.trigger.serialize()
            for asset in getattr(getattr(dag.timetable, "asset_condition", None), "objects", ())
            for watcher in asset.watchers
        ],
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "owner": dag.owner,
        "doc": dag.doc_md,
        "run": {
            task.task_id: {
                "hours": task.execution_timeout.total_seconds() / 3600 if task.execution_timeout else None,
                "retries": task.retries,
                "backoff": bool(task.retry_exponential_backoff),
                "delay": task.retry_delay.total_seconds(),
                "longest": task.max_retry_delay.total_seconds(),
                "pool": task.pool,
                "queue": task.queue,
                "priority": task.priority_weight,
                "executor": task.executor_config,
            }
            for task in dag.tasks
        },
        "form": {name: [dag.params.get_param(name).schema["type"], dag.params[name]] for name in dag.params},
        "docs": {task.task_id: task.doc_md for task in dag.tasks},
        "links": {task.task_id: [link.name for link in task.operator_extra_links] for task in dag.tasks},
        "languages": sorted({task.language for task in dag.tasks if hasattr(task, "language")}),
        "outlets": {task.task_id: [outlet.name for outlet in task.outlets] for task in dag.tasks if task.outlets},
        "rules": {task.task_id: task.trigger_rule for task in dag.tasks},
        "wait": {
            task.task_id: [task.response_timeout.total_seconds(), task.defaults, task.execution_timeout]
            for task in dag.tasks if hasattr(task, "response_timeout")
        },
    }
print("RESULT", json.dumps({
    "dags": {name: tell(dag) for name, dag in bag.dags.items()},
    "errors": bag.import_errors,
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "new": sorted(set(sys.modules) - before),
    "seconds": seconds,
}))
"""


def parse(project: Project, **variables: str) -> dict[str, Any]:
    output = project.run("python", "-c", PARSE, str(project.root / "dags"), env={
        "AIRFLOW_HOME": str(project.home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **variables
    })  # fmt: skip
    (line,) = [line for line in output.splitlines() if line.startswith("RESULT ")]
    return dict(json.loads(line.removeprefix("RESULT ")), root=project.root)


@pytest.fixture(scope="module")
def parsed(make_project: Callable[[str], Project]) -> dict[str, Any]:
    return parse(make_project("parsed"))


LONGEST = "a" * 100  # name of a model


@pytest.fixture(scope="module")
def both(make_project: Callable[[str], Project]) -> dict[str, Any]:
    """DAGs where a person has to approve, one of a model with the longest name, by a file of another Airflow."""
    project = make_project("asking")
    lines = re.search(r"```python\n(from luodi\.airflow\.factory.*?)```", README, re.DOTALL)
    other = re.search(r"```python\n(globals.*? project=.*?)```", README, re.DOTALL)
    assert lines and other
    found = lines[1].replace("/srv/models", str(project.root))
    (project.root / "dags" / "retrain.py").write_text(found)
    (project.root / "dags" / "shop.py").write_text(
        f"{found.partition('globals')[0]}{other[1].replace('/srv/shop', str(project.root))}"
    )
    train = {"timeout_hours": 48, "delay_seconds": 400, "queue": "big", "priority": 7, "memory_gb": 8}
    airflow = {"timeout_hours": 1, "retries": 5, "tasks": {"train": train}}
    project.set({"register": {"approval": "human", "timeout_hours": 0.5}, "airflow": airflow})
    path = project.root / "params.yaml"
    params = {"language": "zh"} | yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"][LONGEST] = params["models"]["reviews"]
    params["models"]["reviews"] = params["models"]["reviews"] | {
        "ingest": {"inbox": "/srv/inbox"},
        "monitor": {"log": "/srv/log"},
        "predict": {"input": "/srv/asked/{date}", "output": "/srv/scored/{date}", "workers": 3},
    }
    path.write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
    return dict(parse(project, LUODI_POOLS="gpu")["dags"])


@pytest.fixture(scope="module")
def asking(both: dict[str, Any]) -> dict[str, Any]:
    return dict(both["retrain_reviews"])


def test_a_dag_file_that_was_copied_to_another_airflow_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r'holds no params\.yaml: .* names it, as in retrain_dags\("/srv/models"\)'):
        retrain_dags(tmp_path)


def test_projects_share_an_airflow_and_no_name(both: dict[str, Any]) -> None:
    own = {name: dag for name, dag in both.items() if "." not in name}
    assert both.keys() - own.keys() == {f"shop.{name}" for name in own}
    seen = {kind: [{str(one) for dag in dags for one in _named(dag, kind)} for dags in (
        own.values(), [both[f"shop.{name}"] for name in own]
    )] for kind in ("assets", "outlets")}  # fmt: skip
    assert seen["assets"] == [
        {"luodi://rows/reviews", "luodi://files/reviews"}, {"luodi://rows/shop.reviews", "luodi://files/shop.reviews"},
    ]  # fmt: skip
    assert seen["outlets"] == [{name.removeprefix("shop.") for name in seen["outlets"][1]}, seen["outlets"][1]]
    assert {name.partition(".")[0] for name in seen["outlets"][1]} == {"shop"}
    assert both["shop.retrain_reviews"]["tasks"] == both["retrain_reviews"]["tasks"]
    assert set(both["shop.retrain_reviews"]["tags"]) - set(both["retrain_reviews"]["tags"]) == {"shop"}


def _named(dag: dict[str, Any], kind: str) -> list[str]:
    return dag["assets"] if kind == "assets" else [name for names in dag["outlets"].values() for name in names]


@pytest.mark.parametrize("name", ["Shop", "a.b", "shop-1", "_", "läden"])
def test_what_is_no_name_of_a_project_is_told(name: str) -> None:
    with pytest.raises(ParamsError, match="expected a name of small letters, digits and _"):
        retrain_dags(ROOT, project=name)


def test_the_longest_name_makes_a_dag(both: dict[str, Any]) -> None:
    assert both[f"retrain_{LONGEST}"]["tasks"] == both["retrain_reviews"]["tasks"]


@pytest.fixture(scope="module")
def dag(parsed: dict[str, Any]) -> dict[str, Any]:
    return dict(parsed["dags"]["retrain_reviews"])


def test_every_model_has_its_dag_and_nothing_fails_to_import(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    models = config.load(parsed["root"] / "params.yaml").models
    assert set(parsed["dags"]) == {f"retrain_{model}" for model in models}


def graph_of(root: Path, landing: list[str]) -> tuple[set[str], set[tuple[str, str]]]:
    """The tasks and edges of dvc.yaml, followed by those that decide and land, one after the other."""
    stages = graph.stages(root / "dvc.yaml", "reviews", "text")
    edges = graph.edges(stages)
    last = set(stages) - {before for before, _ in edges}
    assert last == {"evaluate"}
    return {*stages, *landing}, edges | {(stage, landing[0]) for stage in last} | set(pairwise(landing))


def test_tasks_and_edges_are_those_of_dvc_yaml_followed_by_gate_and_register(
    parsed: dict[str, Any], dag: dict[str, Any]
) -> None:
    tasks, edges = graph_of(parsed["root"], ["gate", "register"])
    assert (set(dag["tasks"]), {tuple(edge) for edge in dag["edges"]}) == (tasks, edges)
    assert set(dag["rules"].values()) == {"all_success"}


def test_a_person_stands_between_gate_and_register_if_params_say_so(
    parsed: dict[str, Any], asking: dict[str, Any]
) -> None:
    tasks, edges = graph_of(parsed["root"], ["gate", "approve", "register"])
    assert (set(asking["tasks"]), {tuple(edge) for edge in asking["edges"]}) == (tasks, edges)
    # The same model again asks nobody, yet its lock entries may be new.
    assert {task for task, rule in asking["rules"].items() if rule != "all_success"} == {"register"}
    assert asking["rules"]["register"] == "none_failed"


def test_what_a_person_reads_is_in_the_language_of_the_project(dag: dict[str, Any], asking: dict[str, Any]) -> None:
    assert (dag["languages"], asking["languages"]) == (["en"], ["zh"])


def test_no_answer_in_time_is_a_rejection_and_only_the_wait_is_limited(asking: dict[str, Any]) -> None:
    assert asking["wait"] == {"approve": [1800.0, ["Reject"], None]}


@pytest.mark.parametrize(
    ("verdict", "auto", "human"),
    [
        ("promote", set(), set()),
        ("insufficient evidence", {"register"}, set()),
        ("hold", {"register"}, {"approve", "register"}),
        ("unchanged", set(), {"approve"}),
    ],
)
def test_what_each_verdict_skips(verdict: str, auto: set[str], human: set[str]) -> None:
    assert to_skip(Verdict(verdict), {"register"}) == auto
    assert to_skip(Verdict(verdict), {"approve", "register"}) == human
    assert to_skip(Verdict(verdict), {"approve", "register"}, dry=True) == {"approve", "register"}


@pytest.mark.parametrize(
    ("task", "lost"),
    [("preprocess", "validate"), ("gate", "baseline, evaluate, preprocess, train, validate"),
     ("register", "baseline, evaluate, gate, preprocess, train, validate")],
)  # fmt: skip
def test_what_was_set_to_success_by_hand_is_to_be_cleared(task: str, lost: str) -> None:
    """It left nothing: what follows would end for want of a key, or take the branch's head for the run's commit."""
    operator: Any = retrain_dags(ROOT)["retrain_reviews"].get_task(task)
    empty = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: None)}
    with pytest.raises(AirflowFailException, match=f"^{lost} left nothing in this run, .* by hand: clear"):
        operator._before(empty)


def test_a_model_with_an_inbox_has_a_dag_that_looks_into_it_and_is_retrained_by_what_came(
    both: dict[str, Any],
) -> None:
    assert {name for name in both if name.startswith("ingest_")} == {"ingest_reviews"}
    dag = both["ingest_reviews"]
    assert (dag["tasks"], dag["max_active_runs"], dag["outlets"]) == (["ingest"], 1, {"ingest": ["came_reviews"]})
    assert dag["schedule"] == "*/10 * * * *" and "/srv/inbox" in dag["doc"]
    assert dag["assets"] == ["luodi://files/reviews"]
    assert dag["watched"] == [["luodi.airflow.inbox.InboxTrigger", {"url": "/srv/inbox", "every": 20}]]
    assert both["retrain_reviews"]["assets"] == ["luodi://rows/reviews"]
    assert both[f"retrain_{LONGEST}"]["assets"] == []


def test_a_model_whose_log_is_named_has_a_dag_that_looks_at_it(both: dict[str, Any]) -> None:
    assert {name for name in both if name.startswith("monitor_")} == {"monitor_reviews"}
    dag = both["monitor_reviews"]
    assert (dag["tasks"], dag["max_active_runs"]) == (["monitor"], 1)
    assert "/srv/log" in dag["doc"] and dag["schedule"] == "0 0 * * *"


def test_a_model_that_files_come_for_has_a_dag_that_shares_them_out(both: dict[str, Any]) -> None:
    assert {name for name in both if name.startswith("predict_")} == {"predict_reviews"}
    dag = both["predict_reviews"]
    assert (dag["tasks"], dag["edges"], dag["max_active_runs"]) == (["files", "predict"], [["files", "predict"]], 1)
    assert "/srv/asked/{date}" in dag["doc"] and dag["schedule"] == "0 0 * * *"
    assert dag["form"] == {"date": [["null", "string"], None]} and all(dag["docs"].values())


def test_a_run_a_week_one_at_a_time(parsed: dict[str, Any], dag: dict[str, Any]) -> None:
    assert dag["schedule"] == config.load(parsed["root"] / "params.yaml").models["reviews"].schedule
    assert dag["max_active_runs"] == 1
    assert dag["catchup"] is False


HOW = {
    "hours": 6, "retries": 2, "backoff": True, "delay": 30, "longest": 600, "pool": "default_pool", "queue": "default",
    "priority": 1, "executor": {},
}  # fmt: skip


def test_tasks_run_by_the_defaults_and_without_a_pool_for_training_say_so(dag: dict[str, Any]) -> None:
    assert dag["run"] == dict.fromkeys(dag["tasks"], HOW)
    assert {task for task, doc in dag["docs"].items() if "runs in the default pool" in doc} == {"train"}
    assert "does not name `gpu`" in dag["docs"]["train"]


def test_params_say_how_each_task_runs(both: dict[str, Any]) -> None:
    run = both["retrain_reviews"]["run"]
    assert run["validate"] == HOW | {"hours": 1, "retries": 5}
    assert run["approve"] == HOW | {"hours": None, "retries": 5}
    assert run["train"] == HOW | {
        "hours": 48, "retries": 5, "delay": 400, "longest": 800, "pool": "gpu", "queue": "big", "priority": 7
    }  # fmt: skip
    assert both[f"retrain_{LONGEST}"]["docs"]["train"].startswith("Trains")
    assert "default pool" not in both["retrain_reviews"]["docs"]["train"]


def test_params_know_every_task(parsed: dict[str, Any]) -> None:
    assert set(get_args(TaskName)) >= set(parsed["dags"]["retrain_reviews"]["tasks"])


def test_it_says_whose_and_what_it_is(parsed: dict[str, Any], dag: dict[str, Any]) -> None:
    block = config.load(parsed["root"] / "params.yaml").models["reviews"]
    assert dag["owner"] == block.owner
    assert {"luodi", "retrain", "text"} <= set(dag["tags"])
    assert "register" in dag["doc"]
    assert all(stage in dag["doc"] for stage in dag["tasks"])


def test_the_form_has_what_a_run_may_be_triggered_with(dag: dict[str, Any]) -> None:
    assert dag["form"] == {
        "commit": [["null", "string"], None],
        "dry_run": ["boolean", False],
        "again": ["boolean", False],
        "rows": [["null", "integer"], None],
        "learning_rate": [["null", "number"], None],
        "batch_size": [["null", "integer"], None],
        "epochs": [["null", "integer"], None],
        "dropout": [["null", "number"], None],
        "optimizer": [["null", "string"], None],
    }


@pytest.mark.parametrize(
    ("conf", "trigger"),
    [
        (None, Trigger()),
        ({"commit": None, "epochs": None, "dry_run": False}, Trigger()),
        ({"commit": "a" * 40}, Trigger("a" * 40)),
        ({"dry_run": True}, Trigger(dry_run=True)),
        ({"again": True}, Trigger(again=True)),
        ({"epochs": 2, "dropout": 0.0, "commit": None}, Trigger(settings={"epochs": 2, "dropout": 0.0})),
        ({"rows": 500, "dry_run": True}, Trigger(dry_run=True, settings={"rows": 500})),
    ],
)
def test_a_run_takes_what_the_form_has(conf: dict[str, Any] | None, trigger: Trigger) -> None:
    assert Trigger.read(conf) == trigger
    assert trigger.lands == (not trigger.dry_run and not trigger.settings)
    assert trigger.for_news == (trigger == Trigger())


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        (
            {"rate": 0.5, "dry_run": True},
            r"conf says rate: expected some of commit, dry_run, again, rows, learning_rate",
        ),
        ({"commit": "main"}, "expected the whole id of a commit"),
    ],
)
def test_a_run_that_is_told_of_something_else_fails_at_once(conf: dict[str, Any], told: str) -> None:
    with pytest.raises(AirflowFailException, match=told):
        Trigger.read(conf)


def test_tasks_say_what_they_do_and_lead_to_their_pages(dag: dict[str, Any], asking: dict[str, Any]) -> None:
    assert all(dag["docs"].values()) and all(asking["docs"].values())
    assert {task for task, links in dag["links"].items() if links} == {"validate", "preprocess", "evaluate", "gate"}
    assert dag["outlets"] == {"register": ["landed_reviews"]}


def test_parsing_imports_no_ml_library(parsed: dict[str, Any]) -> None:
    assert not HEAVY & set(parsed["modules"])


def test_parsing_takes_well_under_a_second(parsed: dict[str, Any]) -> None:
    """Of the processor, once Airflow is imported: luodi's modules, params.yaml, dvc.yaml and the DAGs themselves."""
    assert any(name.startswith("luodi.airflow") for name in parsed["new"])
    assert parsed["seconds"] < 0.8


@pytest.mark.parametrize(
    ("error", "embedded", "team"),
    [
        (DiskFull("x"), True, False),  # another host may have room
        (RemoteError("x"), False, False),
        (StageFailed("x", code=3), True, True),
        (StageFailed("x", code=1), False, False),
        (StageFailed("x", code=90), True, False),  # another host may have the code that luodi.lock names
    ],
)
def test_what_no_retry_mends_is_not_tried_again(error: LuodiError, embedded: bool, team: bool, tmp_path: Path) -> None:
    assert _final(error, Origin.embedded(tmp_path)) == embedded
    assert _final(error, Origin("ssh://git@host/x.git", "main", None, tmp_path)) == team


def test_a_time_limit_counts_from_the_last_checkpoint() -> None:
    task = StageOperator(task_id="train", stage="train", model="reviews", execution_timeout=timedelta(seconds=2))
    began = time.monotonic()
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(2):  # type: ignore[no-untyped-call]  # Airflow's
        for line in ("train: epoch 1/3", f"{progress.KEPT} in epoch 1/3", "train: epoch 2/3"):
            time.sleep(0.6)
            task.heard(line)
        time.sleep(60)
    assert 3 < time.monotonic() - began < 30


def test_without_a_time_limit_a_checkpoint_sets_none() -> None:
    before = signal.setitimer(signal.ITIMER_REAL, 0)
    StageOperator(task_id="train", stage="train", model="reviews").heard(progress.KEPT)
    assert signal.setitimer(signal.ITIMER_REAL, *before) == (0, 0)


@pytest.mark.parametrize(("number", "memory"), [(1, "6Gi"), (2, "12Gi"), (3, "20Gi"), (9, "20Gi")])
def test_a_retry_asks_for_more_memory_up_to_a_maximum(number: int, memory: str) -> None:
    """Of a pod as Airflow puts it together: of its template, annotations of the task, and the number of the try."""
    annotations = {pods.FIRST: "6.0", pods.MOST: "20.0", "try_number": str(number)}
    resources = SimpleNamespace(requests=None, limits={"nvidia.com/gpu": 1, "memory": "8Gi"})
    container = SimpleNamespace(resources=resources)
    spec = SimpleNamespace(containers=[container])
    pods.set_memory(SimpleNamespace(metadata=SimpleNamespace(annotations=annotations), spec=spec))
    assert resources.requests == {"memory": memory}
    assert resources.limits == {"nvidia.com/gpu": 1, "memory": memory}
