"""The block `tune` of a model: which settings are searched, and how. Without it they are taken as they stand."""

import itertools
import json
import reprlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo

from luodi.config.fields import Line, SettingsBase
from luodi.config.shared import AnySettings
from luodi.errors import WrongValue, did_you_mean

if TYPE_CHECKING:
    from luodi.config.loading import ModelSettings

Value: TypeAlias = bool | int | float | str | list[int | float | str]
Values: TypeAlias = Mapping[str, Any]
"""From a setting with dots, "train.dropout", to its value."""

BLOCKS = ("preprocess", "train")
FIXED = {
    "preprocess.seed": "it chooses rows",
    "preprocess.shares": "it chooses rows",
    "preprocess.split": "it chooses rows",
    "preprocess.rows": "it chooses rows",
    "preprocess.test_source": "it chooses rows",
    "preprocess.validation_source": "it chooses rows",
    "preprocess.height": "it decides which images are equal, and so chooses rows",
    "preprocess.width": "it decides which images are equal, and so chooses rows",
    "preprocess.channels": "it decides which images are equal, and so chooses rows",
    "train.encoder": "the stages that read its files would not know of it: set it",
    "train.tuning": "it gives other settings of train their defaults: set it, and search those",
    "train.seed": "a lucky one is no better network",
    "train.class_weight": "the linear baseline reads it too",
    "train.halve_batch": "it belongs to the machine",
    "train.precision": "it belongs to the machine",
    "train.threads": "it belongs to the machine",
    "train.checkpoint_minutes": "it changes no weight",
}
"""Settings of those blocks that are not searched, and why."""
NO_NETWORK = {
    "linear": "it is no network, and every evaluation compares the network with it anyhow",
    "pretrained": "no other architecture goes with its train.encoder: set both, and search how it is trained on",
}
"""Values of train.architecture that are not searched, and why."""
COMBINATIONS = 1000  # of named choices, of which one has to go with each value


class Dimension(SettingsBase):
    """The values of one setting: a range, or choices."""

    low: float | None = Field(None, description="the least value")
    high: float | None = Field(None, description="the greatest value")
    log: bool = Field(False, description="as many values from 0.001 to 0.01 as from 0.01 to 0.1")
    step: Annotated[float, Field(gt=0)] | None = Field(None, description="between two values, from low on")
    choices: Annotated[list[Value], Field(min_length=1, max_length=100)] | None = Field(
        None, description="the values, in place of low and high"
    )
    when: dict[Line, Value] = Field({}, description="only where these settings have these values")

    @model_validator(mode="before")
    @classmethod
    def _range_or_choices(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("expected {low: 0.001, high: 0.1} or {choices: [32, 64]}")
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.choices is not None:
            if self.log or {self.low, self.high, self.step} != {None}:
                raise ValueError("expected choices, or low and high, found both")
            told = [json.dumps(one) for one in self.choices]
            if twice := next((one for one in told if told.count(one) > 1), None):
                raise ValueError(f"choices: {twice} stands there twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("expected low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log: true needs low above 0, and no step")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError(f"step {self.step:g} is wider than from low {self.low:g} to high {self.high:g}")
        return self


Space: TypeAlias = Mapping[str, Dimension]
Goal: TypeAlias = Literal[
    "accuracy", "macro_f1", "balanced_accuracy", "average_precision", "log_loss", "latency_ms", "size_mb"
]
BUDGETS = {"latency_ms": "max_latency_ms", "size_mb": "max_size_mb"}
"""From what a network costs to the setting of the gate that bounds it."""


def _auto(value: Any) -> Any:
    return {} if value == "auto" else value


def _several(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return () if value is None else tuple(value) if isinstance(value, list) else value


def _decided(goals: tuple[str, ...]) -> tuple[str, ...]:
    if goals and goals[0] in BUDGETS:
        raise ValueError(f"the first decides, and {goals[0]} says only what a prediction costs: put a metric before it")
    if twice := next((one for one in goals if goals.count(one) > 1), None):
        raise ValueError(f"{twice} stands there twice")
    return goals


class Tune(SettingsBase):
    """How the settings of a model are searched."""

    trials: Annotated[int, Field(ge=2, le=1000)] = Field(
        20, description="networks trained, the first by the settings of params.yaml"
    )
    timeout_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="time of all trials together after which no other begins"
    )
    metric: Annotated[tuple[Goal, ...], Field(max_length=4), BeforeValidator(_several), AfterValidator(_decided)] = (
        Field(
            (),
            description="of the validation rows, which decides; none: that of the gate; of several the first decides, "
            "among trials within gate.max_latency_ms and gate.max_size_mb, where latency_ms and size_mb are among them",
        )
    )
    sampler: Literal["tpe", "random", "grid", "nsga2", "gp"] = Field(
        "tpe",
        description="tpe: learns from the trials before; grid: every combination, of choices and steps; nsga2: for "
        "several metrics and many trials; gp: for few trials, needs the extra luodi[gp]",
    )
    pruner: Literal["median", "hyperband", "none"] = Field(
        "median",
        description="ends a trial after an epoch in which it is behind the others; of several metrics none does",
    )
    workers: Annotated[int, Field(gt=0, le=256)] = Field(
        1, description="processes that train at once; of several the order, and so the winner, may differ"
    )
    repeats: Annotated[int, Field(ge=2, le=100)] = Field(
        3, description="times that winner and default are trained again, with other seeds, to compare them"
    )
    space: Annotated[dict[Line, Dimension], BeforeValidator(_auto)] = Field(
        {},
        description="from a setting of preprocess or train to its values; auto: those that matter most for the "
        "architecture",
    )


class TunableSettings(AnySettings):
    """Settings of which some may be searched."""

    tune: Tune | None = Field(None, description="how settings are searched; without it they are not")

    @model_validator(mode="after")
    def _space_fits(self) -> Self:
        if self.tune:
            _require_space(type(self), self.tune)
            _require_possible(self, self.tune.space)
        return self


def _require_space(kind: type[AnySettings], tune: Tune) -> None:
    """Raise ValueError, naming the key, unless every value that `tune` may try is one that its setting may have."""
    fields = dict(_fields(kind))
    for name, dimension in tune.space.items():
        for key, where in ((name, name), *((one, f"{name}.when.{one}") for one in dimension.when)):
            _require_tunable(key, f"tune.space.{where}", fields)
        field, where = fields[name], f"tune.space.{name}"
        if dimension.choices is None and field.annotation not in (int, float):
            raise ValueError(f"{where}: its values are no numbers: give choices")
        if field.annotation is int and dimension.step is not None and dimension.step % 1:
            raise ValueError(f"{where}.step: its values are whole numbers, found {dimension.step:g}")
        for value in values(dimension, field.annotation):
            _require_value(value, field, where)
            if name == "train.architecture" and value in NO_NETWORK:
                raise ValueError(f"{where}: {value} is not searched: {NO_NETWORK[value]}")
        for key, value in dimension.when.items():
            _require_value(value, fields[key], f"{where}.when.{key}")
        if tune.sampler == "grid" and dimension.choices is None and dimension.step is None:
            raise ValueError(f"{where}: sampler grid tries every value: give step, or choices")
    if circle := [name for name in tune.space if name not in ordered(tune.space)]:
        raise ValueError(f"tune.space.{circle[0]}.when: it asks in the end for itself ({', '.join(circle)})")


def ordered(space: Space) -> list[str]:
    """Return the names, each behind those that its `when` asks about; not those that ask for each other."""
    found: list[str] = []
    for _ in space:
        found += [name for name in space if name not in found and not (space[name].when.keys() & space) - {*found}]
    return found


def _require_possible(settings: AnySettings, space: Space) -> None:
    """Raise ValueError, naming the key, if no trial may have a value: it goes with none that the others may have."""
    fields = dict(_fields(type(settings)))
    named = {
        name: one.choices
        for name, one in space.items()
        if one.choices is not None and all(isinstance(value, str) for value in one.choices)
    }
    some = itertools.islice(itertools.product(*named.values()), COMBINATIONS)
    others = [{}, *(dict(zip(named, one, strict=True)) for one in some)]
    for name, dimension in space.items():
        met = {key: value for key, value in dimension.when.items() if key in space}
        for value in values(dimension, fields[name].annotation):
            whys = (_why_not(settings, {**other, **met, name: value}) for other in others)
            if (why := next(whys)) and all(whys):
                raise ValueError(f"tune.space.{name}: {value} goes with nothing that is searched or set: {why}")


def _why_not(settings: Any, values: Values) -> str:
    """Return why values do not go together; nothing if they do."""
    try:
        changed(settings, values, "")
    except WrongValue as error:
        return str(error).removeprefix(": ")
    return ""


def values(dimension: Dimension, kind: Any) -> list[Any]:
    """Return the choices, or low and the last value from there on, as the setting's type `kind` has them."""
    if dimension.choices is not None:
        return dimension.choices
    low, high, step = dimension.low, dimension.high, dimension.step
    assert low is not None
    assert high is not None
    if step is not None:
        first, last, wide = (Decimal(str(one)) for one in (low, high, step))
        high = float(first + (last - first) // wide * wide)
    return [int(one) if kind is int and one == int(one) else one for one in (low, high)]


def _require_tunable(key: str, where: str, fields: Mapping[str, FieldInfo]) -> None:
    if reason := next((why for fixed, why in FIXED.items() if f"{key}.".startswith(f"{fixed}.")), None):
        raise ValueError(f"{where}: it is not searched: {reason}")
    if key not in fields:
        near = did_you_mean(key, fields) or "; see `luodi params`"
        raise ValueError(f"{where}: no setting of preprocess or train{near}")


def _require_value(value: Any, field: FieldInfo, where: str) -> None:
    try:
        kind: Any = field.annotation
        one = create_model("One", __base__=SettingsBase, value=(kind, field))
        one.model_validate_json(json.dumps({"value": value}))
    except ValidationError as error:
        raise ValueError(f"{where}: {error.errors()[0]['msg']}, found {reprlib.repr(value)}") from None


def _fields(kind: Any) -> Iterator[tuple[str, FieldInfo]]:
    """The settings that may be searched, by their names with dots."""

    def below(kind: Any, prefix: str) -> Iterator[tuple[str, FieldInfo]]:
        for name, field in kind.model_fields.items():
            if isinstance(field.default, SettingsBase):
                yield from below(type(field.default), f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", field

    for block in BLOCKS:
        yield from below(type(kind.model_fields[block].default), f"{block}.")


def kind_of(settings: "ModelSettings", name: str) -> Any:
    """Return the type of a setting: int, float, or another."""
    return dict(_fields(type(settings)))[name].annotation


def value_of(settings: "ModelSettings", name: str) -> Any:
    """Return the value of a setting, as JSON has it."""
    found: Any = settings.model_dump(mode="json", by_alias=True)
    for part in name.split("."):
        found = found[part]
    return found


def changed(settings: "ModelSettings", values: Values, where: str) -> "ModelSettings":
    """Return the settings with other values.

    Raises:
        WrongValue: They do not go together; `where` names them in the message.
    """
    raw = settings.model_dump(mode="json", by_alias=True) | {"tune": None}  # which says nothing of these values
    for name, value in values.items():
        *above, last = name.split(".")
        block: Any = raw
        for part in above:
            block = block[part]
        block[last] = value
    try:
        return type(settings).model_validate_json(json.dumps(raw)).model_copy(update={"tune": settings.tune})
    except ValidationError as error:
        first = error.errors()[0]
        place = ": ".join([where, *filter(None, [".".join(map(str, first["loc"]))])])
        raise WrongValue(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
