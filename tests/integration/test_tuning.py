"""A search on real data: what is killed goes on to the same winner, and no process that trains opens the test rows."""

import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import silence
import yaml
from project import Done, Project

from luodi import config
from luodi.airflow.factory import retrain_dag
from luodi.airflow.operators import Job, TrialOperator
from luodi.airflow.trigger import Trigger
from luodi.config import locked
from luodi.files import checksum
from luodi.local import embedded
from luodi.project import locks
from luodi.system.processes import Runner
from luodi.tuning import best, study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TUNE = {
    "trials": 3,
    "repeats": 2,
    "metric": "log_loss",
    "pruner": "none",
    "space": {
        "train.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
        "train.dropout": {"choices": [0.0, 0.3]},
    },
}
WORKER = "luodi.tuning.worker"
VALIDATED = "artifacts/reviews/validate"
OUTPUTS = ("best_params.yaml", "study.json", "report.html")


def searching(project: Project, **tune: Any) -> None:
    """Give the model a block tune."""
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"]["reviews"]["tune"] = TUNE | tune
    params["models"]["reviews"]["train"] |= {"epochs": 3, "learning_rate": 0.0003}  # too slow to learn in them
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
    locked.write(project.root)
    project.run("luodi", "upgrade")


@pytest.fixture(scope="module")
def project(template: Project, reproduced: Done) -> Project:
    """The small project, with a block tune and what validate writes. Do not change it: work in a copy."""
    found = template.copy("searching")
    searching(found)
    shutil.copytree(reproduced.project.root / VALIDATED, found.root / VALIDATED)
    return found


def outputs(project: Project) -> list[bytes]:
    return [(project.root / "artifacts" / "reviews" / "tune" / name).read_bytes() for name in OUTPUTS]


def training(project: Project) -> list[psutil.Process]:
    """The processes that train in a project."""
    return [one for one in project.alive() if trains(one)]


def trains(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return False
    return WORKER in command and command[0] != "setpriv"


def wait_for(project: Project, process: psutil.Popen, pattern: str, count: int = 1) -> None:
    """Wait until a started search has said something so often."""
    log = project.home / "started.log"
    deadline = time.monotonic() + 900
    while len(re.findall(pattern, log.read_text(encoding="utf-8"))) < count:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def peace(project: Project) -> Project:
    """A search that nobody disturbed."""
    undisturbed = project.copy("undisturbed")
    undisturbed.run("luodi", "tune", "reviews")
    return undisturbed


@pytest.fixture(scope="module")
def traced(project: Project) -> tuple[Project, str]:
    """A shorter search, and the calls by which it opened files and started programs."""
    short = project.copy("traced")
    path = short.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("trials: 3", "trials: 2"), encoding="utf-8")
    locked.write(short.root)
    log = short.home / "calls"
    calls = ("-f", "-qq", "--seccomp-bpf", "-s", "4096", "-e", "trace=execve,openat,open,creat", "-e", "signal=none")
    short.run("strace", *calls, "-o", str(log), "luodi", "tune", "reviews")
    return short, log.read_text(encoding="utf-8", errors="replace")


@silence.needs_strace
def test_no_process_that_trains_opens_a_file_with_test_rows(traced: tuple[Project, str]) -> None:
    """The rows are split before the first of them starts, into a file without test rows; this is all that they open."""
    project, calls = traced
    before, started, after = calls.partition(WORKER)
    assert started
    assert "clean.parquet" in before
    opened = set(re.findall(r'"([^"]*(?:/|^)(?:data|artifacts|studies)/[^"]*)"', after))
    opened = {path for path in opened if str(project.root) in path or not path.startswith("/")}
    kept = {Path(path).name for path in opened if "/site-packages/" not in path and "/src/" not in path}
    unknown = {
        name for name in kept
        if not re.fullmatch(r"\.?(rows\.arrow|studies\.db(-journal|-wal|-shm)?|[0-9a-f]{16}\.npy|reviews-[0-9a-f]{16}|"
                            r"(best_params\.yaml|study\.json|report\.html))(\.\S*)?", name)
    }  # fmt: skip
    assert unknown == set()
    assert "rows.arrow" in kept


@pytest.mark.proof  # of training: tests/integration/test_training_kills.py
@silence.needs_strace
def test_what_is_killed_goes_on_to_the_same_winner(peace: Project, project: Project) -> None:
    """A process that trains is killed, then all of the search: its trial goes on from its checkpoint, with its values.

    No trial is lost, none that ended is run again.
    """
    disturbed = project.copy("disturbed")
    first = disturbed.start("luodi", "tune", "reviews")
    wait_for(disturbed, first, "tune: trial 0/2")
    kept = disturbed.root / ".luodi" / "checkpoints"
    deadline = time.monotonic() + 900
    while not (kept.is_dir() and any(path.suffix == ".npz" and path.name[0] != "." for path in kept.iterdir())):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    training(disturbed)[0].kill()
    wait_for(disturbed, first, "died; it is run again")
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    psutil.wait_procs(training(disturbed), timeout=60)
    said = disturbed.run("luodi", "tune", "reviews")
    assert re.search("goes on: 1 of 3 trials have ended", said)
    assert re.search(r"trial 1/2: log_loss .* after 3 epochs, the first [12] of a try that died", said)
    assert outputs(disturbed) == outputs(peace)
    assert_whole(disturbed, 3)
    assert not [*kept.glob("*.npz")]


def assert_whole(project: Project, count: int) -> None:
    """Each slot has one trial that ended, and none runs."""
    assert_ended(study.storage(study.place(project.root).storage), count)


def assert_ended(storage: optuna.storages.BaseStorage, count: int) -> None:
    (name,) = optuna.get_all_study_names(storage)
    found = optuna.load_study(study_name=name, storage=storage).get_trials()
    ended = [one.user_attrs[study.SLOT] for one in found if one.state in study.ENDED]
    assert sorted(ended) == list(range(count))
    assert not [one.number for one in found if one.state == optuna.trial.TrialState.RUNNING]


def test_what_is_found_stands_over_params_yaml(traced: tuple[Project, str]) -> None:
    project = traced[0].copy("settled")
    facts = json.loads((project.root / "artifacts/reviews/tune/study.json").read_text(encoding="utf-8"))
    assert facts["values"], facts["says"]
    shown = json.loads(project.run("luodi", "params", "reviews", "--json"))
    assert {name: shown[name]["value"] for name in facts["values"]} == facts["values"]
    assert {shown[name]["source"] for name in facts["values"]} == {"tune"}
    said = project.run("luodi", "preprocess", "reviews")
    assert said.startswith("preprocess: tuned, over params.yaml: train.")
    status = project.run("luodi", "tune", "status", "reviews")
    assert "2 of 2 trials ended" in status
    path = project.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# the last line\n", encoding="utf-8")
    project.run("luodi", "tune", "apply", "reviews")
    text = path.read_text(encoding="utf-8")
    assert text.endswith("# the last line\n")
    written = dict(best.flat(yaml.safe_load(text)["models"]["reviews"]))
    assert {name: written[name] for name in facts["values"]} == facts["values"]


def test_the_dag_has_a_task_for_each_trial(project: Project) -> None:
    dag = retrain_dag(project.root, "reviews", config.load(project.root / "params.yaml").models["reviews"])
    assert dag.get_task("validate").downstream_task_ids == {"trials", "tune", "preprocess"}
    assert dag.get_task("trials").downstream_task_ids == {"tune"}
    assert dag.get_task("tune").downstream_task_ids == {"preprocess", "train"}
    assert dag.get_task("trials").is_mapped


@pytest.mark.proof
def test_trials_as_tasks_find_what_one_process_finds(
    peace: Project, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a clone of its own; one that ended is not run again; the stage trains no trial."""
    tasks = project.copy("tasks")
    tasks.git("add", "--all")
    tasks.git("commit", "--quiet", "--allow-empty", "--message", "Search")
    for name in [name for name in os.environ if name.startswith(("LUODI_", "GIT_", "DVC_"))]:
        monkeypatch.delenv(name)
    for name, value in tasks.env.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    runner = Runner(said.append)
    origin, commit = embedded.prepare(tasks.root, runner)
    embedded.advance(origin, commit, runner)
    dag = retrain_dag(tasks.root, "reviews", config.load(tasks.root / "params.yaml").models["reviews"])

    def do(task: Any, **before: Any) -> dict[str, Any]:
        return dict(task.attempt(Job(origin, commit, before, runner, Trigger())))

    checked = do(dag.get_task("validate"))
    for slot in (0, 1, 2, 2):
        do(TrialOperator(task_id=f"trial-{slot}", model="reviews", slot=slot), validate=checked)
    assert "tune: trial 2 has ended" in said
    found = do(dag.get_task("tune"), validate=checked)
    assert not [line for line in said[said.index("tune: trial 2 has ended") + 1 :] if line.startswith("tune: trial ")]
    folder = peace.root / "artifacts" / "reviews" / "tune"
    made = locks.outputs(found["entries"], "tune@reviews")
    assert made.keys() == {f"artifacts/reviews/tune/{name}" for name in OUTPUTS}
    assert [Path(path).name for path, md5 in made.items() if md5 != checksum(folder / Path(path).name)] == []


@pytest.mark.proof
@pytest.mark.timeout(7200)
def test_twenty_kills_of_random_processes_lose_and_double_no_trial(project: Project) -> None:
    often = project.copy("often")
    path = often.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("trials: 3", "trials: 40"), encoding="utf-8")
    rng, kills = random.Random(23), 0
    often.run("luodi", "settings")
    process = often.start("luodi", "tune", "reviews")
    while kills < 20:
        time.sleep(rng.uniform(5, 25))
        if process.poll() is not None:
            process = often.start("luodi", "tune", "reviews")
            continue
        whole = rng.random() < 0.3
        victims = [process] if whole else training(often)
        if victims:
            rng.choice(victims).kill()
            kills += 1
    process.wait(3600)
    often.run("luodi", "tune", "reviews")
    assert_whole(often, 40)
