"""params.yaml as frozen, strict models: an unknown key or a wrong value is an error that says what to write."""

import difflib
import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from luodi import yaml12
from luodi.errors import ParamsError, UnknownKey, WrongValue
from luodi.terminal import shown

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _same_to_all(text: str) -> str:
    if found := {"\x85", "\u2028", "\u2029"} & set(text):
        raise ValueError(f"{found.pop()!r} is a line break to some readers of YAML: leave it out")
    return text


Line = Annotated[str, Field(max_length=255), AfterValidator(_same_to_all)]  # as long as the name of a file
Prose = Annotated[str, Field(max_length=5000)]
CLASSES = 1000

YAML_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""Texts that have to be in quotes, or some readers of YAML take them for something else."""


def _no_word(name: str) -> str:
    if name in YAML_WORDS:
        raise ValueError(f"{name} is a word of YAML: choose another name")
    return name


# A git tag begins with it, a DAG and files end with it: Airflow takes 250 characters, a file system 255 bytes.
Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9_-]*[a-z0-9])?$", max_length=100), AfterValidator(_no_word)]


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(labels)) < len(labels) or "" in labels:
        raise ValueError("labels must be distinct and not empty")
    return labels


PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Schedules that Airflow has names for."""


def _schedule(value: str) -> str:
    if value not in PRESETS:
        from croniter import croniter

        if not croniter.is_valid(value):
            raise ValueError(f"expected a cron expression such as 0 3 * * 1, or one of {', '.join(PRESETS)}")
    return value


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TextValidate(Block):
    min_rows: Positive
    min_length: Positive
    max_length: Positive
    max_duplicate_share: Share
    max_contradictions: Annotated[int, Field(ge=0)]
    min_class_share: Share
    min_chinese_share: Share
    max_quarantined_share: Share

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")
        return self


class ImageValidate(Block):
    """Sides in pixels; contrast is the standard deviation of intensity, intensity its mean, both in [0, 1]."""

    min_rows: Positive
    min_side: Positive
    max_side: Positive
    min_contrast: Share
    max_duplicate_share: Share
    max_near_duplicate_share: Share
    max_contradictions: Annotated[int, Field(ge=0)]
    min_class_share: Share
    min_intensity: Share
    max_intensity: Share
    max_quarantined_share: Share

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(f"min_side {self.min_side} is above max_side {self.max_side}")
        if self.min_intensity > self.max_intensity:
            raise ValueError(f"min_intensity {self.min_intensity} is above max_intensity {self.max_intensity}")
        return self


class Shares(Block):
    """Parts of the hash space that each split owns; they sum to 1."""

    train: Share
    validation: Share
    test: Share

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must sum to 1")
        return self


class TextAugment(Block):
    """`copies` extra copies of each train row; the rates are shares of a copy's characters."""

    copies: Annotated[int, Field(ge=0)]
    swap: Share
    delete: Share
    mask: Share


class ImageAugment(Block):
    """Random changes of a train image each time it is seen.

    Attributes:
        flip: Mirror half of the images left to right, top to bottom, or either way.
        rotation: Largest turn, degrees.
        zoom: Largest change of scale, a share of it.
        shift: Largest move, a share of each side.
    """

    flip: Literal["none", "horizontal", "vertical", "both"]
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: Annotated[float, Field(ge=0, lt=1)]
    shift: Annotated[float, Field(ge=0, lt=1)]


class Preprocess(Block):
    """How any rows are split.

    Attributes:
        seed: Of the hash that splits rows, and of augmentation.
        shares: What each split owns of the rows that `test_source` does not take.
        test_source: The source whose rows are the test split, for data with an official one; `shares.test` is 0
            then.
    """

    seed: Seed
    shares: Shares
    test_source: Line | None = None

    @model_validator(mode="after")
    def _one_test_split(self) -> Self:
        if self.test_source is not None and self.shares.test > 0:
            raise ValueError(f"shares.test must be 0 where test_source names the test rows, found {self.shares.test}")
        return self


class TextPreprocess(Preprocess):
    tokenizer: Literal["char", "word", "ngram"]
    max_length: Positive
    vocabulary: Positive
    buckets: Positive
    stop_words: Annotated[tuple[Line, ...], Field(max_length=10_000)]
    augment: TextAugment


class ImagePreprocess(Preprocess):
    """Images are brought to `height` x `width` pixels and `channels` 1 (grey) or 3 (colour)."""

    height: Positive
    width: Positive
    channels: Literal[1, 3]
    augment: ImageAugment


class TextBaseline(Block):
    ngrams: tuple[Positive, Positive]
    max_features: Positive
    regularization: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _ngrams_in_order(self) -> Self:
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError(f"ngrams must be [shortest, longest], found {list(self.ngrams)}")
        return self


class ImageBaseline(Block):
    regularization: Annotated[float, Field(gt=0)]


class Training(Block):
    """What the training loop needs, whatever is trained.

    With `decay` cosine the learning rate falls from `learning_rate` to zero over all `epochs`, along half a cosine.
    """

    units: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "elu"]
    loss: Literal["categorical_crossentropy", "categorical_focal_crossentropy", "mean_squared_error"]
    optimizer: Literal["adam", "sgd"]
    learning_rate: Annotated[float, Field(gt=0)]
    decay: Literal["none", "cosine"] = "none"
    batch_size: Positive
    epochs: Positive
    patience: Positive
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"]
    seed: Seed


class TextTrain(Training):
    architecture: Literal["mlp", "cnn", "cnn_lstm", "ngram"]
    embedding: Positive
    filters: Positive
    kernel: Positive
    pool: Positive


class ImageTrain(Training):
    """`filters` has an entry for each convolution block (cnn) or each stage of residual blocks (resnet)."""

    architecture: Literal["mlp", "cnn", "resnet"]
    filters: Annotated[tuple[Positive, ...], Field(min_length=1)]
    kernel: Positive


class Evaluate(Block):
    bootstrap: Positive
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    mistakes: Positive


class Gate(Block):
    """What a challenger must prove to land.

    Attributes:
        metric: The figure that decides.
        margin: The challenger's metric must exceed the champion's by more than this, with `confidence`; below 0 it
            may be lower by so much (non-inferiority).
        confidence: Of the two-sided intervals; a challenger that is no better than the margin allows is promoted by
            chance at most (1 - confidence) / 2 of the time.
        resamples: Bootstrap draws behind the interval of the difference.
        minimum: The least metric of any version.
        min_slice_rows: Slices with fewer test rows are shown, not judged.
        max_slice_loss: The most accuracy that a slice may lose to the champion.
        max_latency_ms: The longest median time of a one-row prediction, on the host that judges.
        max_size_mb: The largest exported model, 10^6 bytes.
        max_calibration_error: The largest expected calibration error.
    """

    metric: Literal["accuracy", "macro_f1"]
    margin: Annotated[float, Field(ge=-1, le=1)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=1000, lt=2**31)]
    minimum: Share
    min_slice_rows: Positive
    max_slice_loss: Share
    max_latency_ms: Annotated[float, Field(gt=0)]
    max_size_mb: Annotated[float, Field(gt=0)]
    max_calibration_error: Share


class Register(Block):
    """Who lets a proven challenger land: the gate alone, or a person within `timeout_hours`, else it is rejected."""

    approval: Literal["auto", "human"]
    timeout_hours: Annotated[float, Field(gt=0, le=24 * 365)]


class Card(Block):
    """What only people know of a model; the rest of its card is measured."""

    intended_use: Prose
    licence: Prose
    limits: Annotated[tuple[Prose, ...], Field(max_length=100)]


class AnyModel(Block):
    """What every block of `models:` has."""

    labels: Annotated[tuple[Line, ...], Field(min_length=2, max_length=CLASSES), AfterValidator(_distinct)]
    schedule: Annotated[Line, AfterValidator(_schedule)]
    owner: Line
    card: Card
    evaluate: Evaluate
    gate: Gate
    register_: Annotated[Register, Field(alias="register")]


class TextModel(AnyModel):
    modality: Literal["text"]
    validate_: Annotated[TextValidate, Field(alias="validate")]
    preprocess: TextPreprocess
    baseline: TextBaseline
    train: TextTrain

    @model_validator(mode="after")
    def _order_kept(self) -> Self:
        if self.preprocess.tokenizer == "ngram" and self.train.architecture not in ("mlp", "ngram"):
            raise ValueError(
                f"{self.train.architecture} reads tokens in their order, which tokenizer ngram drops: "
                "set preprocess.tokenizer to char or word"
            )
        return self


class ImageModel(AnyModel):
    modality: Literal["image"]
    validate_: Annotated[ImageValidate, Field(alias="validate")]
    preprocess: ImagePreprocess
    baseline: ImageBaseline
    train: ImageTrain


Model = TextModel | ImageModel
MODALITIES: dict[str, type[Model]] = {"text": TextModel, "image": ImageModel}


class Params(Block):
    models: Annotated[dict[Name, Annotated[Model, Field(discriminator="modality")]], Field(min_length=1)]


def load(path: Path) -> Params:
    """Read params.yaml.

    Raises:
        ParamsError: The file is missing, not UTF-8, not YAML, holds a key twice, or too much; see `luodi.yaml12`.
        UnknownKey: A key is not known; the message suggests the near one.
        WrongValue: A value is missing, of a wrong type, or out of range.
    """
    text = _text(path)
    return _checked(_values(text, path), path.name, text)


def read(path: Path) -> Any:
    """Return params.yaml as it stands, unchecked: keys and values in their order. Raises ParamsError as `load` does."""
    return _values(_text(path), path)


def parse(raw: Any, where: str) -> Params:
    """Check the content of params.yaml; `where` names it in messages. Raises as `load` does."""
    return _checked(raw, where, "")


def _text(path: Path) -> str:
    try:
        return yaml12.read(path)
    except yaml12.Unfit as error:
        raise ParamsError(f"{path} {error}") from None


def _values(text: str, path: Path) -> Any:
    try:
        return yaml12.parse(text)
    except yaml12.Unfit as error:
        raise ParamsError(f"{path} {error}") from None


def _checked(raw: Any, where: str, text: str) -> Params:
    try:
        return Params.model_validate_json(_as_json(raw, where))
    except ValidationError as error:
        raise _first_error(error, where, text) from None


def model(params: Params, name: str) -> Model:
    """Return the block of model `name`, or raise UnknownKey with the near name."""
    if name in params.models:
        return params.models[name]
    raise UnknownKey(f"no model '{shown(name, 100)}' in params.yaml{_suggest(name, params.models)}")


def require_name(name: str) -> None:
    """Raise WrongValue unless `name` can be a key of `models:`."""
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise WrongValue(
            f"'{shown(name, 100)}' cannot name a model: expected lower-case letters, digits, - and _, at most 100, "
            "with a letter first and no - or _ last, and no word of YAML such as on"
        ) from None


def _as_json(raw: Any, where: str) -> str:
    # JSON mode is strict about scalars ("3" is no number) yet takes lists for tuples.
    import json

    try:
        return json.dumps(raw, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError, RecursionError) as error:  # not from a file: a date as a key, a list in itself
        raise ParamsError(f"{where} cannot be used: {error}") from None


def _first_error(error: ValidationError, where: str, text: str) -> ParamsError:
    # A misspelt key is also a missing one: the spelling is what helps.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    loc: list[Any] = [part for part in first["loc"] if part != "[key]"]
    modality = loc.pop(2) if loc[:1] == ["models"] and len(loc) > 2 else None  # pydantic names the union's member
    place = ".".join(shown(part, 100) for part in loc) or "the whole file"
    where += f", line {yaml12.find(text, loc)[0]}" if text and loc else ""
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _modality_error(first["input"], where, place, more)
    if first["type"] == "extra_forbidden":
        known = _known_keys(MODALITIES[modality], loc[2:-1]) if modality else list(Params.model_fields)
        return UnknownKey(f"{where}: unknown key {place}{_suggest(loc[-1], known)}{more}")
    if first["type"] == "missing":
        return WrongValue(f"{where}: {place} is missing{more}")
    found = f", found {reprlib.repr(first['input'])}" if not isinstance(first["input"], dict) else ""
    near = ""
    if first["type"] == "literal_error":
        near = _near(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return WrongValue(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}{found}{near}{more}")


def _modality_error(block: dict[str, Any], where: str, place: str, more: str) -> ParamsError:
    expected = f"expected {' or '.join(MODALITIES)}"
    if "modality" in block:
        return WrongValue(f"{where}: {place}.modality: {expected}, found {reprlib.repr(block['modality'])}{more}")
    if misspelt := difflib.get_close_matches("modality", block, n=1):
        return UnknownKey(f"{where}: unknown key {place}.{misspelt[0]}; did you mean 'modality'?{more}")
    return WrongValue(f"{where}: {place}.modality is missing: {expected}{more}")


def _known_keys(kind: Any, parents: list[str]) -> list[str]:
    """Keys allowed below `parents` in a block of `models:`, by walking its classes."""
    for part in parents:
        kind = {field.alias or name: field for name, field in kind.model_fields.items()}[part].annotation
    return [field.alias or name for name, field in kind.model_fields.items()]


def _suggest(key: str, known: Any) -> str:
    return _near(key, known) or f"; known: {', '.join(known)}"


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
