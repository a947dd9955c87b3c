"""A second modality: the real digits join a project whose reviews have run."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from project import Done, Project

from luodi.project import locks


@pytest.fixture(scope="module")
def joined(reproduced: Done) -> tuple[Project, str]:
    """The project after digits was added and `dvc repro` ran again, and what that printed."""
    project = reproduced.project.copy("joined")
    # Test rows enough for each class: no other networks score the rest of it, which takes half a minute.
    project.add_digits(shares={"train": 0.6, "validation": 0.1, "test": 0.3})
    return project, project.run("dvc", "repro")


def test_a_second_model_runs_nothing_of_the_first(joined: tuple[Project, str], reproduced: Done) -> None:
    project, printed = joined
    assert "Running stage 'train@digits'" in printed
    assert not [line for line in printed.splitlines() if line.startswith("Running stage") and "@reviews" in line]
    assert locks.of_model(locks.read(project.root / "dvc.lock"), "reviews") == reproduced.entries


def test_digits_are_read_well(joined: tuple[Project, str]) -> None:
    """What trains on another kind of processor ends with other weights: 0.9797 to 0.9928 were seen."""
    project, _ = joined
    metrics = json.loads((project.root / "artifacts/digits/evaluate/metrics.json").read_text())
    assert metrics["model"]["accuracy"]["value"] >= 0.97


def test_a_registered_image_model_predicts_files_and_folders(joined: tuple[Project, str], tmp_path: Path) -> None:
    project, _ = joined
    printed = project.run("luodi", "register", "digits")
    assert "digits@v1.0.0 landed" in printed
    table = pq.read_table(project.root / "data/digits/scikit-learn.parquet")
    for row in range(5):
        (tmp_path / f"{row}.png").write_bytes(table["image"][row].as_py())
    answers = [
        json.loads(line) for line in project.run("luodi", "predict", "digits", "--input", str(tmp_path)).splitlines()
    ]
    assert [answer["label"] for answer in answers] == table["label"].slice(0, 5).to_pylist()
    (one,) = project.run("luodi", "predict", "digits", "--input", str(tmp_path / "3.png")).splitlines()
    assert json.loads(one)["label"] == answers[3]["label"]
