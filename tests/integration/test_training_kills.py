"""SIGKILL at random steps of the whole stage: what goes on, here or in another clone, ends with the same bytes."""

import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from project import Done, Project

from luodi import config
from luodi.airflow.factory import retrain_dag
from luodi.airflow.operators import Job, StageOperator
from luodi.airflow.trigger import Trigger
from luodi.data import split_rows
from luodi.files import checksum, folder_checksum
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.scoring import folds
from luodi.system.processes import Runner

pytestmark = pytest.mark.slow


def kept(place: Path) -> list[Path]:
    """What is left of checkpoints; a file that a killed process was writing goes a minute later."""
    return [path for path in place.iterdir() if not path.name.startswith(".")]


# Trains in a child of its own for each try, which is killed before a given step, or not. TensorFlow, which takes long
# to import, has not begun to calculate when it forks.
DRIVER = """
import contextlib, json, os, signal, sys
from itertools import count
from pathlib import Path
from luodi import config
from luodi.nets.stderr import quiet
with quiet():
    from luodi.nets import catalogue, export, hardware, saving, training
from luodi.project.paths import ModelPaths
from luodi.stages import train

training.DEAR = 0  # a checkpoint as often as can be

def stage(root, fatal):
    steps, begins = count(), training.Standing.on_train_batch_begin
    def kill(standing, batch, logs=None):
        begins(standing, batch, logs)
        if next(steps) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    training.Standing.on_train_batch_begin = kill
    paths = ModelPaths(Path(root), "reviews")
    train.run(config.load(paths.params).models["reviews"], paths)
    print("STEPS", next(steps), flush=True)

for root, fatal, kept in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        try:
            stage(root, fatal)
        finally:
            sys.stdout.flush()
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    print("ENDED", os.waitstatus_to_exitcode(status), flush=True)
    if kept:
        (Path(root) / "artifacts" / "reviews" / "train").rename(kept)
"""
OFTEN = {"checkpoint_minutes": 1e-6, "dropout": 0.2, "epochs": 3, "batch_size": 64}


@pytest.fixture(scope="module")
def clones(reproduced: Done, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project, Project]:
    """Three clones with what train reads: one that is left in peace, and two that share a place for checkpoints.

    They export the network and the linear model as one, and say what networks find out of fold, as for a rare class.
    """
    made = []
    for name in ("peace", "here", "there"):
        project = reproduced.project.copy(f"training-{name}")
        project.set({"train": OFTEN, "gate": {"metric": "average_precision"}})
        artifacts = ModelPaths(project.root, "reviews")
        rows = sum(len(split_rows.labels(artifacts.rows, split, 2)) for split in ("train", "validation"))
        even = np.full((rows, 2), 0.5, np.float32)
        folds.write(artifacts.baseline_out_of_fold, np.arange(rows), np.arange(rows), even)
        shutil.rmtree(project.root / "artifacts" / "reviews" / "train")
        made.append(project)
    peace, here, there = made
    return peace, here, there


def run(place: Path, project: Project, *tries: tuple[Project, int | None, Path | None]) -> list[str]:
    """Try in each project, killed before a step or not, and move what it wrote somewhere; lines that were printed."""
    plan = json.dumps([(str(one.root), fatal, kept and str(kept)) for one, fatal, kept in tries])
    return project.run(sys.executable, "-c", DRIVER, plan, env={"LUODI_CHECKPOINTS": str(place)}).splitlines()


def ends(said: list[str]) -> list[str]:
    return [line.removeprefix("ENDED ") for line in said if line.startswith("ENDED")]


def steps(said: list[str]) -> list[int]:
    """How many steps each try took that was not killed."""
    return [int(line.split()[1]) for line in said if line.startswith("STEPS")]


def outputs(folder: Path) -> dict[str, str]:
    return {
        path.name: folder_checksum(path) if path.is_dir() else checksum(path)
        for path in sorted(folder.iterdir())
        if path.name != "cost.json"
    }


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(
    clones: tuple[Project, Project, Project], tmp_path: Path
) -> None:
    """Killed in the network that is exported; then, in another clone, in one that scores out of fold."""
    peace, here, there = clones
    place, expected, found = (tmp_path / name for name in ("place", "expected", "found"))
    said = run(place, here, (peace, None, expected), (here, 25, None), (there, 60, None), (here, None, found))
    assert ends(said) == ["0", "-9", "-9", "0"]
    assert outputs(found) == outputs(expected)
    assert len(outputs(expected)) == 5
    assert steps(said)[1] == steps(said)[0] - 25 - 60, "it took some of them again"
    cost = json.loads((found / "cost.json").read_text())
    assert "ended without a word: it was killed" in cost["tries"][0]
    assert cost["joules"] is None  # the tries before counted theirs in vain
    assert kept(place) == []


@pytest.mark.proof
@pytest.mark.timeout(7200)
def test_thirty_kills_at_random_steps(clones: tuple[Project, Project, Project], tmp_path: Path) -> None:
    """Each of thirty trainings is killed once, at a random step of all that the stage takes; half go on elsewhere."""
    peace, here, there = clones
    place, rng = tmp_path / "place", random.Random("thirty kills")
    total = steps(run(place, peace, (peace, None, tmp_path / "expected")))[0]
    fatal = rng.sample(range(total), 30)
    rounds = [
        ((here, step, None), (there if number % 2 else here, None, tmp_path / f"{number}"))
        for number, step in enumerate(fatal)
    ]
    said = run(place, here, *(one for pair in rounds for one in pair))
    assert ends(said) == ["-9", "0"] * 30
    assert [outputs(tmp_path / f"{number}") for number in range(30)] == [outputs(tmp_path / "expected")] * 30
    assert steps(said) == [total - step for step in fatal], "steps were taken again"


def test_a_task_whose_time_is_up_says_so_and_its_retry_goes_on(ready: Done, capsys: pytest.CaptureFixture[str]) -> None:
    """The clone of the task is gone, the checkpoint is not; Airflow ends a task by this signal too."""
    project = ready.project
    origin = Origin(project.origin.git, "main", project.origin.remote, project.home / "worker")
    block = config.load(project.root / "params.yaml").models["reviews"]
    task = retrain_dag(project.root, "reviews", block).get_task("train")
    assert isinstance(task, StageOperator)
    before = {"all": {"entries": {name: entry for name, entry in ready.entries.items() if name != "train@reviews"}}}
    lines: list[str] = []
    job = Job(origin, project.bare("rev-parse", "main"), before, Runner(lines.append), Trigger())

    def time_is_up(number: int, frame: Any) -> None:
        raise AirflowTaskTimeout

    def watch() -> None:
        while not list(origin.home.glob("checkpoints/*.npz")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGALRM)

    watcher = threading.Thread(target=watch, daemon=True)
    known = signal.signal(signal.SIGALRM, time_is_up)
    watcher.start()
    try:
        with pytest.raises(AirflowTaskTimeout):
            task.work(job)
    finally:
        signal.signal(signal.SIGALRM, known)
    assert (
        "train of reviews neither ended nor kept a checkpoint within its execution_timeout of 6:00:00"
        in capsys.readouterr().out
    )
    left = task.work(job)
    assert left["entries"] == {"train@reviews": ready.entries["train@reviews"]}
    said = [line for line in lines if line.startswith("train: ")]
    assert any(re.match("train: the try before this one .*(SIGTERM|killed, by a time limit)", line) for line in said)
    assert any("by the checkpoint of an earlier try" in line for line in said)
    assert kept(origin.home / "checkpoints") == []
