"""The tasks gate and register of the tiny project's DAGs, whatever was set by hand in Airflow before them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from actors import MODELS, World
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from luodi import config
from luodi.airflow import operators
from luodi.airflow.factory import retrain_dag
from luodi.airflow.trigger import Trigger
from luodi.cli import landing
from luodi.errors import LuodiError
from luodi.registry import records
from luodi.registry.records import Mode, Verdict

LANDING = Trigger()
WHO = {"id": "1", "name": "Li"}
ANSWER = {
    "chosen_options": ["Approve"],
    "responded_by_user": WHO,
    "responded_at": datetime(2024, 5, 1, tzinfo=UTC),
    "params_input": {"comment": "seen"},
}


def dag_of(world: World, model: str) -> DAG:
    root = world.template.folder / "checkout"
    return retrain_dag(root, model, config.load(root / "params.yaml").models[model])


def register(
    world: World, model: str, challenger: str, before: dict[str, Any], trigger: Trigger = LANDING
) -> dict[str, Any]:
    """Do the task `register`, after the tasks before it left `before` and what the stages left."""
    task = dag_of(world, model).get_task("register")
    assert isinstance(task, operators.RegisterOperator)
    stages = {"commit": world.commit, "entries": world.entries(model, challenger), "training": None}
    results = {"evaluate": stages, **before}
    return task.attempt(operators.Job(world.origin, world.commit, results, world.runner, trigger))


def judged(world: World, model: str, challenger: str, trigger: Trigger = LANDING) -> dict[str, Any]:
    """What the task `gate` leaves."""
    task = dag_of(world, model).get_task("gate")
    assert isinstance(task, operators.GateOperator)
    stages = {"commit": world.commit, "entries": world.entries(model, challenger)}
    return {
        "gate": task.attempt(operators.Job(world.origin, world.commit, {"evaluate": stages}, world.runner, trigger))
    }


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"chosen_options": ["Reject"]},
        {"chosen_options": ["Reject"], "responded_by_user": None},
        {"chosen_options": []},
        {"chosen_options": ["Approve", "Reject"]},
        {"responded_by_user": None},
    ],
    ids=["set to success by hand", "rejected", "not answered in time", "no option", "both", "approved by nobody"],
)
@pytest.mark.parametrize("challenger", ["good", "similar"])
def test_register_lands_nothing_that_nobody_approved(
    one: World, challenger: str, answer: dict[str, Any] | None
) -> None:
    """Whatever the gate said: it may have been set to success by hand, or cleared, with its old decision."""
    before = one.refs()
    left = judged(one, "careful", challenger) | ({} if answer is None else {"approve": ANSWER | answer})
    with pytest.raises(AirflowSkipException, match="nobody approved careful"):
        register(one, "careful", challenger, left)
    assert one.refs() == before


def test_register_lands_what_somebody_approved(one: World) -> None:
    found = register(one, "careful", "similar", judged(one, "careful", "similar") | {"approve": ANSWER})
    assert (found["version"], found["new"], found["verdict"]) == ("careful@v1.0.1", True, "insufficient evidence")
    assert one.facts("careful@v1.0.1")["approval"] == {
        "mode": "human", "by": "Li (1)", "at": "2024-05-01T00:00:00+00:00", "comment": "seen"
    }  # fmt: skip


def test_an_approval_lands_nothing_that_the_gate_holds(one: World) -> None:
    """Somebody lets the question be asked although the gate skipped it."""
    before = one.refs()
    found = register(one, "careful", "hopeless", judged(one, "careful", "hopeless") | {"approve": ANSWER})
    assert (found["version"], found["new"], found["verdict"]) == (None, False, "hold")
    assert one.refs() == before


def test_an_approval_against_another_champion_is_not_tried_again(one: World) -> None:
    left = judged(one, "careful", "best") | {"approve": ANSWER}
    register(one, "careful", "good", judged(one, "careful", "good") | {"approve": ANSWER})
    before = one.refs()
    with pytest.raises(AirflowFailException, match=r"approved against careful@v1\.0\.0"):
        register(one, "careful", "best", left)
    assert one.refs() == before


def test_the_same_model_again_asks_nobody(one: World) -> None:
    left = judged(one, "careful", "weak")
    assert left["gate"]["decision"]["verdict"] == Verdict.UNCHANGED
    found = register(one, "careful", "weak", left)
    assert (found["version"], found["new"]) == ("careful@v1.0.0", False)


def test_what_was_unchanged_and_is_not_any_more_lands_nothing(one: World) -> None:
    """The champion changed after the gate found the run's model in its place; nobody was asked."""
    left = judged(one, "careful", "weak")
    register(one, "careful", "good", judged(one, "careful", "good") | {"approve": ANSWER})
    before = one.refs()
    assert register(one, "careful", "weak", left)["version"] is None
    assert one.refs() == before


def test_a_gate_that_was_made_to_say_unchanged_lands_nothing(one: World) -> None:
    """The entry of the gate in XCom can be changed by whoever may change XCom: the registry knows better."""
    left = judged(one, "careful", "good")
    left["gate"]["decision"] |= {"verdict": Verdict.UNCHANGED}
    before = one.refs()
    assert register(one, "careful", "good", left)["version"] is None
    assert one.refs() == before


def test_where_nobody_is_asked_the_gate_decides(one: World) -> None:
    assert register(one, "quick", "similar", judged(one, "quick", "similar"))["version"] is None
    assert register(one, "quick", "good", judged(one, "quick", "good"))["version"] == "quick@v1.0.1"


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("mode", sorted(set(MODELS.values())))
def test_all_who_know_what_lands_agree(verdict: Verdict, mode: Mode) -> None:
    """The gate's task, landing, and the command line each say which verdicts go on."""
    wanted = {"auto": {"promote", "unchanged"}, "human": {"promote", "insufficient evidence", "unchanged"}}
    lands = verdict in wanted[mode]
    assert records.lands(verdict, mode) is lands
    after = {"register"} if mode == "auto" else {"approve", "register"}
    assert ("register" in operators.to_skip(verdict, after)) is not lands
    if mode == "auto":
        try:
            landing.refuse("quick", verdict)
        except LuodiError:
            assert not lands
        else:
            assert lands


@pytest.mark.parametrize(
    "trigger", [Trigger(dry_run=True), Trigger(settings={"epochs": 2, "rows": 9})], ids=["dry", "tries"]
)
def test_register_lands_nothing_of_a_run_that_only_tries(one: World, trigger: Trigger) -> None:
    """Whatever was cleared by hand: the gate skipped it, and spent nothing of the error budget."""
    before = one.refs()
    left = judged(one, "quick", "best", trigger)
    assert left["gate"]["decision"]["verdict"] == "promote"
    if trigger.settings:
        assert left["gate"]["decision"]["reasons"][-1] == ("it tries train.epochs 2, preprocess.rows 9: it never lands")
    with pytest.raises(AirflowSkipException, match="lands nothing"):
        register(one, "quick", "best", left, trigger)
    assert one.refs() == before
