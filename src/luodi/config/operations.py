"""The settings of what runs by itself: tasks of Airflow, inboxes, the look at the request log, predictions, notes."""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_serializer, model_validator

from luodi.config.fields import Line, Positive, SettingsBase, require_schedule, several

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
Thresholds = Annotated[tuple[Threshold, Threshold], BeforeValidator(several)]


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
    schedule: Annotated[Line, AfterValidator(require_schedule)] = Field(
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
    schedule: Annotated[Line, AfterValidator(require_schedule)] = Field(
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
    schedule: Annotated[Line, AfterValidator(require_schedule)] = Field(
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
