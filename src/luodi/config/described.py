"""Every setting by its dotted name, with its value and what it is: for `luodi params` and docs/params.md."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from luodi.config.loading import ModelSettings


@dataclass(frozen=True)
class Setting:
    """One setting of a model.

    Attributes:
        name: With dots: "train.epochs".
        value: In effect, as JSON has it.
        source: "params.yaml", "default", or "tune".
    """

    name: str
    value: Any
    source: str
    description: str

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "source": self.source, "description": self.description}


@dataclass(frozen=True)
class Field:
    """One setting of a modality: its dotted name, its default as JSON has it (None: there is none), and what it is."""

    name: str
    default: Any
    required: bool
    description: str


def settings(block: ModelSettings, written: Mapping[str, Any], tuned: Collection[str] = ()) -> list[Setting]:
    """Return the settings of a model in effect, without those of a block that is off.

    Args:
        written: Its block as params.yaml has it.
        tuned: The names of those that `luodi tune` found.
    """
    values = block.model_dump(mode="json", by_alias=True)
    return [
        Setting(field.name, _at(values, path), _source(field.name, path, written, tuned), field.description)
        for field in fields(type(block))
        if _at(values, (path := field.name.split("."))[:1]) is not None
    ]


def _source(name: str, path: list[str], written: Mapping[str, Any], tuned: Collection[str]) -> str:
    if name in tuned:
        return "tune"
    return "params.yaml" if _has(written, path) else "default"


def fields(kind: type[BaseModel], prefix: str = "") -> Iterator[Field]:
    """Return the settings of a class, and of the classes in it, in their order."""
    for name, info in kind.model_fields.items():
        dotted = f"{prefix}{info.alias or name}"
        if block := _block(info):
            yield from fields(block, f"{dotted}.")
            continue
        missing = info.default is PydanticUndefined
        default = None if missing else info.default
        value = list(default) if isinstance(default, tuple) else default
        yield Field(dotted, value, missing, info.description or "")


def _block(info: FieldInfo) -> type[BaseModel] | None:
    """The class of a block, one that is off by default among them."""
    if isinstance(info.default, BaseModel):
        return type(info.default)
    kinds = get_args(info.annotation) if info.default is None else ()
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _at(values: Any, names: list[str]) -> Any:
    for name in names:
        values = values[name]
    return values


def _has(written: Any, names: list[str]) -> bool:
    for name in names:
        if not isinstance(written, dict) or name not in written:
            return False
        written = written[name]
    return True
