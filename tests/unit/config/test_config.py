"""params.yaml: what is wrong is refused with the place, what was found, and the near name."""

import copy
import datetime
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import full_params

from luodi import config
from luodi.config import described
from luodi.errors import ParamsError, UnknownKey, WrongValue

ROOT = Path(__file__).resolve().parents[3]
PARAMS: dict[str, Any] = yaml.safe_load(full_params())
REMOVE = object()


def changed(place: str, value: Any, model: str = "reviews") -> dict[str, Any]:
    """The parameters of a model with one key set, or removed."""
    params = copy.deepcopy(PARAMS)
    *parents, key = place.split(".")
    folder = params["models"][model]
    for parent in parents:
        folder = folder[parent]
    if value is REMOVE:
        del folder[key]
    else:
        folder[key] = value
    return params


def keys(block: dict[str, Any], above: str = "") -> list[str]:
    below = (keys(value, f"{above}{key}.") for key, value in block.items() if isinstance(value, dict))
    return [f"{above}{key}" for key in block] + [place for places in below for place in places]


PLACES = [(model, place) for model, block in PARAMS["models"].items() for place in keys(block)]


def test_the_parameters_of_the_project_are_read() -> None:
    params = config.load(ROOT / "params.yaml")
    block: Any = config.settings_of(params, "reviews")
    assert block.preprocess.shares.train == 0.8
    assert block.baseline.regularization == (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    assert block.validate_.max_length == 5000


def test_the_block_of_fashion_is_ready_to_paste() -> None:
    pasted = (ROOT / "params.yaml").read_text(encoding="utf-8") + (ROOT / "docs" / "fashion.yaml").read_text("utf-8")
    read = config.parse(yaml.safe_load(pasted), "params.yaml").models
    assert list(read) == [*PARAMS["models"], "fashion"]
    bare = config.MODALITIES["image"].model_validate({"modality": "image", "labels": read["fashion"].labels})
    default = {one.name: one.value for one in described.settings(bare, {})}
    settings = described.settings(read["fashion"], yaml.safe_load(pasted)["models"]["fashion"])
    named = [one for one in settings if one.source != "default"]
    assert [one.name for one in named if one.value == default.get(one.name)] == ["modality", "labels"]


@pytest.mark.parametrize(
    ("key", "message"), [("labels", "labels is missing$"), ("modality", "modality is missing: expected")]
)
@pytest.mark.parametrize("model", PARAMS["models"])
def test_a_missing_key_is_named(model: str, key: str, message: str) -> None:
    with pytest.raises(WrongValue, match=rf"^params\.yaml: models\.{model}\.{message}"):
        config.parse(changed(key, REMOVE, model), "params.yaml")


@pytest.mark.parametrize(("model", "place"), PLACES)
def test_every_other_key_has_a_default(model: str, place: str) -> None:
    if place not in ("labels", "modality") and "shares." not in place:
        assert config.parse(changed(place, REMOVE, model), "params.yaml").models[model]


@pytest.mark.parametrize("modality", config.MODALITIES)
def test_labels_are_enough(modality: str) -> None:
    block = config.parse({"models": {"m": {"modality": modality, "labels": ["a", "b"]}}}, "x").models["m"]
    assert block.schedule == "@weekly"
    assert block.register_.approval == "auto"


@pytest.mark.parametrize(
    ("model", "wrong", "near"),
    [
        ("reviews", "cnn_ltsm", "; did you mean 'cnn_lstm'?"),
        ("digits", "resnt", "; did you mean 'resnet'?"),
        ("digits", "zzz", ""),
    ],
)
def test_an_unknown_architecture_is_answered_with_the_near_one(model: str, wrong: str, near: str) -> None:
    params = copy.deepcopy(PARAMS)
    params["models"][model]["train"]["architecture"] = wrong
    message = rf"models\.{model}\.train\.architecture: Input should be .*, found {re.escape(repr(wrong) + near)}$"
    with pytest.raises(WrongValue, match=message):
        config.parse(params, "params.yaml")


@pytest.mark.parametrize(("model", "place"), PLACES)
def test_a_misspelt_key_is_named_with_the_right_one(model: str, place: str) -> None:
    *parents, key = place.split(".")
    wrong = ".".join([*parents, f"{key}z"])
    params = changed(place, REMOVE, model)
    folder = params["models"][model]
    for parent in parents:
        folder = folder[parent]
    folder[f"{key}z"] = 1
    with pytest.raises(UnknownKey, match=rf"unknown key models\.{model}\.{wrong}; did you mean '{key}'\?"):
        config.parse(params, "params.yaml")


@pytest.mark.parametrize(("model", "place"), PLACES)
@pytest.mark.parametrize("value", [None, [["x"]], {"x": 1}], ids=["null", "list", "mapping"])
def test_a_wrong_type_is_named(model: str, place: str, value: dict[str, int] | list[list[str]] | None) -> None:
    if value is None and place == "card.example":  # which may be left to the first label
        assert config.parse(changed(place, value, model), "params.yaml")
        return
    with pytest.raises(ParamsError, match=rf"models\.{model}\.{place}"):
        config.parse(changed(place, value, model), "params.yaml")


@pytest.mark.parametrize(
    ("blocks", "named"),
    [
        ({"baseline": {"all_rows": True}}, "baseline.all_rows"),
        ({"train": {"architecture": "pretrained", "encoder": "x"}}, "train.all_rows"),
        (
            {"baseline": {"all_rows": True}, "train": {"architecture": "pretrained", "encoder": "x"}},
            "baseline.all_rows and train.all_rows",
        ),
    ],
)
@pytest.mark.parametrize("modality", ["text", "image"])
def test_no_model_is_made_smaller_by_rows_that_it_was_fitted_on(
    modality: str, blocks: dict[str, Any], named: str
) -> None:
    block = {"modality": modality, "labels": ["a", "b"], **blocks}
    config.parse({"models": {"x": block}}, "params.yaml")
    with pytest.raises(WrongValue, match=rf"compress judges by the validation rows, and {named} would fit"):
        config.parse({"models": {"x": block | {"compress": {}}}}, "params.yaml")
    judged: dict[str, Any] = block | {"compress": {}, "baseline": {"all_rows": False}}
    config.parse({"models": {"x": judged | {"train": blocks.get("train", {}) | {"all_rows": False}}}}, "params.yaml")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("validate.min_side", 5000, "min_side 5000 is above max_side 4096"),
        ("validate.min_intensity", 0.96, "min_intensity 0.96 is above max_intensity 0.95"),
        ("preprocess.height", 0, "greater than 0, found 0"),
        ("preprocess.channels", 2, "1 or 3, found 2"),
        ("preprocess.augment.rotation", 181, "less than or equal to 180, found 181"),
        ("preprocess.augment.flip", "up", "found 'up'"),
        ("train.filters", [], "at least 1 item"),
        ("train.filters", 32, "found 32"),
    ],
)
def test_a_wrong_value_of_an_image_model_is_refused(place: str, value: float | list[Any] | str, message: str) -> None:
    with pytest.raises(WrongValue, match=rf"models\.digits.*{message}"):
        config.parse(changed(place, value, "digits"), "params.yaml")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("schedule", "every day", "cron expression such as 0 3 .* found 'every day'"),
        ("schedule", "61 * * * *", "cron expression"),
        ("compress", {"candidates": ["float16"] * 2}, "compress.candidates: each may stand there once"),
        ("notify", {"by": "smtp"}, "notify.by: expected the path of a class, such as .*SmtpNotifier"),
        ("notify", {"by": "a.B", "on": ["nope"]}, "notify.on.0: .* found 'nope'"),
        ("notify", {"by": "a.B", "silence": {"run": 0}}, "notify.silence.run: .*greater than 0, found 0"),
        ("schedule", "", "cron expression"),
        ("validate.min_rows", "1000", "valid integer, found '1000'"),
        ("validate.min_rows", 1000.5, "integer"),
        ("validate.min_rows", True, "valid integer, found True"),
        ("validate.min_rows", 0, "greater than 0, found 0"),
        ("validate.min_length", 6000, "min_length 6000 is above max_length 5000"),
        ("validate.max_contradictions", -1, "greater than or equal to 0, found -1"),
        ("validate.max_duplicate_share", 1.1, "less than or equal to 1, found 1.1"),
        ("validate.max_duplicate_share", "60%", "valid number, found '60%'"),
        ("preprocess.seed", -1, "greater than or equal to 0"),
        ("preprocess.seed", 2**32, "less than 4294967296"),
        ("preprocess.shares.train", 0.7, "train, validation and test must sum to 1"),
        ("preprocess.shares.test", -0.1, "greater than or equal to 0, found -0.1"),
        ("preprocess.test_source", "official", "must be 0 where test_source names the test rows"),
        ("preprocess.validation_source", "val", "must be 0 where validation_source names the validation rows"),
        ("preprocess.tokenizer", "words", "'char', 'word' or 'ngram', found 'words'"),
        ("preprocess.buckets", 2**31, "less than or equal to 134217728"),  # each is counted
        ("preprocess.buckets", 10**400, "less than or equal to 134217728"),
        ("preprocess.stop_words", "的", "found '的'"),
        ("preprocess.stop_words", [1], "valid string, found 1"),
        ("preprocess.augment.swap", 2, "less than or equal to 1, found 2"),
        ("baseline.regularization", [], "at least 1 item"),
        ("baseline.regularization", "strong", "valid (array|tuple)"),
        ("baseline.regularization", 0, "greater than 0, found 0"),
        ("train.architecture", "transformers", "'mlp', 'cnn', .* did you mean 'transformer'"),
        ("train.dropout", 1.0, "less than 1, found 1.0"),
        ("train.learning_rate", float("inf"), "finite number, found inf"),
        ("train.learning_rate", float("nan"), "finite number, found nan"),
        ("train.epochs", [1] * 10000, r"found \[1, 1, 1, 1, 1, 1, \.\.\.\]$"),
        ("evaluate.confidence", 0.5, "greater than 0.5, found 0.5"),
        ("gate.metric", "acuracy", "'accuracy', .* or 'average_precision', or MODULE:OBJECT of your own, found"),
        ("gate.baseline_margin", -0.01, "greater than or equal to 0, found -0.01"),
        ("gate.min_class_rows", -1, "greater than or equal to 0, found -1"),
        ("gate.unproven", ["fraud"], r"gate\.unproven: 'fraud' is no label of this model: write it as labels has it"),
        ("gate.unproven", ["positive", "positive"], "distinct"),
        ("gate.minimum", 80, "less than or equal to 1, found 80"),
        ("modality", "sound", "expected text or image, found 'sound'"),
        ("labels", ["one"], "at least 2 items"),
        ("labels", ["a", "a"], "distinct"),
        ("labels", ["a", ""], "not empty"),
        ("labels", ["a", "b" * 256], "at most 255 characters"),
        ("labels", ["a", "b\u2028"], "is a line break to some readers"),
        ("labels", [str(number) for number in range(1001)], "at most 1000 items"),
        ("owner", "x" * 256, "at most 255 characters"),
        ("schedule", "* " * 200, "at most 255 characters"),
        ("card.licence", "x" * 5001, "at most 5000 characters"),
        ("card.limits", ["x"] * 101, "at most 100 items"),
        ("preprocess.stop_words", ["x" * 256], "at most 255 characters"),
        ("preprocess.test_source", "x" * 256, "at most 255 characters"),
        ("schedule", 7, "valid string, found 7"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_what_was_found(place: str, value: Any, message: str) -> None:
    with pytest.raises(WrongValue, match=message) as caught:
        config.parse(changed(place, value), "params.yaml")
    assert len(str(caught.value)) < 300
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", [1, 0, 1e-3, 0.5])
def test_a_whole_number_is_a_share(value: float) -> None:
    assert config.parse(changed("gate.minimum", value), "").models["reviews"].gate.minimum == value


@pytest.mark.parametrize("name", ["Reviews", "re views", "1st", "评论", "", "reviews_", "reviews-", "a@b", "a/b"])
def test_a_model_name_that_a_tag_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(WrongValue, match="should match pattern"):
        config.parse({"models": {name: PARAMS["models"]["reviews"]}}, "params.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 101, "at most 100 characters"),
        ("a" * 245, "at most 100 characters"),
        ("on", "on is a word of YAML"),
        ("null", "null is a word of YAML"),
        ("a.lock", "match pattern"),
        ("a..b", "match pattern"),
        ("a@{b", "match pattern"),
        ("-a", "match pattern"),
        ("a\n", "match pattern"),
    ],
)
def test_a_name_that_something_cannot_carry_is_one_line(name: str, message: str) -> None:
    with pytest.raises(WrongValue, match=message) as caught:
        config.parse({"models": PARAMS["models"] | {name: PARAMS["models"]["reviews"]}}, "params.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["r", "a" * 100, "list", "show", "production", "reviews2", "hotel-reviews", "a_b"])
def test_a_model_name_is_taken(name: str) -> None:
    assert name in config.parse({"models": {name: PARAMS["models"]["reviews"]}}, "params.yaml").models


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", WrongValue, "whole file.*found None"),
        (b"# nothing\n", WrongValue, "whole file.*found None"),
        (b"- models\n", WrongValue, "whole file.*found .'models'"),
        (b"just words", WrongValue, "whole file.*found 'just words'"),
        (b"{}", WrongValue, "models is missing"),
        (b"models:", WrongValue, "models: .*found None"),
        (b"models: [reviews]", WrongValue, "models: .*found .'reviews'"),
        (b"models: {reviews: 3}", WrongValue, r"models\.reviews: .*found 3"),
        (b"model: {}", UnknownKey, "unknown key model; did you mean 'models'"),
        (b"models: [", ParamsError, "not YAML in UTF-8"),
        (b"a: b: c", ParamsError, "not YAML in UTF-8"),
        (b"\tmodels: {}", ParamsError, "not YAML in UTF-8"),
        ("models: {} # 模型".encode("gbk"), ParamsError, "not YAML in UTF-8"),
        ("models: {}".encode("utf-16"), ParamsError, "not YAML in UTF-8"),
        (b"models: \x00", ParamsError, "not YAML in UTF-8"),
        (b"a: 1\nmodels: {}\na: 2\n", ParamsError, "key a stands twice"),
        (b"models: !!python/object:os.system {}", ParamsError, "not YAML in UTF-8"),
        (b"2024-01-01: x", ParamsError, "2024-01-01 is not the same to every reader"),
        (b"&a [*a]", ParamsError, r"\*a is used inside of itself"),
        (b"[" * 5000, ParamsError, "not YAML in UTF-8"),
    ],
)
def test_a_file_that_is_not_parameters(content: bytes, error: type, message: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=message) as caught:
        config.load(path)
    assert type(caught.value) is error
    assert "params.yaml" in str(caught.value)


def test_a_project_may_have_no_model_yet(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("models: {}\n")
    params = config.load(tmp_path / "params.yaml")
    with pytest.raises(
        UnknownKey, match=r"no model 'reviews' in params\.yaml, which has none yet: `luodi add` adds one"
    ):
        config.settings_of(params, "reviews")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml does not exist"):
        config.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(("written", "read"), [("1e-3", 0.001), ("2E+1", 20.0), ("1.e-3", 0.001), ("0.002", 0.002)])
def test_numbers_are_those_that_dvc_reads(written: str, read: float, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    before = full_params()
    path.write_text(re.sub(r"(learning_rate:) \S+", rf"\1 {written}", before), encoding="utf-8")
    assert config.load(path).models["reviews"].train.learning_rate == read


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert config.load(path) == config.load(ROOT / "params.yaml")


@pytest.mark.parametrize(("name", "hint"), [("review", "did you mean 'reviews'?"), ("xyz", "known: reviews")])
def test_an_unknown_model_is_named_with_the_near_one(name: str, hint: str) -> None:
    params = config.parse(PARAMS, "params.yaml")
    with pytest.raises(UnknownKey, match=f"no model '{name}'") as caught:
        config.settings_of(params, name)
    assert hint in str(caught.value)


def test_a_date_is_a_string() -> None:
    assert config.parse(changed("owner", datetime.date(2024, 5, 1)), "").models["reviews"].owner == "2024-05-01"
