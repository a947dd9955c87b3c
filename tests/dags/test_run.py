"""`luodi run` on a real Airflow: what it computes, what it lands, and what it does when there is nothing to do."""

import contextlib
import csv
import json
import math
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import silence
import yaml
from project import ROOT, Done, Ended, Project

from luodi.errors import Held, StageFailed, Unproven
from luodi.files import read_facts
from luodi.local import embedded
from luodi.project import locks
from luodi.scoring.inference import Classifier
from luodi.system.processes import Runner

STAGES = ("validate", "preprocess", "baseline", "train", "evaluate")
TEXTS = ["质量很好，下次还会再来", '太差了，"退货"也不理', "一般", "hello, world", " 书 \t还不错 "]

pytestmark = pytest.mark.slow


def refs(project: Project) -> str:
    return project.bare("for-each-ref", "--format=%(refname) %(objectname)")


def read_as_made(entries: dict[str, Any]) -> bool:
    """Whether each stage read what the stages before it wrote."""
    made = {path: md5 for name in entries for path, md5 in locks.outputs(entries, name).items()}
    read = [dep for entry in entries.values() for dep in entry["deps"] if dep["path"] in made]
    return bool(read) and all(made[dep["path"]] == dep["md5"] for dep in read)


def answers(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if not line.startswith("  still ")]  # on standard error


def test_it_prints_every_stage_and_the_table(ran: Done) -> None:
    assert all(f"  {stage:<12} done" in ran.output for stage in (*STAGES, "gate", "register"))
    for word in ("Accuracy", "linear baseline", "promote", "reviews@v1.0.0", "evaluation.html", "validation.html"):
        assert word in ran.output


def test_a_task_that_takes_long_is_told(ran: Done) -> None:
    tasks = re.findall(r"^  (\w+) +done +([\d.]+) s$", ran.output, re.MULTILINE)
    assert len(tasks) == len(STAGES) + 2
    told = {task for task, _ in tasks if f"\n  still running {task} (10 s)\n" in ran.output}
    assert {task for task, seconds in tasks if float(seconds) > 11} <= told
    assert told <= {task for task, seconds in tasks if float(seconds) > 9}


def test_its_lock_entries_equal_those_of_dvc_repro(ran: Done, reproduced: Done) -> None:
    """Two projects, two caches, two runners: one commit's worth of results."""
    assert ran.project.git("rev-parse", "HEAD") == reproduced.project.git("rev-parse", "HEAD")
    assert ran.entries == reproduced.entries


def test_one_version_is_in_production_and_its_tag_tells_the_facts(ran: Done) -> None:
    (version,) = ran.project.versions()
    assert (version.name, version.stage) == ("reviews@v1.0.0", "production")
    message = ran.project.bare("tag", "--list", "--format=%(contents)", "reviews@v1.0.0")
    title, _, body = message.partition("\n\n")
    facts = json.loads(body)
    assert title.startswith("reviews v1.0.0: accuracy 0.")
    assert facts["metrics"]["rows"] > 0
    assert 0.5 <= facts["metrics"]["model"]["accuracy"]["value"] <= 1
    assert facts["commit"] == ran.project.git("rev-parse", "HEAD")
    (export,) = [out["md5"] for out in ran.entries["train@reviews"]["outs"] if out["path"].endswith("export")]
    assert facts["export"] == export
    assert facts["latency_ms"] > 0
    gap = facts["metrics"]["difference"]["accuracy"]["value"] * facts["metrics"]["rows"]
    alone = [(kind["challenger"] == kind["truth"], kind["rows"]) for kind in facts["decision"]["turned"]]
    assert sum(rows if right else -rows for right, rows in alone) == round(gap), "beside the linear baseline"


def test_its_metrics_are_those_that_dvc_repro_measured(ran: Done, reproduced: Done) -> None:
    (version,) = ran.project.versions()
    metrics = reproduced.project.root / "artifacts" / "reviews" / "evaluate" / "metrics.json"
    assert version.facts["metrics"] == read_facts(metrics)


def test_it_leaves_no_clone_and_nothing_in_the_checkout(ran: Done) -> None:
    assert list((ran.project.origin.home / "work").iterdir()) == []
    assert not (ran.project.origin.home / "failed").exists()
    assert ran.project.git("status", "--porcelain") == ""
    assert not (ran.project.root / "artifacts").exists()


@pytest.fixture(scope="module")
def asked(ran: Done) -> Project:
    """A copy that commands may ask: they keep what they brought."""
    return ran.project.copy("asked")


def test_a_second_run_changes_nothing(asked: Project) -> None:
    before = refs(asked)
    output = asked.run("luodi", "run", "reviews")
    assert "nothing changed since reviews@v1.0.0 landed" in output
    document = json.loads(asked.run("luodi", "run", "reviews", "--json"))
    assert (document["verdict"], document["version"]) == ("unchanged", "reviews@v1.0.0")
    assert {Path(page).name for page in document["reports"]} >= {"card.html", "evaluation.html", "review.md"}
    assert refs(asked) == before


def test_a_run_of_airflows_own_for_which_nothing_is_new_does_nothing(asked: Project) -> None:
    asked.run("luodi", "airflow", "dags", "test", "retrain_reviews")
    states = stored_in_airflow(
        asked, "SELECT task_id, state FROM task_instance WHERE run_id = (SELECT max(run_id) FROM dag_run)"
    )
    assert dict(states) == dict.fromkeys((*STAGES, "gate", "register"), "skipped") | {"validate": "success"}
    (found,) = stored_in_airflow(
        asked, "SELECT value FROM xcom WHERE key = 'return_value' AND value LIKE '%nothing_new%'"
    )
    assert "nothing changed since reviews@v1.0.0 landed; production stays as it is" in found[0]


def test_a_task_that_was_cleared_stays_with_the_commit_of_its_run(asked: Project) -> None:
    """The first one too, before which no task could tell it: the branch may be elsewhere by then."""
    ((run, began),) = stored_in_airflow(
        asked, "SELECT run_id, value FROM xcom WHERE key = 'return_value' AND task_id = 'register'"
    )
    head = asked.bare("rev-parse", "main")
    later = asked.bare("commit-tree", "main^{tree}", "-p", "main", "-m", "Later")
    asked.bare("update-ref", "refs/heads/main", later)
    try:
        asked.run("luodi", "airflow", "tasks", "test", "retrain_reviews", "validate", run)
    finally:
        asked.bare("update-ref", "refs/heads/main", head)
    ((found,),) = stored_in_airflow(
        asked, f"SELECT value FROM xcom WHERE key = 'return_value' AND task_id = 'validate' AND run_id = '{run}'"
    )
    assert json.loads(found).keys() == {"commit", "entries", "training"}, "it has nothing new to look for"
    assert json.loads(found)["commit"] == json.loads(began)["commit"] != later


@pytest.mark.proof
def test_rows_that_come_while_a_run_runs_make_one_more(ran: Done) -> None:
    """The origin's branch moves when the gate pushes what it judged: the run itself saw none of these rows."""
    project = ran.project.copy("overtaken")
    project.set({"gate": {"minimum": 1.0}})
    strict = project.git("rev-parse", "HEAD")
    shard = project.root / "data" / "reviews" / "slice.parquet"
    pq.write_table(pq.read_table(shard).slice(0, 5), shard.with_name("more.parquet"))
    project.run("dvc", "add", "--quiet", "data")
    project.git("commit", "--quiet", "--all", "--message", "More rows")
    more = embedded.prepare(project.root, Runner(print))[1]
    project.git("reset", "--quiet", "--hard", strict)
    shard.with_name("more.parquet").unlink()
    origin, commit = embedded.prepare(project.root, Runner(print))
    embedded.advance(origin, commit, Runner(print))
    hook = Path(origin.git) / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ngit update-ref refs/heads/main {more}\n")
    hook.chmod(0o755)
    project.run("luodi", "airflow", "dags", "test", "retrain_reviews")
    found = stored_in_airflow(
        project,
        "SELECT run_id, state, content FROM dag_run JOIN dag_run_note ON dag_run.id = dag_run_id "
        "WHERE run_type = 'operator_triggered'",
    )
    ((name, state, note),) = found
    assert (name, state) == (f"new_rows__{more[:12]}", "queued")
    assert note.startswith("1 file of rows came while manual__")


def test_airflows_own_commands_find_the_dags(asked: Project) -> None:
    found = json.loads(asked.run("luodi", "airflow", "dags", "list", "--output", "json").splitlines()[-1])
    assert [dag["dag_id"] for dag in found] == ["retrain_reviews"]
    assert "invalid choice" in asked.run("luodi", "airflow", "dogs", code=2)


def test_each_task_leaves_its_log_where_airflow_looks_for_it(ran: Done) -> None:
    (folder,) = (ran.project.origin.home / "airflow" / "logs" / "dag_id=retrain_reviews").iterdir()
    for stage in STAGES:
        assert f"> luodi {stage} reviews" in (folder / f"task_id={stage}" / "attempt=1.log").read_text()
    assert "promote" in (folder / "task_id=gate" / "attempt=1.log").read_text()


def stored_in_airflow(project: Project, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(project.origin.home / "airflow" / "airflow.db")) as database:
        return database.execute(query).fetchall()


def test_tasks_left_links_to_their_pages(ran: Done) -> None:
    found = stored_in_airflow(ran.project, "SELECT task_id, value FROM xcom WHERE key = '_link_ReportLink'")
    assert {task: str(link).rstrip('"').rpartition("/")[2] for task, link in found} == {
        "validate": "validation", "preprocess": "preprocess", "evaluate": "evaluation", "gate": "comparison",
    }  # fmt: skip
    assert all("/luodi/retrain_reviews/" in str(link) for _, link in found)


def test_a_run_notes_what_landed(ran: Done) -> None:
    assert stored_in_airflow(ran.project, "SELECT content FROM dag_run_note") == [("landed reviews@v1.0.0",)]


def test_what_landed_is_an_event_of_an_asset(ran: Done) -> None:
    events = stored_in_airflow(
        ran.project,
        "SELECT asset.uri, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_event.asset_id",
    )
    ((uri, extra),) = events
    facts = json.loads(extra)
    assert (uri, facts["version"]) == ("luodi://production/reviews", "reviews@v1.0.0")
    (version,) = ran.project.versions()
    assert facts["accuracy"] == version.facts["metrics"]["model"]["accuracy"]["value"]


def test_the_log_of_the_run_is_its_own(ran: Done) -> None:
    (log,) = (ran.project.origin.home / "logs").glob("reviews-*.log")
    assert f"(log: .luodi/logs/{log.name})" in ran.output
    assert "> luodi train reviews" in log.read_text()


@pytest.fixture(scope="module")
def moved(ran: Done) -> Project:
    """The same checkout at another place: nothing of what is read there may come from the first one."""
    return ran.project.copy("moved")


def test_dvc_get_brings_a_version_from_the_origin(moved: Project, tmp_path: Path) -> None:
    export = "artifacts/reviews/train/export"
    told = moved.run("dvc", "get", moved.origin.git, export, "--rev", "reviews@v1.0.0", "--out", str(tmp_path / "got"))
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["encoder.json", "model.onnx"], told
    moved.run("luodi", "pull", "reviews@v1.0.0", str(tmp_path / "pulled"))
    for name in ("encoder.json", "model.onnx"):
        assert (tmp_path / "got" / name).read_bytes() == (tmp_path / "pulled" / name).read_bytes()


def test_dvc_knows_the_model_by_its_name_version_and_stage(moved: Project, tmp_path: Path) -> None:
    for number, which in enumerate([(), ("--rev", "v1.0.0"), ("--stage", "production")]):
        got = tmp_path / str(number)
        moved.run("dvc", "artifacts", "get", moved.origin.git, "reviews", *which, "--out", str(got))
        assert sorted(path.name for path in got.iterdir()) == ["encoder.json", "model.onnx"]


def test_dvc_lists_opens_and_imports_a_version_from_the_origin(moved: Project, tmp_path: Path) -> None:
    export, version = "artifacts/reviews/train/export", ("--rev", "reviews@v1.0.0")
    assert moved.run("dvc", "list", moved.origin.git, export, *version).split() == ["encoder.json", "model.onnx"]
    code = f"import dvc.api; print(dvc.api.read('{export}/encoder.json', {moved.origin.git!r}, 'reviews@v1.0.0'))"
    assert json.loads(moved.run("python", "-c", code))
    moved.run("dvc", "import", moved.origin.git, export, *version, "--out", str(moved.root / "imported"))
    assert (moved.root / "imported" / "model.onnx").stat().st_size > 0


def test_models_lists_the_version(asked: Project, luodi: Callable[..., Ended]) -> None:
    listed = luodi(asked, "models").stdout
    assert "reviews@v1.0.0" in listed
    assert "production" in listed
    assert "reviews@v1.0.0" in luodi(asked, "models", "list", "reviews").stdout


@pytest.fixture(scope="module")
def told(asked: Project) -> list[dict[str, Any]]:
    return answers(asked.run("luodi", "predict", "reviews", "--", *TEXTS))


def test_predict_tells_label_probability_and_version(told: list[dict[str, Any]]) -> None:
    assert [answer["text"] for answer in told] == TEXTS
    assert {answer["version"] for answer in told} == {"reviews@v1.0.0"}
    assert {answer["label"] for answer in told} <= {"negative", "positive"}
    assert all(0.5 <= answer["probability"] <= 1 for answer in told)


def test_predict_serves_the_model_that_dvc_repro_trained(told: list[dict[str, Any]], reproduced: Done) -> None:
    classifier = Classifier.load(reproduced.project.root / "artifacts" / "reviews" / "train" / "export")
    for answer, row in zip(told, classifier.probabilities(TEXTS), strict=True):
        assert answer["label"] == classifier.labels[row.argmax()]
        assert math.isclose(answer["probability"], row.max(), abs_tol=1e-6)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "lines"])
def test_every_kind_of_input_gives_the_same_answers(
    suffix: str, told: list[dict[str, Any]], asked: Project, luodi: Callable[..., Ended], tmp_path: Path
) -> None:
    path, rows = tmp_path / f"texts.{suffix}", [{"id": index, "text": text} for index, text in enumerate(TEXTS)]
    if suffix == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"])
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    if suffix == "lines":
        output = asked.run("luodi", "predict", "reviews", "--input", "-", stdin="\n".join(TEXTS) + "\n")
    else:
        output = luodi(asked, "predict", "reviews", "--input", str(path)).stdout
    assert answers(output) == told


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["predict", "reviews@v9.9.9", "好"], 61, "there is: reviews@v1.0.0"),
        (["predict", "nothing", "好"], 61, "no version of nothing at all"),
        (["predict", "reviews", "--input", "no.csv"], 21, "no.csv is not a file"),
        (["run", "review"], 11, "did you mean 'reviews'?"),
    ],
)
def test_mistakes_are_told_in_one_message(
    asked: Project, luodi: Callable[..., Ended], arguments: list[str], code: int, said: str
) -> None:
    done = luodi(asked, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("told")
def test_it_leaves_nothing_in_the_home_folder(ran: Done, asked: Project) -> None:
    for project in (ran.project, asked):
        assert [path.name for path in project.home.iterdir()] == ["gitconfig"]


@silence.needs_strace
@pytest.mark.parametrize(
    "command", [("luodi", "predict", "reviews", "好"), ("luodi", "models"), ("python", "dags/retrain.py")]
)
def test_what_follows_asks_no_other_machine(command: tuple[str, ...], ran: Done, tmp_path: Path) -> None:
    project = ran.project.copy(command[1].replace("/", "-"))
    env = {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    assert silence.told_others(project, tmp_path / "log", *command, env=env) == []


@silence.needs_strace
def test_a_stage_asks_no_other_machine(reproduced: Done, tmp_path: Path) -> None:
    project = reproduced.project.copy("silent-stage")
    assert silence.told_others(project, tmp_path / "log", "luodi", "evaluate", "reviews") == []


@pytest.mark.proof
def test_a_source_archive_runs_too(ran: Done, make_project: Callable[[str], Project]) -> None:
    """Its stages come from the run-cache of the same graph: what is new is where the commit comes from."""
    project = make_project("archive")
    shutil.copytree(ran.project.origin.home / "cache", project.origin.home / "cache")
    shutil.rmtree(project.root / ".git")
    (project.root / ".dvc" / "config.local").unlink()
    output = project.run("luodi", "run", "reviews")
    assert "reviews@v1.0.0" in output
    assert project.landed() == ran.entries
    assert not (project.root / ".git").exists()
    (Path(project.origin.git) / "index.lock").touch()  # as a killed git leaves it
    assert "nothing changed" in project.run("luodi", "run", "reviews")


def test_data_that_break_an_expectation_stop_the_run_at_once(ran: Done) -> None:
    project = ran.project.copy("broken")
    project.set({"validate": {"min_rows": 100_000}})
    before = project.bare("tag"), project.landed()
    output = project.run("luodi", "run", "reviews", code=StageFailed.exit_code)
    assert "validate     failed" in output
    assert "broke a critical expectation" in output
    assert output.count("validate     failed") == 1  # the same data would fail again: no retry
    assert "preprocess   " not in output
    assert (project.bare("tag"), project.landed()) == before
    (kept,) = (project.origin.home / "failed").iterdir()
    report = kept / "artifacts" / "reviews" / "validate" / "report.html"
    assert report.exists()
    assert f"open {report} for the full report" in output
    assert "expected at least 100,000 rows (validate.min_rows); found" in output


def test_dvc_finds_nothing_changed_after_sync(ran: Done) -> None:
    """The entry of stage settings lands with no model, and dvc.lock came without it."""
    project = ran.project.copy("synced")
    assert "settings" not in locks.read(project.root / "dvc.lock")
    project.run("luodi", "sync")
    assert project.run("dvc", "status").strip() == "Data and pipelines are up to date."
    (told,) = re.findall(
        "`luodi sync`; then `(.*?)`", (ROOT / "README.md").read_text(encoding="utf-8").replace(".venv/bin/", "")
    )
    project.run("sh", "-c", told)
    assert project.run("git", "status", "--porcelain", "dvc.lock") == ""


@pytest.fixture(scope="module")
def changed(ran: Done) -> Project:
    """A project with more data and a search of its network, that holds whatever comes."""
    project = ran.project.copy("changed")
    shard = project.root / "data" / "reviews" / "slice.parquet"
    some = pq.read_table(shard).slice(0, 200)
    longer = pa.array([f"{text}，再来一次" for text in some["text"].to_pylist()])
    some = some.set_column(some.schema.get_field_index("text"), "text", longer)
    pq.write_table(some, shard.with_name("more.parquet"))
    project.run("dvc", "add", "--quiet", "data")
    project.set({"gate": {"minimum": 1.0}, "train": {"epochs": 1}})
    return project


SHARED = """\
from luodi.airflow.factory import retrain_dags

for name in ("shop", "web"):
    globals().update(retrain_dags({root!r}, project=name))
"""


@pytest.mark.proof  # the names: tests/dags/test_dags.py; whose origin a project has: tests/unit/project/test_origin.py
def test_two_projects_share_an_airflow_and_each_lands_in_its_own_origin(ran: Done, tmp_path: Path) -> None:
    shop, web = ran.project.copy("shop"), tmp_path / "web"
    shop.git("clone", "--quiet", "--bare", "--no-tags", str(shop.root), str(web / "origin.git"))
    (web / "remote").mkdir()
    before = refs(shop)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "shared.py").write_text(SHARED.format(root=str(shop.root)))
    env = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "LUODI_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "LUODI_SHOP_GIT_URL": shop.origin.git, "LUODI_SHOP_DVC_REMOTE": str(shop.origin.remote),
        "LUODI_WEB_GIT_URL": str(web / "origin.git"), "LUODI_WEB_DVC_REMOTE": str(web / "remote"),
    }  # fmt: skip
    shop.run("dvc", "push", "--quiet", "data", "--remote", "web", env=_remote(shop, web / "remote"))
    shop.run("airflow", "db", "migrate", env=env)
    for name in ("shop", "web"):
        shop.run("airflow", "dags", "test", f"{name}.retrain_reviews", env=env)
    assert refs(shop) == before, "nothing was new in shop, and what web landed is none of its"
    landed = shop.git("--git-dir", str(web / "origin.git"), "tag", "--list", "reviews@*")
    assert landed.splitlines() == ["reviews@v1.0.0"]
    assert {path.name for path in (tmp_path / "projects").iterdir()} == {"shop", "web"}


def _remote(project: Project, folder: Path) -> dict[str, str]:
    project.run("dvc", "remote", "add", "--local", "--quiet", "web", str(folder))
    return {}


@pytest.fixture(scope="module")
def searched(changed: Project) -> str:
    """What a run with a search, and with smaller models, printed."""
    path = changed.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    dropout = {"train.dropout": {"choices": [0.0, 0.3]}}
    params["models"]["reviews"] |= {"tune": {"trials": 2, "repeats": 2, "pruner": "none", "space": dropout}}
    smaller = {"candidates": ["int8_dynamic", "float16"], "margin": 0.5, "max_slowdown": 100.0}
    params["models"]["reviews"] |= {"compress": smaller}
    nobody = {"by": "airflow.providers.smtp.notifications.smtp.SmtpNotifier", "with": {"to": "x@example.org"}}
    params["models"]["reviews"]["notify"] = nobody  # no connection leads anywhere
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
    changed.run("luodi", "upgrade")
    changed.git("commit", "--quiet", "--all", "--message", "Search")
    return changed.run("luodi", "run", "reviews", code=Held.exit_code)


def test_a_search_runs_each_trial_as_a_task_and_its_stage_collects(searched: str) -> None:
    assert re.findall(r"^  (validate|trials|tune|preprocess) +done", searched, re.MULTILINE) == [
        "validate", "trials", "trials", "tune", "preprocess",
    ]  # fmt: skip


def test_smaller_models_are_made_between_train_and_evaluate(searched: str) -> None:
    told = re.findall(r"^  (train|compress|evaluate|gate) +done", searched, re.MULTILINE)
    assert told == ["train", "compress", "evaluate", "gate"]


def test_a_model_below_the_minimum_is_held(changed: Project, searched: str, ran: Done) -> None:
    assert "  gate         done" in searched
    assert "  register     skipped" in searched
    assert "below the minimum 1.0000" in searched
    log = max((changed.origin.home / "logs").glob("reviews-*.log"), key=lambda path: path.stat().st_mtime)
    assert "nobody was told that reviews: nothing landed: hold, by " in log.read_text(encoding="utf-8")
    (kept,) = (changed.origin.home / "reports" / "reviews").iterdir()
    assert f"reviews/{kept.name}/comparison.html" in (kept.parents[1] / "index.html").read_text(encoding="utf-8")
    for name in ("comparison.html", "review.md"):
        assert "below the minimum 1.0000" in (kept / name).read_text(encoding="utf-8")
    for name in ("validation", "preprocess", "evaluation"):
        assert f"{name}.html" in searched
        assert (kept / f"{name}.html").exists()
    assert [version.name for version in changed.versions()] == ["reviews@v1.0.0"]
    assert changed.landed() == ran.entries
    again = changed.run("luodi", "run", "reviews", code=Held.exit_code)
    assert "nothing changed since the last model of these rows and settings was held: hold; accuracy" in again
    assert "`luodi run reviews --again` judges it once more" in again and "running retrain_reviews" not in again
    ((note,),) = stored_in_airflow(changed, "SELECT content FROM dag_run_note WHERE content NOT LIKE 'landed %'")
    assert note.startswith("nothing landed: hold; ") and "is below the minimum 1.0000" in note


@pytest.mark.proof  # `luodi register` ends in the same way: tests/integration/test_succession.py
def test_a_model_that_few_rows_cannot_tell_apart_is_not_taken_for_better(changed: Project) -> None:
    changed.set({"gate": {"minimum": 0.5}})
    output = changed.run("luodi", "run", "reviews", code=Unproven.exit_code)
    assert "  register     skipped" in output
    assert "insufficient evidence" in output
    assert [version.name for version in changed.versions()] == ["reviews@v1.0.0"]


@pytest.mark.proof  # `luodi register` lands the next one too: tests/integration/test_succession.py
def test_a_model_within_the_margin_is_the_next_version(changed: Project, ran: Done) -> None:
    changed.set({"gate": {"minimum": 0.5, "margin": -1.0, "max_slice_loss": 1.0, "max_calibration_error": 1.0}})
    assert "promote" in changed.run("luodi", "run", "reviews")
    stages = {version.name: version.stage for version in changed.versions()}
    assert stages == {"reviews@v1.1.0": "production", "reviews@v1.0.0": None}
    assert read_as_made(changed.landed())
    for stage in STAGES:
        assert changed.landed()[f"{stage}@reviews"] != ran.entries[f"{stage}@reviews"]
    newest, first = changed.versions()
    assert newest.facts["data"]["rows"] == first.facts["data"]["rows"] + 200
    assert newest.facts["training"] is None  # it was trained in an earlier run, which landed nothing
    assert first.facts["training"]["seconds"] > 0
    assert "nothing changed since reviews@v1.1.0" in changed.run("luodi", "run", "reviews")


def test_a_database_that_cannot_be_reached_is_told(ran: Done) -> None:
    project = ran.project.copy("without-database")
    nowhere = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{project.home}/nowhere/airflow.db"}
    project.set({"train": {"epochs": 2}})
    for command in (("run", "reviews"), ("airflow", "dags", "list")):
        output = project.run("luodi", *command, code=1, env=nowhere)
        assert "error: Airflow's database could not be made or updated" in output
        assert "unable to open database file" in output
        assert "Traceback" not in output


def test_a_change_that_no_commit_holds_is_refused(ran: Done) -> None:
    project = ran.project.copy("dirty")
    (project.root / "params.yaml").write_text((project.root / "params.yaml").read_text() + "\n# a note\n")
    output = project.run("luodi", "run", "reviews", code=42)
    assert "params.yaml" in output
    assert "commit or stash" in output


@pytest.mark.proof  # without Airflow: tests/integration/test_landing_tiny.py
def test_a_change_of_evaluation_alone_lands_its_entries_under_the_same_version(ran: Done) -> None:
    project = ran.project.copy("evaluated")
    project.set({"evaluate": {"mistakes": 3}})
    assert "reviews@v1.0.0" in project.run("luodi", "run", "reviews")
    assert [version.name for version in project.versions()] == ["reviews@v1.0.0"]
    assert project.landed()["evaluate@reviews"] != ran.entries["evaluate@reviews"]
    assert project.landed()["train@reviews"] == ran.entries["train@reviews"]
    assert "nothing changed since reviews@v1.0.0" in project.run("luodi", "run", "reviews")
