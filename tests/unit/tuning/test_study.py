"""Where studies lie, and what is said where one cannot be had."""

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luodi import config
from luodi.config import ModelSettings, Tune
from luodi.errors import ArtifactError, LuodiError
from luodi.project.paths import ModelPaths
from luodi.tuning import best, goals, progress, search, space, study, workers


def settings(**tune: object) -> ModelSettings:
    block = {"modality": "text", "labels": ["a", "b"], "tune": tune}
    return config.parse({"models": {"m": block}}, "params.yaml").models["m"]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelPaths:
    for name in ("LUODI_STUDIES", "LUODI_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = ModelPaths(tmp_path, "m")
    found.clean.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["x"], "label": ["a"]}), found.clean)
    return found


def named(block: ModelSettings, paths: ModelPaths) -> str:
    tune = block.tune or Tune()
    return study.name(block, paths, tune, space.of(block, tune))


def test_a_study_is_named_for_rows_settings_and_space_alone(paths: ModelPaths) -> None:
    plain = named(settings(), paths)
    assert named(settings(trials=99, workers=4, timeout_minutes=1, repeats=5), paths) == plain  # it goes on
    assert named(settings(sampler="random"), paths) != plain
    assert named(settings(metric="log_loss"), paths) != plain
    assert named(settings(space={"train.dropout": {"choices": [0.1]}}), paths) != plain
    pq.write_table(pa.table({"text": ["y"], "label": ["a"]}), paths.clean)
    assert named(settings(), paths) != plain


def test_the_place_is_what_the_environment_says(paths: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert study.place(paths.root).folder == paths.root / ".luodi" / "studies"
    monkeypatch.setenv("LUODI_HOME", "/home/of/luodi")
    assert study.place(paths.root).storage == "sqlite:////home/of/luodi/studies/studies.db"
    monkeypatch.setenv("LUODI_STUDIES", "/elsewhere")
    assert study.place(paths.root).storage == "sqlite:////elsewhere/studies.db"
    monkeypatch.setenv("LUODI_STUDIES", "postgresql+psycopg://me:secret@host/db")
    found = study.place(paths.root)
    assert (found.folder, "secret" in found.shown) == (Path("/home/of/luodi/studies"), False)


def test_one_runs_a_study_at_a_time_and_it_is_free_when_it_ends(paths: ModelPaths) -> None:
    where = study.place(paths.root)
    busy = pytest.raises(LuodiError, match=r"m-1 is being run by another process .* `luodi tune status m`")
    with study.alone(where, "m-1"), study.alone(where, "m-2"), busy, study.alone(where, "m-1"):
        pass
    with study.alone(where, "m-1"):
        pass


def test_a_database_that_cannot_be_opened_is_told_without_its_password(paths: ModelPaths) -> None:
    with pytest.raises(LuodiError, match=r"the database of studies .* correct LUODI_STUDIES") as told:
        study.storage("nosuch://me:secret@host/db")
    assert "secret" not in str(told.value)
    (paths.root / "broken.db").write_text("no database, but a text that is long enough to be taken for one" * 9)
    with pytest.raises(LuodiError, match="correct LUODI_STUDIES"):
        study.storage(f"sqlite:///{paths.root / 'broken.db'}")


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(LuodiError, match=r"needs a driver that is not installed here: .*psycopg2-binary") as told:
        study.storage("postgresql+pg8000://me:secret@localhost/db")
    assert "secret" not in str(told.value)


def test_a_database_that_is_gone_is_told(paths: ModelPaths) -> None:
    where, block = study.place(paths.root), settings()
    where.folder.mkdir(parents=True)
    found = study.opened(where, "m-1", goals.of(block, Tune()))
    with pytest.raises(LuodiError, match="does not know of it: it was removed or replaced"):
        search._told(found, 0, 2, goals.of(block, Tune()))
    with closing(sqlite3.connect(where.folder / "studies.db")) as database:
        database.execute("DROP TABLE trials")
    gone = pytest.raises(LuodiError, match=r"studies\.db failed \(OperationalError: .*: see that it runs")
    with gone, study.told(where):
        found.get_trials()


@pytest.mark.slow
def test_a_process_that_cannot_work_says_why(paths: ModelPaths) -> None:
    setup = {
        "root": str(paths.root), "settings": settings().model_dump(mode="json", by_alias=True), "folder": "", "by": "",
        "tune": {}, "storage": "nosuch://", "study": "m-1", "rows": "",
    }  # fmt: skip
    asked: list[workers.Task] = []
    wrong = pytest.raises(LuodiError, match="correct LUODI_STUDIES")
    with (paths.root / "lock").open("w") as lock, workers.Workers(setup, 1, lock.fileno()) as some, wrong:
        some.run([{"slot": 0}], died=asked.append, done=asked.append)
    assert asked == []


def test_a_search_that_has_found_nothing_yet_says_what_to_run(paths: ModelPaths) -> None:
    with pytest.raises(ArtifactError, match=r"best_params\.yaml does not exist: run `luodi tune run m` first"):
        best.read(paths)


def test_where_a_search_stands(paths: ModelPaths) -> None:
    block = settings(trials=3)
    with pytest.raises(ArtifactError, match="`luodi tune run m` begins one"):
        progress.of(block, paths)
    assert not (paths.root / ".luodi").exists()  # to look makes nothing
    where = study.place(paths.root)
    where.folder.mkdir(parents=True)
    found = study.opened(where, named(block, paths), goals.of(block, Tune()))
    for slot, value in enumerate((0.5, 0.7)):
        trial = found.ask()
        trial.set_user_attr(study.SLOT, slot)
        found.tell(trial, value)
    found.ask().set_user_attr(study.SLOT, 2)
    told = progress.of(block, paths)
    assert json.loads(json.dumps(told)) == told
    assert (told["best"], told["asked"]) == (1, 3)
    assert [(one["trial"], one["state"], one["value"]) for one in told["trials"]] == [
        (0, "complete", 0.5), (1, "complete", 0.7), (2, "running", None)
    ]  # fmt: skip


def test_how_a_process_ended_is_told_as_it_was(paths: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    for ends, says in (
        ("sys.exit(7)", "exit code 7: what it wrote above"),
        ("os.kill(os.getpid(), 9)", "signal 9: mem"),
    ):
        code = f"import os, sys, time; sys.stdin.readline(); os.close(1); time.sleep(0.3); {ends}"
        monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", code))
        wrong = pytest.raises(LuodiError, match=f"trial 0 ended its process 3 times, the last time with {says}")
        with (paths.root / "lock").open("w") as lock, workers.Workers({}, 1, lock.fileno()) as some, wrong:
            some.run([{"slot": 0}], died=lambda _: None, done=lambda _: None)


def test_a_search_that_is_stopped_starts_no_process_again(paths: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = """[time.sleep(0.5), print('{"error": "no", "full": false}', flush=True)]"""
    code = f"import sys, time; sys.stdin.readline(); '0' in sys.stdin.readline() and {fails}; time.sleep(60)"
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", code))
    tasks: list[workers.Task] = [{"slot": 0}, {"slot": 1}]
    begun, dead, wrong = time.monotonic(), list[workers.Task](), pytest.raises(LuodiError, match="no")
    with (paths.root / "lock").open("w") as lock, workers.Workers({}, 2, lock.fileno()) as some, wrong:
        some.run(tasks, died=dead.append, done=dead.append)
    assert (dead, time.monotonic() - begun < 30) == ([], True)
