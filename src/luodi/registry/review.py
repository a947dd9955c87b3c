"""A model in short, for those who review a change: what validation and evaluation found, and what differs from another.

Pure functions of facts as the tag of a version holds them; what is missing is shown as "not recorded".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luodi.registry import gate_sections, tags
from luodi.report import markdown as md
from luodi.report import page
from luodi.report.document import Cell, Section, Table, Tone, counted, pairs, span
from luodi.report.formatting import MISSING, at, count, part, text, texts, value
from luodi.scoring import choice
from luodi.scoring.metrics import METRICS, described

CLASSES = 10  # that are shown, the weakest
RESULTS: dict[str, tuple[str, Tone]] = {"critical": ("fails", "bad"), "warning": ("warns", "warn")}


@dataclass(frozen=True)
class Subject:
    """What is reviewed: a version, or what `dvc repro` made in a checkout.

    Attributes:
        name: Such as "reviews@v1.0.0", or "reviews in this checkout".
        facts: As the tag of a version holds them: metrics, data, params, decision; any part may be missing.
        landed: Whether it is a version.
    """

    name: str
    facts: Mapping[str, Any]
    landed: bool = False


def markdown(subject: Subject, other: Subject | None = None) -> str:
    """Return the review as Markdown with tables (GitHub Flavored Markdown), beside `other` if there is one."""
    return md.render("review", name=text(subject.name), sections=_sections(subject, other))


def html(subject: Subject, other: Subject | None = None) -> str:
    """Return the same as a page that loads nothing."""
    return page.render("review", name=text(subject.name), sections=_sections(subject, other))


def as_json(subject: Subject, other: Subject | None = None) -> dict[str, Any]:
    """Return the facts behind it."""
    found = {"name": subject.name, **subject.facts}
    return found if other is None else found | {"compared_to": {"name": other.name, **other.facts}}


def _sections(subject: Subject, other: Subject | None) -> list[Section]:
    changed = [_changes(subject, other)] if other else []
    decided = _decided(part(subject.facts, "decision"), subject.landed)
    return [*changed, *decided, _validation(subject.facts), _evaluation(subject.facts), _classes(subject.facts)]


def _decided(decision: Mapping[str, Any], landed: bool) -> list[Section]:
    """The verdict, what is behind it on the champion's test rows, and the rules; nothing where no gate judged."""
    if not decision:
        return []
    verdict = gate_sections.verdict(decision, landed=landed)
    why = [*filter(None, [verdict["warning"]]), *texts(decision, "reasons")]
    told = Section(f"Verdict: {verdict['word'].lower()}", verdict["meaning"], items=why)
    beside = (gate_sections.changes, gate_sections.compared, gate_sections.moved) if at(decision, "comparison") else ()
    return [told, *filter(None, (one(decision) for one in beside)), gate_sections.rules(decision)]


def _changes(subject: Subject, other: Subject) -> Section:
    settings = tags.differences(part(other.facts, "params"), part(subject.facts, "params"))
    ours, theirs = (part(one.facts, "metrics", "model") for one in (subject, other))
    names = [name for name in METRICS if name in ours or name in theirs]
    figures = [(Cell(described(name).title), span(at(ours, name)), span(at(theirs, name))) for name in names]
    rows = [
        (Cell(title), *(Cell(count(at(one.facts, *path))) for one in (subject, other)))
        for title, path in {"Rows read": ("data", "rows"), "Test rows": ("metrics", "rows")}.items()
    ]
    head = ("", text(subject.name), text(other.name))
    return Section(
        f"What differs from {text(other.name)}",
        items=[f"setting {text(line)}" for line in settings] or ["no setting"],
        tables=[Table([*figures, *rows], head, 2)],
        note="Each is measured on test rows of its own; `luodi gate` judges two models on the same rows.",
    )


def _validation(facts: Mapping[str, Any]) -> Section:
    data = part(facts, "data")
    listed = at(data, "findings")
    found = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list | tuple) else []
    broken = [one for one in found if at(one, "passed") is not True]
    whole = at(data, "rows")
    counts = [(name.capitalize(), counted(at(data, name), whole)) for name in ("clean", "quarantined", "duplicates")]
    held = f"{len(found) - len(broken)} of {len(found)} expectations hold." if found else f"Expectations: {MISSING}."
    tables = [pairs([("Rows read", count(whole)), *counts])]
    if broken:
        tables.append(Table([_finding(one) for one in broken], ("Expectation", "Expected", "Found", "Result")))
    return Section("Validation", held, tables=tables)


def _finding(finding: Mapping[str, Any]) -> tuple[Cell, ...]:
    word, tone = RESULTS.get(text(at(finding, "severity")), (MISSING, ""))
    return (*(Cell(text(at(finding, name))) for name in ("title", "expected", "found")), Cell(word, tone=tone))


def _evaluation(facts: Mapping[str, Any]) -> Section:
    metrics = part(facts, "metrics")
    chosen = part(metrics, "choice")
    lead = f"The model is {choice.sentence(chosen) if chosen else MISSING}. Test rows: {count(at(metrics, 'rows'))}."
    same = bool(metrics) and at(metrics, "model") == at(metrics, "baseline")
    note = "The model is the linear baseline itself: there is nothing to compare." if same else ""
    return Section("Evaluation", lead, tables=[gate_sections.beside_baseline(metrics)] if metrics else [], note=note)


def _classes(facts: Mapping[str, Any]) -> Section:
    classes = part(facts, "metrics", "classes")
    worst = sorted(classes, key=lambda name: (value(at(classes, name, "judged", "value")), name))[:CLASSES]
    rows = [(Cell(text(name)), Cell(count(at(classes, name, "judged", "rows"))), span(at(classes, name, "judged")))
            for name in worst]  # fmt: skip
    more = f"The {len(worst)} of lowest recall; {count(len(classes) - len(worst))} more."
    note = more if len(worst) < len(classes) else ""
    table = Table(rows, ("Class", "Judged by rows", "Recall"), 2)
    return Section(
        "Classes, weakest first",
        tables=[table] if rows else [],
        note=note if rows else f"Figures by class: {MISSING}.",
    )
