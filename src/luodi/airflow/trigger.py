"""What a run may be triggered with: the form of Airflow's UI, and the conf that it, or a call, makes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException
from pydantic import BaseModel

from luodi import config
from luodi.terminal import shown

COMMIT, DRY_RUN, AGAIN = "commit", "dry_run", "again"
FIRST, NOTHING_NEW = "validate", "nothing_new"
"""The task that looks whether anything is new, and what it returns under which the run does nothing."""
LOST = (
    "{} left nothing in this run, as a task does that was set to success by hand: clear what it names and what "
    "follows, or trigger a new run"
)
"""What a task says that has nothing to work with."""
MORE = "new_rows__"
"""Begins the id of a run for rows that came while another ran."""
SETTINGS = {"rows": "preprocess"} | dict.fromkeys(
    ("learning_rate", "batch_size", "epochs", "dropout", "optimizer"), "train"
)
"""What a run may try without a commit, and the block it is of. It never lands: a version is what a commit says."""

OF_DATE = Param(
    None, type=["null", "string"], pattern=r"^\d{4}-\d\d-\d\d(T\d\d(:\d\d)?)?$",
    description="the date whose files are predicted, such as 2026-11-28; without one, that of the schedule",
)  # fmt: skip
"""The form of a run of `predict_MODEL`."""

KEYWORDS = (
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
)  # of JSON Schema, that the form checks


@dataclass(frozen=True)
class Trigger:
    """How a run was triggered.

    Attributes:
        commit: The whole id of the commit to run; None is the head of the branch.
        dry_run: Judge the model, and land nothing.
        settings: Some of `SETTINGS`, in place of what params.yaml says.
        again: Run though nothing is new.
    """

    commit: str | None = None
    dry_run: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False

    @classmethod
    def read(cls, conf: Mapping[str, Any] | None) -> Self:
        """Read the conf of a run; a null is nothing, as the form has it.

        Raises:
            AirflowFailException: It holds something else: whoever wrote that expects that it does something.
        """
        given = {name: value for name, value in (conf or {}).items() if value is not None}
        if unknown := sorted(given.keys() - {COMMIT, DRY_RUN, AGAIN, *SETTINGS}):
            raise AirflowFailException(
                f"the run's conf says {', '.join(map(shown, unknown))}: expected some of {COMMIT}, {DRY_RUN}, "
                f"{AGAIN}, {', '.join(SETTINGS)}; any other setting is changed in params.yaml, and committed"
            )
        commit = given.pop(COMMIT, None)
        if commit is not None and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", str(commit)):
            raise AirflowFailException(f"the run's conf says {COMMIT} {commit!r}: expected the whole id of a commit")
        dry_run, again = (bool(given.pop(name, False)) for name in (DRY_RUN, AGAIN))
        return cls(commit, dry_run, given, again)

    @property
    def lands(self) -> bool:
        """Whether the run may land a version."""
        return not self.dry_run and not self.settings

    @property
    def blocks(self) -> dict[str, dict[str, Any]]:
        """The settings by the block of params.yaml that they are of."""
        found: dict[str, dict[str, Any]] = {}
        for name, value in self.settings.items():
            found.setdefault(SETTINGS[name], {})[name] = value
        return found

    @property
    def for_news(self) -> bool:
        """Whether the run has nothing to do where nothing is new: nobody asked for more than that."""
        return self.lands and self.commit is None and not self.again


def form(block: config.ModelSettings) -> dict[str, Param]:
    """Return the form of a model's runs, its fields checked as params.yaml is."""
    return {
        COMMIT: Param(
            None, type=["null", "string"], pattern="^([0-9a-f]{40}|[0-9a-f]{64})$",
            description="the whole id of the commit to run; without one, the head of the branch",
        ),
        DRY_RUN: Param(default=False, type="boolean", description="judge the model, and land nothing"),
        AGAIN: Param(default=False, type="boolean", description="run though no row, setting or code is new"),
    } | {name: _setting(getattr(block, of), of, name) for name, of in SETTINGS.items()}  # fmt: skip


def _setting(block: BaseModel, of: str, name: str) -> Param:
    schema, now = type(block).model_json_schema()["properties"][name], getattr(block, name)
    schema = {**schema, **next((one for one in schema.get("anyOf", ()) if one["type"] != "null"), {})}
    limits = {name: schema[name] for name in KEYWORDS if name in schema}
    if "enum" in limits:
        limits["enum"] = [None, *limits["enum"]]
    empty = "all" if now is None else now
    told = f"{schema['description']}; empty: {empty}. A run that tries another value is judged, and lands nothing."
    kinds = ["null", schema["type"]]
    return Param(None, type=kinds, title=f"{of}.{name}", section="Settings to try", description_md=told, **limits)
