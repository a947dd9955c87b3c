"""`dvc repro` in a checkout: what runs, what does not, what comes out, and what each stage's process imports."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from project import Done, Project

from luodi import config
from luodi.local import embedded
from luodi.project import dvc_store, fingerprints, graph, locks, workspace
from luodi.system.processes import Runner

STAGES = ("validate", "preprocess", "baseline", "train", "evaluate")
ORCHESTRATION = {"dvc", "airflow", "gto"}
LEARNING = {"tensorflow", "keras", "sklearn"}

# pyarrow imports pandas to make an array of a list, Keras imports scikit-learn and pandas where it finds them.
FORBIDDEN = {
    "validate": ORCHESTRATION | LEARNING | {"onnxruntime"},
    "preprocess": ORCHESTRATION | LEARNING | {"great_expectations", "onnxruntime"},
    "baseline": ORCHESTRATION | {"tensorflow", "keras", "great_expectations", "jieba"},
    "train": ORCHESTRATION | {"great_expectations"},
    "evaluate": ORCHESTRATION | LEARNING | {"great_expectations", "pandas"},
}

pytestmark = pytest.mark.slow


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)@reviews'", output)


def outs(project: Project) -> list[Path]:
    modality = config.load(project.root / "params.yaml").models["reviews"].modality
    stages = graph.stages(project.root / "dvc.yaml", "reviews", modality)
    return [project.root / out for stage in stages.values() for out in stage["outs"]]


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; those that tell of the machine excepted."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("latency.json", "cost.json")
    }


def add_shard(project: Project, rows: int) -> Path:
    slice_ = pq.read_table(project.root / "data" / "reviews" / "slice.parquet")
    shard = project.root / "data" / "reviews" / "more.parquet"
    texts = [f"第{number}次来这里买书，还是一样喜欢" for number in range(rows)]
    columns = {"text": texts, "label": ["positive"] * rows, "source": ["later"] * rows}
    pq.write_table(slice_.schema.empty_table().from_pydict(columns), shard)
    project.run("dvc", "add", "--quiet", "data")
    return shard


def test_every_stage_runs_and_leaves_its_outputs(reproduced: Done) -> None:
    assert sorted(stages_run(reproduced.output)) == sorted(STAGES)
    assert all(out.exists() for out in outs(reproduced.project))
    assert set(reproduced.entries) == {f"{stage}@reviews" for stage in STAGES}


def test_outputs_hold_no_path_of_the_checkout(reproduced: Done) -> None:
    place = str(reproduced.project.root).encode()
    assert not [name for name, content in files(reproduced.project.root / "artifacts").items() if place in content]


def test_it_leaves_nothing_outside_of_the_checkout(reproduced: Done) -> None:
    """No id, no settings of Keras, no state of DVC in a folder that all users share."""
    assert {path.name for path in reproduced.project.home.iterdir()} == {"gitconfig", "hook", "witness"}
    assert list((reproduced.project.root / ".dvc" / "tmp" / "site" / "repo").iterdir())


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_what_it_uses(stage: str, witnesses: dict[str, dict[str, Any]]) -> None:
    assert not FORBIDDEN[stage] & set(witnesses[stage]["modules"])


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_imports_counts_in_its_fingerprint(stage: str, witnesses: dict[str, dict[str, Any]]) -> None:
    """As it really ran: what no reading of the code finds would be served stale."""
    counted = set(fingerprints.closure(f"luodi.stages.{stage}", "text"))
    imported = {name for name in witnesses[stage]["modules"] if name.startswith("luodi.")}
    beside = ("luodi.cli", *fingerprints.UNCOUNTED)
    assert {name for name in imported if not name.startswith(beside)} <= counted


def test_a_changed_default_runs_what_it_changes_again(reproduced: Done, tmp_path: Path) -> None:
    """In a luodi of another default: `luodi upgrade` tells what will run, `dvc repro` runs just that."""
    project = reproduced.project.copy("defaults")
    params = yaml.safe_load((project.root / "params.yaml").read_text(encoding="utf-8"))
    del params["models"]["reviews"]["evaluate"]["confidence"]
    (project.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    assert stages_run(project.run("dvc", "repro")) == []
    shared = project.root / "src" / "luodi" / "config" / "shared.py"
    text = shared.read_text(encoding="utf-8")
    shared.write_text(text.replace('Field(0.95, description="of the intervals")', 'Field(0.9, description="x")'))
    assert "installed" in project.run("luodi", "settings", code=90)
    told = project.run("luodi", "upgrade")
    assert "evaluate@reviews: models.reviews.evaluate changed" in told
    assert stages_run(project.run("dvc", "repro")) == ["evaluate"]


def rewrite(project: Project, path: str, before: str, after: str) -> None:
    """Change a file of the luodi that is installed."""
    file = project.root / "src" / "luodi" / path
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_another_luodi_reruns_nothing_for_comments_docstrings_and_styles(reproduced: Done) -> None:
    project = reproduced.project.copy("other-words")
    rewrite(project, "stages/train.py", "def run(", "# A comment.\ndef run(")
    rewrite(project, "nets/training.py", '"""', '"""Another word: ')
    rewrite(project, "report/style.css", "{", "{ ")
    assert "@reviews" not in project.run("luodi", "upgrade")
    assert stages_run(project.run("dvc", "repro")) == []


def test_another_luodi_reruns_what_it_changes(reproduced: Done) -> None:
    """`luodi upgrade` takes the project to it; before that no stage starts."""
    project = reproduced.project.copy("other-loop")
    rewrite(project, "nets/training.py", "set_random_seed(seed)", "set_random_seed(seed + 1)")
    told = project.run("luodi", "train", "reviews", code=90)
    assert "luodi.lock names another train than is installed (other code" in told
    told = project.run("luodi", "upgrade")
    assert [stage for stage in STAGES if f"{stage}@reviews" in told] == ["train", "evaluate"]
    assert stages_run(project.run("dvc", "repro")) == ["train", "evaluate"]


def test_a_second_run_changes_nothing(reproduced: Done) -> None:
    project = reproduced.project.copy("again")
    before = files(project.root / "artifacts") | {"dvc.lock": (project.root / "dvc.lock").read_bytes()}
    output = project.run("dvc", "repro")
    after = files(project.root / "artifacts") | {"dvc.lock": (project.root / "dvc.lock").read_bytes()}
    assert stages_run(output) == []
    assert "Data and pipelines are up to date." in output
    assert after == before


def test_a_train_parameter_runs_train_and_evaluate_again(reproduced: Done, challenged: Done) -> None:
    assert stages_run(challenged.output) == ["train", "evaluate"]
    kept = ("validate@reviews", "preprocess@reviews", "baseline@reviews")
    assert {name: challenged.entries[name] for name in kept} == {name: reproduced.entries[name] for name in kept}
    assert challenged.entries["train@reviews"]["outs"] != reproduced.entries["train@reviews"]["outs"]


def test_a_task_makes_again_what_its_entry_names_and_no_store_has(
    reproduced: Done, monkeypatch: pytest.MonkeyPatch, quiet: Runner
) -> None:
    """As in a clone of a project whose dvc.lock was committed beside an origin that is on another machine."""
    project = reproduced.project.copy("elsewhere")
    shutil.rmtree(project.origin.home)
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    origin, commit = embedded.prepare(project.root, quiet)
    with workspace.clone(origin, commit, quiet) as clone:
        locks.write(clone.lock, reproduced.entries)
        found = clone.reproduce("validate@reviews")
    assert found == {"validate@reviews": reproduced.entries["validate@reviews"]}
    made = locks.outputs(found, "validate@reviews").values()
    assert [md5 for md5 in made if dvc_store.lacks(Path(origin.remote or ""), md5)] == []


@pytest.mark.proof  # by `luodi run`: tests/dags/test_run.py
def test_new_rows_run_everything_again(reproduced: Done) -> None:
    project = reproduced.project.copy("grown")
    add_shard(project, rows=40)
    assert sorted(stages_run(project.run("dvc", "repro"))) == sorted(STAGES)
    summary = files(project.root / "artifacts" / "reviews")["preprocess/summary.json"]
    assert summary != files(reproduced.project.root / "artifacts" / "reviews")["preprocess/summary.json"]


@pytest.mark.proof  # of two projects: test_its_lock_entries_equal_those_of_dvc_repro in tests/dags/test_run.py
def test_the_same_commit_gives_the_same_lock_and_bytes(
    reproduced: Done, make_project: Callable[[str], Project]
) -> None:
    """Everything that DVC remembers is gone: artifacts, cache, run-cache, lock, site cache."""
    project = reproduced.project.copy("wiped")
    first = files(project.root / "artifacts")
    for folder in (project.root / "artifacts", project.origin.home, project.root / ".dvc/tmp"):
        shutil.rmtree(folder, ignore_errors=True)
    (project.root / "dvc.lock").unlink()
    assert sorted(stages_run(project.run("dvc", "repro"))) == sorted(STAGES)
    assert project.lock == reproduced.entries
    assert files(project.root / "artifacts") == first
    assert locks.of_model(project.lock, "reviews") == project.lock


def test_a_quiet_stage_prints_nothing(reproduced: Done) -> None:
    project = reproduced.project.copy("quiet")
    assert project.run("luodi", "preprocess", "reviews") != ""
    assert project.run("luodi", "--quiet", "preprocess", "reviews") == ""
