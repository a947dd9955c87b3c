"""Every setting by its dotted name, with its value and what it is: for `luodi params` and docs/params.md."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from luodi.config.loading import ModelSettings


@dataclass(frozen=True)
class Setting:
    """One setting of a model.

    Attributes:
        name: With dots: "train.epochs".
        value: In effect, as JSON has it.
        source: "params.yaml" or "default".
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


def settings(block: ModelSettings, written: Mapping[str, Any]) -> list[Setting]:
    """Return the settings of a model in effect; `written` is its block as params.yaml has it."""
    values = block.model_dump(mode="json", by_alias=True)
    return [
        Setting(
            field.name,
            _at(values, field.name.split(".")),
            "params.yaml" if _has(written, field.name.split(".")) else "default",
            field.description,
        )
        for field in fields(type(block))
    ]


def fields(kind: type[BaseModel], prefix: str = "") -> Iterator[Field]:
    """Return the settings of a class, and of the classes in it, in their order."""
    for name, info in kind.model_fields.items():
        dotted = f"{prefix}{info.alias or name}"
        if isinstance(info.default, BaseModel):
            yield from fields(type(info.default), f"{dotted}.")
            continue
        missing = info.default is PydanticUndefined
        default = None if missing else info.default
        value = list(default) if isinstance(default, tuple) else default
        yield Field(dotted, value, missing, info.description or "")


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
