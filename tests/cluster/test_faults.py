"""Parts of a running cluster are killed, restarted, cut off and filled up; each run ends with what dvc repro makes.

Every fault strikes the first run of a model: nothing is cached, nothing has landed.
"""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
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
