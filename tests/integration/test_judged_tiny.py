"""What a run finds new since a model was judged last, in the tiny project's worlds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from actors import World, _store, git, with_params

from luodi.airflow import operators
from luodi.airflow.trigger import Trigger
from luodi.project import programs, workspace
from luodi.registry import last_judged
from luodi.registry.last_judged import Judged


def known(world: World, model: str = "quick") -> Judged | None:
    """What the first task of a run of the branch's head finds to have been judged already."""
    head = programs.head(world.origin, world.runner)
    with workspace.clone(world.origin, head, world.runner) as clone:
        return last_judged.nothing_new(world.origin, model, last_judged.of_clone(clone, model), world.runner)


def with_rows(world: World, **shards: str) -> World:
    """The world after somebody pushed a data.dvc that records these shards, MODEL_NAME -> content."""
    files = [{"md5": text * 8, "relpath": f"{name.replace('_', '/')}.parquet"} for name, text in shards.items()]
    text = json.dumps(files).encode()
    md5 = f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.dir"
    _store(Path(world.origin.remote or ""), md5, text)
    return with_params(world, {"data.dvc": json.dumps({"outs": [{"md5": md5, "path": "data"}]})})


def stage_of(world: World, stage: str, trigger: Trigger, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the task of a stage returns, which has nothing to compute here."""
    monkeypatch.setattr(workspace.Workspace, "reproduce", lambda clone, name: {name: {}})
    task = operators.StageOperator(task_id=stage, stage=stage, model="quick")
    return task.work(operators.Job(world.origin, world.commit, {}, world.runner, trigger))


def test_nothing_is_new_after_a_landing(one: World) -> None:
    found = known(one)
    assert found and (found.version, found.champion) == ("quick@v1.0.0", "quick@v1.0.0")
    assert found.said == "nothing changed since quick@v1.0.0 landed; production stays as it is"


def test_a_model_that_was_held_is_not_made_again(one: World) -> None:
    one.judge("quick", "hopeless")
    found = known(one)
    assert found and (found.version, found.champion, found.verdict) == (None, "quick@v1.0.0", "hold")
    assert found.said.startswith("nothing changed since the last model of these rows and settings was held: hold; ")
    assert known(one, "careful")


def test_what_a_person_may_still_let_land_is_open(one: World) -> None:
    before = one.git("for-each-ref", "refs/luodi/judged")
    assert one.judge("careful", "similar").verdict == "insufficient evidence"
    assert one.git("for-each-ref", "refs/luodi/judged") == before
    assert one.judge("quick", "similar").verdict == "insufficient evidence"
    assert one.git("for-each-ref", "refs/luodi/judged") != before


def test_a_look_by_hand_counts_for_nothing(one: World) -> None:
    before = one.git("for-each-ref", "refs/luodi/judged")
    one.judge("quick", "hopeless", counted=False)
    assert one.git("for-each-ref", "refs/luodi/judged") == before


@pytest.mark.parametrize(
    ("change", "new"),
    [
        ({"gate": {"minimum": 0.6}}, True),
        ({"evaluate": {"mistakes": 3}}, True),
        ({"schedule": "@daily", "owner": "Li", "airflow": {"retries": 5}}, False),
        ({"card": {"licence": "MIT"}}, False),
    ],
)
def test_settings_are_new_where_they_may_change_what_comes_of_it(one: World, change: dict[str, Any], new: bool) -> None:
    changed = with_params(one, quick=change)
    assert (known(changed) is None) is new
    assert known(changed, "careful")


def test_files_that_no_stage_reads_are_not_new(one: World) -> None:
    assert known(with_params(one, {"README.md": "more"}))


def test_rows_are_new_of_the_model_that_they_are_of(one: World) -> None:
    more = with_rows(one, quick_a="11aa")
    assert known(more) is None
    assert known(more, "careful")
    one.judge("quick", "hopeless")  # of the commit before
    assert known(more) is None


def test_another_champion_is_a_reason_to_judge_again(two: World) -> None:
    assert known(two)
    two.move("quick", "v1.0.0", action="rollback")
    assert known(two) is None


def test_a_ref_that_no_luodi_wrote_stops_nothing(one: World) -> None:
    blob = git(Path(one.origin.git), "hash-object", "-w", "--stdin", stdin="[]")
    one.git("update-ref", "refs/luodi/judged/quick", blob)
    assert known(one) is None


@pytest.mark.parametrize(
    ("trigger", "works"),
    [
        (Trigger(), False),
        (Trigger(again=True), True),
        (Trigger(commit="a" * 40), True),
        (Trigger(dry_run=True), True),
        (Trigger(settings={"epochs": 2}), True),
    ],
    ids=["schedule", "again", "a commit", "dry", "tries"],
)
def test_the_first_task_does_nothing_unless_it_is_asked_to(
    one: World, trigger: Trigger, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ("entries" in stage_of(one, "validate", trigger, monkeypatch)) is works


def test_the_other_tasks_of_a_run_look_at_nothing(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stage_of(one, "train", Trigger(), monkeypatch)["entries"] == {"train@quick": {}}


def test_rows_that_came_while_a_run_ran_are_found_at_its_end(one: World) -> None:
    ran = with_rows(one, quick_a="11aa").commit
    assert last_judged.new_rows(one.origin, "quick", ran, one.runner)[1] == 0
    (one.origin.home / "person").rename(one.origin.home / "earlier")
    more = with_rows(one, quick_a="11aa", quick_b="22bb", careful_a="33cc")
    assert last_judged.new_rows(one.origin, "quick", ran, one.runner) == (more.commit, 1)
    assert last_judged.new_rows(one.origin, "careful", ran, one.runner) == (more.commit, 1)
