"""params.yaml as frozen, strict models: an unknown key or a wrong value is an error that says what to write."""

import difflib
import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from luodi.errors import ParamsError, UnknownKey, WrongValue

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9_-]*[a-z0-9])?$")]  # a git tag begins with it


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(labels)) < len(labels) or "" in labels:
        raise ValueError("labels must be distinct and not empty")
    return labels


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Validate(Block):
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


class Augment(Block):
    """`copies` extra copies of each train row; the rates are shares of a copy's characters."""

    copies: Annotated[int, Field(ge=0)]
    swap: Share
    delete: Share
    mask: Share


class Preprocess(Block):
    seed: Seed
    shares: Shares
    tokenizer: Literal["char", "word", "ngram"]
    max_length: Positive
    vocabulary: Positive
    buckets: Positive
    stop_words: tuple[str, ...]
    augment: Augment


class Baseline(Block):
    ngrams: tuple[Positive, Positive]
    max_features: Positive
    regularization: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _ngrams_in_order(self) -> Self:
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError(f"ngrams must be [shortest, longest], found {list(self.ngrams)}")
        return self


class Train(Block):
    architecture: Literal["mlp", "cnn", "cnn_lstm", "ngram"]
    embedding: Positive
    units: Positive
    filters: Positive
    kernel: Positive
    pool: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "elu"]
    loss: Literal["categorical_crossentropy", "categorical_focal_crossentropy", "mean_squared_error"]
    optimizer: Literal["adam", "sgd"]
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Positive
    epochs: Positive
    patience: Positive
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"]
    seed: Seed


class Evaluate(Block):
    bootstrap: Positive
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    mistakes: Positive


class Register(Block):
    metric: Literal["accuracy", "macro_f1"]
    minimum: Share


class Model(Block):
    """One block of `models:`."""

    modality: Literal["text"]
    labels: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_distinct)]
    schedule: str
    owner: str
    validate_: Annotated[Validate, Field(alias="validate")]
    preprocess: Preprocess
    baseline: Baseline
    train: Train
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]

    @model_validator(mode="after")
    def _order_kept(self) -> Self:
        if self.preprocess.tokenizer == "ngram" and self.train.architecture not in ("mlp", "ngram"):
            raise ValueError(
                f"{self.train.architecture} reads tokens in their order, which tokenizer ngram drops: "
                "set preprocess.tokenizer to char or word"
            )
        return self


class Params(Block):
    models: Annotated[dict[Name, Model], Field(min_length=1)]


class _Loader(yaml.SafeLoader):
    """Reads what DVC reads: a key that stands twice is an error, and 1e-3 is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load(path: Path) -> Params:
    """Read params.yaml.

    Raises:
        ParamsError: The file is missing, not UTF-8, not YAML, or holds a key twice.
        UnknownKey: A key is not known; the message suggests the near one.
        WrongValue: A value is missing, of a wrong type, or out of range.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506, a SafeLoader
    except FileNotFoundError:
        raise ParamsError(f"{path} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ParamsError(f"{path} is not YAML in UTF-8: {error}") from None
    return parse(raw, path.name)


def parse(raw: Any, where: str) -> Params:
    """Check the content of params.yaml; `where` names it in messages. Raises as `load` does."""
    try:
        return Params.model_validate_json(_as_json(raw, where))
    except ValidationError as error:
        raise _first_error(error, where) from None


def model(params: Params, name: str) -> Model:
    """Return the block of model `name`, or raise UnknownKey with the near name."""
    if name in params.models:
        return params.models[name]
    raise UnknownKey(f"no model {name!r} in params.yaml{_suggest(name, params.models)}")


def _as_json(raw: Any, where: str) -> str:
    # JSON mode is strict about scalars ("3" is no number) yet takes lists for tuples.
    import json

    try:
        return json.dumps(raw, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError) as error:  # a date as a key, an anchor that holds itself
        raise ParamsError(f"{where} cannot be used: {error}") from None


def _first_error(error: ValidationError, where: str) -> ParamsError:
    # A misspelt key is also a missing one: the spelling is what helps.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the whole file"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        *parents, key = first["loc"]
        near = _suggest(str(key), _known_keys(tuple(str(part) for part in parents)))
        return UnknownKey(f"{where}: unknown key {place}{near}{more}")
    if first["type"] == "missing":
        return WrongValue(f"{where}: {place} is missing{more}")
    found = f", found {reprlib.repr(first['input'])}" if not isinstance(first["input"], dict) else ""
    return WrongValue(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}{found}{more}")


def _known_keys(parents: tuple[str, ...]) -> list[str]:
    """Keys allowed below `parents`, by walking the models."""
    kind: Any = Params
    for part in parents:
        if kind is Params and part == "models":
            continue
        if kind is Params:
            kind = Model
            continue
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        kind = fields[part].annotation
    return [field.alias or name for name, field in kind.model_fields.items()]


def _suggest(key: str, known: Any) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
