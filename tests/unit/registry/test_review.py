"""`luodi report`: what a reviewer is told of a model, and of what differs from another."""

from typing import Any

from facts import decision
from hypothesis import given
from hypothesis import strategies as st

from luodi.registry import review
from luodi.registry.review import Subject


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def facts(accuracy: float = 0.9, dropout: float = 0.2, **changes: Any) -> dict[str, Any]:
    broken = {"title": "No label is missing", "severity": "warning", "passed": False, "expected": "none missing",
              "found": "3 rows (3.0%)"}  # fmt: skip
    return {
        "params": {"train": {"dropout": dropout, "epochs": 3}},
        "data": {"rows": 100, "clean": 97, "quarantined": 3, "duplicates": 1, "findings": [broken, {"passed": True}]},
        "metrics": {
            "rows": 20,
            "choice": {"chosen": "linear"},
            "model": {"accuracy": figure(accuracy)},
            "baseline": {"accuracy": figure(0.8)},
            "difference": {"accuracy": figure(accuracy - 0.8)},
            "classes": {f"c{n}": {"judged": {"rows": 9 + n, **figure(0.5 + n / 100)}} for n in range(12)},
        },
    } | changes


def test_it_tells_what_validation_found_and_how_the_model_stands_beside_the_baseline() -> None:
    told = review.markdown(Subject("reviews in this checkout", facts()))
    assert told.startswith("# reviews in this checkout\n")
    assert "1 of 2 expectations hold." in told
    assert "| No label is missing | none missing | 3 rows (3.0%) | warns |" in told
    assert "| Quarantined | 3 (3.0%) |" in told
    assert "The model is the linear model. Test rows: 20." in told
    assert "0.9000 (0.8800 – 0.9200) | 0.8000 (0.7800 – 0.8200) | +0.1000 (+0.0800 to +0.1200) | better |" in told
    assert "What differs" not in told


def test_the_weakest_classes_come_first_and_the_rest_are_counted() -> None:
    told = review.markdown(Subject("m", facts()))
    assert told.index("| c0 | 9 | 0.5000 ") < told.index("| c9 | 18 | 0.5900 ")
    assert "| c10 |" not in told
    assert "The 10 of lowest recall; 2 more." in told


def test_what_differs_comes_first_settings_and_figures_side_by_side() -> None:
    told = review.markdown(Subject("new", facts(0.91, 0.3)), Subject("m@v1.0.0", facts(0.9, 0.2)))
    assert told.index("## What differs from m@v1.0.0") < told.index("## Validation")
    assert "- setting train.dropout 0.2 -&gt; 0.3" in told
    assert "train.epochs" not in told
    assert "| Accuracy | 0.9100 (0.8900 – 0.9300) | 0.9000 (0.8800 – 0.9200) |" in told
    assert "no setting" in review.markdown(Subject("new", facts()), Subject("m@v1.0.0", facts()))


def test_the_verdict_stands_first_with_what_is_behind_it_on_the_same_rows() -> None:
    changes = [{"of": "data", "said": "rows 9 -> 10"}]
    held = {**decision(), "verdict": "hold", "reasons": ["it is <slow>"], "changes": changes}
    told = review.markdown(Subject("a run of m", facts(decision=held)))
    assert told.startswith("# a run of m\n\n## Verdict: hold\n")
    assert "- it is &lt;slow&gt;" in told
    order = ["## What changed since", "## Metrics", "## Rules", "## Validation", "## Evaluation"]
    assert sorted(order, key=told.index) == order
    assert "and landed." in review.markdown(Subject("m@v1.0.0", facts(decision=first()), landed=True))


def first() -> dict[str, Any]:
    """The decision on a first version, which has no champion."""
    return {**decision(), "champion": None, "comparison": None, "changes": []}


def test_a_first_version_shows_its_rules_and_no_comparison() -> None:
    told = review.markdown(Subject("m@v1.0.0", facts(decision=first())))
    assert "## Verdict: promote" in told and "## Rules" in told
    assert "## Metrics" not in told and "## What changed" not in told


def test_a_model_that_is_the_linear_baseline_is_compared_to_nothing() -> None:
    found = facts(0.8)
    assert "there is nothing to compare" in review.markdown(Subject("m", found))
    assert "there is nothing to compare" not in review.markdown(Subject("m", facts()))


def test_a_run_that_validation_stopped_has_nothing_but_validation() -> None:
    found = facts(metrics={})
    found["data"]["findings"][0]["severity"] = "critical"
    told = review.markdown(Subject("m", found))
    assert "| 3 rows (3.0%) | fails |" in told
    assert "The model is not recorded. Test rows: not recorded." in told


def test_the_json_holds_what_the_page_says() -> None:
    found = review.as_json(Subject("new", facts(0.91)), Subject("m@v1.0.0", facts()))
    assert found["metrics"]["model"]["accuracy"]["value"] == 0.91
    assert found["compared_to"]["name"] == "m@v1.0.0"


KEYS = ["metrics", "data", "params", "findings", "model", "accuracy", "classes", "rows", "value", "decision"]
leaves = st.none() | st.integers() | st.text() | st.floats()


@given(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner)))
def test_any_facts_make_a_document(found: Any) -> None:
    subject = Subject("m", found if isinstance(found, dict) else {"data": {"findings": found}})
    assert review.markdown(subject, subject).startswith("# m\n")
    assert "<h1>m</h1>" in review.html(subject, subject)
