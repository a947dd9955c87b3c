"""Looks at the test rows, counted in a real git origin: by several hosts, once each, and not by hand."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from actors import Local, Meddler, World, git, with_params
from project import full

from luodi import config
from luodi.project import workspace
from luodi.registry import budget, card, looks
from luodi.registry.records import Look
from luodi.system.processes import Runner

RULE = config.Gate()


def look(world: World, export: str, *, counted: bool = True, rule: config.Gate = RULE) -> Look:
    """Take a look from a clone of one's own, as any host does."""
    with workspace.clone(world.origin, world.commit, Local()) as clone:
        found = looks.take(clone, "quick", {"challenger": export}, rule, counted=counted)
    assert found
    return found


def together(*work: Callable[[], Any]) -> list[Any]:
    """Do all at once; return what came of each."""
    found: list[Any] = [None] * len(work)

    def do(place: int) -> None:
        found[place] = work[place]()

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_two_hosts_at_once_take_two_looks(one: World) -> None:
    """Neither host sees the other's ref before it pushes its own: the second one is told, and takes the next."""
    other = replace(one, origin=replace(one.origin, home=one.origin.home.parent / "elsewhere"))
    barrier = threading.Barrier(2)

    def judge(world: World, export: str) -> Look:
        runner = Meddler(("git", "look"), lambda _: barrier.wait(60))
        with workspace.clone(world.origin, world.commit, runner) as clone:
            found = looks.take(clone, "quick", {"challenger": export}, RULE, counted=True)
        assert found
        return found

    found = together(lambda: judge(one, "a"), lambda: judge(other, "b"))
    assert sorted(look.number for look in found) == [1, 2]
    assert [name.rpartition("/")[2] for name in one.looks()] == ["1", "2"]
    first, second = sorted(found, key=lambda look: look.number)
    assert first.confidence == budget.confidence(RULE, 0) < second.confidence == budget.confidence(RULE, 1)


def test_two_hosts_that_judge_the_same_at_once_take_one(one: World) -> None:
    barrier = threading.Barrier(2)

    def judge() -> Look:
        with workspace.clone(one.origin, one.commit, Meddler(("git", "look"), lambda _: barrier.wait(60))) as clone:
            found = looks.take(clone, "quick", {"challenger": "a"}, RULE, counted=True)
        assert found
        return found

    assert [look.number for look in together(judge, judge)] == [1, 1]
    assert len(one.looks()) == 1


def test_the_same_judgement_again_spends_nothing(one: World) -> None:
    first, second, again = look(one, "a"), look(one, "b"), look(one, "a")
    assert (first.number, second.number) == (1, 2)
    assert again == first.model_copy(update={"total": 2})
    assert look(one, "a", counted=False) == again, "by hand it is the look that it was"


def test_by_hand_nothing_is_spent(one: World) -> None:
    look(one, "a")
    before = one.looks()
    seen = look(one, "b", counted=False)
    assert (seen.number, seen.taken, one.looks()) == (2, False, before)
    assert seen.confidence == look(one, "b").confidence, "it is judged as it would be"


def test_a_new_period_begins_anew_and_an_old_look_stays_where_it_was_taken(one: World) -> None:
    taken = look(one, "a")
    (ref,) = one.looks()
    blob = git(Path(one.origin.git), "rev-parse", ref)
    for number in range(1, 8):
        git(Path(one.origin.git), "update-ref", f"refs/luodi/looks/quick/1999/{number}", f"{blob}")
    git(Path(one.origin.git), "update-ref", "-d", ref)
    found = look(one, "b")
    assert (found.number, found.total, found.period) == (1, 8, taken.period)
    assert look(one, "a").period == "1999"


def test_looks_of_another_model_and_odd_refs_count_for_nothing(one: World) -> None:
    look(one, "a")
    (ref,) = one.looks()
    for name in (f"{looks.PLACE}/quicker/2026/5", f"{ref}x", "refs/luodi/others/quick/2026/9"):
        git(Path(one.origin.git), "update-ref", name, ref)
    assert look(one, "b").number == 2


def test_a_gate_without_a_budget_leaves_no_trace(one: World) -> None:
    rule = config.Gate.model_validate({"false_landings": {"per": "look"}})
    with workspace.clone(one.origin, one.commit, Local()) as clone:
        assert looks.take(clone, "quick", {}, rule, counted=True) is None
    assert one.looks() == []


def test_the_gate_counts_what_it_judges_and_says_so(one: World) -> None:
    """Held, undecided and promoted alike; what is in production already is not judged."""
    assert one.judge("quick", "weak").verdict == "unchanged"
    assert one.looks() == []
    for number, name in enumerate(("hopeless", "similar", "good"), 1):
        found = one.judge("quick", name).comparison
        assert found and found.look
        assert (found.look.number, found.look.taken, len(one.looks())) == (number, True, number)
    landed = one.land("quick", "good")
    assert landed.decision.comparison.look.number == 3, "to land it spends nothing more"
    assert len(one.looks()) == 3
    facts = landed.version.facts
    page = card.html(landed.version.name, landed.version.registered, landed.version.author, facts)
    for said in ("Error budget", "Corrected for having been picked", "Points better to land 4 times in 5"):
        assert said in page
        assert said in card.comparison("quick", landed.decision.to_json())
    one.move("quick", None, "rollback")
    again = one.judge("quick", "similar").comparison
    assert again and again.look
    assert again.look.number == 2, "nothing is refunded, and the same rows, challenger and champion are the same look"


@pytest.mark.parametrize(("per", "verdict"), [("look", "promote"), ("year", "insufficient evidence")])
def test_one_look_of_many_has_to_prove_more_than_a_single_one(one: World, per: str, verdict: str) -> None:
    gate = {**full("reviews")["gate"], "minimum": 0.5, "baseline_margin": 1.0, "max_latency_ms": 10000.0,
            "max_calibration_error": 1.0, "max_slice_loss": 1.0}  # fmt: skip
    budgeted = {"rate": 0.025, "per": per, "looks": 52}
    found = with_params(one, {}, quick={"gate": {**gate, "false_landings": budgeted}}).judge("quick", "good")
    assert found.verdict == verdict
    if per == "year":
        assert "does not lie above the margin +0.0000 at confidence 99.904%, as look 1 in 20" in found.reasons[0]


def test_what_was_not_counted_lands_nothing(one: World) -> None:
    """Whoever hands over a decision that was made by hand: it is made again, and counted."""
    seen = one.judge("quick", "good", counted=False)
    assert (seen.verdict, one.looks()) == ("promote", [])
    landed = one.land("quick", "good", decision=seen)
    assert landed.decision.comparison.look.taken
    assert len(one.looks()) == 1


def test_what_a_person_approved_though_undecided_is_counted_apart(one: World) -> None:
    from actors import HUMAN

    decision = one.judge("careful", "similar")
    assert decision.verdict == "insufficient evidence"
    assert one.land("careful", "similar", decision=decision, approval=HUMAN).version
    found = one.judge("careful", "good").comparison
    assert found and found.look
    assert found.look.approved == 1


def test_thousands_of_looks_are_one_list(one: World) -> None:
    """No object is read for them, and git is started as often as for one."""
    look(one, "a")
    (ref,) = one.looks()
    bare = Path(one.origin.git)
    blob = git(bare, "rev-parse", ref)
    places = (f"{1900 + number // 52}/{1 + number % 52}" for number in range(2000))
    git(bare, "update-ref", "--stdin", stdin="".join(f"create {looks.PLACE}/quick/{one} {blob}\n" for one in places))
    counted: list[str] = []

    class Counting(Runner):
        def run(self, *command: str, **more: Any) -> str:
            counted.append(command[1])
            return super().run(*command, **more)

    with workspace.clone(one.origin, one.commit, Counting(print)) as clone:
        counted.clear()
        found = looks.take(clone, "quick", {"challenger": "b"}, RULE, counted=True)
    assert found
    assert (found.total, counted) == (2002, ["hash-object", "ls-remote", "push"])
