"""A small real project: the files of this repository, a slice of the reviews, parameters for speed, its own git, DVC.

Nothing is shared between two projects, and nothing with the repository: equal results were computed twice. What takes
long to make is made once, for all workers of pytest: tests look at it, and change copies.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from project import FAR, FOREIGN, ROOT, Done, Ended, Project, full, written

from luodi import cli
from luodi.config import locked
from luodi.data import builtin_datasets
from luodi.local import embedded
from luodi.system import guard
from luodi.system.processes import Runner

Make = Callable[[Project], tuple[str, dict[str, Any]]]
"""Makes a project; returns what was printed and its lock entries."""

LONGEST = (
    "test_interleavings.py", "test_run.py", "test_approval.py", "test_kill_task.py", "test_succession.py",
    "test_export.py", "test_encoder_repro.py", "test_training_kills.py", "test_arriving.py", "test_compress.py",
    "test_cli_errors.py", "test_kills.py", "test_landing.py", "test_repro.py", "test_images.py", "test_tuning.py",
    "test_commits.py", "test_scaffold.py", "test_remedies.py", "test_killed_add.py", "test_landing_tiny.py",
    "test_nets.py",
)  # fmt: skip
LEFT_OUT = ("benchmarks/", "docs/", "tests/integration/", "tests/unit/")  # a copy is made hundreds of times

STEP = 23  # every 23rd review: 1,528 rows
SMALL: dict[str, dict[str, Any]] = {
    "validate": {"min_rows": 500},
    "preprocess": {"max_length": 60, "vocabulary": 500, "buckets": 4096},
    "baseline": {"max_features": 20000},
    "train": {"embedding": 8, "units": 16, "epochs": 3, "batch_size": 32},
    "evaluate": {"bootstrap": 100},
    "gate": {"minimum": 0.5, "baseline_margin": 1.0},  # its 80 test rows prove no less
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: else one worker ends while another has one of them still to do."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def quiet() -> Runner:
    return Runner(lambda line: None)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Make], Done]:
    """Has a project made by the first worker that asks for it; the others wait. Do not change it: work in a copy."""
    copies = tmp_path_factory.mktemp("projects")
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared.mkdir(exist_ok=True)

    def done(name: str, make: Make) -> Done:
        project, note = Project(shared / name, shared / f"{name}.home", copies), shared / f"{name}.json"
        with (shared / f"{name}.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not note.exists():
                for left in (project.root, project.home):  # by a worker that failed
                    shutil.rmtree(left, ignore_errors=True)
                note.write_text(json.dumps(make(project)), encoding="utf-8")
        return Done(project, *json.loads(note.read_text(encoding="utf-8")))

    return done


@pytest.fixture(scope="session")
def template(once: Callable[[str, Make], Done], tmp_path_factory: pytest.TempPathFactory) -> Project:
    def make(project: Project) -> tuple[str, dict[str, Any]]:
        folder = tmp_path_factory.mktemp("template")
        project.home.mkdir()
        (project.home / "gitconfig").write_text("[user]\nname = Tester\nemail = tester@localhost\n")
        copy_files(project.root)
        keep_only(project, "reviews")
        (shard,) = builtin_datasets.fetch("reviews", folder / "whole")
        whole = pq.read_table(shard)
        (project.root / "data" / "reviews").mkdir(parents=True)
        pq.write_table(whole.take(list(range(0, len(whole), STEP))), project.root / "data/reviews/slice.parquet")
        project.git("init", "--quiet", "-b", "main", "--template=")
        (project.root / "data.dvc").unlink()
        project.run("dvc", "add", "--quiet", "data", env={"DVC_SITE_CACHE_DIR": str(folder / "site")})
        shutil.rmtree(project.root / ".dvc" / "cache")
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", "A small project")
        project.set(SMALL)
        project.git("repack", "-adq")
        project.run(sys.executable, "-m", "compileall", "-q", "src")
        return "", {}

    return once("template", make).project


def copy_files(root: Path) -> None:
    """What git has or would add here, but for lock entries and what no project needs."""
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith(LEFT_OUT):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)


def keep_only(project: Project, model: str) -> None:
    """Of all models only one, every setting of it written out: tests change them. It runs where a test has it run."""
    block = full(model) | {"schedule": FAR}
    (project.root / "params.yaml").write_text(written({model: block}), encoding="utf-8")
    locked.write(project.root)


@pytest.fixture(scope="session")
def make_project(template: Project) -> Callable[[str], Project]:
    """A fresh checkout of the small project by name, its data in place, nothing run."""
    return template.copy


@pytest.fixture(scope="session")
def reproduced(once: Callable[[str, Make], Done], template: Project) -> Done:
    """`dvc repro` on a laptop. Do not change it: work in a copy."""

    def make(project: Project) -> tuple[str, dict[str, Any]]:
        template.copy_to(project)
        witness, hook = project.home / "witness", project.home / "hook"
        witness.mkdir()
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(WITNESS)
        output = project.run("dvc", "repro", env={
            "WITNESS": str(witness), "PYTHONPATH": f"{project.env['PYTHONPATH']}{os.pathsep}{hook}"
        })  # fmt: skip
        return output, project.lock

    return once("reproduced", make)


@pytest.fixture(scope="session")
def witnesses(reproduced: Done) -> dict[str, dict[str, Any]]:
    """Stage -> its process's "modules" at the end, and the "seconds" it took."""
    folder = reproduced.project.home / "witness"
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.fixture(scope="session")
def ran(once: Callable[[str, Make], Done], template: Project) -> Done:
    """`luodi run reviews`: the DAG on a real Airflow. Do not change it: work in a copy."""

    def make(project: Project) -> tuple[str, dict[str, Any]]:
        template.copy_to(project)
        return project.run("luodi", "run", "reviews"), project.landed()

    return once("ran", make)


@pytest.fixture(scope="session")
def stocked(once: Callable[[str, Make], Done], reproduced: Done) -> Done:
    """The reproduced project, its outputs pushed and its commit on main of the embedded origin: ready to land."""

    def make(project: Project) -> tuple[str, dict[str, Any]]:
        reproduced.project.copy_to(project)
        runner = Runner(lambda line: None)
        origin, commit = embedded.prepare(project.root, runner)
        embedded.advance(origin, commit, runner)
        project.run("dvc", "push", "--quiet")
        return "", reproduced.entries

    return once("stocked", make)


@pytest.fixture(scope="session")
def challenged(once: Callable[[str, Make], Done], stocked: Done) -> Done:
    """reviews@v1.0.0 is in production, and `dvc repro` made a challenger that differs a little."""

    def make(project: Project) -> tuple[str, dict[str, Any]]:
        stocked.project.copy_to(project)
        project.run("luodi", "register", "reviews")
        project.set({"train": {"learning_rate": 0.0051}})
        return project.run("dvc", "repro"), project.lock

    return once("challenged", make)


@pytest.fixture
def ready(stocked: Done, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Done:
    """A copy of `stocked` of one's own; this process takes its environment, as a task would."""
    project = stocked.project.copy(request.node.name.replace("[", "-").rstrip("]"))
    for key in [key for key in os.environ if key.startswith(("LUODI_", "GIT_", "DVC_"))]:
        monkeypatch.delenv(key)
    for key, value in project.env.items():
        monkeypatch.setenv(key, value)
    return Done(project, "", stocked.entries)


@pytest.fixture
def luodi(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """luodi in this process, but for the guard that would end all of it."""

    def run(where: Any, *arguments: str, cwd: Path | None = None, **env: str) -> Ended:
        folder, base = (where, {}) if isinstance(where, Path) else (where.root, where.env)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("contain", "end_in_order"):
                patch.setattr(guard, name, lambda: None)
            for name in [name for name in os.environ if base and name.startswith(FOREIGN)]:
                patch.delenv(name)
            for name, value in (base | env).items():
                patch.setenv(name, value)
            for name in ("stdin", "stdout", "stderr", "excepthook"):  # main changes them
                patch.setattr(sys, name, getattr(sys, name))
            patch.setattr(sys, "argv", ["luodi", *arguments])
            patch.setattr(sys.modules["__main__"], "__package__", None)  # by which the usage names the program
            patch.chdir(cwd or folder)
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                cli.main()
        printed = capfd.readouterr()
        return Ended(arguments, int(ended.value.code or 0), printed.out, printed.err)

    return run
