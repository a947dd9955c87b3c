"""A real cluster on this machine's container engine, a small project of two models, and what dvc repro makes of it."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import MODELS, Cluster, wait_for

from luodi.data import builtin_datasets

ROOT = Path(__file__).resolve().parents[2]
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
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"]["digits"] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["models"]["digits"]
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
    builtin_datasets.fetch("digits", project.root / "data" / "digits")
    project.run("dvc", "add", "--quiet", "data")
    project.git("commit", "--quiet", "--all", "--message", "Two models")
    return project


@pytest.fixture(scope="session")
def expected(project: Any) -> dict[str, Any]:
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
        tool.up()
        assert wait_for(lambda: len(cluster.airflow.call("dags")["dags"]) == len(MODELS), 180)
        yield cluster
    finally:
        (project.home / "cluster.log").write_text(cluster.compose("logs", "--no-color", check=False))
        cluster.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)
