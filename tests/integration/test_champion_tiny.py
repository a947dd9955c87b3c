"""What a comparison with the champion says where the two differ in more than their weights."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from actors import QUALITY, SPLITS, World, put, record, stored, with_params, write_export
from project import full

from luodi import config
from luodi.files import write_json
from luodi.registry import card

PERSON = "what to do: let a person decide (register.approval: human)"


def preprocess(entries: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = entries["preprocess@quick"]["params"]["params.lock"]["models.quick.preprocess"]
    return settings


def change_rows(world: Any, entries: Any, folder: Path, change: Any) -> None:
    """Let entries hold other rows, which are in the DVC remote."""
    remote = Path(world.origin.remote or "")
    known = record(entries, "rows.parquet")
    md5 = known["md5"]
    table = pq.read_table(remote / "files" / "md5" / md5[:2] / md5[2:])
    pq.write_table(change(table), folder / "rows.parquet")
    known |= put(remote, folder / "rows.parquet")


def column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, table.schema.field(name).type))


def test_champion_and_challenger_are_scored_on_the_same_rows(one: World) -> None:
    decision = one.judge("quick", "good").to_json()
    found = decision["comparison"]
    assert (found["rows"], found["excluded"], found["notes"]) == (SPLITS["test"], 0, [])
    accuracy = {who: figure["value"] for who, figure in found["metrics"]["accuracy"].items()}
    assert accuracy == pytest.approx({"challenger": 0.85, "champion": 0.7, "difference": 0.15})
    assert {(part["by"], part["name"]) for part in found["slices"]} == {
        ("length", "q1"), ("source", "shop"), ("class", "negative"), ("class", "positive")
    }  # fmt: skip
    assert [part["rows"] for part in found["slices"]] == [160, 160, 80, 80]
    assert decision["metrics"]["rows"] == SPLITS["test"]
    assert 0 < decision["latency_ms"] < 1000


def test_what_changed_since_the_champion_is_told_and_a_rule_that_asks_less(one: World) -> None:
    assert one.judge("quick", "good").changes == ()
    gate = {**full("reviews")["gate"], "minimum": 0.0}
    before = config.load(one.template.folder / "checkout" / "params.yaml").models["quick"].gate
    world = with_params(one, quick={"gate": {**gate, "margin": before.margin - 0.03}})
    decision = world.judge("quick", "good")
    assert decision.changes
    said = {change.said: change.asks_less for change in decision.changes}
    assert said[f"gate.margin {before.margin} -> {before.margin - 0.03}"]
    assert "asks less" in card.comparison("quick", decision.to_json())
    assert "What changed since quick" in card.summary(decision.to_json())


@pytest.mark.parametrize("name", ["seed", "shares", "test_source"])
def test_settings_that_decide_the_splits_are_told(one: World, name: str) -> None:
    entries = one.entries("quick", "good")
    preprocess(entries)[name] = "other"
    found = one.judge("quick", entries).to_json()
    assert found["comparison"]["notes"] == [f"{name} of preprocess differs from that of quick@v1.0.0"]
    assert found["verdict"] == "promote"


def test_other_settings_are_not(one: World) -> None:
    entries = one.entries("quick", "good")
    preprocess(entries)["vocabulary"] = 7
    assert one.judge("quick", entries).to_json()["comparison"]["notes"] == []


@pytest.mark.parametrize("name", ["height", "width", "channels"])
def test_images_of_another_size_are_not_compared(one: World, name: str) -> None:
    entries = one.entries("quick", "best")
    preprocess(entries)[name] = 64
    found = one.judge("quick", entries).to_json()
    assert (found["verdict"], found["comparison"]) == ("insufficient evidence", None)
    assert found["reasons"] == [
        f"{name} of preprocess differs from that of quick@v1.0.0",
        "quick@v1.0.0 cannot be compared: its images have another size, so that rows cannot be told to be those it was "
        "trained on",
        PERSON,
    ]


@pytest.mark.parametrize(
    ("stage", "told"), [("preprocess@quick", True), ("train@quick", False), ("evaluate@quick", False)]
)
def test_changed_code_of_what_a_row_looks_like_is_told(one: World, stage: str, told: bool) -> None:
    entries = one.entries("quick", "good")
    name = stage.partition("@")[0]
    entries[stage]["params"]["luodi.lock"] = {f"stages.text.{name}": {"code": "0" * 32}}
    found = one.judge("quick", entries).to_json()
    why = "which rows it was trained on was told by cleaning them again"
    note = f"the code of preprocess is not that of quick@v1.0.0: {why}"
    assert found["comparison"]["notes"] == ([note] if told else [])
    assert found["comparison"]["rows"] == SPLITS["test"]


def test_rows_that_the_champion_was_trained_on_do_not_count(one: World, tmp_path: Path) -> None:
    entries = one.entries("quick", "best")
    kept = [*["test"] * 20, *["train"] * 10, *["validation"] * 10, *["test"] * 160]
    change_rows(one, entries, tmp_path, lambda table: column(table, "split", kept))
    found = one.judge("quick", entries).to_json()["comparison"]
    assert (found["rows"], found["excluded"]) == (160, 20)


def test_a_champion_that_was_trained_on_every_test_row_is_not_compared(one: World, tmp_path: Path) -> None:
    entries = one.entries("quick", "best")
    kept = [*["test"] * 40, *["train"] * 80, *["validation"] * 80]
    change_rows(one, entries, tmp_path, lambda table: column(table, "split", kept))
    found = one.judge("quick", entries).to_json()
    assert (found["verdict"], found["comparison"]) == ("insufficient evidence", None)
    assert found["reasons"] == ["quick@v1.0.0 cannot be compared: it was trained on every test row", PERSON]


OURS = """\
from factor import FACTOR

def right(truth, predicted, weights):
    return FACTOR * (weights @ (truth == predicted)) / weights.sum(1)
"""


@pytest.mark.parametrize("factor", [1.0, 0.2])  # one after the other: each gate runs the code of its own commit
def test_a_metric_of_a_users_own_decides(one: World, tmp_path: Path, factor: float) -> None:
    """Its module comes with the commit of the run, and nothing of it stays in the process that judged."""
    gate = {**full("reviews")["gate"], "metric": "ours:right", "minimum": 0.0, "margin": 0.1, "baseline_margin": 1.0,
            "max_latency_ms": 10000.0, "max_calibration_error": 1.0, "max_slice_loss": 1.0}  # fmt: skip
    files = {"ours.py": OURS, "factor.py": f"FACTOR = {factor}\n"}
    world = with_params(one, files, quick={"gate": gate})
    entries = world.entries("quick", "best")
    change_metrics(world, entries, tmp_path, factor)
    decision = world.judge("quick", entries)
    assert decision.comparison
    sides = decision.comparison.metrics["ours:right"]
    assert sides.challenger.value == pytest.approx(factor * QUALITY["best"], abs=0.01)
    assert sides.champion.value == pytest.approx(factor * QUALITY["weak"], abs=0.01)
    assert sides.difference == decision.comparison.difference
    assert decision.verdict == ("promote" if factor == 1 else "hold")
    assert not {"ours", "factor"} & sys.modules.keys()
    page = card.comparison("quick", decision.to_json())
    assert "Right" in page
    assert "right of ours, of your own" in page
    if factor == 1:
        landed = world.land("quick", entries).version
        assert landed.name == "quick@v1.0.1"
        assert "<span>Right</span>" in card.html(landed.name, landed.registered, landed.author, landed.facts)


def test_a_metric_that_was_not_measured_proves_nothing(one: World) -> None:
    """Lock entries of a run with another metric."""
    gate = {**full("reviews")["gate"], "metric": "ours:right", "max_latency_ms": 10000.0, "max_calibration_error": 1.0}
    world = with_params(one, {"ours.py": OURS, "factor.py": "FACTOR = 1\n"}, quick={"gate": gate})
    decision = world.judge("quick", "best")
    assert decision.verdict == "insufficient evidence"
    assert decision.reasons[0] == "ours:right was not measured"
    assert decision.reasons[-1] == "what to do: run `luodi evaluate` again"


def change_metrics(world: World, entries: dict[str, Any], folder: Path, factor: float) -> None:
    """Let entries hold what evaluate would have measured with that metric."""
    remote = Path(world.origin.remote or "")
    found = json.loads(stored(remote, record(entries, "metrics.json")["md5"]).read_text())
    for who in ("model", "baseline", "difference"):
        found[who]["ours:right"] = {end: factor * value for end, value in found[who]["accuracy"].items()}
    found["proof"]["metric"] = "ours:right"
    write_json(folder / "metrics.json", found)
    record(entries, "metrics.json").update(put(remote, folder / "metrics.json"))


def relabelled(world: World, folder: Path, challenger: str, labels: list[str]) -> tuple[World, Mapping[str, Any]]:
    """The challenger as it would be with other labels in params.yaml, and the world in which they are."""
    entries = world.entries("quick", challenger)
    export = folder / "export"
    export.mkdir()
    write_export(export, tuple(labels), challenger)
    record(entries, "export").update(put(Path(world.origin.remote or ""), export))
    places = [labels.index(name) for name in ("negative", "positive")]
    change_rows(
        world, entries, folder,
        lambda table: column(table, "label", [places[label] for label in table["label"].to_pylist()]),
    )  # fmt: skip
    return with_params(world, quick={"labels": labels}), entries


@pytest.mark.parametrize(
    ("labels", "notes"),
    [
        (["positive", "negative"], []),
        (
            ["neutral", "positive", "negative"],
            ["quick@v1.0.0 knows other labels: negative, positive"],
        ),
    ],
)
def test_labels_are_told_by_name_and_not_by_place(
    one: World, tmp_path: Path, labels: list[str], notes: list[str]
) -> None:
    world, entries = relabelled(one, tmp_path, "good", labels)
    found = world.judge("quick", entries).to_json()["comparison"]
    assert found["notes"] == notes
    accuracy = {who: figure["value"] for who, figure in found["metrics"]["accuracy"].items()}
    assert accuracy == pytest.approx({"challenger": 0.85, "champion": 0.7, "difference": 0.15})
    assert [(part["name"], part["rows"]) for part in found["slices"] if part["by"] == "class"] == [
        (name, 80) for name in labels if name != "neutral"
    ]


def test_rows_of_a_label_that_the_champion_lacks_are_told_apart(one: World, tmp_path: Path) -> None:
    """They would be won without a blow, and hide what was lost of the others."""
    world, entries = relabelled(one, tmp_path, "good", ["negative", "positive", "neutral"])
    before = world.judge("quick", entries).to_json()["comparison"]
    change_rows(
        world,
        entries,
        tmp_path,
        lambda table: column(
            table, "label", [2 if place % 4 == 0 else one for place, one in enumerate(table["label"].to_pylist())]
        ),
    )
    found = world.judge("quick", entries).to_json()["comparison"]
    assert found["rows"] < before["rows"]
    assert found["metrics"]["accuracy"]["champion"]["value"] > 0.5
    assert re.fullmatch(
        r"not in the comparison, for quick@v1.0.0 does not know them: rows of neutral \(0 of \d+ right\)",
        found["notes"][0],
    )
    assert {part["name"] for part in found["slices"] if part["by"] == "class"} == {"negative", "positive"}


def test_a_champion_that_knows_the_class_of_no_row_is_not_compared(one: World, tmp_path: Path) -> None:
    world, entries = relabelled(one, tmp_path, "good", ["negative", "positive", "neutral"])
    change_rows(world, entries, tmp_path, lambda table: column(table, "label", [2] * len(table)))
    decision = world.judge("quick", entries)
    assert decision.comparison is None
    assert "it knows the class of no test row" in str(decision.to_json())
