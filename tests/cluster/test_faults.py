"""Parts of a running cluster are killed, restarted, cut off and filled up; each run ends with what dvc repro makes.

Every fault strikes the first run of a model: nothing is cached, nothing has landed.
"""

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import Cluster, locks, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
WORKER = "worker-cpu"  # the one on the queue where models are trained


def kill_worker(cluster: Cluster) -> None:
    cluster.compose("kill", "--signal", "KILL", WORKER)
    time.sleep(5)
    cluster.compose("start", WORKER)


def restart(service: str) -> Callable[[Cluster], None]:
    def fault(cluster: Cluster) -> None:
        cluster.compose("kill", "--signal", "KILL", service)
        time.sleep(2)
        cluster.compose("start", service)

    return fault


def stop_store(cluster: Cluster) -> None:
    cluster.compose("stop", "--timeout", "2", "s3")
    time.sleep(60)
    cluster.compose("start", "s3")


def cut_network(cluster: Cluster) -> None:
    """All networks of one worker away for a minute: no broker, no API server, no store, no git."""
    container = cluster.container(WORKER)
    networks = [f"luodi-test_{name}" for name in ("control", "broker", "storage")]
    for network in networks:
        subprocess.run(["docker", "network", "disconnect", network, container], check=True)
    time.sleep(60)
    for network in networks:
        subprocess.run(["docker", "network", "connect", "--alias", WORKER, network, container], check=True)


FAULTS = {
    "worker killed": kill_worker,
    "scheduler killed": restart("scheduler"),
    "redis killed": restart("redis"),
    "postgres killed": restart("postgres"),
    "store away for a minute": stop_store,
    "network of a worker cut for a minute": cut_network,
}


def ends_well(cluster: Cluster, run: str, expected: dict[str, Any]) -> None:
    state = cluster.wait("reviews", run)
    print(cluster.story("reviews", run))
    assert state == "success"
    assert cluster.landed("reviews") == locks.of_model(expected, "reviews")
    assert cluster.versions("reviews") == ["reviews@v1.0.0"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_survives(cluster: Cluster, expected: dict[str, Any], fault: str) -> None:
    """The fault strikes while the model is being trained."""
    cluster.reset()
    run = cluster.airflow.trigger("reviews")
    assert wait_for(lambda: cluster.works(WORKER, "luodi train"), 600), cluster.story("reviews", run)
    FAULTS[fault](cluster)
    ends_well(cluster, run, expected)


def test_a_run_survives_a_git_server_that_is_away_while_it_registers(
    cluster: Cluster, expected: dict[str, Any]
) -> None:
    cluster.reset()
    run = cluster.airflow.trigger("reviews")
    cluster.wait_for_task("reviews", run, "gate", "success")
    cluster.compose("stop", "--timeout", "2", "git")
    time.sleep(45)
    cluster.compose("start", "git")
    ends_well(cluster, run, expected)


def test_a_full_disk_is_said_clearly_and_once_freed_the_run_goes_on(cluster: Cluster, expected: dict[str, Any]) -> None:
    cluster.reset()
    run = cluster.airflow.trigger("reviews")
    cluster.wait_for_task("reviews", run, "preprocess", "success")
    cluster.shell(WORKER, "dd if=/dev/zero of=/var/lib/luodi/filler bs=1M 2> /dev/null || true")
    met = ("baseline", "train")  # whichever is at work by then
    waiting = "up_for_retry"
    assert wait_for(lambda: any(cluster.task("reviews", run, one)["state"] == waiting for one in met), 600)
    (stage,) = (one for one in met if cluster.task("reviews", run, one)["state"] == waiting)
    assert "the disk is full" in cluster.log("reviews", run, stage, 1)
    cluster.shell(WORKER, "rm /var/lib/luodi/filler")
    ends_well(cluster, run, expected)


VOLUME = "luodi-test_worker-cpu"
TRIALS = 10
KILLS = 20
SEARCH = {
    "trials": TRIALS, "workers": 2, "repeats": 2, "pruner": "none",
    "space": {"train.learning_rate": {"low": 0.001, "high": 0.01, "log": True}},
}  # fmt: skip
PICK = """
import os, random, signal, psutil
found = [one for one in psutil.process_iter(["cmdline"]) if "--trial" in (one.info["cmdline"] or ())]
if found:
    one = random.choice(found)
    print(one.info["cmdline"][-1])
    os.kill(one.pid, signal.SIGKILL)
"""
ENDED = f"""
import optuna
from luodi.tuning import study
url = "sqlite:////var/lib/luodi/studies/studies.db"
(name,) = [name for name in optuna.get_all_study_names(url) if name.startswith("digits")]
trials = optuna.load_study(study_name=name, storage=url).get_trials()
assert sorted(one.user_attrs[study.SLOT] for one in trials if one.state in study.ENDED) == list(range({TRIALS}))
assert not [one.number for one in trials if one.state == optuna.trial.TrialState.RUNNING]
print(len(trials))
"""


@pytest.fixture
def searching(cluster: Cluster, project: Any) -> Iterator[None]:
    """The second model searches its settings; and what the worker's disk holds outlives the worker."""
    change(project.root / "params.yaml", SEARCH)
    project.run("luodi", "upgrade")
    project.git("commit", "--quiet", "--all", "--message", "Search")
    bundle = subprocess.run(
        ["git", "bundle", "create", "--quiet", "-", "HEAD"], cwd=project.root, check=True, stdout=subprocess.PIPE
    ).stdout
    fetch = "cat > /tmp/seed; git -C /srv/git/luodi.git fetch -q /tmp/seed HEAD"
    cluster.compose("exec", "-T", "git", "sh", "-ec", fetch, stdin=bundle)
    cluster.reset()
    cluster.shell("scheduler", "airflow pools set gpu 2 GPU")
    keeper = ["docker", "run", "--rm", "--detach", "--volume", f"{VOLUME}:/kept", "luodi/git", "sleep", "inf"]
    kept = subprocess.run(keeper, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    yield
    subprocess.run(["docker", "rm", "--force", kept], check=True)
    cluster.shell("scheduler", "airflow pools set gpu 1 GPU")


def change(params: Path, tune: dict[str, Any]) -> None:
    found = yaml.safe_load(params.read_text(encoding="utf-8"))
    changes = {"tune": tune, "airflow": {"retries": KILLS, "delay_seconds": 5}, "train": {"epochs": 3}}
    found["models"]["digits"] |= changes
    params.write_text(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), encoding="utf-8")


@pytest.mark.usefixtures("searching")
def test_a_search_survives_kills_and_loses_and_doubles_no_trial(cluster: Cluster) -> None:
    """Its trials are tasks, two at once: they are killed at random, and once the whole worker is."""
    assert wait_for(lambda: "trials" in {one["task_id"] for one in tasks_of(cluster)}, 300)
    run = cluster.airflow.trigger("digits")
    killed: list[str] = []
    while len(killed) < KILLS and cluster.airflow.run("digits", run)["state"] not in ("success", "failed"):
        time.sleep(random.uniform(5, 20))
        killed += cluster.compose("exec", "-T", WORKER, "python", "-c", PICK, check=False).split()[:1]
        if len(killed) == 2:
            kill_worker(cluster)
            killed.append("the worker")
    assert cluster.wait("digits", run, 3000) == "success", cluster.story("digits", run)
    print(cluster.story("digits", run), "killed", killed)
    assert len(killed) >= KILLS
    print(cluster.compose("exec", "-T", WORKER, "python", "-c", ENDED))


def tasks_of(cluster: Cluster) -> list[dict[str, Any]]:
    return list(cluster.airflow.call("dags/retrain_digits/tasks")["tasks"])
