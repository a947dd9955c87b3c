"""A model with a block `compress`, by `dvc repro`: what runs, what is judged, what is registered, and back again."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import Done, Ended, Project

from luodi.compression import latency
from luodi.files import folder_checksum, read_facts
from luodi.project import locks, workspace
from luodi.project.paths import ModelPaths
from luodi.registry import promotion, tags
from luodi.system.processes import Runner

pytestmark = pytest.mark.slow
QUICK = {"margin": 0.5, "max_slowdown": 100.0}  # of 80 rows, on any machine
Make = Callable[[Project], tuple[str, dict[str, Any]]]


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)@reviews'", output)


def asking(project: Project, block: dict[str, Any] | None) -> None:
    """Have params.yaml ask for smaller models, or for none, and take the project there."""
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"]["reviews"]["compress"] = block
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
    project.run("luodi", "upgrade")
    project.git("commit", "--quiet", "--all", "--message", "Ask for smaller models")


@pytest.fixture(scope="module")
def compressed(once: Callable[[str, Make], Done], stocked: Done) -> Done:
    def make(project: Project) -> tuple[str, dict[str, Any]]:
        stocked.project.copy_to(project)
        asking(project, QUICK)
        return project.run("dvc", "repro"), project.lock

    return once("compressed", make)


def test_it_trains_nothing_again(compressed: Done, reproduced: Done) -> None:
    assert stages_run(compressed.output) == ["compress", "evaluate"]
    assert compressed.entries["train@reviews"] == reproduced.entries["train@reviews"]


def test_the_smallest_is_what_evaluate_judges(compressed: Done) -> None:
    paths = ModelPaths(compressed.project.root, "reviews")
    facts, measured = read_facts(paths.candidates), read_facts(paths.metrics)
    sizes = {name: one["size_bytes"] for name, one in facts["candidates"].items() if "size_bytes" in one}
    assert facts["chosen"] == min(sizes, key=lambda name: sizes[name])
    assert {facts["candidates"][name]["verdict"] for name in set(sizes) - {facts["chosen"]}} <= {"proven"}
    assert paths.export == paths.compressed
    assert measured["size_bytes"] == sizes[facts["chosen"]] < facts["uncompressed"]["size_bytes"]
    assert measured["compression"]["chosen"] == facts["chosen"]
    page = paths.evaluation_report.read_text(encoding="utf-8")
    assert "Smaller models" in page
    assert f"What is judged here is <b>{facts['chosen']}</b>" in page
    assert set(sizes) == {"int8_dynamic", "int8_static", "float16", "pruned", "distilled"}
    assert set(latency.read(paths)["candidates"]) == set(sizes)


def test_it_writes_the_same_bytes_again_and_no_time(compressed: Done) -> None:
    project = compressed.project.copy("compressed-again")
    assert stages_run(project.run("dvc", "repro", "--force", "--single-item", "compress@reviews")) == ["compress"]
    assert project.lock["compress@reviews"] == compressed.entries["compress@reviews"]
    assert stages_run(project.run("dvc", "repro")) == []


def test_it_lands_and_answers_like_any_other(compressed: Done, luodi: Callable[..., Ended], tmp_path: Path) -> None:
    project = compressed.project.copy("compressed-landing")
    paths = ModelPaths(project.root, "reviews")
    project.run("dvc", "push", "--quiet")
    project.run("luodi", "register", "reviews")
    (version,) = project.versions()
    assert version.export == folder_checksum(paths.compressed) != folder_checksum(paths.trained)
    assert version.facts["metrics"]["compression"]["chosen"] == read_facts(paths.candidates)["chosen"]
    assert version.facts["training"].keys() > {"seconds", "candidates"}
    entries = locks.parse(project.bare("show", f"{version.commit}:dvc.lock"), "dvc.lock")
    assert tags.export_hash(entries, "reviews") == version.export
    answer = luodi(project, "predict", "reviews", "质量很好，很喜欢")
    assert answer.returncode == 0
    assert "reviews@v1.0.0" in answer.stdout + answer.stderr
    artifacts = yaml.safe_load((project.root / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    assert artifacts["reviews"]["path"] == "artifacts/reviews/compress/export"
    asking(project, None)  # what a version is does not hang on the checkout that asks for it
    project.run("luodi", "pull", "reviews", str(tmp_path / "served"))
    assert (tmp_path / "served" / "model.onnx").read_bytes() == (paths.compressed / "model.onnx").read_bytes()


def test_without_the_block_the_graph_is_what_it_was(compressed: Done, reproduced: Done) -> None:
    project = compressed.project.copy("compressed-no-more")
    asking(project, None)
    assert (project.root / "dvc.yaml").read_bytes() == (reproduced.project.root / "dvc.yaml").read_bytes()
    assert stages_run(project.run("dvc", "repro")) == []  # evaluate comes from the cache
    assert project.lock["evaluate@reviews"] == reproduced.entries["evaluate@reviews"]
    assert tags.export_hash(project.lock, "reviews") == folder_checksum(ModelPaths(project.root, "reviews").trained)
    assert promotion.checkout_entries(project.root, "reviews").keys() == reproduced.entries.keys()


def test_a_clone_judges_no_model_that_its_commit_does_not_make(
    compressed: Done, reproduced: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a task of Airflow does: DVC by itself takes what evaluated the smaller model for up to date.

    Nor is anything brought that a stage no longer reads.
    """
    project = compressed.project.copy("compressed-in-a-clone")
    project.run("dvc", "push", "--quiet")
    asking(project, None)
    project.git("push", "--quiet", project.origin.git, "HEAD:refs/heads/whole")
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    commit, before = project.git("rev-parse", "HEAD"), copy.deepcopy(compressed.entries)
    before["evaluate@reviews"]["deps"].append({"path": "notes.txt", "hash": "md5", "md5": "0" * 32, "size": 1})
    with workspace.clone(project.origin, commit, Runner(lambda line: None)) as clone:
        locks.write(clone.lock, before)
        found = clone.reproduce("evaluate@reviews")
    assert found == {"evaluate@reviews": reproduced.entries["evaluate@reviews"]}
