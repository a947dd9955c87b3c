"""What a trial tries: seeded by its slot, the settings as they stand first, what is not asked for not at all."""

from importlib.util import find_spec
from typing import Any

import optuna
import pytest

from luodi import config
from luodi.config import ModelSettings, Tune
from luodi.config.text import IN_ORDER
from luodi.errors import WrongValue
from luodi.tuning import best, search, space

RATE = {"low": 0.0001, "high": 0.1, "log": True}
WHEN = {
    "train.units": {"choices": [16, 32], "when": {"train.architecture": "mlp"}},
    "train.architecture": {"choices": ["mlp", "ngram"]},
}


def settings(tune: Any = None, modality: str = "text", **train: Any) -> tuple[ModelSettings, Tune]:
    block = {"modality": modality, "labels": ["a", "b"], "tune": tune or {}, "train": train}
    found = config.parse({"models": {"m": block}}, "params.yaml").models["m"]
    assert found.tune
    return found, found.tune


def drawn(block: ModelSettings, tune: Tune, slots: range, study: optuna.Study | None = None) -> list[dict[str, Any]]:
    study = study or optuna.create_study()
    whole, found = space.of(block, tune), []
    for slot in slots:
        values = space.fixed(block, tune, whole, slot)
        study.sampler = space.sampler(block, tune, values, slot)
        trial = study.ask()
        found.append(space.draw(trial, block, whole if values is None else {name: whole[name] for name in values}))
        study.tell(trial, float(slot))
    return found


@pytest.mark.parametrize(
    ("modality", "architecture"),
    [("text", "ngram"), ("text", "mlp"), ("text", "cnn"), ("text", "cnn_lstm"), ("text", "transformer"),
     ("image", "mlp"), ("image", "cnn"), ("image", "resnet"), ("text", "nets:own")],
)  # fmt: skip
def test_auto_is_a_space_that_the_settings_allow(modality: str, architecture: str) -> None:
    tokens = {"tokenizer": "char" if architecture in IN_ORDER else "ngram"} if modality == "text" else {}
    block = {"modality": modality, "labels": ["a", "b"], "preprocess": tokens, "train": {"architecture": architecture}}
    found = config.parse({"models": {"m": block}}, "params.yaml").models["m"]
    auto = space.of(found, Tune())
    assert {"train.learning_rate", "train.batch_size", "train.dropout"} <= {*auto}
    written = {name: one.model_dump(mode="json", exclude_unset=True) for name, one in auto.items()}
    assert config.parse({"models": {"m": block | {"tune": {"space": written}}}}, "params.yaml")
    assert space.defaults(found, auto)["train.learning_rate"] == found.train.learning_rate


def test_a_linear_model_has_nothing_to_search() -> None:
    with pytest.raises(WrongValue, match="there is no network to tune"):
        space.of(*settings(architecture="linear"))
    with pytest.raises(WrongValue, match=r"train\.tuning is frozen: there is nothing to tune"):
        space.of(*settings(architecture="pretrained", encoder="tiny"))


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is there")
def test_gp_names_the_extra_that_it_needs() -> None:
    with pytest.raises(
        WrongValue, match=r"tune\.sampler is gp, .* `pip install 'luodi\[gp\]'` .* set tune\.sampler to tpe"
    ):
        space.of(*settings({"sampler": "gp"}))


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "gp"])
def test_the_same_slots_draw_the_same_and_others_differ(sampler: str) -> None:
    if sampler == "gp":
        pytest.importorskip("torch")
    block, tune = settings({"sampler": sampler, "space": {"train.learning_rate": RATE, **WHEN}})
    first, again = (drawn(block, tune, range(15)) for _ in range(2))
    assert first == again
    keeps = sampler in ("nsga2", "gp")  # what was good, or the end of the range that is
    assert len({one["train.learning_rate"] for one in first}) >= (10 if keeps else 15)


def test_a_search_that_was_ended_goes_on_as_if_it_had_not_been() -> None:
    block, tune = settings({"space": {"train.learning_rate": RATE}})
    study = optuna.create_study()
    first = drawn(block, tune, range(12), study)
    study.ask()  # of a process that died: it is failed, and its slot is drawn again
    study.tell(12, state=optuna.trial.TrialState.FAIL)
    assert first + drawn(block, tune, range(12, 15), study) == drawn(block, tune, range(15))


def test_slot_0_has_the_settings_as_they_stand_and_draws_nothing_else() -> None:
    rows = {"choices": [32, 64]}
    block, tune = settings({"space": {"train.learning_rate": RATE, "train.batch_size": rows}}, batch_size=100)
    assert drawn(block, tune, range(1)) == [{"train.learning_rate": block.train.learning_rate}]


def test_what_its_condition_rules_out_is_not_drawn() -> None:
    for one in drawn(*settings({"space": WHEN}), range(1, 30)):
        assert ("train.units" in one) == (one["train.architecture"] == "mlp")


def test_a_grid_has_every_combination_once() -> None:
    steps = {"low": 0.0, "high": 0.5, "step": 0.25}
    block, tune = settings({"sampler": "grid", "space": {"train.dropout": steps, **WHEN}})
    grid = [*space.grid(block, space.of(block, tune))]
    assert len(grid) == 3 * 3
    assert drawn(block, tune, range(1, 10)) == grid


def test_a_grid_is_made_as_far_as_it_is_tried() -> None:
    fine = {"low": 0.0, "high": 0.9, "step": 0.000001}
    block, tune = settings(
        {"sampler": "grid", "trials": 3, "space": {"train.dropout": fine, "train.learning_rate": fine | {"low": 0.001}}}
    )
    assert [one["train.learning_rate"] for one in drawn(block, tune, range(3))] == [0.005, 0.001, 0.001001]
    assert search._count(block, tune) == 3


def test_a_grid_needs_its_values() -> None:
    with pytest.raises(WrongValue, match=r"tune\.sampler is grid, .*: name settings in tune\.space"):
        space.of(*settings({"sampler": "grid"}))


@pytest.mark.filterwarnings("error")
def test_a_range_ends_with_its_last_step() -> None:
    wide = {
        "train.embedding": {"low": 4, "high": 16, "step": 8},
        "train.dropout": {"low": 0.1, "high": 0.45, "step": 0.1},
    }
    found = drawn(*settings({"space": wide}), range(1, 30))
    assert {one["train.embedding"] for one in found} == {4, 12}
    assert {one["train.dropout"] for one in found} == {0.1, 0.2, 0.3, 0.4}


def test_what_is_never_tried_is_told() -> None:
    filters = {"train.filters": {"choices": [8, 16]}}
    block, tune = settings({"space": filters | {"train.learning_rate": RATE, "train.units": WHEN["train.units"]}})
    assert space.idle(block, tune.space) == [
        "train.filters shapes cnn, cnn_lstm, and no ngram",
        "train.units is tried only where train.architecture is mlp, and it never is",
    ]
    block, tune = settings({"space": WHEN})
    assert space.idle(block, tune.space) == []
    with pytest.raises(WrongValue, match=r"tune\.space: there is nothing to try: train\.filters shapes cnn"):
        space.of(*settings({"space": filters}))


def test_lists_are_choices_too() -> None:
    sizes = [[8, 16], [16, 32]]
    block, tune = settings({"space": {"train.filters": {"choices": sizes}}}, "image", filters=[16, 32])
    found = drawn(block, tune, range(8))
    assert found[0] == {"train.filters": [16, 32]}
    assert all(one["train.filters"] in sizes for one in found)


def test_names_with_dots_and_blocks() -> None:
    values = {"train.dropout": 0.1, "preprocess.augment.copies": 1, "train.filters": [8, 16]}
    assert dict(best.flat(best.nested(values))) == values
    assert best.nested({}) == {}
