"""The rows of a trial: those of preprocess but for the test split, which no trial can read."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from luodi import config
from luodi.config import Tune
from luodi.data import encoders, image
from luodi.nets import arrays
from luodi.project.paths import ModelPaths
from luodi.report import page
from luodi.stages import preprocess
from luodi.tuning import charts, goals, space, study, trials
from luodi.tuning.goals import Goals
from luodi.tuning.trials import Trials

ROWS = 200
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
IMAGE = {"height": 8, "width": 8, "channels": 1}


def settings(modality: str, tune: Any = None) -> config.ModelSettings:
    more = IMAGE if modality == "image" else {}
    block = {"modality": modality, "labels": ["a", "b"], "preprocess": {"shares": SHARES, **more}, "tune": tune}
    return config.parse({"models": {"m": block}}, "params.yaml").models["m"]


def items(modality: str) -> list[Any]:
    if modality == "text":
        return [f"第{number}间房很好" for number in range(ROWS)]
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8), np.uint8)
    return [image.png(Image.fromarray(one)) for one in pixels]


def write_clean(folder: Path, modality: str, group: list[int] | None = None) -> ModelPaths:
    paths = ModelPaths(folder, "m")
    paths.clean.parent.mkdir(parents=True)
    kind = pa.string() if modality == "text" else pa.binary()
    columns = {modality: pa.array(items(modality), kind), "label": ["a", "b"] * (ROWS // 2), "source": ["s"] * ROWS}
    pq.write_table(pa.table(columns | ({"group": group} if group else {})), paths.clean)
    return paths


def test_validation_rows_that_stand_together_are_known(tmp_path: Path) -> None:
    block, paths = settings("text"), write_clean(tmp_path, "text", [row // 3 for row in range(ROWS)])
    preprocess.run(block, paths)
    _, group = trials.write_rows(block, paths, tmp_path / "rows.arrow")
    expected = pq.read_table(paths.rows)
    expected = expected.filter(pa.compute.equal(expected["split"], "validation"))
    assert group is not None
    assert group.tolist() == expected["group"].to_pylist()


@pytest.mark.parametrize("modality", ["text", "image"])
def test_a_trial_has_the_rows_of_preprocess_without_the_test_split(modality: str, tmp_path: Path) -> None:
    block, paths = settings(modality), write_clean(tmp_path, modality)
    preprocess.run(block, paths)
    whole = pq.read_table(paths.rows)
    given = tmp_path / "given" / "rows.arrow"
    given.parent.mkdir()
    truth, group = trials.write_rows(block, paths, given)
    assert [path.name for path in given.parent.iterdir()] == ["rows.arrow"]  # not the one with all rows
    held = pa.ipc.open_stream(pa.OSFile(str(given))).read_all()
    expected = whole.filter(pa.compute.not_equal(whole["split"], "test"))
    assert 0 < len(held) < len(whole)
    assert [held[name].to_pylist() for name in (modality, "label", "split")] == [
        expected[name].to_pylist() for name in (modality, "label", "split")
    ]
    rows = trials.read_rows(given)
    assert group is None
    encoder = encoders.load(paths.encoder)
    known = {split: arrays.load(split, block, paths, encoder) for split in ("train", "validation")}
    assert truth.tolist() == rows.labels("validation").tolist() == known["validation"][1].tolist()
    encoded = Trials(paths, block, Tune(), {}, goals.of(block, Tune()), rows)._rows_of(block)
    for (x, y), expected_rows in zip(encoded[1:], known.values(), strict=True):
        assert (x == expected_rows[0]).all()
        assert (y == expected_rows[1]).all()


def ended(*values: float | None) -> dict[int, optuna.trial.FrozenTrial]:
    found = optuna.create_study(direction="maximize")
    for slot, value in enumerate(values):
        trial = found.ask()
        trial.set_user_attr(study.SLOT, slot)
        found.tell(trial, value, state=None if value is not None else optuna.trial.TrialState.PRUNED)
    return study.ended(found)


@pytest.mark.parametrize(
    ("values", "metric", "slot"),
    [
        ((0.5, 0.7, 0.7), "accuracy", 1),
        ((0.5, 0.7, 0.4), "log_loss", 2),
        ((0.7, 0.7, None), "accuracy", 0),
        ((0.5, None, None), "accuracy", 0),
        ((0.0, -0.5, None), "accuracy", 0),
    ],
)
def test_the_winner_is_the_first_of_the_best(values: tuple[float | None, ...], metric: str, slot: int) -> None:
    assert study.winner(ended(*values), Goals((metric,), {})) == slot


FOUND = ((0.90, 2.0), (0.95, 4.0), (0.85, 1.0), (0.80, 3.0), (0.85, 1.0))
"""Accuracy and milliseconds of trials."""


@pytest.mark.parametrize(("most", "slot"), [(50, 1), (3, 0), (1.5, 2), (0.5, 0)])
def test_the_gates_budgets_choose_from_the_front(most: float, slot: int) -> None:
    wanted = Goals(("accuracy", "latency_ms"), {"latency_ms": most})
    found = optuna.create_study(directions=wanted.directions)
    for number, values in enumerate(FOUND):
        trial = found.ask()
        trial.set_user_attr(study.SLOT, number)
        found.tell(trial, values)
    trials = study.ended(found)
    assert list(study.front(trials, wanted)) == [0, 1, 2, 4]
    assert study.winner(trials, wanted) == slot
    assert wanted.broken(FOUND[1]) == ("" if most == 50 else f"gate.max_latency_ms {most:g} (4)")
    assert study.facts(1, trials[1], wanted)["beside"] == {"latency_ms": 4.0}


def test_a_slot_whose_trial_died_is_open_and_its_second_trial_counts() -> None:
    found = optuna.create_study()
    for slot in (0, 1):
        found.ask().set_user_attr(study.SLOT, slot)
    study.abandon(found)
    assert study.ended(found) == {}
    again = found.ask()
    again.set_user_attr(study.SLOT, 1)
    found.tell(again, 0.5)
    twice = found.ask()  # of one that was taken for dead, and was not
    twice.set_user_attr(study.SLOT, 1)
    found.tell(twice, 0.7)
    assert {slot: one.value for slot, one in study.ended(found).items()} == {1: 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("names", [("accuracy",), ("accuracy", "size_mb", "latency_ms")])
def test_a_trial_measures_what_is_asked_and_the_page_shows_it(names: tuple[str, ...], tmp_path: Path) -> None:
    block, paths = settings("text", {"metric": list(names)}), write_clean(tmp_path, "text")
    tune = block.tune or Tune()
    wanted, searched = goals.of(block, tune), space.of(block, tune)
    trials.write_rows(block, paths, tmp_path / "rows.arrow")
    one = Trials(paths, block, tune, searched, wanted, trials.read_rows(tmp_path / "rows.arrow"))
    found = optuna.create_study(directions=wanted.directions)
    for slot in (0, 1):
        one.run(found, slot, "test")
    ended = study.ended(found)
    told = [study.facts(slot, trial, wanted) for slot, trial in ended.items()]
    assert [{*trial["beside"]} for trial in told] == [{*names[1:]}] * 2
    assert {value > 0 for trial in told for value in trial["beside"].values()} <= {True}
    reported = [trial.intermediate_values for trial in ended.values()]
    assert [len(values) > 0 for values in reported] == [len(names) == 1] * 2  # of several Optuna takes none
    facts = {
        "trials": told, "values": {}, "says": "said", "metric": "accuracy", "beside": list(names[1:]), "better": 1,
        "best": study.winner(ended, wanted), "front": list(study.front(ended, wanted)), "importances": {}, "edge": None,
        "study": "m-1",
    }  # fmt: skip
    shown = page.render("tuning", model="m", facts=facts, charts=charts.charts(facts))
    assert ("The Pareto front" in shown, "accuracy by size_mb" in shown) == (len(names) > 1, len(names) > 1)
    assert not list((tmp_path / ".luodi" / "checkpoints").glob("*.npz"))
