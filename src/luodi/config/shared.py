"""The settings that a model of any modality has, and the types that all settings are made of."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

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


class SettingsBase(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Shares(SettingsBase):
    """Parts of the hash space that each split owns; they sum to 1."""

    train: Share
    validation: Share
    test: Share

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must sum to 1")
        return self


class Preprocess(SettingsBase):
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


class Training(SettingsBase):
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


class Evaluate(SettingsBase):
    bootstrap: Positive
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    mistakes: Positive


class Gate(SettingsBase):
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


class Register(SettingsBase):
    """Who lets a proven challenger land: the gate alone, or a person within `timeout_hours`, else it is rejected."""

    approval: Literal["auto", "human"]
    timeout_hours: Annotated[float, Field(gt=0, le=24 * 365)]


class Card(SettingsBase):
    """What only people know of a model; the rest of its card is measured."""

    intended_use: Prose
    licence: Prose
    limits: Annotated[tuple[Prose, ...], Field(max_length=100)]


class AnySettings(SettingsBase):
    """What every block of `models:` has."""

    labels: Annotated[tuple[Line, ...], Field(min_length=2, max_length=CLASSES), AfterValidator(_distinct)]
    schedule: Annotated[Line, AfterValidator(_schedule)]
    owner: Line
    card: Card
    evaluate: Evaluate
    gate: Gate
    register_: Annotated[Register, Field(alias="register")]
