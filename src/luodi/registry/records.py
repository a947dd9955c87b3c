"""What the gate found and decided, and who let it land: typed inside luodi, plain JSON in tags, XCom and files.

`to_json` and `from_json` are the edge. Pages read the JSON itself: they show versions that anybody may have tagged, any
part of which may be missing, see `luodi.report.formatting`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from luodi.errors import RegistryError

Mode = Literal["auto", "human"]
"""Who lets a model land: the gate alone, or a person who read what it found."""


class Verdict(StrEnum):
    """What the gate says of a challenger."""

    PROMOTE = "promote"
    HOLD = "hold"
    INSUFFICIENT = "insufficient evidence"
    UNCHANGED = "unchanged"


def lands(verdict: str, mode: Mode) -> bool:
    """Tell whether a model of that verdict lands. A person may take what is not proven either way.

    What is in production already does: there is no new version then, yet its lock entries may be new.
    """
    return verdict in {Verdict.PROMOTE, Verdict.UNCHANGED} or (mode == "human" and verdict == Verdict.INSUFFICIENT)


class Record(BaseModel):
    """A frozen value with a form in JSON."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")  # what was NaN stays NaN

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return self.model_dump(mode="json")


class Estimate(Record):
    """A figure and the ends of its interval."""

    value: float
    low: float
    high: float


class Agreement(Record):
    """Test rows by who gets them right, and the exact two-sided p of McNemar's test."""

    both: int
    challenger: int
    champion: int
    neither: int
    p: float


class Sides(Record):
    """One metric of both, and challenger minus champion."""

    challenger: Estimate
    champion: Estimate
    difference: Estimate


class Slice(Record):
    """Accuracy of both on a part of the test rows; `judged` if it has rows enough.

    Accuracy on a class is its recall. `low` and `high` are the ends of the interval of its difference, corrected for
    the number of the parts of its kind that are judged; None where it is not, or where an older luodi measured.
    """

    by: str
    name: str
    rows: int
    challenger: float
    champion: float
    difference: float
    judged: bool
    low: float | None = None
    high: float | None = None


class Turned(Record):
    """Test rows of a class that one of the two alone gets right, by what the other says of them.

    Attributes:
        truth, challenger, champion: Labels: their class, and what either says they are.
        rows: How many there are.
        places: In rows.parquet, of those that are shown. What they hold stands nowhere else: tags are for ever.
    """

    truth: str
    challenger: str
    champion: str
    rows: int
    places: tuple[int, ...] = ()


class Doubt(Record):
    """A row whose label the others contradict.

    Attributes:
        place: In rows.parquet.
        label, suggested: Its label, and the one that the others would give it.
        own, other: The probabilities of these two.
    """

    place: int
    label: str
    suggested: str
    own: float
    other: float


class Doubts(Record):
    """Of `rows` that were scored by what was not fitted on them `found` are suspicious; the first are `shown`."""

    rows: int
    found: int
    shown: tuple[Doubt, ...]


class Evidence(Record):
    """What decides of two classifiers on the same rows.

    Attributes:
        rows: Rows that both scored.
        out_of_fold: How many of them are no test rows, but train rows that models of other folds scored.
        difference: Challenger minus champion in the metric of the gate, with the interval that decides.
        mcnemar: On how many rows they agree.
        p: Of the exact test of the metric.
    """

    rows: int
    out_of_fold: int = 0
    difference: Estimate
    mcnemar: Agreement
    p: float


class Look(Record):
    """Which judgement on the test rows of a model one is, and what it has to prove: see `luodi.registry.budget`.

    Attributes:
        period: That whose budget it spends, such as "2026".
        number: Of the look in its period, from 1.
        taken: Whether it was counted; False if somebody judged by hand.
        total: Looks that were ever taken at the test rows of the model, or at fewer of them.
        confidence: Of the two-sided interval, the lower end of which has to lie above the margin.
        low: That end.
        left: Share of the budget of the period that is left after it.
        approved: Versions of the period that a person let land though it was undecided whether they are better.
    """

    period: str
    number: int
    taken: bool
    total: int
    confidence: float
    low: float = -1.0
    left: float
    approved: int = 0


class Fresh(Sides):
    """The metric of the gate on the test rows that came after the champion was chosen."""

    rows: int


class Honest(Record):
    """The metric of the gate as measured, and corrected for having been picked; None, and why, if it is not."""

    measured: float
    corrected: float | None
    by: str


class Comparison(Evidence):
    """All that was measured of challenger and champion on the same test rows.

    Attributes:
        look: What this judgement spends of the error budget; None where there is none.
        fresh: The rows that came after the champion was chosen; None if there are too few to judge by.
        newest: The newest rows, which neither was trained on; None likewise, or where the setting is off.
        honest: Figures of "challenger" and "champion", each beside what it is worth.
        excluded: Test rows that were left out, because the champion was trained on them.
        notes: What a reader has to know of the comparison.
        metrics: Each by its name.
        slices: Parts of the rows.
        turned: Rows that are newly right or newly wrong; None where an older luodi compared.
        more_rows: How many more test rows would prove it; None if it is decided, or if no number would.
    """

    look: Look | None = None
    fresh: Fresh | None = None
    newest: Fresh | None = None
    honest: dict[str, Honest] = {}
    excluded: int = 0
    notes: tuple[str, ...] = ()
    metrics: dict[str, Sides] = {}
    slices: tuple[Slice, ...] = ()
    turned: tuple[Turned, ...] | None = None
    more_rows: int | None = None


class Check(Record):
    """One rule of the gate applied; one that is `undecided` is neither kept nor broken.

    `room` is how far what was found lies from the limit, signed: what is below 0 is missing; empty where it has none.
    """

    name: str
    expected: str
    found: str
    passed: bool
    undecided: bool = False
    room: str = ""


class Change(Record):
    """One thing that differs between challenger and champion; `asks_less` is of a rule that it is judged by."""

    of: Literal["data", "rule", "setting", "code", "library"]
    said: str
    asks_less: bool = False


class Decision(Record):
    """What the gate decided of a challenger, and by what.

    Attributes:
        changes: What differs from the champion; None if there is none, or an older luodi decided.
        reasons: Why it may not land, sentences, and last what a person may do about it; empty where it may.
        champion: Name of the version in production; None if there is none.
        rule: The settings of the gate.
        comparison: None if there is no champion, or it could not be compared.
        metrics: The content of metrics.json.
        latency_ms: Median of a one-row prediction where it was judged, milliseconds.
        turned: Where it was compared with no champion, the rows that it or the linear baseline alone gets right, which
            stands in the champion's place; None where an older luodi decided, or it is the baseline itself.
        approval: Who lets it land by the settings that it was judged under; None where an older luodi decided.
        dry: Whether it was judged to know, by `luodi gate` or in a dry run: nothing lands by it.
        doubts: Rows whose label the others contradict; None where an older luodi decided.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    champion: str | None
    rule: dict[str, Any]
    checks: tuple[Check, ...]
    comparison: Comparison | None
    metrics: dict[str, Any]
    latency_ms: float
    changes: tuple[Change, ...] | None = None
    turned: tuple[Turned, ...] | None = None
    approval: Mode | None = None
    dry: bool = False
    doubts: Doubts | None = None

    @classmethod
    def from_json(cls, found: object) -> Self:
        """Return the decision that `to_json` gave `found` for, by this luodi or an older one.

        Raises:
            RegistryError: It is not of that form.
        """
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            raise RegistryError(
                f"the decision of the gate in this run is of another luodi, or was changed by hand: at "
                f"{'.'.join(map(str, first['loc'])) or 'its top'}: {first['msg']}; trigger a new run"
            ) from None


class Approval(Record):
    """Who let a model land. Of a person: name, when, and what they said."""

    mode: Mode = "auto"
    by: str | None = None
    at: datetime | None = None
    comment: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return {"mode": "auto"}, or {"mode": "human", "by": name, "at": ISO time, "comment": text}."""
        at = self.at.isoformat(timespec="seconds") if self.at else None
        return {name: value for name, value in (super().to_json() | {"at": at}).items() if value is not None}


AUTO = Approval()
