"""Tables for people at a terminal."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from luodi import terminal
from luodi.config.described import Setting
from luodi.config.encoders import Recorded
from luodi.nets.catalogue import Architecture
from luodi.registry import acting, gate_sections, tags
from luodi.registry.records import Decision, Look
from luodi.registry.tags import Move, Version
from luodi.report.formatting import MISSING, at, environment, known, part, text
from luodi.scoring.metrics import described, in_order
from luodi.terminal import shown, visible
from luodi.tuning import best

if TYPE_CHECKING:
    from luodi.monitoring.watch import Found
    from luodi.scaffold.history import Event
    from luodi.scaffold.replaying import Step
    from luodi.scoring.explaining import Explanation

CELL = 300  # characters of a value in a table
STRONGEST = 12  # parts of a text that are named


def show_result(result: Mapping[str, Any], reports: Path, index: Path) -> None:
    """Print what a run ended with: metrics, which model it is, verdict, version, reports, and the index of all."""
    from luodi.scoring import choice

    show_metrics(part(result, "metrics"))
    table = Table(show_header=False, box=None)
    if chosen := part(result, "metrics", "choice"):
        _row(table, "model", choice.sentence(chosen))
    _row(table, "verdict", result["verdict"])
    for reason in result["reasons"]:
        _row(table, "", reason)
    _row(table, "version", result["version"] or "none")
    _row(table, "one row", f"{_figure(at(result, 'latency_ms'), '{:.2f}')} ms on this machine")
    for report in sorted(reports.iterdir()):
        _row(table, "report", near(report))
    _row(table, "index", near(index))
    if result["version"]:
        _row(table, "next", f"`luodi sync {result['version'].partition('@')[0]}` brings it into this checkout")
    _print(table)


def show_data(model: str, events: "Sequence[Event]") -> None:
    """Print what became of a model's data, in order."""
    table = Table(title=f"data of {model}", box=box.SIMPLE)
    for column, justify in (("what", "left"), ("from", "left"), ("came", "right"), ("new", "right"),
                            ("held back", "right"), ("taken out", "right"), ("commit", "left")):  # fmt: skip
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for event in events:
        one, commit = event.arrival, event.commit
        taken = sum(map(len, one.out.values()))
        counts = (one.rows, one.new, one.held, taken) if one.batch else (event.rows, event.rows, MISSING, MISSING)
        where = ", ".join(one.files or one.shards)
        _row(table, one.what, where, *map(_count, counts), " ".join(commit) if commit else "not committed, or not here")
    _print(table)


def show_replay(model: str, steps: "Sequence[Step]") -> None:
    """Print what came of each batch."""
    table = Table(title=f"{model}, batch by batch", box=box.SIMPLE)
    for column in ("batch", "rows", "new", "held back", "drift", "test rows", "before", "after", "all test rows"):
        table.add_column(column, justify="left" if column in ("batch", "drift") else "right")
    for one in steps:
        if one.refused:
            _row(table, one.batch, *[""] * 3, one.refused, *[""] * 4)
        else:
            figures = ("" if value is None else f"{value:.4f}" for value in (one.before, one.after, one.whole))
            _row(table, one.batch, *map(_count, (one.rows, one.new, one.held)), one.drift, _count(one.test), *figures)
    _print(table)


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the model's metrics with their intervals beside the baseline's; of one class there is no ROC AUC."""
    model, baseline = part(metrics, "model"), part(metrics, "baseline")
    table = Table(title=f"{_figure(at(metrics, 'rows'), '{:,}')} test rows")
    for column, justify in (("metric", "left"), ("model", "right"), ("linear baseline", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for key in in_order(model):
        if key in baseline:
            _row(table, described(key).title, _interval(model[key]), _interval(baseline[key]))
    _print(table)


def show_versions(versions: Iterable[tuple[Version, Version | None]]) -> None:
    """Print registered versions, one a row, each beside the one that it is compared to."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("version", "stage", "metric", "baseline", "data", "params that differ", "registered"):
        # What is typed again stays whole in 80 columns too; the others break between words.
        whole = column in {"version", "stage", "baseline"}
        table.add_column(column, no_wrap=whole, min_width=10 if column == "registered" else 8)  # a date; a figure
    for version, before in versions:
        _row(
            table,
            version.name,
            version.standing,
            *_measured(version.facts),
            _data(version.facts),
            _differences(before, version),
            f"{version.registered:%Y-%m-%d %H:%M} {version.author}",
        )
    _print(table)


def show_version(version: Version, moves: Sequence[Move], folder: Path) -> None:
    """Print all that is known of a version; `folder` holds its cards."""
    facts = version.facts
    if metrics := part(facts, "metrics"):
        show_metrics(metrics)
    table = Table(show_header=False, box=None)
    _row(table, "version", f"{version.name} {version.standing}")
    _row(table, "registered", f"{version.registered:%Y-%m-%d %H:%M} by {version.author}")
    for name, value in _lineage(version).items():
        _row(table, name, value)
    for name, value in tags.flat(part(facts, "params")).items():
        _row(table, f"params {name}", str(value))
    for move in moves:
        if move.number == version.number:
            _row(table, "to production", f"{move.at:%Y-%m-%d %H:%M} by {move.by}{_moved(move)}")
    for page in sorted(folder.iterdir()):
        _row(table, "page", near(page))
    _print(table)


def show_decision(decision: Decision, report: Path | None = None, todo: str = "") -> None:
    """Print what the gate said: every rule, the challenger beside the champion, and what is to be done, if told."""
    if decision.checks:
        table = Table(title=f"against {shown(decision.champion or 'no version: the first')}")
        for column in ("rule", "expected", "found", ""):
            table.add_column(column)
        for check in decision.checks:
            became = "passed" if check.passed else "undecided" if check.undecided else "broken"
            _row(table, check.name, check.expected, check.found, became)
        _print(table)
    if comparison := decision.comparison:
        table = Table(title=f"{comparison.rows:,} test rows that neither was trained on")
        for column in ("metric", "challenger", "champion", "difference"):
            table.add_column(column)
        for key, sides in comparison.metrics.items():
            figures = (sides.challenger, sides.champion, sides.difference)
            _row(table, described(key).title, *(_interval(one.to_json()) for one in figures))
        _print(table)
    reasons = [shown(one, CELL) for one in (acting.reasons(decision.to_json()) if todo else decision.reasons)]
    told = [f"{acting.ADVICE}{shown(todo, 3 * CELL)}"] if todo else []
    print("\n  ".join([f"verdict: {decision.verdict}", *reasons, *told]))
    for change in decision.changes or ():
        if change.asks_less:
            print(f"asks less than it did of {shown(decision.champion or '')}: {shown(change.said, CELL)}")
    if decision.comparison and (look := decision.comparison.look):
        print(_look(look))
    facts = decision.to_json()
    if (worth := gate_sections.corrected(facts)) is not None:
        title = described(text(at(facts, "rule", "metric"))).title
        measured = _figure(at(facts, "comparison", "honest", "challenger", "measured"))
        print(f"{title} {measured} as measured, {_figure(worth)} corrected for having been picked")
    if report:
        print(f"report: {near(report)}")


def _look(look: Look) -> str:
    """What a judgement spent of the error budget."""
    if look.taken:
        left = gate_sections.left(look.left)
        return f"look {look.number} in {look.period} at these test rows: {left} of the error budget is left"
    return (
        f"judged as look {look.number} in {look.period} at these test rows would be; not counted, it spends nothing of "
        "the error budget, which does not cover what is chosen by such looks"
    )


def show_settings(settings: Sequence[Setting]) -> None:
    """Print settings as a table: name, value, where it comes from, what it is."""
    table = Table("setting", "value", "from", "what it is")
    for one in settings:
        _row(table, one.name, json.dumps(one.value, ensure_ascii=False), one.source, one.description)
    _print(table)


def show_trials(found: Mapping[str, Any]) -> None:
    """Print where a search stands: a row a trial, the best marked."""
    first, *others = found["metrics"]
    table = Table("trial", "state", first, *others, "epochs", "seconds", "values")
    for one in found["trials"]:
        value = "" if one["value"] is None else f"{one['value']:.4f}{' *' if one['trial'] == found['best'] else ''}"
        beside = [_figure(one["beside"].get(name)) for name in others]
        state = f"{one['state']}, front" if one["trial"] in found["front"] else one["state"]
        tried = one["why"] or best.told(one["values"])
        _row(table, one["trial"], state, value, *beside, one["epochs"], one["seconds"] or "", tried)
    _print(table)
    ended = sum(one["state"] != "running" for one in found["trials"])
    print(f"{ended} of {found['asked']} trials ended; study {found['study']} in {found['storage']}")


def show_architectures(architectures: Sequence[Architecture]) -> None:
    """Print the networks that `train.architecture` may name, one a row."""
    table = Table()
    for column in ("name", "modality", "parameters", "description"):
        table.add_column(column)
    for one in architectures:
        _row(table, one.name, one.modality, ", ".join(one.parameters), one.description)
    _print(table)


def show_encoders(known: Mapping[str, Recorded]) -> None:
    """Print the pretrained encoders of a project, one a row."""
    if not known:
        print("no encoder yet: `luodi encoder add DIR|FILE` adds one")
        return
    table = Table("name", "family", "weights", "vectors", "reads", "MB", "licence", "hash")
    for name, one in known.items():
        _row(
            table,
            name,
            one.family,
            f"{one.weights:,}",
            f"{one.width:,}",
            one.reads,
            f"{one.size_bytes / 1e6:.1f}",
            one.licence,
            one.md5[:8],
        )
    _print(table)


def show_monitor(found: "Found", report: Path) -> None:
    """Print what was found of a model in use."""
    table = Table(show_header=False, box=None)
    since = f" since {found.since:%Y-%m-%d %H:%M} UTC" if found.since else ""
    _row(table, "asked", f"{found.asked.rows:,} rows{since}; {found.production} is in production")
    for (version, role), one in found.asked.by().items():
        most = ", ".join(f"{label} {100 * count / one.rows:.0f}%" for label, count in one.labels.most_common(3))
        _row(table, role, f"{version}: {one.rows:,} rows, confidence {one.sure / one.rows:.4f}; {most}")
    told = [one for one in found.drift.statistics if one.verdict != "none"]
    few = "too few rows to tell" if not found.drift.statistics else found.drift.verdict
    _row(table, "drift", few)
    for stat in told:
        _row(table, "", f"{stat.name}: {stat.value:.3f} {stat.unit}, at least {stat.low:.3f}: {stat.verdict}")
    for live in found.live:
        figure = live.accuracy
        tested = f"; {live.tested['value']:.4f} of its test rows" if live.tested else ""
        _row(table, "right", f"{live.version} as {live.role}: {figure['value']:.4f} [{figure['low']:.4f}, "
             f"{figure['high']:.4f}] of {live.rows:,} labelled rows{tested}")  # fmt: skip
    for other in found.beside:
        agree = f"the same label on {100 * other.agree['value']:.1f}% of {other.pairs:,}; " if other.agree else ""
        gap = other.proof and other.proof.difference
        ahead = f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}], {other.standing}" if gap else "too few labels"
        _row(table, other.role, f"{other.version}: {agree}{ahead}")
    for line in found.done:
        _row(table, "done", line)
    _row(table, "worth", f"{len(found.worth):,} rows worth a label")
    _row(table, "report", near(report))
    _print(table)


def show_explanation(found: "Explanation", version: str) -> None:
    """Print what the parts of an item add to an answer: a text in colours, its strongest words; an image as a grid."""
    table = Table(show_header=False, box=None)
    table.add_row(version, f"{shown(found.label)} {found.probability:.4f}")
    most = max(map(abs, found.weights.tolist()), default=0.0) or 1.0
    if isinstance(found.whole, str):
        table.add_row("text", _coloured(found, most))
        order = sorted(found, key=lambda one: -abs(one[1]))[:STRONGEST]
        for title, sign in (("for it", 1), ("against", -1)):
            told = (f"{shown(found.whole[start:end])} {adds:+.2f}" for (start, end), adds in order if adds * sign > 0)
            table.add_row(title, "  ".join(told) or "nothing")
    else:
        rows = dict[int, Text]()
        for (top, *_), adds in found:
            rows.setdefault(top, Text()).append(f"{adds:+6.2f}", _shade(adds, most))
        for top, line in rows.items():
            table.add_row("regions" if top == 0 else "", line)
    _print(table)


def _coloured(found: "Explanation", most: float) -> Text:
    """The whole text, what stands between its parts plain."""
    text, done = Text(), 0
    for (start, end), adds in found:
        text.append(visible(found.whole[done:start])).append(visible(found.whole[start:end]), _shade(adds, most))
        done = end
    return text.append(visible(found.whole[done:]))


def _shade(adds: float, most: float) -> str:
    """Green for what adds much, red for what takes away much, bold where it is half of the most."""
    if abs(adds) < most / 8:
        return ""
    return f"{'bold ' if abs(adds) >= most / 2 else ''}{'green' if adds > 0 else 'red'}"


def near(path: Path) -> str:
    """The path as a person would type it here: relative if it lies below the working directory."""
    here = Path.cwd()
    return shown(path.relative_to(here) if path.is_relative_to(here) else path, CELL)


def _measured(facts: Mapping[str, Any]) -> tuple[str, str]:
    """The deciding metric of a version and of its baseline."""
    if not (metrics := part(facts, "metrics")):
        return "", ""
    metric = str(at(facts, "params", "gate", "metric") or "accuracy")
    return f"{metric} {_interval(at(metrics, 'model', metric))}", _figure(at(metrics, "baseline", metric, "value"))


def _data(facts: Mapping[str, Any]) -> str:
    data = part(facts, "data")
    return f"{_figure(at(data, 'rows'), '{:,}')} rows {text(at(data, 'hash'))[:8]}" if data else ""


def _differences(before: Version | None, after: Version) -> list[str]:
    old, new = part(before and before.facts, "params"), part(after.facts, "params")
    return tags.differences(old, new) if old and new else []


def _lineage(version: Version) -> dict[str, str]:
    """What a version came from, and who let it land, as lines of text."""

    def said(*path: str) -> str:
        return text(at(version.facts, *path))

    data, ms = part(version.facts, "data"), at(version.facts, "latency_ms")
    human = f" at {said('approval', 'at')} by {said('approval', 'by')}: {said('approval', 'comment')}"
    lines = {
        "code": said("commit"),
        "lock entries": version.commit,
        "model": said("export"),
        "data": data
        and f"{text(at(data, 'hash'))}, {_figure(at(data, 'rows'), '{:,}')} rows, of {said('data', 'dated')}",
        "environment": ", ".join(f"{name} {found}" for name, found in environment(version.facts).items()),
        "verdict": part(version.facts, "decision")
        and f"{said('decision', 'verdict')}, against {at(version.facts, 'decision', 'champion') or 'no version'}",
        "approval": part(version.facts, "approval")
        and f"{said('approval', 'mode')}{human if said('approval', 'mode') == 'human' else ''}",
        "one row": f"{ms:.2f} ms where it was judged" if known(ms) else "",
    }
    return {name: str(value or MISSING) for name, value in lines.items()}


def _moved(move: Move) -> str:
    action, came, reason = (at(move.facts, name) for name in ("action", "from", "reason"))
    words = (action and text(action), came and f"from {text(came)}", reason and text(reason))
    return f": {', '.join(filter(None, words))}" if any(words) else ""


def _interval(estimate: object) -> str:
    value, low, high = (_figure(at(estimate, part)) for part in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _figure(value: object, form: str = "{:.4f}") -> str:
    return form.format(value) if known(value) else MISSING


def _row(table: Table, *cells: object) -> None:
    """Add a row; a list is a cell of several lines, anything else of one, whatever it holds."""
    table.add_row(
        *("\n".join(shown(one, CELL) for one in (cell if isinstance(cell, list) else [cell])) for cell in cells)
    )


def _console(width: int | None = None) -> Console:
    """A console that shows text as it stands: reasons, comments and names are people's own, never markup."""
    return Console(file=terminal.bare(sys.stdout), width=width, markup=False, emoji=False, highlight=False)


def _print(table: Table) -> None:
    """Print a table whose cells are visible text; what else is in it is its own lines and colours."""
    console = _console()
    if console.is_terminal:
        console.print(table)
        return
    wide = _console(width=500)  # piped output has no 80 columns: what is searched in it stays whole
    with wide.capture() as captured:
        wide.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
