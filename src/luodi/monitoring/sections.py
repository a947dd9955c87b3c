"""The page of what is asked of a model: what is wrong first, then drift, time, accuracy, versions, rows to label."""

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

from luodi.checks.drift import Looked
from luodi.monitoring.asked import Tally
from luodi.report import page as pages
from luodi.report.document import Cell, Section, Table, Tone, change, meter, percents
from luodi.serving import log
from luodi.terminal import shown

if TYPE_CHECKING:
    from luodi.monitoring.watch import Found

TONES: dict[str, Tone] = {"drift": "bad", "warning": "warn", "none": "good"}
STANDING: dict[str, tuple[str, Tone]] = {
    "better": ("proven better", "good"), "worse": ("proven worse", "bad"), "undecided": ("undecided", ""),
}  # fmt: skip
CLASSES = 5  # of which shares are shown
DAYS = 30  # that are shown, the last
EXAMPLES = 20
LONGEST = 160  # characters of a text


def page(found: "Found", kind: str) -> str:
    """Return the page, which loads nothing."""
    parts = [_versions(found), _drift(found.drift), _days(found), _live(found), _beside(found), _worth(found, kind)]
    tiles = [
        (f"{found.asked.rows:,}", "rows asked and answered"),
        (f"{len(found.asked.days):,}", "days of versions"),
        (f"{found.joined:,}", "with a true label"),
    ]
    reasons = [*found.alarms, *(f"done, {line}" for line in found.done)]
    return pages.render(
        "monitor", name=f"{found.model} in use", verdict=_verdict(found), reasons=reasons, tiles=tiles,
        sections=[one for one in parts if one],
    )  # fmt: skip


def _verdict(found: "Found") -> dict[str, str]:
    when = f"since {found.since:%Y-%m-%d %H:%M} UTC" if found.since else "in the log"
    asked = f"{found.asked.rows:,} rows {when}; {found.production} is in production."
    if found.alarms:
        return _said("bad", "Look at this", asked)
    if not found.drift.statistics:
        few = f"Too few rows to compare: {found.drift.rows:,} that can be used, beside {found.drift.before:,}."
        return _said("warn", "Nothing is told yet", f"{few} {asked}")
    if found.drift.verdict == "none":
        return _said("good", "No drift is proven", asked)
    return _said("warn", "A warning", f"What is asked differs from what the model was trained on. {asked}")


def _said(tone: str, word: str, meaning: str) -> dict[str, str]:
    return {"tone": tone, "word": word, "meaning": meaning, "warning": "", "evidence": ""}


def _versions(found: "Found") -> Section:
    rows = [
        (Cell(version), Cell(role), Cell(f"{one.rows:,}"), Cell(f"{one.sure / one.rows:.4f}"),
         Cell(f"{one.ms / one.rows:.2f} ms")) for (version, role), one in found.asked.by().items()
    ]  # fmt: skip
    return Section(
        "Who answered",
        tables=[Table(rows, ("Version", "Role", "Rows", "Mean confidence", "Mean time of a request"), 0)],
        note="A shadow's answers went to nobody.",
    )


def _drift(found: Looked) -> Section | None:
    if not found.statistics:
        return None
    rows = [
        (Cell(one.name, below=one.unit), Cell(one.verdict, tone=TONES[one.verdict]), Cell(f"{one.value:.3f}"),
         Cell(f"{one.low:.3f}"), Cell(f"{one.warns:g}, {one.alarms:g}")) for one in found.statistics
    ]  # fmt: skip
    return Section(
        "Beside what it was trained on",
        f"{found.rows:,} rows that were asked beside {found.before:,} train rows of the version in production; labels "
        "and confidence are those that it gives to either, of its test rows for the trained side.",
        tables=[Table(rows, ("Of", "Result", "Found", "At least", "Warns, alarms above"), 0)],
        note="The least that a difference may be decides, with the confidence of drift.confidence over all lines.",
    )


def _days(found: "Found") -> Section:
    days: dict[date, Tally] = {}
    for (day, (_, role)), tally in sorted(found.asked.days.items()):
        if role != log.SHADOW:
            days.setdefault(day, Tally()).add(tally)
    total: Counter[str] = Counter()
    for one in days.values():
        total.update(one.labels)
    names = [label for label, _ in total.most_common(CLASSES)]
    shown_days = list(days.items())[-DAYS:]
    rows = [
        (Cell(f"{day:%Y-%m-%d}"), Cell(f"{one.rows:,}"), Cell(f"{one.sure / one.rows:.4f}"),
         *(Cell(f"{100 * one.labels[name] / one.rows:.1f}%") for name in names)) for day, one in reversed(shown_days)
    ]  # fmt: skip
    more = f" The {len(names)} most frequent of {len(total)} classes." if len(names) < len(total) else ""
    cut = f" The last {DAYS} of {len(days)} days." if len(shown_days) < len(days) else ""
    head = ("Day", "Rows", "Confidence", *(shown(name, 14) for name in names))
    return Section("Over time", f"Rows, mean confidence and the share of each class that was answered, by day in UTC."
                   f"{more}{cut}", tables=[Table(rows, head, len(head) - 1)])  # fmt: skip


def _live(found: "Found") -> Section | None:
    if not found.truths.known:
        return None
    left = f" {len(found.truths.chosen):,} labels are of rows that were chosen because of what was answered: how often "
    left += "a model is right on these tells nothing of all rows, and they are left out here."
    rows = [
        (Cell(one.version), Cell(one.role), Cell(f"{one.rows:,}"), percents(one.accuracy),
         percents(one.tested) if one.tested else Cell("not recorded")) for one in found.live
    ]  # fmt: skip
    head = ("Version", "Role", "Rows", "Live accuracy", "On its test rows")
    return Section(
        "Where the true label is known",
        f"{found.joined:,} of {len(found.truths.known):,} labels have their row in the log."
        + (left if found.truths.chosen else ""),
        tables=[Table(rows, head, 0, [meter(one.accuracy) for one in found.live], "0 to 100%")] if rows else [],
    )


def _beside(found: "Found") -> Section | None:
    if not found.beside:
        return None
    rows = [
        (Cell(one.version), Cell({"before": "was in production"}.get(one.role, one.role)), Cell(f"{one.pairs:,}"),
         percents(one.agree) if one.agree else Cell("–"), Cell(f"{one.proof.rows:,}" if one.proof else "too few"),
         change(one.proof.difference.to_json()) if one.proof else Cell("–"),
         Cell(STANDING[one.standing][0], tone=STANDING[one.standing][1])) for one in found.beside
    ]  # fmt: skip
    head = ("Version", "As", "Answered both", "Same label", "Known labels", "Ahead of production by", "So it is")
    return Section(
        f"Beside {found.production}",
        "Both score the rows whose label is known anew; the interval is that of the gate, with the confidence that its "
        "error budget asks of this look.",
        tables=[Table(rows, head, 0, stacked=True)],
    )


def _worth(found: "Found", kind: str) -> Section | None:
    if not found.worth:
        return None
    counts = Counter(one.why for one in found.worth)
    rows = [
        (Cell(shown(one.item, LONGEST) if isinstance(one.item, str) else f"{one.request}, item {one.item_number}"),
         Cell(one.why), Cell(one.label, f"{100 * one.sure:.1f}%")) for one in _some(found.worth)
    ]  # fmt: skip
    return Section(
        "Rows worth a label",
        f"{len(found.worth):,}: {', '.join(f'{count} {why}' for why, count in counts.items())}. They lie beside this "
        f"page: worth.csv, which `luodi ingest {found.model}` takes once it is labelled, and worth.json with worth.xml "
        "for Label Studio.",
        tables=[Table(rows, (kind.capitalize(), "Why", "Answered"), 0)],
    )


def _some(found: list) -> list:  # type: ignore[type-arg]
    """Of each reason as many, at most `EXAMPLES` of all."""
    turn: Counter[str] = Counter()
    placed = []
    for one in found:
        placed.append((turn[one.why], one))
        turn[one.why] += 1
    return [one for _, one in sorted(placed, key=lambda pair: pair[0])[:EXAMPLES]]
