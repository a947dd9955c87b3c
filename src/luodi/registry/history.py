"""The versions of a model and its runs that landed nothing, over time: pure functions of what tags and runs say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from luodi.registry import gate_sections
from luodi.registry.tags import CANARY, PRODUCTION, Move, Version
from luodi.report.document import Cell, Table, span
from luodi.report.formatting import MISSING, at, known, moment, part, text
from luodi.scoring.metrics import described

CHANGES = 4  # that are named of a version
WIDE, HIGH = 900, 180  # of the plot


@dataclass(frozen=True)
class Entry:
    """A version, or a run that landed nothing.

    Attributes:
        name: Such as "reviews@v1.0.0", or "a run".
        link: Address of its pages beside the index; empty where they are not there.
        status: Such as "production", "superseded", "hold".
        decision: See `luodi.registry.records.Decision`, as JSON.
        metrics: The content of metrics.json.
        by: Who let it land.
        landed: Whether it is a version.
    """

    name: str
    link: str
    when: datetime
    status: Cell
    decision: Mapping[str, Any]
    metrics: Mapping[str, Any]
    by: str
    landed: bool


def of_version(version: Version, moves: Sequence[Move], link: str) -> Entry:
    """Tell of a version by its tag and what became of it."""
    approval = part(version.facts, "approval")
    by = f"approved by {text(at(approval, 'by'))}" if at(approval, "mode") == "human" else text(version.author)
    return Entry(version.name, link, version.registered, _status(version, moves), part(version.facts, "decision"),
                 part(version.facts, "metrics"), by, landed=True)  # fmt: skip


def of_run(decision: Mapping[str, Any], when: datetime, link: str) -> Entry:
    """Tell of a run that landed nothing by what the gate decided."""
    word = text(at(decision, "verdict"))
    status = Cell(word, tone=gate_sections.VERDICTS.get(word, "warn"))
    return Entry("a run", link, when, status, decision, part(decision, "metrics"), "", landed=False)


def of_stopped(why: object, when: datetime, link: str) -> Entry:
    """Tell of a run that validation stopped."""
    status = Cell("stopped", soft=f"by validation: {text(why)}", tone="bad")
    return Entry("a run", link, when, status, {}, {}, "", landed=False)


def standing(version: Version, moves: Sequence[Move], now: datetime) -> str:
    """Say what became of a version until `now`: in production, superseded, rolled back and why, or registered alone."""
    cell, places = _status(version, moves), [place for place, one in enumerate(moves) if one.number == version.number]
    came, after = (moves[places[-1]], moves[places[-1] + 1 :]) if places else (None, ())
    said = {PRODUCTION: "In production", "superseded": "Superseded", "rolled back": "Rolled back",
            CANARY: f"The canary, for {version.share:.3g} of requests"}  # fmt: skip
    told = said.get(cell.text, "Registered, and not in production")
    if came and cell.text == PRODUCTION:
        told += f" since {moment(came.at.isoformat())}"
    elif after and cell.text != CANARY:
        told += f", {moment(after[0].at.isoformat())}, by {version.model}@{text(after[0].number)}"
    why = f": {cell.soft}" if cell.soft not in ("", MISSING) else ""
    return f"{told}{why} (as of {moment(now.isoformat())})."


def _status(version: Version, moves: Sequence[Move]) -> Cell:
    if version.stage == PRODUCTION:
        return Cell(PRODUCTION, tone="good")
    if version.stage == CANARY:
        return Cell(CANARY)
    left = [after for before, after in pairwise(moves) if before.number == version.number != after.number]
    if not left:
        return Cell("registered")
    if at(left[-1].facts, "action") == "rollback":
        return Cell("rolled back", soft=text(at(left[-1].facts, "reason")), tone="bad")
    return Cell("superseded")


def table(entries: Iterable[Entry], metric: str) -> Table:
    """Return a line for each, the newest first."""
    head = ("Version", "When", "Status", described(metric).title, "What changed", "By")
    rows = [
        (Cell(text(one.name), link=one.link), Cell(moment(one.when.isoformat())), one.status,
         span(at(one.metrics, "model", metric)), _changes(one.decision), Cell(one.by))
        for one in sorted(entries, key=lambda one: one.when, reverse=True)
    ]  # fmt: skip
    return Table(rows, head)


def _changes(decision: Mapping[str, Any]) -> Cell:
    found = at(decision, "changes")
    changes = found if isinstance(found, list | tuple) else []
    if eased := [text(at(one, "said")) for one in changes if at(one, "asks_less") is True]:
        return Cell("the gate asks less", below="; ".join(eased), tone="warn")
    said = [text(at(one, "said")) for one in changes]
    more = f"; and {len(said) - CHANGES} more" if len(said) > CHANGES else ""
    return Cell("; ".join(said[:CHANGES]) + more)


def plot(entries: Iterable[Entry], metric: str) -> list[dict[str, Any]]:
    """Return places of figures and the ends of their intervals in a box of `WIDE` x `HIGH`, the oldest first."""
    found = [(one, at(one.metrics, "model", metric)) for one in sorted(entries, key=lambda one: one.when)]
    told = [(one, [at(figure, end) for end in ("low", "value", "high")]) for one, figure in found]
    told = [(one, ends) for one, ends in told if all(map(known, ends))]
    if len(told) < 2:
        return []
    times = [one.when.timestamp() for one, _ in told]
    least, most = min(ends[0] for _, ends in told), max(ends[2] for _, ends in told)
    width, height = max(times[-1] - times[0], 1), max(most - least, 1e-9)
    return [
        {"x": 20 + (WIDE - 40) * (time - times[0]) / width, "name": text(one.name), "landed": one.landed,
         "value": ends[1], "production": one.status.text == PRODUCTION, "when": moment(one.when.isoformat()),
         **{name: HIGH - 10 - (HIGH - 20) * (end - least) / height
            for name, end in zip(("low", "y", "high"), ends, strict=True)}}
        for time, (one, ends) in zip(times, told, strict=True)
    ]  # fmt: skip


def decides(entries: Iterable[Entry]) -> str:
    """Name the metric that decided last; accuracy, if nothing says so."""
    newest = sorted(entries, key=lambda one: one.when, reverse=True)
    asked = (at(one.decision, "rule", "metric") for one in newest)
    return next((name for name in asked if isinstance(name, str)), "accuracy")
