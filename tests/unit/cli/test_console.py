"""Tables at a terminal: they show what they are given as it stands, and only what there is."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from facts import JUNK, PATHS, all_changed, changed, facts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from luodi.cli import console
from luodi.cli.models import compared
from luodi.registry import acting
from luodi.registry.records import Check, Comparison, Decision, Verdict
from luodi.registry.tags import Move, Version
from luodi.scoring.metrics import METRICS as KNOWN

FREE = "[jira-123] [/srv/models] [bold]x[/bold] :smile: [red]"
FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6}
METRICS = {"rows": 100, "model": dict.fromkeys(KNOWN, FIGURE), "baseline": dict.fromkeys(KNOWN, FIGURE)}
WHEN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def result() -> dict[str, Any]:
    return {"verdict": "hold", "reasons": [FREE], "version": None, "latency_ms": 1.0, "metrics": METRICS}


def version() -> Version:
    facts = {
        "approval": {"mode": "human", "by": "Ann", "at": "2026-01-31", "comment": FREE},
        "params": {"train": {"note": FREE}},
    }
    return Version("reviews", "v1.0.0", "0" * 40, WHEN, "Ann", "production", facts)


def decision() -> Decision:
    return Decision(
        verdict=Verdict.HOLD, reasons=(FREE,), champion=FREE, rule={}, comparison=None, metrics=METRICS, latency_ms=1,
        checks=(Check(name=FREE, expected="x", found="y", passed=False),),
    )  # fmt: skip


LOOK = {"period": "2026", "number": 3, "total": 9, "confidence": 0.999, "left": 0.943}


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        (True, "look 3 in 2026 at these test rows: 94.3% of the error budget is left"),
        (
            False,
            "judged as look 3 in 2026 at these test rows would be; not counted, it spends nothing of the error budget",
        ),
    ],
)
def test_the_gate_says_what_a_look_spent(taken: bool, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    agreement = {"both": 1, "challenger": 1, "champion": 1, "neither": 1, "p": 1}
    found = Comparison.model_validate(
        {"rows": 4, "difference": FIGURE, "mcnemar": agreement, "p": 1, "look": LOOK | {"taken": taken}}
    )
    console.show_decision(decision().model_copy(update={"comparison": found}))
    assert said in capsys.readouterr().out


def test_the_gate_says_what_a_figure_is_worth_that_lands(capsys: pytest.CaptureFixture[str]) -> None:
    agreement = {"both": 1, "challenger": 1, "champion": 1, "neither": 1, "p": 1}
    honest = {"challenger": {"measured": 0.86, "corrected": 0.8512, "by": "given that it lands"}}
    found = Comparison.model_validate({"rows": 4, "difference": FIGURE, "mcnemar": agreement, "p": 1, "honest": honest})
    rule = {"metric": "macro_f1"}
    console.show_decision(decision().model_copy(update={"comparison": found, "verdict": Verdict.PROMOTE, "rule": rule}))
    assert "Macro F1 0.8600 as measured, 0.8512 corrected for having been picked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdict", "reasons", "last"),
    [
        (Verdict.PROMOTE, (), "`luodi register reviews` lands it; it asks nobody, for `register.approval` is auto."),
        (Verdict.HOLD, ("it is worse", "what to do: wait for more rows"),
         "wait for more rows. Then `dvc repro` and `luodi gate reviews` judge it again."),
        (Verdict.UNCHANGED, (), "nothing, for it is in production already."),
    ],
)  # fmt: skip
def test_the_gate_names_the_next_command_once(
    verdict: Verdict, reasons: tuple[str, ...], last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = decision().model_copy(update={"verdict": verdict, "reasons": reasons, "approval": "auto", "checks": ()})
    console.show_decision(found, todo=acting.todo("reviews", found.to_json(), "checkout"))
    assert [line for line in capsys.readouterr().out.splitlines() if "what to do: " in line] == [
        f"  what to do: {last}"
    ]


@pytest.fixture(params=["terminal", "pipe"])
def output(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    if request.param == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "400")


@pytest.mark.parametrize(
    ("show", "times"),
    [
        (lambda folder: console.show_result(result(), folder, folder), 1),
        (lambda folder: console.show_version(version(), [Move(1, "v1.0.0", WHEN, "Ann", {"reason": FREE})], folder), 3),
        (lambda folder: console.show_decision(decision()), 3),
    ],
    ids=["result", "version", "decision"],
)
def test_what_people_wrote_is_shown_as_it_stands(
    show: Callable[..., Any], times: int, output: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(tmp_path)
    assert capsys.readouterr().out.count(FREE) == times


def test_a_model_that_is_in_production_already_has_no_table_of_rules(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_decision(decision().model_copy(update={"verdict": Verdict.UNCHANGED, "checks": (), "reasons": ()}))
    assert capsys.readouterr().out == "verdict: unchanged\n"


def test_what_changed_is_shown_as_it_stands(output: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = Version("reviews", "v0.9.0", "0" * 40, WHEN, "Ann", None, {"params": {"train": {"note": "x"}}})
    console.show_versions(compared([version(), before]))
    assert f"train.note x -> {FREE}" in capsys.readouterr().out


@pytest.mark.parametrize("absent", [[], ["roc_auc"], list(KNOWN)])
def test_figures_that_are_not_defined_are_left_out(absent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    there = {key: FIGURE for key in KNOWN if key not in absent}
    console.show_metrics({"rows": 100, "model": there, "baseline": there})
    out = capsys.readouterr().out
    assert "100 test rows" in out
    assert {key for key, metric in KNOWN.items() if metric.title in out} == there.keys()


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from([changed, *JUNK])), min_size=1, max_size=12))
@example([(path, changed) for path in facts()])
@example([(path, "text") for path in facts()])
@example([(path, [1]) for path in facts()])
@example([("metrics/model/accuracy", 1), ("params/gate", None), ("data/rows", "many"), ("approval/mode", "human")])
@pytest.mark.slow
def test_facts_that_are_missing_or_odd_are_never_an_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Any]
) -> None:
    document = all_changed(changes)
    odd = Version("reviews", "v1.1.0", "0" * 40, WHEN, "Ann", None, document)
    folder = tmp_path_factory.getbasetemp()
    console.show_versions([*compared([odd, version()]), *compared([version(), odd])])
    console.show_version(odd, [Move(1, "v1.1.0", WHEN, "Ann", document), Move(2, "v1.1.0", WHEN, "Ann", {})], folder)
    console.show_result({**document, "verdict": "unchanged", "version": odd.name, "reasons": []}, folder, folder)


@pytest.mark.parametrize(("name", "whole"), [("shapes", "2026-01-31"), ("reviews_of_hotels", "0.8468")])
def test_at_80_columns_no_version_and_no_stage_is_cut(
    name: str, whole: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    there = Version(name, "v12.10.13", "0" * 40, WHEN, "Ann", "production", facts())
    console.show_versions(compared([there]))
    listed = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert f"{name}@v12.10.13" in listed and "production" in listed and whole in listed
    assert max(map(len, listed.splitlines())) <= 80


@pytest.mark.parametrize(("newest", "shown"), [(None, "4321"), (2, "431"), (3, "4321"), (9, "4321")])
def test_the_newest_are_listed_and_the_one_in_production(
    newest: int | None, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = [
        Version("reviews", f"v{number}.0.0", "0" * 40, WHEN, "Ann", "production" if number == 1 else None,
                {"params": {"epochs": number}})
        for number in (4, 3, 2, 1)
    ]  # fmt: skip
    console.show_versions([*compared([], newest), *compared(there, newest)])
    listed = capsys.readouterr().out
    assert [line.split("@v")[1][0] for line in listed.splitlines() if "@v" in line] == list(shown)
    assert "epochs 3 -> 4" in listed
