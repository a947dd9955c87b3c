"""`luodi plots`: what DVC defines and reads is drawn into pictures that load nothing."""

import base64
import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from luodi.errors import ArtifactError, GitError, LuodiError, ParamsError, StaleProject
from luodi.local import plots
from luodi.project import programs
from luodi.scaffold import pipeline
from luodi.system.processes import Runner

QUIET = Runner(lambda line: None)
ROC = "false_positive_rate,true_positive_rate\n0.0,0.0\n{0},{1}\n1.0,1.0\n"
LOADED = re.compile(r"<script|<foreignObject|\bon\w+=|(?:href|src)=|url\((?!['\"]?#)")


def commit(root: Path, text: str) -> None:
    file = root / "artifacts" / "a" / "evaluate" / "plots" / "roc.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    for words in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *words], cwd=root, check=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two models in dvc.yaml; files of one are there, those of the other were never made."""
    subprocess.run(["git", "init", "--quiet", "."], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    (tmp_path / "params.yaml").write_text("models:\n  a: {modality: text}\n  b: {modality: text}\n", encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(pipeline.updated(pipeline.template(), ["a", "b"]), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_revisions_are_drawn_beside_each_other_by_no_script_and_from_no_network(project: Path) -> None:
    commit(project, ROC.format(0.2, 0.8))
    commit(project, ROC.format(0.3, 0.9))
    drawn = plots.draw(project, "a", ["HEAD~1", "HEAD"], project / "out", QUIET)
    assert drawn.titles == ["ROC of a"]
    assert "HEAD has no artifacts/a/evaluate/plots/confusion.csv" in drawn.missing
    assert not any("artifacts/b/" in line for line in drawn.missing)
    svg = (project / "out" / "roc-of-a.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg") and "HEAD~1" in svg and not LOADED.search(svg)
    page = drawn.page.read_text(encoding="utf-8")
    (image,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert base64.b64decode(image).decode() == svg
    assert 'alt="ROC of a: HEAD~1, HEAD"' in page
    assert set(LOADED.findall(page)) == {"src="}


@pytest.mark.slow
def test_a_revision_that_nobody_knows(project: Path) -> None:
    commit(project, ROC.format(0.2, 0.8))
    with pytest.raises(GitError, match="neither git nor DVC knows nowhere here"):
        plots.draw(project, "a", ["nowhere"], project / "out", QUIET)


@pytest.mark.parametrize("answer", [{"data": {}}, {"data": {"ROC of a": []}, "errors": [{"rev": "workspace"}]}])
def test_nothing_to_draw(project: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    """As DVC answers of a model that was never built here."""
    monkeypatch.setattr(programs, "dvc", lambda *_: json.dumps(answer))
    with pytest.raises(ArtifactError, match="luodi sync a"):
        plots.draw(project, "a", [], project / "out", QUIET)
    assert not (project / "out").exists()


def test_no_plot_of_the_model_alone(project: Path) -> None:
    shared = "plots:\n  - Loss: {y: {artifacts/a/x.csv: y, artifacts/b/x.csv: y}}\n  - artifacts/a/x.csv\n"
    (project / "dvc.yaml").write_text(pipeline.template() + shared, encoding="utf-8")
    with pytest.raises(StaleProject, match="run `luodi upgrade`"):
        plots.draw(project, "a", [], project / "out", QUIET)


def test_without_what_draws(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LuodiError, match=r"pip install 'luodi\[plots\]'"):
        plots.draw(project, "a", [], project / "out", QUIET)


@pytest.mark.slow
@pytest.mark.parametrize("chart", [{"mark": "nothing"}, {"data": {"url": "http://127.0.0.1:9/x.csv"}, "mark": "point"}])
def test_a_template_that_is_none_or_wants_the_network(chart: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=r"the plot Mine of dvc\.yaml cannot be drawn"):
        plots._svg("Mine", chart)
