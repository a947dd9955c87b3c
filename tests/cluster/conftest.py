"""A real cluster on this machine's container engine, a small project of two models, and what dvc repro makes of it."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import MODELS, Cluster, wait_for

SETTINGS = {
    "COMPOSE_FILE": "compose.yaml:compose.debian.yaml:../tests/cluster/compose.test.yaml",
    "BASE_IMAGE": os.environ.get("BASE_IMAGE", "luodi/base:bookworm"),
}


def load(path: Path) -> Any:
    """docker/cluster.py of a checkout as a module."""
    spec = importlib.util.spec_from_file_location("cluster", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def project(make_project: Callable[[str], Any]) -> Any:
    """The small project with a second model."""
    project = make_project("cluster")
    project.add_digits()
    return project


@pytest.fixture(scope="session")
def expected(project: Any) -> Any:
    """The lock entries that `dvc repro` makes on this machine."""
    local = project.copy("cluster-local")
    local.run("dvc", "repro")
    return local.lock


@pytest.fixture(scope="session")
def cluster(project: Any) -> Iterator[Cluster]:
    """The cluster, started as `make cluster-up` starts it; it and all it stored is gone afterwards."""
    tool = load(project.root / "docker" / "cluster.py")
    tool.prepare()
    env = tool.HERE / ".env"
    lines = dict(line.split("=", 1) for line in env.read_text().splitlines() if line and line[0] != "#")
    env.write_text("".join(f"{key}={value}\n" for key, value in (lines | SETTINGS).items()))
    cluster = Cluster(project, tool)
    try:
        tool.up(project.root)
        assert wait_for(lambda: len(cluster.airflow.call("dags")["dags"]) == len(MODELS), 180)
        yield cluster
    finally:
        (project.home / "cluster.log").write_text(cluster.compose("logs", "--no-color", check=False))
        cluster.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)
