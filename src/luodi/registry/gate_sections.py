"""What the gate decided of a challenger, in sections for the model card, the comparison page and the approval."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from luodi import config
from luodi.registry import budget
from luodi.registry.records import Verdict
from luodi.report.document import Cell, Drawing, Pair, Section, Table, Tone, change, gap, pairs, span
from luodi.report.formatting import (
    MISSING,
    at,
    between,
    chance,
    count,
    four,
    known,
    level,
    number,
    part,
    percent,
    points,
    settings,
    share,
    text,
    texts,
    value,
)
from luodi.scoring.metrics import METRICS, described

Facts = Mapping[str, Any]

MOVED = 10  # classes and slices that are named first
VERDICTS: dict[str, Tone] = {
    Verdict.PROMOTE: "good",
    Verdict.HOLD: "bad",
    Verdict.INSUFFICIENT: "warn",
    Verdict.UNCHANGED: "good",
}
NONE = "none in production"


def champion(decision: Facts) -> str:
    """Name the champion that the decision was made against."""
    return NONE if "champion" in decision and decision["champion"] is None else text(at(decision, "champion"))


def metric(decision: Facts) -> str:
    """Name the metric that decides."""
    return described(text(at(decision, "rule", "metric"))).title.lower()


def verdict(decision: Facts, todo: str = "", *, landed: bool = False) -> dict[str, str]:
    """Return the verdict with its tone, what it means, and the figures behind it; of a version that `landed` by it.

    `todo` is what is to be done about it, see `luodi.registry.acting.todo`.

    A rule that asks less than it did is a warning: what it lets pass is green by that alone, perhaps.
    """
    word, eased = text(at(decision, "verdict")), loosened(decision)
    return {
        "tone": "warn" if eased and word == Verdict.PROMOTE else VERDICTS.get(word, "warn"),
        "word": f"Verdict {MISSING}" if word == MISSING else word.capitalize(),
        "meaning": _meanings(decision, landed=landed).get(word, ""),
        "evidence": _evidence(decision),
        "todo": todo,
        "warning": f"The gate asks less than it asked of {champion(decision)}: {'; '.join(eased)}." if eased else "",
    }


def loosened(decision: Facts) -> list[str]:
    """Rules that ask less of the challenger than they asked of the champion, with what they ask and both values."""
    found = at(decision, "changes")
    changed = found if isinstance(found, list | tuple) else []
    return [_in_words(text(at(one, "said"))) for one in changed if at(one, "asks_less") is True]


def _in_words(said: str) -> str:
    """Say what the setting asks that a change begins with: "gate.minimum 0.8 -> 0.7" and what it is."""
    block, _, name = said.partition(" ")[0].partition(".")
    blocks: dict[str, Any] = {"gate": config.Gate, "register": config.Register}
    field = blocks[block].model_fields.get(name.partition(".")[0]) if block in blocks else None
    return f"{said} ({field.description})" if field and field.description else said


def _meanings(decision: Facts, *, landed: bool) -> dict[str, str]:
    """Say what each verdict would mean here."""
    name = champion(decision) if at(decision, "champion") else ""
    better, worse = _claims(name or "the champion", value(at(decision, "rule", "margin")))
    difference = at(decision, "comparison", "difference")
    missed = known(at(difference, "high")) and difference["high"] < value(at(decision, "rule", "margin"))
    alone = f"could not be compared with {name}" if name else "had no champion to be compared with"
    proof = f"is proven {better}" if part(decision, "comparison") else alone
    doubt = f"These test rows cannot tell whether it is {better}" if part(decision, "comparison") else f"It {alone}"
    if absolute := _undecided(decision):
        doubt = f"It is not proven by its rows yet ({', '.join(absolute)})"
    return {
        Verdict.PROMOTE: f"It {proof}, keeps every rule, and {'landed' if landed else 'may land'}.",
        Verdict.HOLD: f"It may not land: it {f'is proven {worse}' if missed else 'breaks a rule'}.",
        Verdict.INSUFFICIENT: f"{doubt}: it {'landed by a person' if landed else 'does not land by itself'}.",
        Verdict.UNCHANGED: (
            f"It is {name or 'the champion'} itself: there is nothing to compare and nothing new to land."
        ),
    }


def _undecided(decision: Facts) -> list[str]:
    """Names of the rules for every version that the rows do not decide."""
    checks = at(decision, "checks")
    found = checks if isinstance(checks, list | tuple) else []
    return [
        text(at(one, "name"))
        for one in found
        if at(one, "undecided") is True and not re.match("difference from|exact ", text(at(one, "name")))
    ]


def _claims(name: str, margin: float) -> tuple[str, str]:
    """Say what a difference above the margin proves, and what one below it does."""
    if margin < 0:
        return (
            f"no worse than {name} by more than the margin allows",
            f"worse than {name} by more than the margin allows",
        )
    if margin > 0:
        return f"better than {name} by more than the margin", f"not to be better than {name} by the margin"
    return f"better than {name}", f"worse than {name}"


def _evidence(decision: Facts) -> str:
    """Say the difference that decides, and where its interval lies."""
    compared, rule = part(decision, "comparison"), part(decision, "rule")
    difference, name = at(compared, "difference"), text(at(rule, "metric"))
    if not known(at(difference, "value")):
        return ""
    ours, theirs = (four(at(compared, "metrics", name, who, "value")) for who in ("challenger", "champion"))
    said = (
        f"{described(name).title} {ours} against the champion's {theirs}: a difference "
        f"of {_points(difference)}, at confidence {level(at(rule, 'confidence'))}."
    )
    side, margin = _side(difference, at(rule, "margin")), number(at(rule, "margin"), "{:g}", 100)
    said = f"{said} The interval {side} the margin of {margin} points." if side else said
    asked, low = at(compared, "look", "confidence"), at(compared, "look", "low")
    said = f"{said} At {level(asked)}, which this look takes, it begins at {points(low)}." if known(low) else said
    worth = corrected(decision)
    return f"{said} Corrected for having been picked, it is {four(worth)}." if worth is not None else said


def corrected(decision: Facts) -> float | None:
    """What the metric of the gate is worth of a challenger that lands by it; None where nothing was picked by it."""
    honest = part(decision, "comparison", "honest", "challenger")
    worth = at(honest, "corrected")
    picked = at(decision, "verdict") == Verdict.PROMOTE and known(worth) and worth != at(honest, "measured")
    return worth if picked else None


def _points(difference: object) -> str:
    return f"{points(at(difference, 'value'))} points ({between(difference, '{:+.2f}', 100, ' to ')})"


def _reaching(decision: Facts) -> Facts:
    """The difference with the lower end that decides: at the confidence that a look takes, where it is one."""
    compared = part(decision, "comparison")
    low = at(compared, "look", "low")
    return {**part(compared, "difference"), **({"low": low} if known(low) else {})}


def _side(difference: object, margin: object) -> str:
    low, high = at(difference, "low"), at(difference, "high")
    if not (known(low) and known(high) and known(margin)):
        return ""
    if low > margin:
        return "lies above"
    return "lies below" if high < margin else "contains"


def tiles(decision: Facts) -> list[tuple[str, str]]:
    """Return the figures at the head of the comparison page, each with its name; none without a comparison."""
    found = part(decision, "comparison")
    tiles = [
        (count(at(found, "rows")), "Test rows scored by both"),
        (count(at(found, "excluded")), "Left out: the champion was trained on them"),
        (points(at(found, "difference", "value")), "Points of difference"),
        (f"p {chance(at(found, 'mcnemar', 'p'))}", "Exact McNemar test"),
    ]
    return tiles if found else []


def looks(decision: Facts) -> Section | None:
    """What this judgement spent of the error budget, what it takes to land, and what the figures are worth."""
    found = part(decision, "comparison")
    if not (look := part(found, "look")):
        return None
    rule, period = part(decision, "rule"), text(at(look, "period"))
    counted = (
        "counted"
        if at(look, "taken") is True
        else "by hand or in a dry run, not counted: it spends nothing, and lands nothing"
    )
    rows: list[Pair] = [
        ("This look", Cell(f"{count(at(look, 'number'))} of {period}", soft=counted)),
        ("Looks at these test rows, or at those of them that there were", count(at(look, "total"))),
        ("Confidence that it takes to land", level(at(look, "confidence"))),
        ("Left of the error budget", left(at(look, "left"))),
        (f"Landed in {period} by a person though undecided, outside of the budget", count(at(look, "approved"))),
    ]
    rate = level(at(rule, "false_landings", "rate"))
    lead = (
        f"The chance that any version lands in {period} which is not better than the margin asks is at most {rate}: "
        f"each look spends one part in {count(at(rule, 'false_landings', 'looks'))} of what is left."
    )
    return Section("Error budget", lead, tables=[pairs(rows), *_power(decision)])


def left(budget: object) -> str:
    """Say what is left of an error budget: something always is."""
    return "less than 0.1%" if known(budget) and 0 < budget < 0.0005 else percent(budget)


def worth(decision: Facts) -> Section | None:
    """What the figures are worth: corrected for having been picked, and on rows that none was picked by."""
    found, rule = part(decision, "comparison"), part(decision, "rule")
    tables = [*_honest(found, rule), *_apart(found, rule)]
    return Section("What the figures are worth", tables=tables) if tables else None


def _power(decision: Facts) -> list[Table]:
    """How much better a challenger has to be to land, at some looks of a period and at a single one."""
    gap, rule = at(decision, "comparison", "difference"), part(decision, "rule")
    try:
        gate = config.Gate.model_validate_json(json.dumps(rule))
    except ValueError:
        return []  # of another luodi
    half = (value(at(gap, "high")) - value(at(gap, "low"))) / 2
    asked = {"a single one": gate.confidence} | {
        f"{look} of a {gate.false_landings.per}": budget.confidence(gate, look - 1) for look in (1, 10, 50)
    }
    rows = [
        (
            Cell(name),
            Cell(level(one)),
            Cell(number(budget.needed(half, one, gate.confidence, gate.margin), "{:+.2f}", 100)),
        )
        for name, one in asked.items()
    ]
    rows_judged = count(at(decision, "comparison", "rows"))
    head = ("Look", "Confidence", "Points better to land 4 times in 5")
    return [Table(rows, head, 2, title=f"What it takes on {rows_judged} rows")] if half > 0 else []


def _honest(comparison: Facts, rule: Facts) -> list[Table]:
    found = part(comparison, "honest")
    rows = [
        (
            Cell(who.capitalize()),
            *(Cell(four(at(one, name))) for name in ("measured", "corrected")),
            Cell(text(at(one, "by"))),
        )
        for who, one in found.items()
    ]
    head = ("Who", "Measured", "Corrected for having been picked", "How")
    return (
        [Table(rows, head, title=f"{described(text(at(rule, 'metric'))).title}, measured and corrected")]
        if rows
        else []
    )


def _apart(comparison: Facts, rule: Facts) -> list[Table]:
    titles = {"fresh": "test rows that came after the champion was chosen", "newest": "newest rows"}
    return [table for name, title in titles.items() for table in _on(part(comparison, name), title, rule)]


def _on(fresh: Facts, title: str, rule: Facts) -> list[Table]:
    rows: list[Pair] = [
        ("Rows", count(at(fresh, "rows"))),
        *((who.capitalize(), span(at(fresh, who))) for who in ("challenger", "champion")),
        ("Difference", change(at(fresh, "difference"))),
    ]
    name = described(text(at(rule, "metric"))).title
    return [pairs(rows, f"{name} on the {title}")] if fresh else []


def changes(decision: Facts) -> Section | None:
    """What differs from the champion, a rule that asks less than it did first of all."""
    found = at(decision, "changes")
    if not isinstance(found, list | tuple) or not at(decision, "champion"):
        return None
    order = sorted(found, key=lambda one: at(one, "asks_less") is not True)
    rows = [
        (Cell("asks less", tone="warn") if at(one, "asks_less") is True else Cell(text(at(one, "of"))),
         Cell(_in_words(text(at(one, "said"))).replace("->", "→")))
        for one in order
    ]  # fmt: skip
    less = any(at(one, "asks_less") is True for one in found)
    lead = (
        "A rule asks less of this challenger than it asked of the champion: it may land by that alone." if less else ""
    )
    tables = [Table(rows, ("What", "Champion → challenger"))] if rows else []
    note = "" if rows else "Nothing: data, settings, rules, code and libraries are the same."
    return Section(f"What changed since {champion(decision)}", lead, tables=tables, note=note)


def compared(decision: Facts) -> Section | None:
    """Metrics beside the champion's or, where there is none, beside the linear baseline's."""
    found, metrics, rule = (part(decision, name) for name in ("comparison", "metrics", "rule"))
    if found:
        rows, confidence = count(at(found, "rows")), level(at(rule, "confidence"))
        lead = f"Both on the same test rows, by the same code. Rows: {rows}; confidence of the intervals: {confidence}."
        margins = {text(at(rule, "metric")): at(rule, "margin")}
        return Section("Metrics", lead, tables=[_figures(part(found, "metrics"), "challenger", "champion", margins)])
    lead = f"Beside the linear baseline, fitted on the same train rows. Test rows: {count(at(metrics, 'rows'))}."
    return Section("Metrics", lead, tables=[beside_baseline(metrics)]) if metrics else None


def rules(decision: Facts) -> Section:
    """Each rule of the gate: what it expects, what it found, whether it holds."""
    checks = at(decision, "checks")
    rows = [_check(one) for one in checks] if isinstance(checks, list | tuple) else []
    lead = "To its limit: how far what was found lies from it; what is below zero is missing." if rows else ""
    table = Table(rows, ("Rule", "Expected", "Found", "To its limit", "Result"))
    return Section("Rules", lead, tables=[table] if rows else [], note="" if rows else f"Rules: {MISSING}.")


def _check(check: object) -> tuple[Cell, ...]:
    passed = at(check, "passed")
    result = Cell(MISSING)
    if at(check, "undecided") is True:
        result = Cell("undecided", tone="warn")
    elif isinstance(passed, bool):
        result = Cell("passes", tone="good") if passed else Cell("fails", tone="bad")
    said = (Cell(text(at(check, name))) for name in ("name", "expected", "found"))
    return (*said, Cell(text(at(check, "room") or "–")), result)


def moved(decision: Facts) -> Section | None:
    """The classes and slices whose accuracy changed most, with corrected intervals; None where none was measured."""
    found = at(decision, "comparison", "slices")
    told = [one for one in found if known(at(one, "low")) and known(at(one, "high"))] if found else []
    if not told:
        return None
    most = [one for one in told if value(at(one, "difference"))]
    most = sorted(most, key=lambda one: -abs(value(at(one, "difference"))))[:MOVED]
    reach = max((abs(value(at(one, end))) for one in most for end in ("low", "high")), default=0)
    figures = [{"value": at(one, "difference"), "low": at(one, "low"), "high": at(one, "high")} for one in most]
    standings = [_standing(one, 1) for one in figures]
    rows = [
        (
            Cell(f"{text(at(one, 'by'))} {text(at(one, 'name'))}"),
            Cell(count(at(one, "rows"))),
            *(Cell(percent(at(one, who))) for who in ("champion", "challenger")),
            Cell(points(figure["value"]), between(figure, "{:+.2f}", 100, " to ")),
            standing,
        )
        for one, figure, standing in zip(most, figures, standings, strict=True)
    ]
    lost, won = (sum(standing.text == word for standing in map(_proven, told)) for word in ("worse", "better"))
    lead = (
        f"Of {count(len(told))} classes and slices with rows enough, {count(won)} are proven better and {count(lost)} "
        "worse. Of a class it is recall; intervals are corrected for the number of parts."
    )
    drawn = [gap(figure, standing.tone, reach=reach) for figure, standing in zip(figures, standings, strict=True)]
    head = ("Part", "Rows", "Champion", "Challenger", "Points", "The challenger is")
    return Section(
        "What moved most",
        lead,
        tables=[Table(rows, head, 4, drawn, "Worse left, better right", stacked=True)] if rows else [],
        note="" if rows else "None moved.",
    )


def judged(decision: Facts, todo: str = "", *, landed: bool = False) -> dict[str, str]:
    """Return the verdict for a page beside that of the comparison: what the gate said, and what a person may do."""
    said = verdict(decision, todo, landed=landed)
    alone = "Nothing was in production before it: this is the first version." if champion(decision) == NONE else ""
    return {**said, "word": f"The gate says {said['word'].lower()}", "evidence": said["evidence"] or alone}


def since(decision: Facts) -> list[Section]:
    """What changed since the champion, for a page beside that of the comparison: what differs, and each class."""
    return [one for one in (changes(decision), classes(decision)) if one]


def classes(decision: Facts) -> Section | None:
    """The recall of every class beside the champion's, what it lost most of first; None without a comparison."""
    found = at(decision, "comparison", "slices")
    told = [one for one in found if at(one, "by") == "class"] if isinstance(found, list | tuple) else []
    if not told:
        return None
    told.sort(key=lambda one: value(at(one, "difference")))
    head = ("Class", "Test rows", "Champion", "This model", "Points", "The model is")
    rows = [
        (
            Cell(text(at(one, "name"))),
            Cell(count(at(one, "rows"))),
            *(Cell(percent(at(one, who))) for who in ("champion", "challenger")),
            Cell(points(at(one, "difference")), _ends(one)),
            _proven(one) if known(at(one, "low")) else Cell("too few rows" if at(one, "judged") is False else MISSING),
        )
        for one in told
    ]
    lead = (
        f"Recall on the {count(at(decision, 'comparison', 'rows'))} test rows "
        "that both were scored on; intervals are corrected for the number of classes."
    )
    return Section(f"Classes since {champion(decision)}", lead, tables=[Table(rows, head, 4, stacked=True)])


def _ends(one: object) -> str:
    ends = {"low": at(one, "low"), "high": at(one, "high")}
    return between(ends, "{:+.2f}", 100, " to ") if known(ends["low"]) else ""


def _proven(one: object) -> Cell:
    return _standing({"low": at(one, "low"), "high": at(one, "high")}, 1)


def slices(decision: Facts) -> Section | None:
    """Accuracy of both on parts of the test rows, beside the guardrail; None without a comparison."""
    found, rule = at(decision, "comparison", "slices"), part(decision, "rule")
    if not isinstance(found, list | tuple) or not found:
        return None
    most = at(rule, "max_slice_loss")
    limit = -most if known(most) else None
    reach = max(abs(value(one)) for one in (limit, *(at(each, "difference") for each in found)))
    guards = [_guard(at(one, "judged"), _lost(one), limit) for one in found]
    table = Table(
        [_slice(one, guard) for one, guard in zip(found, guards, strict=True)],
        ("Slice", "Rows", "Challenger", "Champion", "Points", "Guardrail"),
        4,
        [_from_zero(at(one, "difference"), guard.tone, limit, reach) for one, guard in zip(found, guards, strict=True)],
        "Difference, zero and limit",
    )
    lead = (
        f"Accuracy on parts of the test rows. No slice of at least {count(at(rule, 'min_slice_rows'))} rows may lose "
        f"more than {number(most, '{:g}', 100)} points; a class loses too much where its interval, corrected for the "
        "number of classes, lies beyond them."
    )
    return Section("Slices", lead, tables=[table])


def _slice(one: object, guard: Cell) -> tuple[Cell, ...]:
    shares = (Cell(percent(at(one, who))) for who in ("challenger", "champion"))
    name = Cell(f"{text(at(one, 'by'))} {text(at(one, 'name'))}")
    return (name, Cell(count(at(one, "rows"))), *shares, Cell(points(at(one, "difference"))), guard)


def _lost(one: object) -> object:
    """What is held against the limit: of a class the end of its interval, of any other slice the difference itself."""
    return at(one, "high") if at(one, "by") == "class" and known(at(one, "high")) else at(one, "difference")


def _guard(judged: object, difference: object, limit: float | None) -> Cell:
    if judged is False:
        return Cell("too few rows")
    if judged is not True or limit is None or not known(difference):
        return Cell(MISSING)
    return Cell("loses too much", tone="bad") if difference < limit else Cell("passes", tone="good")


def _from_zero(difference: object, tone: Tone, limit: float | None, reach: float) -> Drawing | None:
    ends = {"low": min(value(difference), 0), "value": difference, "high": max(value(difference), 0)}
    return gap(ends, "bad" if tone == "bad" else "", limit, reach)


def noted(decision: Facts) -> list[str]:
    """Return what the gate remarked on its comparison."""
    return list(dict.fromkeys([*texts(decision, "notes"), *texts(decision, "comparison", "notes")]))


def notes(decision: Facts) -> Section | None:
    """The same as a section, None if there is nothing to say."""
    return Section("Notes", items=found) if (found := noted(decision)) else None


def rule(decision: Facts) -> Section:
    """The settings that the gate judged by."""
    rows = list(settings(part(decision, "rule")))
    note = "" if rows else f"Settings of the gate: {MISSING}."
    return Section("Settings of the gate", tables=[pairs(rows)] if rows else [], note=note)


def mcnemar(decision: Facts) -> dict[str, Any] | None:
    """Return the 2 x 2 table as rows of (count, percentage, share of all rows from 0 to 1), and the chance p."""
    table = part(decision, "comparison", "mcnemar")
    both, challenger, champion, neither = (at(table, who) for who in ("both", "challenger", "champion", "neither"))
    whole = sum(map(value, (both, challenger, champion, neither)))

    def cells(*counts: object) -> list[tuple[str, str, float]]:
        return [(count(one), share(one, whole), value(one) / (whole or 1)) for one in counts]

    found = {
        "rows": [("Challenger right", cells(both, challenger)), ("Challenger wrong", cells(champion, neither))],
        "only": (count(challenger), count(champion)),
        "p": chance(at(table, "p")),
    }
    return found if table else None


def plot(decision: Facts) -> dict[str, Any] | None:
    """Return the interval of the difference, zero and the margin as places from 0 to 1 on an axis with ticks."""
    figure, margin = _reaching(decision), at(decision, "rule", "margin")
    ends = [at(figure, name) for name in ("low", "value", "high")]
    if not all(map(known, ends)):
        return None
    inside: list[float] = [0.0, *ends, value(margin)]
    pad = 0.12 * (max(inside) - min(inside)) or 0.01
    start, width = min(inside) - pad, max(inside) - min(inside) + 2 * pad

    def place(one: float) -> float:
        return (one - start) / width

    return {
        **dict(zip(("low", "value", "high"), map(place, ends), strict=True)),
        "zero": place(0),
        "margin": place(margin) if known(margin) else None,
        "ticks": [(place(one), number(one, "{:+g}", 100) if one else "0") for one in _ticks(start, width)],
        "label": _points(figure),
        "asked": level(at(decision, "comparison", "look", "confidence"))
        if part(decision, "comparison", "look")
        else "",
        "tone": {"lies above": "good", "lies below": "bad"}.get(_side(figure, margin), "warn"),
    }


def _ticks(start: float, width: float) -> list[float]:
    """Return three to six round numbers between `start` and `start` + `width`."""
    power = 10.0 ** math.floor(math.log10(width / 5))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= width / 5.01)
    places = range(math.ceil(start / step), math.floor((start + width) / step) + 1)
    return [round(place * step, 12) for place in places]


def beside_baseline(metrics: Facts) -> Table:
    """The figures of metrics.json: the model's, the baseline's, their difference."""
    who = ("model", "baseline", "difference")
    names = dict.fromkeys(name for one in who for name in part(metrics, one))
    figures = {name: {one: at(metrics, one, name) for one in who} for name in names}
    return _figures(figures, "model", "baseline")


def _figures(figures: Facts, first: str, second: str, margins: Facts | None = None) -> Table:
    """A line for each figure {first, second, difference}; `margins` is {figure: what its difference must exceed}."""
    names = [*METRICS, *sorted(name for name in figures if name not in METRICS)]
    rows, drawn = [], []
    for name in names:
        title, better, meaning = described(name)
        difference = at(figures, name, "difference")
        standing = _standing(difference, better)
        values = [span(at(figures, name, one)) for one in (first, second)]
        rows.append((Cell(text(title), below=text(meaning) if meaning else ""), *values, change(difference), standing))
        drawn.append(gap(difference, standing.tone, at(margins, name)))
    head = ("Metric", first.capitalize(), second.capitalize(), "Difference", f"The {first} is")
    return Table(rows, head, 3, drawn, "Difference and zero", stacked=True)


def _standing(difference: object, better: int) -> Cell:
    """Say whether an interval leaves out zero; `better` is 1 or -1, the sign of what is better."""
    low, high = at(difference, "low"), at(difference, "high")
    if not (known(low) and known(high)):
        return Cell(MISSING)
    if not better:
        return Cell("–")  # a figure of which this page does not know what is better
    ends = sorted((low * better, high * better))
    if ends[0] > 0:
        return Cell("better", tone="good")
    return Cell("worse", tone="bad") if ends[1] < 0 else Cell("no clear difference", tone="warn")


ALL = (looks, worth, compared, slices, notes, rule)
"""Of the page of a comparison, in its order, below what changed, the rules, and the rows."""
