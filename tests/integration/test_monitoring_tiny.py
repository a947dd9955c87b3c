"""A model in use, from the request log to a rollback: real versions in a real registry, asked real texts."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from actors import QUALITY, World, git
from typer.testing import CliRunner

from luodi.cli import commands
from luodi.data import columns, importing, tables
from luodi.errors import Alarmed, MissingData
from luodi.files import read_facts
from luodi.registry import classifier, promotion
from luodi.serving.log import Answered, Log

LABELS = ("negative", "positive")
Ask = Callable[..., Path]


def texts(rows: int, right: dict[str, float], seed: int = 3) -> tuple[list[str], list[str]]:
    """Texts as those of the tiny project, of which each challenger gets its share right, and their labels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    letters = []
    for place, name in enumerate(QUALITY):
        says = np.where(rng.permuted(np.arange(rows) < right.get(name, 0.5) * rows), truth, 1 - truth)
        letters.append([chr(ord("a") + 2 * place + one) for one in says])
    found = [f"{900 + row}" + "".join(row_letters) for row, row_letters in enumerate(zip(*letters, strict=True))]
    return found, [LABELS[one] for one in truth]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Log what versions answer to texts, one a request; return the table of true labels."""

    def logged(world: World, items: list[str], truth: list[str], **roles: str) -> Path:
        writer = Log(str(tmp_path / "log"))
        for role, number in roles.items():
            model = classifier.load(world.origin, "quick", number, world.runner)
            for place, item in enumerate(items):
                writer.add(Answered(f"={place}", datetime.now(UTC), "quick", model.version, role, [item],
                                    model.probabilities([item]), 1.0, model.encoder))  # fmt: skip
        writer.close()
        path = tmp_path / "true.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("request", "label"), *((f"={n}", one) for n, one in enumerate(truth))])
        return path

    return logged


@pytest.fixture
def monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`luodi monitor quick` in a checkout, in this process: its facts, or what it raised."""

    def run(world: World, *arguments: str, block: dict[str, Any] | None = None) -> Any:
        import yaml

        root = tmp_path / "checkout"
        if not root.exists():
            git(tmp_path, "clone", "--quiet", world.origin.git, str(root))
        params = yaml.safe_load((root / "params.yaml").read_text())
        if block is not None:
            params["models"]["quick"]["monitor"] = {"log": str(tmp_path / "log"), **block}
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        monkeypatch.chdir(root)
        monkeypatch.setattr("luodi.system.processes.Runner", lambda tell: world.runner)
        for name, value in world.origin.environment().items():
            monkeypatch.setenv(name, value)
        given = () if block is not None else ("--log", str(tmp_path / "log"))
        done = CliRunner().invoke(commands.app, ["monitor", "quick", *given, *arguments, "--json"])
        if done.exception and not isinstance(done.exception, Alarmed):
            raise done.exception
        facts = json.loads(done.stdout)
        assert bool(facts["alarms"]) == isinstance(done.exception, Alarmed)
        written = read_facts(root / "artifacts" / "quick" / "monitor" / "report.json")
        assert {name: facts[name] for name in written} == written
        return facts

    return run


def test_what_is_asked_is_told_by_version_and_rows_to_label_are_written(
    two: World, ask: Ask, monitor: Callable[..., Any], tmp_path: Path
) -> None:
    items, truth = texts(60, {"weak": 0.6, "good": 0.9})
    ask(two, items, truth, production="v1.0.1", shadow="v1.0.0")
    facts = monitor(two, "--rows", "16")
    assert [(one["version"], one["role"], one["rows"]) for one in facts["versions"]] == [
        ("quick@v1.0.0", "shadow", 60), ("quick@v1.0.1", "production", 60)
    ]  # fmt: skip
    (beside,) = facts["beside"]
    assert (beside["version"], beside["role"], beside["pairs"], beside["proof"]) == ("quick@v1.0.0", "shadow", 60, None)
    assert beside["agree"]["low"] < beside["agree"]["value"] < beside["agree"]["high"]
    assert (facts["alarms"], facts["live"], facts["worth"]) == ([], [], 16)
    folder = tmp_path / "checkout" / "artifacts" / "quick" / "monitor"
    html = (folder / "report.html").read_text()
    assert "<script" not in html
    assert "quick@v1.0.0" in html
    with (folder / "worth.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["why"] for row in rows} == {"least certain", "shadow disagrees", "nearest to drift", "drawn at random"}
    assert {row["text"] for row in rows} < set(items)
    assert {row["request"][:2] for row in rows} == {"'="}
    tasks = json.loads((folder / "worth.json").read_text())
    assert [task["data"]["text"] for task in tasks] == [row["text"] for row in rows]
    assert {task["predictions"][0]["model_version"] for task in tasks} == {"quick@v1.0.1"}
    assert '<Choice value="negative"/>' in (folder / "worth.xml").read_text()


def test_rows_that_were_labelled_are_taken_back_and_those_drawn_at_random_judge(
    two: World, ask: Ask, monitor: Callable[..., Any], tmp_path: Path
) -> None:
    items, truth = texts(200, {"good": 0.9})
    ask(two, items, truth, production="v1.0.1")
    monitor(two, "--rows", "80")
    sheet = tmp_path / "checkout" / "artifacts" / "quick" / "monitor" / "worth.csv"
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    known = dict(zip(items, truth, strict=True))
    with (labelled := tmp_path / "labelled.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": known[row["text"]]} for row in rows)
    facts = monitor(two, "--labels", str(labelled))
    drawn = [row for row in rows if row["why"] == "drawn at random"]
    (live,) = facts["live"]
    assert live["rows"] == len(drawn) > 20
    assert facts["labels"] == {"given": 80, "joined": 80, "chosen": 80 - len(drawn)}
    table = tables.look(labelled)
    again = [(row.item, row.label) for row in importing.texts(table, columns.choose_columns(table, columns.NOTHING))]
    assert again == [(row["text"], known[row["text"]]) for row in rows]


@pytest.mark.parametrize(
    ("right", "allowed", "stage"),
    [
        ((0.95, 0.6), ("rollback", "--act"), "v1.0.0"),
        ((0.95, 0.6), ("--act",), "v1.0.1"),
        ((0.95, 0.6), ("rollback",), "v1.0.1"),
        ((0.7, 0.7), ("rollback", "--act"), "v1.0.1"),
    ],
)
def test_production_goes_back_only_where_that_is_proven_and_allowed(
    request: pytest.FixtureRequest, two: World, right: tuple[float, float], allowed: tuple[str, ...], stage: str
) -> None:
    ask, monitor = (request.getfixturevalue(name) for name in ("ask", "monitor"))
    labels = ask(two, *texts(400, {"weak": right[0], "good": right[1]}), production="v1.0.1")
    act = [option for option in allowed if option == "--act"]
    facts = monitor(two, "--labels", str(labels), *act, block={"rollback": "rollback" in allowed})
    proven = right[0] > right[1]
    assert [step["action"] for step in facts["steps"]] == (["rollback"] if proven else [])
    assert [number for number, one in two.stages("quick").items() if one == "production"] == [stage]
    assert len([name for name in two.looks() if "/live/" in name]) == len(act)
    assert facts["done"] == (["rollback: quick@v1.0.0 is in production"] if stage == "v1.0.0" else [])
    (live,) = facts["live"]
    assert live["accuracy"]["value"] == pytest.approx(right[1], abs=0.01)
    assert live["tested"]["value"] == 0.85


def test_a_canary_is_promoted_where_it_is_proven_better(two: World, ask: Ask, monitor: Callable[..., Any]) -> None:
    two.move("quick", "v1.0.0", "rollback")
    items, truth = texts(400, {"weak": 0.6, "good": 0.95})
    ask(two, items[:300], truth[:300], production="v1.0.0")
    labels = ask(two, items, truth, canary="v1.0.1")
    facts = monitor(two, "--labels", str(labels), "--act", block={"canary": True})
    assert facts["done"] == ["promote: quick@v1.0.1 is in production"]
    assert two.stages("quick") == {"v1.0.1": "production", "v1.0.0": None}
    assert two.facts("quick#production#4")["action"] == "promote"


def test_a_canary_that_is_proven_worse_is_told(two: World, ask: Ask, monitor: Callable[..., Any]) -> None:
    labels = ask(two, *texts(400, {"weak": 0.6, "good": 0.95}), production="v1.0.1", canary="v1.0.0")
    facts = monitor(two, "--labels", str(labels), "--act", block={"canary": True, "rollback": True})
    assert [step["action"] for step in facts["steps"]] == ["revert"]
    assert facts["done"] == []
    assert {one["role"]: one["standing"] for one in facts["beside"]} == {"canary": "worse"}


def test_a_canary_of_the_registry_is_promoted_or_ended(two: World, ask: Ask, monitor: Callable[..., Any]) -> None:
    two.move("quick", "v1.0.0", "rollback")
    promotion.try_out(two.origin, "quick", "v1.0.1", 0.1, two.runner, reason="because")
    ask(two, *texts(10, {}), production="v1.0.0")
    labels = ask(two, *texts(400, {"weak": 0.95, "good": 0.6}), canary="v1.0.1")
    facts = monitor(two, "--labels", str(labels), block={"canary": True})
    assert (facts["canary"], facts["done"]) == ("quick@v1.0.1", [])
    facts = monitor(two, "--labels", str(labels), "--act", block={"canary": True})
    assert facts["done"] == ["revert: quick@v1.0.1 is the canary no longer"]
    assert two.stages("quick") == {"v1.0.1": None, "v1.0.0": "production"}
    assert "luodi monitor: proven worse than production: -0.3425" in two.facts("quick#canary!#5")["reason"]


def test_what_was_asked_before_is_left_out(two: World, ask: Ask, monitor: Callable[..., Any], tmp_path: Path) -> None:
    ask(two, *texts(30, {}), production="v1.0.1")
    with pytest.raises(MissingData, match=r"holds no row of quick since .*look farther back"):
        monitor(two, "--since", "2099-01-01")
    with pytest.raises(MissingData, match="holds no request log of quick"):
        monitor(two, "--log", str(tmp_path))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "name the request log, or set monitor.log"),
        (("--log", "a", "--since", "noon"), "expected 7d, 12h, or a date"),
    ],
)
def test_what_the_command_needs_is_told(
    two: World, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(two.template.folder / "checkout")
    done = CliRunner().invoke(commands.app, ["monitor", "quick", *given])
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
