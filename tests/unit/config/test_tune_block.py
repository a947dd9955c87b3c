"""The block tune: what may be searched, by which values; an impossible one is an error that names its key."""

from pathlib import Path
from typing import Any

import pytest

from luodi import config
from luodi.config import described, tuning
from luodi.errors import LuodiError, WrongValue


def parse(tune: Any, modality: str = "text", **blocks: Any) -> config.ModelSettings:
    block = {"modality": modality, "labels": ["a", "b"], "tune": tune, **blocks}
    return config.parse({"models": {"m": block}}, "params.yaml").models["m"]


def space(**dimensions: Any) -> dict[str, Any]:
    return {"space": {name.replace("__", "."): value for name, value in dimensions.items()}}


RATE = {"low": 0.001, "high": 0.1}


@pytest.mark.parametrize(
    "tune",
    [
        {},
        {"space": "auto"},
        space(train__learning_rate=RATE | {"log": True}, preprocess__augment__swap={"low": 0, "high": 0.3}),
        space(train__architecture={"choices": ["mlp", "ngram"]}, preprocess__grams={"low": 1, "high": 4, "step": 1}),
        space(train__units={"choices": [16, 32], "when": {"train.architecture": "mlp"}}),
        {"sampler": "grid", **space(train__dropout=RATE | {"step": 0.01})},
        space(train__architecture={"choices": ["mlp", "cnn"]}, preprocess__tokenizer={"choices": ["char", "ngram"]}),
        space(train__units={"choices": [16], "when": {"train.architecture": "cnn_lstm"}}),
        {"metric": "log_loss"},
        {"metric": ["accuracy", "latency_ms", "size_mb"], "sampler": "nsga2"},
    ],
)
def test_what_can_be_searched(tune: Any) -> None:
    assert parse(tune).tune is not None


@pytest.mark.parametrize(
    ("tune", "says"),
    [
        ({"trails": 3}, r"unknown key models\.m\.tune\.trails; did you mean 'trials'\?"),
        ({"trials": 1}, r"models\.m\.tune\.trials: Input should be greater"),
        ({"sampler": "tp"}, r"tune\.sampler: .* did you mean 'tpe'\?"),
        ({"metric": "acuracy"}, r"tune\.metric\..* did you mean 'accuracy'\?"),
        ({"metric": ["latency_ms", "accuracy"]}, r"tune\.metric: .*the first decides, .*: put a metric before it"),
        ({"metric": ["accuracy", "accuracy"]}, r"tune\.metric: .*accuracy stands there twice"),
        (space(train__dropout=[0.1, 0.2]), r"train\.dropout: .*expected \{low: 0\.001, .* found \[0\.1, 0\.2\]"),
        (space(train__dropout={"lo": 1, "high": 2}), r"unknown key models\.m\.tune\.space\.train\.dropout\.lo"),
        (space(train__dropot=RATE), r"tune\.space\.train\.dropot: no setting .* did you mean 'train\.dropout'\?"),
        (space(gate__margin=RATE), r"tune\.space\.gate\.margin: no setting of preprocess or train"),
        (space(train__dropout={"low": 0.1, "high": 1.5}), r"tune\.space\.train\.dropout: .* less than 1, found 1\.5"),
        (space(train__units={"low": 8, "high": 9.5}), r"tune\.space\.train\.units: .* valid integer, found 9\.5"),
        (space(train__units={"choices": [8, 0]}), r"tune\.space\.train\.units: .* greater than 0, found 0"),
        (space(train__architecture={"choices": ["mlp", "cn"]}), r"tune\.space\.train\.architecture: .* found 'cn'"),
        (space(train__architecture=RATE), r"tune\.space\.train\.architecture: its values are no numbers"),
        (space(train__dropout={"low": 0.5, "high": 0.2}), r"low 0\.5 is not below high 0\.2"),
        (space(train__dropout={"low": 0.5}), "expected low and high, or choices"),
        (space(train__dropout=RATE | {"choices": [0.1]}), "expected choices, or low and high, found both"),
        (space(train__dropout={"low": 0, "high": 0.2, "log": True}), "log: true needs low above 0"),
        (space(preprocess__seed=RATE), r"tune\.space\.preprocess\.seed: .* it chooses rows"),
        (space(preprocess__shares__test=RATE), r"tune\.space\.preprocess\.shares\.test: .* it chooses rows"),
        (space(preprocess__split__by={"choices": ["x"]}), r"tune\.space\.preprocess\.split\.by: .* it chooses rows"),
        (space(train__seed=RATE), r"tune\.space\.train\.seed: it is not searched: a lucky one"),
        (space(train__units={"choices": [8], "when": {"train.architecture": "x"}}),
         r"tune\.space\.train\.units\.when\.train\.architecture: "),
        (space(train__units={"choices": [8], "when": {"labels": "x"}}), r"units\.when\.labels: no setting"),
        ({"sampler": "grid", **space(train__dropout=RATE)}, r"tune\.space\.train\.dropout: sampler grid tries every"),
        (space(train__units={"low": 8, "high": 64, "step": 0.5}), r"train\.units\.step: .* whole numbers, found 0\.5"),
        (space(train__dropout=RATE | {"step": 5}), r"step 5 is wider than from low 0\.001 to high 0\.1"),
        (space(train__dropout={"choices": [0.1, 0.2, 0.1]}), r"choices: 0\.1 stands there twice"),
        (space(train__architecture={"choices": ["mlp", "linear"]}), "linear is not searched: it is no network"),
        (space(train__architecture={"choices": ["pretrained"]}), "pretrained is not searched: no other architecture"),
        (space(train__architecture={"choices": ["mlp", "cnn"]}), r"cnn goes with nothing .* tokenizer"),
        (space(train__units={"choices": [8], "when": {"train.units": 8}}), "it asks in the end for itself"),
        (space(train__units={"choices": [8], "when": {"train.dropout": 0}},
               train__dropout={"choices": [0, 0.1], "when": {"train.units": 8}}),
         r"asks in the end for itself \(train\.units, train\.dropout\)"),
    ],
)  # fmt: skip
def test_an_impossible_value_names_its_key(tune: Any, says: str) -> None:
    with pytest.raises(LuodiError, match=says):
        parse(tune)


@pytest.mark.parametrize("name", ["height", "width", "channels"])
def test_what_decides_which_images_are_equal_is_not_searched(name: str) -> None:
    with pytest.raises(WrongValue, match="chooses rows"):
        parse(space(**{f"preprocess__{name}": {"choices": [3]}}), "image")


def test_what_is_written_down_is_read_again() -> None:
    settings = parse(space(train__learning_rate=RATE, train__units={"choices": [16]}))
    raw = settings.model_dump(mode="json", by_alias=True)
    assert config.parse({"models": {"m": raw}}, "params.lock").models["m"] == settings


def test_what_a_run_tries_is_tried_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("models: {m: {modality: text, labels: [a, b], tune: {trials: 3}}}\n")
    config.change(path, "m", {"train": {"epochs": 3}, "preprocess": {"rows": 9}})
    block = config.load(path).models["m"]
    assert (block.tune, block.train.epochs, block.preprocess.rows) == (None, 3, 9)


def test_without_the_block_it_is_off() -> None:
    settings = parse(None)
    assert settings.tune is None
    assert not [one.name for one in described.settings(settings, {}) if one.name.startswith("tune")]
    names = {one.name: one.source for one in described.settings(parse({"trials": 3}), {"tune": {"trials": 3}})}
    assert (names["tune.trials"], names["tune.sampler"]) == ("params.yaml", "default")


def test_settings_take_other_values_which_have_to_go_together() -> None:
    settings = parse({})
    found = tuning.changed(settings, {"train.dropout": 0.25, "preprocess.augment.copies": 1}, "tune")
    assert (found.train.dropout, tuning.value_of(found, "preprocess.augment.copies")) == (0.25, 1)
    assert tuning.changed(found, {"train.dropout": 0.0, "preprocess.augment.copies": 0}, "tune") == settings
    with pytest.raises(WrongValue, match="these values: cnn reads tokens in their order"):
        tuning.changed(settings, {"train.architecture": "cnn"}, "these values")
