"""Projects made and taken to another luodi: what a user wrote stays, what luodi wrote is that of today."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from project import ROOT, full_params

from luodi import config
from luodi.config import locked
from luodi.errors import LuodiError, ParamsError
from luodi.project import fingerprints, graph
from luodi.scaffold import init, pipeline, upgrade
from luodi.system.processes import Runner

# A stage as a luodi of before had it: its own files among the dependencies, the settings of params.yaml.
OLDER = """\
# My own note.
stages:
  validate:
    foreach: ${models}
    do:
      cmd: luodi validate ${key}
      deps:
        - data/${key}
        - extra.txt  # mine
        - src/luodi/config.py
        - src/luodi/data/${item.modality}.py
      params:
        - models.${key}.modality
        - models.${key}.labels
        - models.${key}.validate
        - mine.yaml:
            - level
      outs:
        - artifacts/${key}/validate/clean.parquet
      metrics:
        - artifacts/${key}/validate/summary.json
  mine:  # a stage of one's own
    cmd: echo > out
    outs: [out]

plots:
  - Loss:
      x: epoch
      y:
        artifacts/reviews/train/history.csv: [loss]
  - Mine: {x: a, y: {out: b}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with both models, as it was before there were lock files, and a copy of luodi in it."""
    (tmp_path / "params.yaml").write_text("# kept\n" + full_params(), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(OLDER, encoding="utf-8")
    (tmp_path / "src" / "luodi").mkdir(parents=True)
    (tmp_path / "src" / "luodi" / "__init__.py").touch()
    (tmp_path / "src" / "mine.py").touch()
    _commit(tmp_path)
    return tmp_path


def _commit(root: Path) -> None:
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "a"]):
        Runner(print).run(*git, *command, cwd=root)


@pytest.mark.parametrize("kept", ["a change", "a new file", "all of it, in no repository"])
def test_a_copy_of_luodi_goes_only_if_git_can_bring_it_back(project: Path, kept: str) -> None:
    """As in a checkout of luodi's own source, where another luodi is installed."""
    before = (project / "dvc.yaml").read_text(encoding="utf-8")
    if kept.startswith("all"):
        shutil.rmtree(project / ".git")
    else:
        (project / "src" / "luodi" / ("__init__.py" if kept == "a change" else "mine.py")).write_text("x = 1\n")
    with pytest.raises(LuodiError, match="is not as committed: commit it"):
        upgrade.upgrade(project)
    assert (project / "src" / "luodi" / "__init__.py").exists()
    assert (project / "dvc.yaml").read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_an_older_project_is_taken_along(project: Path) -> None:
    done = upgrade.upgrade(project)
    assert done.removed == [project / "src" / "luodi"]
    assert not done.removed[0].exists()
    assert (project / "src" / "mine.py").exists()
    assert (project / "params.yaml").read_text(encoding="utf-8") == "# kept\n" + full_params()
    text = (project / "dvc.yaml").read_text(encoding="utf-8")
    assert "src/luodi" not in text
    for kept in (
        "# My own note.",
        "- extra.txt  # mine",
        "mine:  # a stage of one's own",
        "- Mine: {x: a, y: {out: b}}",
    ):
        assert kept in text
    stages = yaml.safe_load(text)["stages"]
    assert next(iter(stages)) == "settings"
    assert {"mine.yaml": ["level"]} in stages["validate"]["do"]["params"]
    assert "metrics" not in stages["validate"]["do"]  # what DVC compares is one short file
    assert stages["evaluate"]["do"]["metrics"] == ["artifacts/${key}/evaluate/headline.json"]
    found = graph.stages(project / "dvc.yaml", "digits", "image")
    fresh = graph.stages(ROOT / "dvc.yaml", "digits", "image")
    assert {name: stage["outs"] for name, stage in found.items()} == {name: one["outs"] for name, one in fresh.items()}
    assert set(done.reruns) == {f"{stage}@{model}" for stage in fresh for model in ("reviews", "digits")}
    assert any(line.startswith("-        - src/luodi/config.py") for line in done.diff)


@pytest.mark.slow
def test_a_second_upgrade_changes_nothing(project: Path) -> None:
    upgrade.upgrade(project)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    done = upgrade.upgrade(project)
    assert (done.diff, done.removed, done.reruns) == ([], [], {})
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_what_reruns_is_told_with_its_reason(project: Path) -> None:
    upgrade.upgrade(project)
    path = project / "luodi.lock"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(fingerprints.stage("baseline", "text")["code"], "0" * 32), encoding="utf-8")
    settings = (project / "params.lock").read_text(encoding="utf-8")
    (project / "params.lock").write_text(settings.replace("rotation: 10", "rotation: 11"), encoding="utf-8")
    assert upgrade.upgrade(project).reruns == {
        "baseline@reviews": "other code",
        "train@reviews": "if what baseline writes changes",
        "evaluate@reviews": "if what baseline writes changes",
        "preprocess@digits": "models.digits.preprocess changed",
        "baseline@digits": "if what preprocess writes changes",
        "train@digits": "models.digits.preprocess.augment changed",
        "evaluate@digits": "if what baseline writes changes",
    }


def test_a_project_that_cannot_be_used_is_left_alone(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: [", encoding="utf-8")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    with pytest.raises(ParamsError, match=r"dvc\.yaml is not YAML"):
        upgrade.upgrade(project)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("artifacts", ["", "artifacts:", "artifacts: {}", "artifacts:\n  other: {path: mine}"])
def test_a_model_is_an_artifact_of_dvc(artifacts: str) -> None:
    text = pipeline.updated(f"{pipeline.template()}{artifacts}\n", ["hotels"])
    found = yaml.safe_load(text)["artifacts"]
    assert found.pop("hotels") == {"path": "artifacts/hotels/train/export", "type": "model"}
    assert found == ({"other": {"path": "mine"}} if "other" in artifacts else {})
    assert pipeline.updated(text, ["hotels"]) == text


def test_artifacts_of_a_strange_form_are_refused() -> None:
    with pytest.raises(ParamsError, match="expected a mapping `artifacts:`"):
        pipeline.updated(f"{pipeline.template()}artifacts: [a]\n", ["hotels"])


@pytest.mark.parametrize("plots", ["", "plots:", "plots: []", "plots:\n  - mine.csv\n  - Loss:\n  - Mine: {y: b}"])
def test_plots_of_any_form_gain_a_model(plots: str) -> None:
    """A path alone is a plot to DVC, and so is a title alone."""
    text = pipeline.updated(f"{pipeline.template()}{plots}\n", ["hotels"])
    assert ("mine.csv" in text) == ("mine.csv" in plots)
    assert "artifacts/hotels/evaluate/plots/roc.csv" in text


def test_a_graph_of_today_stays_byte_for_byte() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert pipeline.updated(text, ["reviews", "digits"]) == text


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), unique=True, max_size=5))
def test_each_of_any_number_of_models_has_plots_of_its_own(names: list[str]) -> None:
    text = pipeline.updated(pipeline.template(), names)
    assert pipeline.updated(text, names) == text
    one_by_one = pipeline.template()
    for place in range(len(names)):
        one_by_one = pipeline.updated(one_by_one, names[: place + 1])
    assert yaml.safe_load(one_by_one) == yaml.safe_load(text)
    plots: list[Any] = yaml.safe_load(text).get("plots", [])
    assert all(len(body["y"]) == 1 for plot in plots for body in plot.values())
    assert len({title for plot in plots for title in plot}) == 7 * len(names)


def test_plots_that_all_models_shared_are_parted_but_for_what_is_a_users_own() -> None:
    shared = """\
plots:
  - Loss:
      x: epoch
      y:
        artifacts/reviews/train/history.csv: [loss, val_loss]
        artifacts/digits/train/history.csv: [loss, val_loss]
  - ROC:  # mine beside it
      x: false_positive_rate
      y:
        artifacts/reviews/evaluate/plots/roc.csv: true_positive_rate
        older/roc.csv: true_positive_rate
  - Recall:
      y:
        artifacts/digits/train/history.csv: [val_recall]
"""
    text = pipeline.updated(pipeline.template() + shared, ["reviews", "digits"])
    plots = yaml.safe_load(text)["plots"]
    assert [next(iter(plot)) for plot in plots[:3]] == ["ROC", "Recall", "Loss of reviews"]
    assert len(plots) == 16
    assert plots[0]["ROC"]["y"] == {"older/roc.csv": "true_positive_rate"}
    assert "# mine beside it" in text


@pytest.mark.slow
def test_a_new_project_holds_no_source(tmp_path: Path) -> None:
    root = tmp_path / "new"
    init.init(root, Runner(print))
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".git/" not in str(path)}
    assert files == {
        "params.yaml",
        "dvc.yaml",
        "dags/retrain.py",
        ".gitignore",
        ".gitattributes",
        ".dvc/config",
        "params.lock",
        "luodi.lock",
    }
    assert upgrade.upgrade(root).diff == []
    assert locked.text(root, config.load(root / "params.yaml")) == (root / "params.lock").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("ignored", [False, True])
def test_a_repository_around_a_project_is_told_unless_it_ignores_it(tmp_path: Path, ignored: bool) -> None:
    run = Runner(print).run
    run("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / ".gitignore").write_text("/ml/\n" if ignored else "")
    notes = init.init(tmp_path / "ml", Runner(print))
    said = f"it is a git repository of its own inside {tmp_path}: add it to .gitignore there, or as a submodule"
    assert notes == ([] if ignored else [said])
    assert run("git", "rev-parse", "--show-toplevel", cwd=tmp_path / "ml").strip() == str(tmp_path / "ml")


def test_a_folder_of_another_repository_does_not_become_a_project(tmp_path: Path) -> None:
    run = Runner(print).run
    run("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "a.py").write_text("")
    run("git", "add", ".", cwd=tmp_path)
    with pytest.raises(LuodiError, match="holds files of the git repository"):
        init.init(tmp_path / "ml", Runner(print))
    assert [path.name for path in (tmp_path / "ml").iterdir()] == ["a.py"]


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "luodi.lock", "dags/retrain.py"])
def test_nothing_of_a_project_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(LuodiError, match=f"holds {name} already: choose another folder"):
        init.init(tmp_path, Runner(print))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(name).name]


@pytest.mark.slow
def test_a_repository_that_has_begun_becomes_a_project(tmp_path: Path) -> None:
    """As a host makes one, with what Python leaves behind ignored, and DVC made ready by its own `dvc init`."""
    (tmp_path / ".dvc").mkdir()
    for name, text in {".gitignore": "*.pyc\r\n/data", ".gitattributes": "*.sh eol=lf\n", ".dvc/config": ""}.items():
        (tmp_path / name).write_text(text)
    init.init(tmp_path, Runner(print))
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.pyc", "/data"]
    assert lines.count("/data") == 1
    assert {"/.luodi/", "/artifacts/"} <= set(lines)
    assert (tmp_path / ".gitattributes").read_text() == "*.sh eol=lf\n"
    assert (tmp_path / ".dvc" / "config").read_text() == ""
    assert (tmp_path / "params.yaml").exists()


@pytest.mark.slow
def test_a_project_of_a_wheel_goes_from_a_table_to_a_version(tmp_path: Path) -> None:
    """Outside of this repository: installed from a wheel, with what that brings along and nothing else of ours."""
    source, wheel, site = tmp_path / "source", tmp_path / "wheel", tmp_path / "site"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    wheel.mkdir()
    subprocess.run([sys.executable, "-c", build, wheel], cwd=source, check=True, capture_output=True)
    (built,) = wheel.glob("luodi-*.whl")
    shutil.unpack_archive(built, site, "zip")
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(site),
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "LANG": "C.UTF-8",
    }  # fmt: skip
    (tmp_path / "gitconfig").write_text("[user]\nname = Tester\nemail = tester@localhost\n")
    rows = (
        f"第{row}间房{'很好喜欢' if row % 2 else '很差讨厌'}的{row * 7 % 13}号,{'ab'[row % 2]}" for row in range(600)
    )
    (tmp_path / "hotels.csv").write_text("\n".join(("text,label", *rows)), encoding="utf-8")

    def run(*command: str, cwd: Path = tmp_path / "mine") -> str:
        done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    said = run("luodi", "init", "mine", cwd=tmp_path)
    assert "luodi add NAME" in said
    run("luodi", "add", "hotels", "--modality", "text", "--from", str(tmp_path / "hotels.csv"))
    run("git", "add", ".")
    run("git", "commit", "--quiet", "--message", "Add hotels")
    run("luodi", "connect")
    run("dvc", "repro")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "--message", "What it gave")
    assert "hotels@v1.0.0 landed" in run("luodi", "register", "hotels")
    assert '"label": "b"' in run("luodi", "predict", "hotels", "房间很好喜欢")
    tracked = run("git", "ls-files").split()
    assert sorted(path for path in tracked if path.endswith(".py")) == ["dags/retrain.py"]
