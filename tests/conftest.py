"""A small real project: the files of this repository, a slice of the reviews, parameters for speed, its own git, DVC.

Nothing is shared between two projects, and nothing with the repository: equal results were computed twice.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
import yaml

from luodi import embedded, locks, registry
from luodi.data import sources
from luodi.origin import Origin
from luodi.processes import Runner
from luodi.registry import Version

ROOT = Path(__file__).resolve().parent.parent
STEP = 23  # every 23rd review: 1,528 rows
SMALL: dict[str, dict[str, Any]] = {
    "validate": {"min_rows": 500},
    "preprocess": {"max_length": 60, "vocabulary": 500, "buckets": 4096},
    "baseline": {"max_features": 20000},
    "train": {"embedding": 8, "units": 16, "epochs": 3, "batch_size": 32},
    "evaluate": {"bootstrap": 100},
    "gate": {"minimum": 0.5},
}
FOREIGN = ("LUODI_", "GIT_", "DVC_", "AIRFLOW", "PYTHON")

# Runs when the interpreter starts; writes what a stage's process imported and how long it took.
WITNESS = """\
import atexit, json, os, sys, time
started = time.monotonic()
def tell():
    with open(os.path.join(os.environ["WITNESS"], sys.argv[1] + ".json"), "w") as file:
        json.dump({"modules": sorted(sys.modules), "seconds": time.monotonic() - started}, file)
atexit.register(lambda: os.path.basename(sys.argv[0]) == "luodi" and tell())
"""


@dataclass(frozen=True)
class Project:
    """A checkout with an embedded origin, cache and remote of its own."""

    root: Path
    home: Path

    @property
    def env(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        return inherited | {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc"),
            "DVC_NO_ANALYTICS": "1",
            "DO_NOT_TRACK": "1",
        }

    @property
    def origin(self) -> Origin:
        return Origin.embedded(self.root)

    @property
    def lock(self) -> dict[str, Any]:
        return locks.read(self.root / "dvc.lock")

    def run(self, *command: str, code: int = 0, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run a command in the checkout, expect its exit code, return what it printed, errors included."""
        done = subprocess.run(
            command, cwd=self.root, env=self.env | dict(env or {}), input=stdin, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == code, f"{command} ended with {done.returncode}, expected {code}:\n{done.stdout}"
        return done.stdout

    def start(self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> psutil.Popen:
        """Start a command in a process group of its own; its output goes to `started.log` in `home`."""
        with (self.home / "started.log").open("wb") as log:
            return psutil.Popen(
                command, cwd=cwd or self.root, env=self.env | dict(env or {}), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).strip()

    def bare(self, *arguments: str) -> str:
        """Run git in the embedded origin."""
        return self.run("git", "--git-dir", self.origin.git, *arguments).strip()

    def set(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Change parameters of `reviews` and commit them."""
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        for block, values in changes.items():
            params["models"]["reviews"][block] |= values
        path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
        self.git("commit", "--quiet", "--all", "--message", "Change parameters")

    def landed(self, ref: str = "main") -> dict[str, Any]:
        """The lock entries on a branch of the embedded origin."""
        return locks.parse(self.bare("show", f"{ref}:dvc.lock"), ref)

    def versions(self) -> list[Version]:
        return registry.versions(Path(self.origin.git), "reviews")

    def copy(self, name: str) -> "Project":
        """A copy beside this one that shares nothing with it."""
        other = Project(self.root.parent / name, self.home.parent / f"{name}.home")
        shutil.copytree(self.root, other.root, symlinks=True)
        shutil.copytree(self.home, other.home, symlinks=True)
        (other.root / ".dvc" / "config.local").unlink(missing_ok=True)
        embedded.connect(other.root, other.origin)
        return other

    def alive(self) -> list[psutil.Process]:
        """Processes that work in this project, or in a clone of it, or name it in their command line."""
        return [process for process in psutil.process_iter() if self._concerns(process)]

    def _concerns(self, process: psutil.Process) -> bool:
        try:
            places = [process.cwd(), *process.cmdline()]
            return process.pid != os.getpid() and any(str(self.root) in place for place in places)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


@dataclass(frozen=True)
class Done:
    """A project in which the whole graph ran once, what was printed, and the lock entries that it left."""

    project: Project
    output: str
    entries: dict[str, Any]


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
    (shard,) = sources.fetch("reviews", folder / "whole")
    whole = pq.read_table(shard)
    (project.root / "data" / "reviews").mkdir(parents=True)
    pq.write_table(whole.take(list(range(0, len(whole), STEP))), project.root / "data" / "reviews" / "slice.parquet")
    project.git("init", "--quiet", "-b", "main")
    (project.root / "data.dvc").unlink()
    project.run("dvc", "add", "--quiet", "data")
    shutil.rmtree(project.root / ".dvc" / "cache")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "A small project")
    project.set(SMALL)
    return project


def keep_only(project: Project, model: str) -> None:
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"] = {model: params["models"][model]}
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")


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
    embedded.prepare(project.root, quiet)
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
