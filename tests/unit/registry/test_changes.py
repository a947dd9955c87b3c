"""What differs from the champion is told, and a rule that asks less is told apart."""

from datetime import UTC, datetime
from typing import Any

import pytest

from luodi import config
from luodi.registry import card, changes
from luodi.registry.records import Change
from luodi.registry.tags import flat

WHEN = datetime(2026, 11, 23, tzinfo=UTC)


def said(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(one.said, one.asks_less) for one in changes.since({"params": before}, {}, after, {}, None)]


@pytest.mark.parametrize(
    ("rule", "old", "new", "less"),
    [
        ("margin", 0.0, -0.03, True),
        ("margin", -0.03, 0.0, False),
        ("confidence", 0.95, 0.9, True),
        ("minimum", 0.8, 0.7, True),
        ("baseline_margin", 0.01, 0.02, True),
        ("max_slice_loss", 0.05, 0.01, False),
        ("max_calibration_error", 0.1, 0.5, True),
        ("min_slice_rows", 300, 1000, True),
        ("min_class_rows", 10, 3, True),
        ("unproven", [], ["rare"], True),
        ("unproven", ["rare"], [], False),
        ("false_landings", {"rate": 0.025, "per": "year"}, {"rate": 0.025, "per": "look"}, True),
        ("metric", "accuracy", "macro_f1", False),
    ],
)
def test_a_rule_that_asks_less_is_told_apart(rule: str, old: Any, new: Any, less: bool) -> None:
    ((told, found),) = said({"gate": {rule: old}}, {"gate": {rule: new}})
    assert told.startswith(f"gate.{rule}")
    assert found is less


def test_an_approval_that_is_no_more_asked_for_asks_less() -> None:
    assert said({"register": {"approval": "human"}}, {"register": {"approval": "auto"}}) == [
        ("register.approval human -> auto", True)
    ]


def test_every_number_that_a_rule_has_is_known_to_ask_more_or_less() -> None:
    neutral = {"gate.resamples", "gate.false_landings.looks"}
    numbers = {
        name for name, value in flat({"gate": config.Gate().model_dump(mode="json")}).items()
        if isinstance(value, int | float)
    }  # fmt: skip
    assert numbers - neutral == changes.ASK.keys()


def test_rules_come_before_settings_and_a_setting_is_no_rule() -> None:
    old = {"train": {"epochs": 3}, "gate": {"margin": 0.0}}
    found = changes.since({"params": old}, {}, {"train": {"epochs": 4}, "gate": {"margin": 0.01}}, {}, None)
    assert [(one.of, one.said) for one in found] == [
        ("rule", "gate.margin 0.0 -> 0.01"), ("setting", "train.epochs 3 -> 4"),
    ]  # fmt: skip


def entries(digest: str, version: str, data: str) -> dict[str, Any]:
    code = {"stages.text.train": {"code": digest, "keras": version}}
    return {
        "train@m": {"params": {"luodi.lock": code}},
        "validate@m": {"deps": [{"path": "data/m", "md5": data}]},
    }


def test_data_code_and_libraries() -> None:
    before = {"data": {"hash": "old", "rows": 1000, "clean": 900}}
    found = changes.since(
        before, entries("a", "3.1", "old"), {}, entries("b", "3.2", "new"), {"rows": 1200, "clean": 1000}
    )
    assert [(one.of, one.said) for one in found] == [
        ("data", "rows 1,000 -> 1,200"), ("data", "clean 900 -> 1,000"),
        ("code", "luodi's code of train"), ("library", "keras 3.1 -> 3.2"),
    ]  # fmt: skip
    (unknown,) = changes.since({"data": {"hash": "old"}}, {}, {}, entries("a", "3.1", "new"), None)
    assert (unknown.of, unknown.said) == ("data", "other files")
    assert not changes.since(before, entries("a", "3.1", "old"), {}, entries("a", "3.1", "old"), {"rows": 1000})


def test_the_comparison_says_it_first() -> None:
    less = Change(of="rule", said="gate.margin 0.0 -> -0.03", asks_less=True).to_json()
    seed = Change(of="setting", said="train.seed 7 -> 8").to_json()
    page = card.comparison("m", {"champion": "m@v1.0.0", "changes": [seed, less], "checks": []})
    assert page.index("What changed since m@v1.0.0") < page.index(">Rules<")
    assert page.index("gate.margin 0.0") < page.index("train.seed 7")
    assert '<span class="badge warn">asks less</span>' in page
    same = card.comparison("m", {"champion": "m@v1.0.0", "changes": []})
    assert "Nothing: data, settings, rules, code and libraries are the same." in same
    assert "What changed" not in card.comparison("m", {"champion": None, "changes": []})


def test_a_verdict_by_a_loosened_rule_is_no_green_one_and_what_changed_comes_first() -> None:
    change = Change(of="rule", said="gate.margin 0.0 -> -0.03", asks_less=True).model_dump()
    judged = {"verdict": "promote", "champion": "reviews@v1.0.0", "rule": {"margin": -0.03}, "changes": [change]}
    page, words = card.comparison("reviews", judged), "gate.margin 0.0 -&gt; -0.03 (it must be better than the champion"
    assert 'class="verdict warn"' in page and words in page
    assert page.index("What changed since reviews@v1.0.0</h2>") < page.index(">Rules</h2>")
    assert "**The gate asks less than it asked of reviews@v1.0.0: gate.margin 0.0 -&gt; -0.03" in card.summary(judged)
    assert 'class="verdict good"' in card.comparison("reviews", judged | {"changes": []})


def test_of_a_version_that_landed_it_is_not_said_that_it_may() -> None:
    facts = {"decision": {"verdict": "promote", "champion": None}}
    assert "keeps every rule, and landed." in card.markdown("reviews@v1.0.0", WHEN, "Ada", facts)
