"""The types that settings are made of."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0, lt=2**31)]


def several(value: Any) -> Any:
    """One number is a list of one. A tuple, for a list is none to strict settings."""
    if isinstance(value, int | float):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Strengths = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...],
    Field(min_length=1, max_length=10),
    BeforeValidator(several),
]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _same_to_all(text: str) -> str:
    if found := {"\x85", "\u2028", "\u2029"} & set(text):
        raise ValueError(f"{found.pop()!r} is a line break to some readers of YAML: leave it out")
    return text


Line = Annotated[str, Field(max_length=255), AfterValidator(_same_to_all)]  # as long as the name of a file
Columns = Annotated[
    tuple[Line, ...],
    Field(max_length=10),
    BeforeValidator(lambda value: several([value] if isinstance(value, str) else value)),
]
Contradictions = Literal["drop", "newest", "vote"]
OF_TWO_LABELS = (
    "what becomes of rows that hold the same and carry several labels; drop: none of them is used; newest: the label "
    "that came last counts; vote: that of most rows does, and none is used where two have most"
)
Prose = Annotated[str, Field(max_length=5000)]
CLASSES = 1000
Language = Literal["en", "zh"]
YAML_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""Texts that have to be in quotes, or some readers of YAML take them for something else."""


def _no_word(name: str) -> str:
    if name in YAML_WORDS:
        raise ValueError(f"{name} is a word of YAML: choose another name")
    return name


# A git tag begins with it, a DAG and files end with it: Airflow takes 250 characters, a file system 255 bytes.
Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9_-]*[a-z0-9])?$", max_length=100), AfterValidator(_no_word)]


def distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(labels)) < len(labels) or "" in labels:
        raise ValueError("labels must be distinct and not empty")
    return labels


PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Schedules that Airflow has names for."""


def require_schedule(value: str) -> str:
    if value not in PRESETS:
        from croniter import croniter

        if not croniter.is_valid(value):
            raise ValueError(f"expected a cron expression such as 0 3 * * 1, or one of {', '.join(PRESETS)}")
    return value


def different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each may stand there once")
    return names


class SettingsBase(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
