"""A small real project: the files of this repository, a slice of the reviews, parameters for speed, its own git, DVC.

Nothing is shared between two projects, and nothing with the repository: equal results were computed twice.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from project import ROOT, Done, Project, full_params

from luodi.config import locked
from luodi.data import builtin_datasets
from luodi.local import embedded
from luodi.system.processes import Runner

STEP = 23  # every 23rd review: 1,528 rows
SMALL: dict[str, dict[str, Any]] = {
    "validate": {"min_rows": 500},
    "preprocess": {"max_length": 60, "vocabulary": 500, "buckets": 4096},
    "baseline": {"max_features": 20000},
    "train": {"embedding": 8, "units": 16, "epochs": 3, "batch_size": 32},
    "evaluate": {"bootstrap": 100},
    "gate": {"minimum": 0.5},
}

# Runs when the interpreter starts; writes what a stage's process imported and how long it took.
WITNESS = """\
import atexit, json, os, sys, time
started = time.monotonic()
def tell():
    with open(os.path.join(os.environ["WITNESS"], sys.argv[1] + ".json"), "w") as file:
        json.dump({"modules": sorted(sys.modules), "seconds": time.monotonic() - started}, file)
atexit.register(lambda: os.path.basename(sys.argv[0]) == "luodi" and tell())
"""


@pytest.fixture(scope="session")
def quiet() -> Runner:
    return Runner(lambda line: None)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("projects")
    project = Project(folder / "template", folder / "template.home")
    project.home.mkdir()
    (project.home / "gitconfig").write_text("[user]\nname = Tester\nemail = tester@localhost\n")
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (project.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project.root / name)
    keep_only(project, "reviews")
    (shard,) = builtin_datasets.fetch("reviews", folder / "whole")
    whole = pq.read_table(shard)
    (project.root / "data" / "reviews").mkdir(parents=True)
    pq.write_table(whole.take(list(range(0, len(whole), STEP))), project.root / "data" / "reviews" / "slice.parquet")
    project.git("init", "--quiet", "-b", "main")
    (project.root / "data.dvc").unlink()
    project.run("dvc", "add", "--quiet", "data", env={"DVC_SITE_CACHE_DIR": str(folder / "site")})
    shutil.rmtree(project.root / ".dvc" / "cache")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "A small project")
    project.set(SMALL)
    return project


def keep_only(project: Project, model: str) -> None:
    """Of all models only one, every setting of it written out: tests change them."""
    (project.root / "params.yaml").write_text(full_params(model), encoding="utf-8")
    locked.write(project.root)


@pytest.fixture(scope="session")
def make_project(template: Project) -> Callable[[str], Project]:
    """A fresh checkout of the small project by name, its data in place, nothing run."""
    return template.copy


@pytest.fixture(scope="session")
def reproduced(make_project: Callable[[str], Project]) -> Done:
    """`dvc repro` on a laptop. Do not change it: work in a copy."""
    project = make_project("reproduced")
    witness, hook = project.home / "witness", project.home / "hook"
    witness.mkdir()
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(WITNESS)
    output = project.run("dvc", "repro", env={
        "WITNESS": str(witness), "PYTHONPATH": f"{project.env['PYTHONPATH']}{os.pathsep}{hook}"
    })  # fmt: skip
    return Done(project, output, project.lock)


@pytest.fixture(scope="session")
def witnesses(reproduced: Done) -> dict[str, dict[str, Any]]:
    """Stage -> its process's "modules" at the end, and the "seconds" it took."""
    folder = reproduced.project.home / "witness"
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.fixture(scope="session")
def ran(make_project: Callable[[str], Project]) -> Done:
    """`luodi run reviews`: the DAG on a real Airflow. Do not change it: work in a copy."""
    project = make_project("ran")
    output = project.run("luodi", "run", "reviews")
    return Done(project, output, project.landed())


@pytest.fixture(scope="session")
def stocked(reproduced: Done, quiet: Runner) -> Done:
    """The reproduced project, its outputs pushed and its commit on main of the embedded origin: ready to land."""
    project = reproduced.project.copy("stocked")
    origin, commit = embedded.prepare(project.root, quiet)
    embedded.advance(origin, commit, quiet)
    project.run("dvc", "push", "--quiet")
    return Done(project, "", reproduced.entries)


@pytest.fixture
def ready(stocked: Done, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Done:
    """A copy of `stocked` of one's own; this process takes its environment, as a task would."""
    project = stocked.project.copy(request.node.name.replace("[", "-").rstrip("]"))
    for key in [key for key in os.environ if key.startswith(("LUODI_", "GIT_", "DVC_"))]:
        monkeypatch.delenv(key)
    for key, value in project.env.items():
        monkeypatch.setenv(key, value)
    return Done(project, "", stocked.entries)
