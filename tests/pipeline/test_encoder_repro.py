"""A pretrained encoder, from a folder to a version that predicts, by real DVC; away or changed, it is told."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_encoder
from project import Project

from luodi.project import locks, workspace
from luodi.project.origin import Origin
from luodi.system.processes import Runner

WITNESS = """\
import atexit, os, sys
atexit.register(lambda: open(os.environ["WITNESS"], "w").write(" ".join(sys.modules)))
"""
HEAD = "git checkout HEAD -- data.dvc"
LEARNING = {"tensorflow", "keras", "sklearn", "safetensors", "huggingface_hub"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def added(make_project: Callable[[str], Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with an encoder, and a model that tries it."""
    project, folder = make_project("encoder"), tmp_path_factory.mktemp("encoder")
    tiny_encoder.write(folder / "tiny")
    rows = [("text", "label"), *tiny_encoder.texts(240)]
    (folder / "sides.csv").write_text("\n".join(",".join(row) for row in rows))
    project.run("luodi", "encoder", "add", str(folder / "tiny"))
    project.run("luodi", "add", "sides", "--modality", "text", "--from", str(folder / "sides.csv"), "--encoder", "tiny")
    params = project.root / "params.yaml"
    before = params.read_text(encoding="utf-8")
    params.write_text(before.replace('encoder: "tiny"\n', 'encoder: "tiny"\n      tuning: lora\n'), encoding="utf-8")
    assert params.read_text(encoding="utf-8") != before
    project.run("luodi", "settings")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Add sides")
    return project


def test_it_lands_and_predicts(added: Project, tmp_path: Path) -> None:
    printed = added.run("dvc", "repro", "evaluate@sides")
    assert re.search("train: exported the (pretrained|fine-tuned) encoder tiny.*, tuned (0.9|1)", printed)
    curves = (added.root / "artifacts/sides/train/history.csv").read_text(encoding="utf-8")
    assert 2 <= len(curves.splitlines()) <= 7
    report = (added.root / "artifacts/sides/evaluate/report.html").read_text(encoding="utf-8")
    assert "licence: none stated" in report
    assert "sides@v1.0.0" in added.run("luodi", "register", "sides")
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    path = f"{added.env['PYTHONPATH']}{os.pathsep}{tmp_path}"
    text, label = tiny_encoder.texts(1, seed=9)[0]
    answer = added.run("luodi", "predict", "sides", text, env={"WITNESS": str(tmp_path / "seen"), "PYTHONPATH": path})
    assert json.loads(answer.splitlines()[-1])["label"] == label
    assert not LEARNING & set((tmp_path / "seen").read_text().split())
    added.run("luodi", "models", "show", "sides")
    assert "licence: none stated" in (added.root / ".luodi/cards/sides@v1.0.0/card.md").read_text(encoding="utf-8")
    _trains_alike_in_a_clone(added)


def _trains_alike_in_a_clone(project: Project) -> None:
    """As a task of Airflow does: the encoder comes from the DVC remote."""
    origin, runner = Origin.embedded(project.root), Runner(lambda line: None)
    commit, made = project.git("rev-parse", "HEAD"), locks.of_model(project.lock, "sides")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.env.items():
            patch.setenv(name, value)
        with workspace.clone(origin, commit, runner) as clone:
            locks.write(clone.lock, {name: entry for name, entry in made.items() if not name.startswith("train")})
            found = clone.reproduce("train@sides")["train@sides"]
            assert (clone.root / "data" / "encoders" / "tiny" / "encoder.onnx").exists()
            assert not (clone.root / "data" / "sides").exists()
    assert found == made["train@sides"]


def test_what_is_away_or_changed_is_told_and_brought_back(added: Project) -> None:
    folder = added.root / "data" / "encoders" / "tiny"
    tokenizer = folder / "tokenizer.json"
    before = tokenizer.read_bytes()
    changed = (lambda: tokenizer.write_bytes(before + b"\n"), 25, "dvc checkout --force data/encoders/tiny")
    away = (lambda: folder.rename(added.root / "elsewhere"), 21, "dvc pull data/encoders/tiny")
    for (spoil, code, command), recorded in ((changed, False), (away, False), (changed, True)):
        tokenizer.chmod(0o644)
        spoil()
        if recorded:
            added.run("dvc", "repro", "data.dvc")
        told = added.run("luodi", "train", "sides", code=code)
        assert f"`{command}`" in told
        assert f"`{HEAD}`" in told
        if recorded:
            added.run(*HEAD.split())
        added.run(*command.split())
        assert tokenizer.read_bytes() == before
