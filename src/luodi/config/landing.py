"""The settings of what decides on a model and lands it, and of the card that goes with it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from luodi.config.fields import CLASSES, Line, Positive, Prose, SettingsBase, Share, distinct
from luodi.config.user_code import ObjectName


class FalseLandings(SettingsBase):
    """The error budget: how often a version may land that is not better, however many challengers there are."""

    rate: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.025, description="the chance that any version lands in a period which is not better is at most this"
    )
    per: Literal["year", "month", "look"] = Field(
        "year",
        description="the period, of the calendar in UTC; look: no budget, each one errs as gate.confidence allows",
    )
    looks: Annotated[int, Field(ge=2, lt=2**31)] = Field(
        52,
        description="challengers expected in a period: each spends one part in so many of what is left of the rate; "
        "change it, and rate, at the turn of a period",
    )


class Gate(SettingsBase):
    """What a challenger must prove to land, on the test rows that both models can be judged by.

    A challenger that is no better than the margin allows is promoted by chance at most (1 - confidence) / 2 of the
    time, and any of a whole period at most `false_landings.rate`.
    """

    metric: Literal["accuracy", "macro_f1", "balanced_accuracy", "average_precision"] | ObjectName = Field(
        "accuracy",
        description="the figure that decides; the other three weigh all classes alike; or MODULE:FUNCTION of your own",
    )
    margin: Annotated[float, Field(ge=-1, le=1)] = Field(
        0.0, description="it must be better than the champion by more than this; below 0 it may be worse by so much"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="of the two-sided interval that proves it"
    )
    false_landings: FalseLandings = FalseLandings()
    resamples: Annotated[int, Field(ge=1000, lt=2**31)] = Field(
        10_000, description="bootstrap draws behind the interval of the difference"
    )
    minimum: Share = Field(0.0, description="no version lands below this value of the metric")
    baseline_margin: Share = Field(
        0.01, description="every version must be shown not to be worse than the linear baseline by more than this"
    )
    min_class_rows: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        10, description="rows that each class must be judged by: test rows, and out-of-fold ones where there are any"
    )
    unproven: Annotated[tuple[Line, ...], Field(max_length=CLASSES), AfterValidator(distinct)] = Field(
        (), description="labels of classes that are accepted with fewer rows; the model card names them"
    )
    min_slice_rows: Positive = Field(300, description="slices with fewer test rows are shown, not judged")
    max_slice_loss: Share = Field(
        0.05, description="accuracy that a slice may lose to the champion, and proven recall that a class may"
    )
    max_latency_ms: Annotated[float, Field(gt=0)] = Field(
        50, description="median milliseconds of a one-row prediction, on the host that judges"
    )
    max_size_mb: Annotated[float, Field(gt=0)] = Field(100, description="of the exported model, 10^6 bytes")
    max_calibration_error: Share = Field(0.1, description="expected calibration error")


class Register(SettingsBase):
    """Who lets a proven challenger land."""

    approval: Literal["auto", "human"] = Field("auto", description="human: a person approves in Airflow")
    timeout_hours: Annotated[float, Field(gt=0, le=24 * 365)] = Field(
        72, description="without an answer by then it is rejected"
    )


UNSTATED = "not stated"


class Card(SettingsBase):
    """What only people know of a model; the rest of its card is measured."""

    intended_use: Prose = Field(UNSTATED, description="what the model is for")
    out_of_scope: Annotated[tuple[Prose, ...], Field(max_length=100)] = Field(
        (), description="what it is not for, each a text"
    )
    limits: Annotated[tuple[Prose, ...], Field(max_length=100)] = Field(
        (), description="what is known of its limits, each a text"
    )
    licence: Prose = Field(UNSTATED, description="of the data")
    personal_data: Prose = Field(UNSTATED, description="what the data say of people, and by what right it is used")
    contact: Line | None = Field(
        None, description="whom to ask, such as an address; null: who registered the version, by git"
    )
    example: Line | None = Field(
        None, description="a made-up text that the card shows with its answer, never a row; null: the first label"
    )
