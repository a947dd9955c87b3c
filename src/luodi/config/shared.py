"""The settings that a model of any modality has, and the types that all settings are made of.

Every setting has its default and its description here, and nowhere else: `luodi params` and docs/params.md read them.
"""

import re
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_serializer,
    model_validator,
)

from luodi.config.user_code import ObjectName

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0, lt=2**31)]


def _several(value: Any) -> Any:
    """One number is a list of one. A tuple, for a list is none to strict settings."""
    if isinstance(value, int | float):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Strengths = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...],
    Field(min_length=1, max_length=10),
    BeforeValidator(_several),
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
    BeforeValidator(lambda value: _several([value] if isinstance(value, str) else value)),
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


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each may stand there once")
    return names


class SettingsBase(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Shares(SettingsBase):
    """Parts of the hash space that each split owns; they sum to 1."""

    train: Share = Field(0.8, description="share of the rows that training sees")
    validation: Share = Field(0.1, description="share of the rows that choose the epoch")
    test: Share = Field(0.1, description="share of the rows that measure")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must sum to 1")
        return self


class Split(SettingsBase):
    """Which rows stand together, so that none is judged by what it resembles."""

    by: Columns = Field((), description="columns of the shards: rows that share a value of one stand in one split")
    near_copies: Literal["join", "none"] = Field(
        "none",
        description="join: texts of nearly the same words, and copies of an image of another size or kind of file, "
        "stand in one split, but of a template a part only; `luodi add` sets it where it makes the splits",
    )
    newest: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}d$")] | None = Field(
        None,
        description="28d: the rows of the last 28 days of the data are a second test set, on which no version may be "
        "proven worse than the one in production",
    )
    column: Line | None = Field(None, description="column of the shards that holds the day of a row, 2026-11-27")

    @property
    def days(self) -> int | None:
        """Of the newest rows."""
        return int(self.newest[:-1]) if self.newest else None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the shards that say where rows stand."""
        return tuple(dict.fromkeys((*self.by, *([self.column] if self.column else []))))

    @model_validator(mode="after")
    def _newest_by_a_column(self) -> Self:
        if (self.newest is None) != (self.column is None):
            raise ValueError("newest and column go together: newest: 28d, column: the one that holds the day of a row")
        return self


class Preprocess(SettingsBase):
    """How any rows are split."""

    seed: Seed = Field(20240501, description="of the hash that splits rows, and of augmentation")
    shares: Shares = Field(Shares(), description="what each split owns of the rows of other sources than those two")
    split: Split = Field(Split(), description="which rows stand together")
    rows: Positive | None = Field(
        None,
        description="at most so many of the clean rows, of each class in each split alike, to try the whole graph "
        "quickly; a smaller number takes a part of what a larger one takes",
    )
    test_source: Line | None = Field(
        None,
        description="the source whose rows are the test split, for data with an official one; shares.test is 0 then",
    )
    validation_source: Line | None = Field(
        None, description="the source whose rows are the validation split; shares.validation is 0 then"
    )

    @model_validator(mode="after")
    def _one_split_each(self) -> Self:
        if self.test_source is not None and self.shares.test > 0:
            raise ValueError(f"shares.test must be 0 where test_source names the test rows, found {self.shares.test}")
        if self.validation_source is not None and self.shares.validation > 0:
            raise ValueError(
                "shares.validation must be 0 where validation_source names the validation rows, found "
                f"{self.shares.validation}"
            )
        if self.test_source is not None and self.test_source == self.validation_source:
            raise ValueError(f"test_source and validation_source must differ, found {self.test_source} for both")
        return self


class Training(SettingsBase):
    """What the training loop needs, whatever is trained."""

    units: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "elu"] = Field("relu", description="of the hidden layers")
    loss: Literal["categorical_crossentropy", "categorical_focal_crossentropy", "mean_squared_error"] = Field(
        "categorical_crossentropy", description="what training makes small"
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="balanced: rows of a rare class count for more in training, of the linear model too"
    )
    optimizer: Literal["adam", "sgd"] = Field(
        "adam", description="how it is made small; adam moves only the embeddings that a batch looks up (TensorFlow)"
    )
    learning_rate: Annotated[float, Field(gt=0)]
    decay: Literal["none", "cosine"] = Field(
        "none", description="cosine: the learning rate falls to zero over all epochs, along half a cosine"
    )
    warmup: Share = Field(
        0.0, description="share of all steps over which the learning rate rises to what it is to be, from zero"
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="length that the gradient of all weights together is cut down to where it is longer"
    )
    batch_size: Positive
    halve_batch: bool = Field(
        True,
        description="where memory runs out a step takes its batch in halves, quarters and so on, and moves by the mean "
        "of their gradients; the cost of training records it",
    )
    epochs: Positive
    patience: Positive
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = Field(
        "float32",
        description="of the arithmetic; auto: mixed_bfloat16 on a GPU that has it, else float32; what is saved is "
        "float32",
    )
    threads: Annotated[int, Field(gt=0, le=1024)] = Field(
        2,
        description="of a network with convolutions, of images, or of your own, on processors: its trained bytes "
        "depend on their number; the others take all cores",
    )
    devices: Literal["one", "all"] = Field(
        "one",
        description="all: each batch is divided among all GPUs of the host (TensorFlow, JAX), on whose number the "
        "trained bytes then depend",
    )
    out_of_fold: Literal["auto", "always", "never"] = Field(
        "auto",
        description="whether networks are fitted three times more where a class has fewer than 30 test rows, so that "
        "all of its rows judge it; auto: of at most 20,000 rows, and of more no network is fitted where a class has "
        "fewer than 10, for the linear model has every class judged at any size",
    )
    checkpoint_minutes: Annotated[float, Field(gt=0)] = Field(
        5,
        description="time between two checkpoints within an epoch, from which a training that was ended goes on; each "
        "epoch ends with one too",
    )
    seed: Seed = Field(7, description="of the first weights and of the order of the rows")


def other_defaults(kind: type[BaseModel], given: Any, others: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return a block train of that kind as it was given, before it is checked, with the defaults that `others` has of
    its tuning or architecture.

    What trains a network from its first weights on would make an encoder forget what it knows.
    """
    if not isinstance(given, dict):
        return given
    named = (one for one in (given.get("architecture"), given.get("tuning")) if isinstance(one, str))
    found = {key: value for one in named for key, value in others.get(one, {}).items()} | given
    # To pydantic it comes from Python now, not from JSON, and a list is no tuple.
    several = {name for name, field in kind.model_fields.items() if get_origin(field.annotation) is tuple}
    return {name: tuple(one) if name in several and isinstance(one, list) else one for name, one in found.items()}


def require_encoder(train: Any) -> None:
    """Raise ValueError where the keys of a block train that are of an encoder do not go together."""
    if (train.architecture == "pretrained") != (train.encoder is not None):
        raise ValueError(
            "train.architecture pretrained and train.encoder go together: `luodi encoder list` lists encoders"
        )
    if train.tuning != "frozen" and train.encoder is None:
        raise ValueError(
            f"train.tuning {train.tuning} is of an encoder: name one in train.encoder, and set "
            "train.architecture to pretrained"
        )


def require_unseen(block: Any) -> None:
    """Raise ValueError where `compress` would judge a model by rows that it was fitted on.

    What 8 bits change hardly shows on these: of MiniLM on CLINC150 the answers stayed the same for all of them, and for
    94.3% of rows that it had not seen (benchmarks/encoders.md).
    """
    seen = {
        "baseline.all_rows": block.baseline.all_rows,
        "train.all_rows": block.train.encoder and block.train.all_rows,
    }
    if block.compress is not None and (named := [name for name, on in seen.items() if on]):
        raise ValueError(
            f"compress judges by the validation rows, and {' and '.join(named)} would fit the model on them too: set "
            f"{named[0]} to false, or take compress out"
        )


class Baseline(SettingsBase):
    """What the linear model has, whatever it reads."""

    all_rows: bool = Field(
        False,
        description="fit the linear model once more, on train and validation rows together, when these have chosen and "
        "judged it; `luodi add` sets it for texts of more than two classes; false where `compress` judges by them",
    )


class Evaluate(SettingsBase):
    bootstrap: Positive = Field(1000, description="draws behind each confidence interval")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="of the intervals")
    mistakes: Positive = Field(20, description="most confident mistakes that the report shows")
    explained: Annotated[int, Field(ge=0, le=100)] = Field(
        10, description="of these, the first so many with what each word or region adds; fewer of a costly network"
    )


Candidate = Literal["int8_dynamic", "int8_static", "float16", "pruned", "distilled"]


class Compress(SettingsBase):
    """Smaller models of what `train` exports: the smallest that is proven no worse on the validation rows lands.

    What is proven is the gate's: `gate.metric`, at `gate.confidence` for all candidates together.
    """

    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1), AfterValidator(_different)] = Field(
        get_args(Candidate),
        description="what is tried; int8_dynamic: weights of 8 bits, scales of what they are multiplied with of each "
        "batch; int8_static: all scales of train rows; float16: weights of 16 bits; pruned: fewer units; distilled: a "
        "smaller network, which is trained",
    )
    margin: Share = Field(
        0.01, description="how much worse it may be than the uncompressed model, in gate.metric on validation rows"
    )
    sampled_rows: Positive = Field(
        500, description="train rows that the scales of int8_static are of, and by which pruned leaves out units"
    )
    pruned_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5,
        description="units that pruned leaves out of each hidden layer, those of least weights, at most: half as many "
        "where it gives more of the sampled rows another answer than margin, and so on, down to an eighth",
    )
    distilled_size: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.25, description="of train.table, units and filters, what the network of distilled has of each"
    )
    max_slowdown: Annotated[float, Field(ge=1)] = Field(
        1.25,
        description="a candidate that takes more than so many times the processor time of the uncompressed model for "
        "one row, the two measured in turns, is not taken; wide, so that a repetition decides the same",
    )


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
    unproven: Annotated[tuple[Line, ...], Field(max_length=CLASSES), AfterValidator(_distinct)] = Field(
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


TaskName = Literal[
    "ingest",
    "watch",
    "monitor",
    "files",
    "predict",
    "validate",
    "preprocess",
    "baseline",
    "tune",
    "train",
    "compress",
    "evaluate",
    "gate",
    "register",
]


class Task(SettingsBase):
    """How Airflow runs a task."""

    timeout_hours: Annotated[float, Field(gt=0, le=24 * 365)] = Field(
        6, description="a try that takes longer is ended; of train the time counts from its last checkpoint"
    )
    retries: Annotated[int, Field(ge=0, le=100)] = Field(2, description="of a task that failed")
    delay_seconds: Annotated[float, Field(ge=1, le=24 * 3600)] = Field(
        30, description="before the first retry; twice as long before each after it, 10 minutes at most"
    )
    pool: Line | None = Field(
        None,
        description="null: gpu for what trains, where LUODI_POOLS names it, as `luodi up` and the cluster do, which "
        "make it; else the default pool",
    )
    queue: Line | None = Field(None, description="null: Airflow's default")
    priority: Positive = Field(1, description="of tasks that wait for a place in a pool the highest comes first")
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(
        None, description="GiB that a pod asks for and may use (Kubernetes); null: what its template says"
    )
    most_memory_gb: Annotated[float, Field(gt=0)] | None = Field(
        None, description="each retry asks for twice as much memory as the try before, up to this; null: no more"
    )


class Airflow(Task):
    """How Airflow runs the tasks of a model, and what differs for some."""

    tasks: dict[TaskName, Task] = Field(
        {}, description="what differs for a task, by its name: train: {timeout_hours: 48, memory_gb: 8}"
    )

    @field_serializer("tasks")
    def _given(self, tasks: dict[TaskName, Task]) -> dict[str, Any]:
        return {name: task.model_dump(exclude_unset=True) for name, task in tasks.items()}

    def of(self, name: str) -> Task:
        """Return how the task of that name runs."""
        values = self.model_dump()
        own = values.pop("tasks").get(name, {})
        return Task(**{**values, **own})


Threshold = Annotated[float, Field(gt=0)]
Thresholds = Annotated[tuple[Threshold, Threshold], BeforeValidator(_several)]


class Drift(SettingsBase):
    """When rows that come by `luodi ingest` are told to be of another world than those that are there.

    Each is a pair: above the first the least that a difference may be is a warning, above the second drift.
    """

    min_rows: Annotated[int, Field(ge=10, lt=2**31)] = Field(50, description="of fewer rows nothing is told")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.99, description="of the least that any difference of a batch may be, all of them together"
    )
    stability: Thresholds = Field(
        (0.1, 0.25), description="population stability index of labels, of lengths, of the light of images"
    )
    told_apart: Thresholds = Field(
        (0.65, 0.8), description="area under the curve of a linear model that tells texts that come from those before"
    )
    unknown: Thresholds = Field((0.05, 0.15), description="share of a text that is unknown pairs of characters, more")
    accuracy: Thresholds = Field((0.02, 0.05), description="accuracy on the rows below that on test rows")
    confidence_loss: Thresholds = Field((0.05, 0.1), description="mean highest probability below that on test rows")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name in ("stability", "told_apart", "unknown", "accuracy", "confidence_loss"):
            first, second = getattr(self, name)
            if first > second:
                raise ValueError(f"{name}: expected the threshold of a warning first, found {first} above {second}")
        return self


VARIABLE = "variable://"
"""Begins what names an Airflow variable, which holds a folder or a URL."""
BY_CONNECTION = ("s3", "s3a", "s3n", "gs", "gcs", "file")
"""Schemes of URLs in which nothing but the name of an Airflow connection can stand before an @."""
_NAMED = re.compile(rf"({'|'.join(BY_CONNECTION)})://[^/]*@")


def folder_or_url(value: str) -> str:
    """Return what is a folder to every worker, or a URL; ValueError for anything else."""
    if value.startswith(VARIABLE) or ("://" not in value and not value.startswith("/")):
        raise ValueError("expected the whole path of a folder, or a URL such as s3://bucket/inbox")
    if (named := _NAMED.match(value)) and ":" in named[0].removeprefix(f"{named[1]}://"):
        raise ValueError("expected the name of an Airflow connection before the @, and no key: git would keep it")
    return value


def _inbox(value: str) -> str:
    """What may be held by a variable too."""
    if value.startswith(VARIABLE):
        if not re.fullmatch(r"[\w.-]+", value.removeprefix(VARIABLE)):
            raise ValueError("expected variable://NAME, of a variable of Airflow")
        return value
    return folder_or_url(value)


def _plain(value: str) -> str:
    """What is opened outside of Airflow too."""
    if value.startswith(VARIABLE) or _NAMED.match(value):
        raise ValueError(
            "expected no connection or variable of Airflow: `luodi monitor` opens it too, with its own credentials"
        )
    return value


class Ingest(SettingsBase):
    """An inbox, from which the DAG ingest_MODEL takes files as `luodi ingest` does."""

    inbox: Annotated[Line, AfterValidator(_inbox)] = Field(
        description="folder of the workers, or URL of one that fsspec reads, such as s3://bucket/inbox, with the "
        "credentials that the workers have, or s3://CONNECTION@bucket/inbox with those of an Airflow connection; or "
        "variable://NAME, an Airflow variable that holds one of these; files go from there to done/ or refused/ in it"
    )
    schedule: Annotated[Line, AfterValidator(_schedule)] = Field(
        "*/10 * * * *",
        description="when a task looks into it, beside the triggerer of Airflow, which has one do so soon after a file "
        "is there: a cron expression, or a name such as @hourly",
    )
    retrain_rows: Positive | None = Field(
        None, description="so many rows that no model was judged on are a reason to retrain at once; null: none are"
    )
    retrain_on_drift: bool = Field(True, description="a batch that drifted is a reason to retrain at once")


class Monitor(SettingsBase):
    """The request log of a model in use, which `luodi monitor` and the DAG monitor_MODEL look at."""

    log: Annotated[Line, AfterValidator(_plain), AfterValidator(folder_or_url)] = Field(
        description="folder of the workers, or URL of one that fsspec reads, where `luodi serve --log` writes"
    )
    schedule: Annotated[Line, AfterValidator(_schedule)] = Field(
        "@daily", description="when it is looked at: a cron expression, or a name such as @hourly"
    )
    days: Positive = Field(7, description="so many days back it is looked at")
    labels: Annotated[Line, AfterValidator(_plain)] | None = Field(
        None, description="table of true labels with the columns request, item and label, a path or URL; null: none"
    )
    reports: Annotated[Line, AfterValidator(_inbox)] | None = Field(
        None,
        description="folder or URL where the DAG leaves the page and the rows worth a label, by day; null: nowhere",
    )
    rows: Annotated[int, Field(ge=0, le=10_000)] = Field(
        100, description="rows worth a label that are written, at most"
    )
    rollback: bool = Field(
        False, description="go back to the version before where true labels prove it better on what is asked"
    )
    canary: bool = Field(
        False,
        description="put a canary into production where true labels prove it better on what is asked, and end one that "
        "is proven worse",
    )


DATE = re.compile(r"\{date(?::([^{}]*))?\}")
"""In a pattern: the date, as 2026-11-28, or by a form of strftime."""


def _by_date(value: str) -> str:
    if not DATE.search(value) or {"{", "}"} & set(DATE.sub("", value)):
        raise ValueError("expected {date} in it, or {date:%Y/%m/%d}, and no other braces")
    return folder_or_url(value)


ByDate = Annotated[Line, AfterValidator(_by_date)]


class Predict(SettingsBase):
    """Files that come by date, which the DAG predict_MODEL predicts by the version in production."""

    input: ByDate = Field(
        description="files of a date, of the workers or at a URL that fsspec reads, with wildcards or a whole folder: "
        "/srv/asked/{date}/*.parquet; {date} is 2026-11-28, {date:%Y/%m/%d} is 2026/11/28"
    )
    output: ByDate = Field(
        description="folder or URL, with the date too, where each file lies with the answers behind its columns"
    )
    form: Literal["parquet", "csv", "jsonl"] = Field("parquet", description="of the output")
    schedule: Annotated[Line, AfterValidator(_schedule)] = Field(
        "@daily", description="when they are predicted: a cron expression, or a name such as @hourly"
    )
    hours_before: Annotated[int, Field(ge=0, le=24 * 366)] = Field(
        24, description="the date is that of so many hours before the run, in Airflow's time zone; 24: of yesterday"
    )
    tasks: Annotated[int, Field(gt=0, le=1024)] = Field(
        16, description="tasks, at most, that share the files of a date"
    )
    workers: Annotated[int, Field(gt=0, le=256)] = Field(2, description="tasks at once")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        fixed, *wild = re.split(r"[*?[]", self.input)
        folder = fixed.rpartition("/")[0] if wild else fixed.rstrip("/")
        if f"{self.output}/".startswith(f"{folder}/"):
            raise ValueError(f"output: expected a folder apart from that of input, found one in {folder}")
        return self


Told = Literal["landed", "held", "approval", "failed", "refused", "drift", "alarm", "silence"]
TOLD: tuple[Told, ...] = get_args(Told)


def _notifier(path: str) -> str:
    if "." not in path or not all(name.isidentifier() for name in path.split(".")):
        raise ValueError("expected the path of a class, such as airflow.providers.smtp.notifications.smtp.SmtpNotifier")
    return path


class Silence(SettingsBase):
    """Days in which nothing happened, after which somebody is told, once: the DAG watch_MODEL looks each day."""

    ingested: Positive | None = Field(None, description="days without new rows at the origin; null: nobody is told")
    run: Positive | None = Field(
        None, description="days without a scheduled run of retrain_MODEL in which validate succeeded; null: nobody"
    )
    landed: Positive | None = Field(None, description="days without a new version; null: nobody is told")


class Notify(SettingsBase):
    """Who is told what came of a run: one message for each version, question and batch, however often a task is tried.

    One that cannot be sent fails no task; its log says so.
    """

    by: Annotated[Line, AfterValidator(_notifier)] = Field(
        description="path in Python of an Airflow notifier: airflow.providers.smtp.notifications.smtp.SmtpNotifier, "
        "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier, one of your own; its provider is "
        "installed where tasks run and DAGs are parsed"
    )
    with_: dict[str, Any] = Field(
        {},
        alias="with",
        description='what it is made with: {to: team@example.org, subject: "{title}", html_content: "{html}"}; '
        '"{title}", "{text}" and "{html}" are of the message; passwords stand in a connection of Airflow, never here',
    )
    on: tuple[Told, ...] = Field(TOLD, description="what is told")
    silence: Silence = Silence()


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


class AnySettings(SettingsBase):
    """What every block of `models:` has."""

    modality: str = Field(description="text or image")
    labels: Annotated[tuple[Line, ...], Field(min_length=2, max_length=CLASSES), AfterValidator(_distinct)] = Field(
        description="the classes, in the order of the network's outputs"
    )
    schedule: Annotated[Line, AfterValidator(_schedule)] = Field(
        "@weekly", description="when Airflow retrains it: a cron expression, or a name such as @daily"
    )
    owner: Line = Field("luodi", description="whom Airflow and the model card name")
    column: Line | None = Field(
        None, description="of a table that `luodi predict` reads: what the texts, or the paths of images, stand in"
    )
    card: Card = Card()
    compress: Compress | None = Field(None, description="smaller models that may land in its place; null: none")
    evaluate: Evaluate = Evaluate()
    gate: Gate = Gate()
    register_: Register = Field(Register(), alias="register")
    airflow: Airflow = Airflow()
    drift: Drift = Drift()
    ingest: Ingest | None = Field(None, description="an inbox that Airflow looks into; null: none")
    monitor: Monitor | None = Field(None, description="the request log that is looked at; null: none")
    predict: Predict | None = Field(None, description="files that Airflow predicts by date; null: none")
    notify: Notify | None = Field(None, description="who is told what came of a run; null: nobody")

    @model_validator(mode="after")
    def _unproven_are_labels(self) -> Self:
        if unknown := [label for label in self.gate.unproven if label not in self.labels]:
            found = reprlib.repr(unknown[0])
            raise ValueError(f"gate.unproven: {found} is no label of this model: write it as labels has it")
        return self
