"""The model card and the page of the gate's decision, as HTML and Markdown: pure functions of the facts of a version.

Nothing is invented: a fact that is missing, or is not what it should be, is shown as "not recorded".
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from luodi.registry import acting, changed_answers, gate_sections, training_record
from luodi.report import markdown as md
from luodi.report import page
from luodi.report.document import Cell, Pair, Section, Table, bar, counted, meter, pairs, percents, span
from luodi.report.formatting import (
    MISSING,
    at,
    between,
    chance,
    count,
    environment,
    four,
    known,
    level,
    moment,
    number,
    part,
    percent,
    settings,
    text,
    texts,
    value,
)
from luodi.scoring import choice
from luodi.scoring.metrics import described

Facts = Mapping[str, Any]

SPLITS = ("train", "validation", "test")
WEAKEST = 3
UNTOLD = 0.01  # of the rows read: of more that were held back, as of many with two labels, a reader has to know
NO_ROWS: changed_answers.Rows = {}


def html(name: str, registered: datetime, author: str, facts: Facts, status: str = "") -> str:
    """Return the model card of a version as a page that loads nothing.

    Args:
        name: Model and number, such as "reviews@v1.2.0".
        registered: When its tag was made; without a time zone it is shown as it stands.
        author: Who made the tag.
        facts: The JSON object of the tag; any part of it may be missing.
        status: What became of it, a sentence; empty where nobody knows.
    """
    return page.render("card", tiles=_tiles(facts), **_card(name, registered, author, facts, status))


def markdown(name: str, registered: datetime, author: str, facts: Facts, status: str = "") -> str:
    """Return the same as Markdown with tables (GitHub Flavored Markdown)."""
    return md.render("card", **_card(name, registered, author, facts, status))


def comparison(
    model: str, decision: Facts, rows: changed_answers.Rows = NO_ROWS, *, todo: str = "", landed: bool = False
) -> str:
    """Return what the gate decided of a challenger, and why, as a page that loads nothing.

    Args:
        model: Name of the model.
        decision: See `luodi.registry.records.Decision`, as JSON; any part of it may be missing.
        rows: What those that are newly right or wrong hold, see `changed_answers.read`; none where they are away.
        todo: What is to be done about it, see `luodi.registry.acting.todo`.
        landed: Whether it is that of a version.
    """
    return page.render(
        "comparison",
        model=text(model),
        champion=gate_sections.champion(decision),
        verdict=gate_sections.verdict(decision, todo, landed=landed),
        reasons=acting.reasons(decision),
        changes=gate_sections.changes(decision),
        tiles=gate_sections.tiles(decision),
        plot=gate_sections.plot(decision),
        mcnemar=gate_sections.mcnemar(decision),
        metric=gate_sections.metric(decision),
        rules=gate_sections.rules(decision),
        moved=gate_sections.moved(decision),
        turned=changed_answers.view(decision, rows),
        against=changed_answers.against(decision),
        sections=[section(decision) for section in gate_sections.ALL],
    )


def summary(decision: Facts, todo: str = "") -> str:
    """Return the decision as short Markdown for the form of an approval: verdict, reasons, figures, rules, notes."""
    parts = (
        gate_sections.changes,
        gate_sections.compared,
        gate_sections.rules,
        gate_sections.moved,
        gate_sections.looks,
        gate_sections.worth,
        gate_sections.notes,
    )
    sections = [section(decision) for section in parts]
    return md.render(
        "summary",
        verdict=gate_sections.verdict(decision, todo.replace("`", "")),
        reasons=acting.reasons(decision),
        sections=list(filter(None, sections)),
    )


# The card


def _card(name: str, registered: datetime, author: str, facts: Facts, status: str) -> dict[str, Any]:
    sections = (
        _landing,
        _changes,
        _data,
        _splits,
        _metrics,
        _classes,
        _slices,
        _calibration,
        _against,
        _looks,
        _worth,
        _limits,
    )
    return {
        "name": text(name),
        "registered": moment(registered.isoformat()),
        "author": text(author),
        "status": status,
        "verdict": gate_sections.verdict(part(facts, "decision"), landed=True),
        "sections": [_about(facts, author)]
        + [
            found
            for section in (*sections, _compression, training_record.section, _serving, _lineage, _settings)
            if (found := section(facts))
        ]
        + [_use(text(name), facts)],
    }


def _use(name: str, facts: Facts) -> Section:
    """The commands by which it answers, is taken along and is made again."""
    model, commit = name.partition("@")[0], at(facts, "commit")
    asked, answer = _asked(name, facts)
    again = f"git checkout {text(commit)} && dvc pull data.dvc && dvc repro evaluate@{model}" if commit else MISSING
    rows: list[Pair] = [
        ("Ask it", Cell(asked, code=True)),
        *([("It answers", answer)] if answer else []),
        ("Take it along", Cell(f"luodi pull {name} FOLDER", code=True)),
        ("Make it again", Cell(again, code=True)),
    ]
    note = "What is asked here is made up; the answer was computed by this model when it landed." if answer else ""
    return Section("Commands", tables=[pairs(rows)], note=note)


def _asked(name: str, facts: Facts) -> tuple[str, str]:
    """The command that asks the model, and what it answered to that; of an older luodi's a pattern, and nothing."""
    given, answer = at(facts, "example", "given"), part(facts, "example", "answer")
    told = ", ".join(f"{text(label)} {percent(share)}" for label, share in answer.items())
    if told and isinstance(given, str):
        dash = "-- " if given.startswith("-") else ""
        return f"luodi predict {name} {dash}{shlex.quote(text(given))}", told
    if told and isinstance(given, list) and len(given) == 2 and all(map(known, given)):
        make = f"from PIL import Image; Image.new('L', ({given[0]}, {given[1]}), 128).save('grey.png')"
        return f'python -c "{make}" && luodi predict {name} --input grey.png', told
    item = {"text": '"TEXT"'}.get(text(at(facts, "params", "modality")), "--input FILE")
    return f"luodi predict {name} {item}", ""


def _tiles(facts: Facts) -> list[tuple[str, str]]:
    model, decides = part(facts, "metrics", "model"), text(at(facts, "params", "gate", "metric"))
    second = decides if decides in model and decides != "accuracy" else "macro_f1"
    worth = gate_sections.corrected(part(facts, "decision"))
    return [
        *((four(at(model, name, "value")), text(described(name).title)) for name in ("accuracy", second)),
        *([(four(worth), f"{text(described(decides).title)}, corrected for having been picked")] if worth else []),
        (four(at(model, "calibration_error", "value")), "Calibration error"),
        (count(at(facts, "metrics", "rows")), "Test rows"),
        (number(at(facts, "latency_ms"), "{:.2f} ms"), "One prediction"),
        (number(at(facts, "metrics", "size_bytes"), "{:.2f} MB", 1e-6), "Exported model"),
    ]


def _about(facts: Facts, author: str) -> Section:
    params = part(facts, "params")
    contact = at(params, "card", "contact") or f"{text(author)}, who registered it"
    labels = ", ".join(texts(params, "labels"))
    rows = [
        ("Intended use", text(at(params, "card", "intended_use"))),
        ("Not for", "; ".join(texts(params, "card", "out_of_scope")) or MISSING),
        ("Input", text(at(params, "modality"))),
        ("Output", f"a probability for each of: {labels}" if labels else MISSING),
        ("Architecture", text(at(params, "train", "architecture"))),
        ("Model", choice.sentence(chosen) if (chosen := part(facts, "metrics", "choice")) else MISSING),
        ("Owner", text(at(params, "owner"))),
        ("Contact", text(contact)),
    ]
    return Section("What it is for", tables=[pairs(rows)])


def _landing(facts: Facts) -> Section:
    decision, approval = part(facts, "decision"), part(facts, "approval")
    rows = [("Verdict of the gate", text(at(decision, "verdict"))), ("Champion", gate_sections.champion(decision))]
    if at(approval, "mode") == "human":
        comment = "none" if at(approval, "comment") == "" else text(at(approval, "comment"))
        rows += [("Approved by", text(at(approval, "by"))), ("Approved at", moment(at(approval, "at")))]
        rows += [("Comment", comment)]
    else:
        alone = "the gate alone, by register.approval: auto"
        rows += [("Approved by", alone if at(approval, "mode") == "auto" else MISSING)]
    rules = gate_sections.rules(decision)
    return Section(
        "Verdict and approval",
        items=texts(decision, "reasons"),
        tables=[pairs(rows), *rules.tables],
        note=rules.note,
    )


def _changes(facts: Facts) -> Section | None:
    return gate_sections.changes(part(facts, "decision"))


def _data(facts: Facts) -> Section:
    data, summary = part(facts, "data"), part(facts, "data", "summary")
    read, dropped = at(data, "rows"), part(summary, "dropped")
    steps = [
        ("Rows read", read),
        ("Quarantined by validation", at(data, "quarantined")),
        *([(f"Dropped: {text(reason)}", rows) for reason, rows in dropped.items()] or [("Dropped", None)]),
        ("Rows kept", at(summary, "rows")),
    ]
    rows: list[Pair] = [
        ("As of", moment(at(data, "dated"))),
        ("Hash (MD5)", Cell(text(at(data, "hash")), code=True)),
        ("Licence", text(at(facts, "params", "card", "licence"))),
        ("Personal data", Cell(text(at(facts, "params", "card", "personal_data")), soft=_masked(part(data, "masked")))),
    ]
    return Section("Data", tables=[pairs(rows), _shares("Step", steps, read, "Of the rows read"), _sources(facts)])


def _masked(counts: Facts) -> str:
    """Say what preprocessing masked, where validation counted it."""
    told = ", ".join(f"{text(token)} in {count(rows)} rows" for token, rows in counts.items())
    return f"masked by preprocessing: {told}" if told else ""


def _sources(facts: Facts) -> Table:
    sources = sorted(part(facts, "sources").items(), key=lambda one: (-value(one[1]), one[0]))
    rows = [(text(name), rows) for name, rows in sources] or [(MISSING, None)]
    return _shares("Source", rows, at(facts, "data", "summary", "rows"), "Of the rows kept")


def _shares(head: str, rows: list[tuple[str, Any]], whole: object, scale: str) -> Table:
    cells = [(Cell(name), counted(rows, whole)) for name, rows in rows]
    return Table(cells, (head, "Rows"), 1, [bar(rows, whole) for _, rows in rows], scale)


def _splits(facts: Facts) -> Section:
    kept, preprocess = part(facts, "data", "summary", "kept"), part(facts, "params", "preprocess")
    shares = part(preprocess, "shares")
    named = {"test": at(preprocess, "test_source"), "validation": at(preprocess, "validation_source")}
    rows = [
        ("Seed", text(at(preprocess, "seed"))),
        ("Shares", ", ".join(f"{text(name)} {text(shares[name])}" for name in _in_order(shares)) or MISSING),
    ]
    hashed = f"A hash of {_hashed(part(preprocess, 'split'))} puts each row into its split"
    if of := [f"the rows of source {text(source)} are the {split} split" for split, source in named.items() if source]:
        hashed = f"T{' and '.join(of)[1:]}; a hash of {_hashed(part(preprocess, 'split'))} splits each other row"
    return Section(
        "Splits",
        f"{hashed}: none changes sides as data grows, and no duplicate stands on two of them." if preprocess else "",
        tables=[pairs(rows), *([_split_table(facts, kept)] if kept else [])],
        note="A label's percentage is its share of the split; that of the last line is the split's share of all rows."
        if kept
        else f"Rows by split and label: {MISSING}.",
    )


def _hashed(split: Facts) -> str:
    """Name what a row is split by."""
    grouped = at(split, "by") or at(split, "pattern") or at(split, "near_copies") == "join"
    return "what the first row of its group holds" if grouped else "its content"


def _in_order(splits: Facts) -> list[str]:
    return sorted(splits, key=lambda split: (SPLITS.index(split) if split in SPLITS else len(SPLITS), split))


def _split_table(facts: Facts, kept: Facts) -> Table:
    splits = _in_order(kept)
    counts = [part(kept, split) for split in splits]
    totals = [sum(map(value, labels.values())) for labels in counts]
    rows = [
        (Cell(text(label)), *(counted(one.get(label), total) for one, total in zip(counts, totals, strict=True)))
        for label in _labels(facts, *counts)
    ]
    rows.append((Cell("All labels"), *(counted(total, sum(totals)) for total in totals)))
    return Table(rows, ("Label", *(text(split).capitalize() for split in splits)), len(splits))


def _labels(facts: Facts, *counts: Facts) -> list[str]:
    """Every label, in the order of params.yaml where that is known."""
    first = at(facts, "params", "labels")
    ordered = [label for label in first if isinstance(label, str)] if isinstance(first, list | tuple) else []
    return list(dict.fromkeys([*ordered, *(label for one in counts for label in one)]))


def _metrics(facts: Facts) -> Section:
    metrics, evaluate = part(facts, "metrics"), part(facts, "params", "evaluate")
    return Section(
        "Metrics",
        "Beside the linear baseline, fitted on the same train rows. "
        f"Test rows: {count(at(metrics, 'rows'))}{_grouped(metrics)}; "
        f"confidence of the intervals: {level(at(evaluate, 'confidence'))}; "
        f"resamples: {count(at(evaluate, 'bootstrap'))}.",
        tables=[gate_sections.beside_baseline(metrics)],
    )


def _grouped(metrics: Facts) -> str:
    """Say how many groups the test rows are of; nothing where each is for itself."""
    groups = at(metrics, "groups")
    return f", of {count(groups)} groups, which the intervals allow for" if known(groups) else ""


def _classes(facts: Facts) -> Section:
    classes = part(facts, "metrics", "classes")
    rows = [
        (
            Cell(text(label)),
            Cell(_existing(classes, label, "precision"), soft=between(at(classes, label, "predictions"), "{:.4f}")),
            *(Cell(_existing(classes, label, name)) for name in ("recall", "f1")),
            Cell(count(at(classes, label, "support"))),
            Cell(count(at(classes, label, "judged", "rows")), soft=_recall(at(classes, label, "judged"))),
        )
        for label in _labels(facts, classes)
    ]
    table = Table(rows, ("Class", "Precision", "Recall", "F1", "Test rows", "Judged by, recall"), 5)
    accepted = texts(facts, "params", "gate", "unproven")
    note = f"Accepted without proof, by gate.unproven: {', '.join(accepted)}." if accepted else ""
    return Section("Classes", tables=[table] if rows else [], note=note if rows else f"Figures by class: {MISSING}.")


def _existing(classes: Facts, label: str, name: str) -> str:
    """A figure of a class; "none" where it does not exist, as precision where nothing is predicted."""
    figures = part(classes, label)
    return "none" if name in figures and figures[name] is None else four(at(figures, name))


def _recall(judged: object) -> str:
    """Recall over all rows that a class is judged by, with its interval; nothing where there is none."""
    return f"{four(at(judged, 'value'))}, {between(judged, '{:.4f}')}" if known(at(judged, "value")) else ""


def _slices(facts: Facts) -> Section:
    slices = [*_sliced(facts), *_apart(facts)]
    rows = [(Cell(title), Cell(count(at(one, "rows"))), percents(one)) for title, one in slices]
    if not rows:
        return Section("Slices", note=f"Figures by slice: {MISSING}.")
    table = Table(rows, ("Slice", "Rows", "Accuracy"), 2, [meter(one) for _, one in slices], "0 to 100%")
    lead = "Accuracy on parts of the test rows, with Wilson's interval"
    return Section(
        "Slices", f"{lead}; confidence: {level(at(facts, 'params', 'evaluate', 'confidence'))}.", tables=[table]
    )


def _sliced(facts: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield the title and figures of each slice: quartiles in their order, then sources, most rows first."""
    slices = part(facts, "metrics", "slices")
    for kind in sorted(slices, key=lambda kind: (kind == "source", kind)):
        parts = part(slices, kind)
        rank = {name: -value(at(parts, name, "rows")) if kind == "source" else 0 for name in parts}
        for name in sorted(parts, key=lambda name: (rank[name], name)):
            yield _slice_title(kind, name, parts[name]), part(parts, name)


def _apart(facts: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield what says more of new rows than all test rows do, if it was measured."""
    metrics = part(facts, "metrics")
    found = {"newest rows": part(metrics, "newest"), "no near train row": part(metrics, "nearest", "not near")}
    yield from ((title, figure) for title, figure in found.items() if figure)


def _slice_title(kind: str, name: str, figures: object) -> str:
    start, end = at(figures, "from"), at(figures, "to")
    if not (known(start) and known(end)):
        return f"{text(kind)} {text(name)}"
    form = "{:,}" if kind == "length" else "{:.3f}"
    ends = " – ".join(dict.fromkeys([number(start, form), number(end, form)]))
    return f"{ends} characters" if kind == "length" else f"mean {text(kind)} {ends}"


def _calibration(facts: Facts) -> Section:
    figure = at(facts, "metrics", "model", "calibration_error")
    rows: list[Pair] = [
        ("Expected calibration error", span(figure)),
        ("Most that the gate allows", number(at(facts, "decision", "rule", "max_calibration_error"), "{:g}")),
    ]
    gap = number(at(figure, "value"), "{:.1f}", 100)
    meaning = f"How sure the model is and how often it is right differ by {gap} percentage points on average."
    return Section("Calibration", meaning if known(at(figure, "value")) else "", tables=[pairs(rows)])


def _against(facts: Facts) -> Section:
    decision = part(facts, "decision")
    title, compared, notes = "Comparison with the champion", part(decision, "comparison"), gate_sections.noted(decision)
    if not compared:
        alone = gate_sections.champion(decision) == gate_sections.NONE
        why = "There was none to compare with." if alone else "It was not compared."
        return Section(title, why if "comparison" in decision else f"Comparison: {MISSING}.", notes)
    metrics = gate_sections.compared(decision)
    rows = [
        ("Champion", gate_sections.champion(decision)),
        ("Test rows scored by both", count(at(compared, "rows"))),
        ("Left out, the champion's own rows", count(at(compared, "excluded"))),
        ("Right by this version alone", count(at(compared, "mcnemar", "challenger"))),
        ("Right by the champion alone", count(at(compared, "mcnemar", "champion"))),
        ("Exact McNemar test", f"p {chance(at(compared, 'mcnemar', 'p'))}"),
    ]
    return Section(title, items=notes, tables=[pairs(rows), *(metrics.tables if metrics else ())])


def _looks(facts: Facts) -> Section | None:
    return gate_sections.looks(part(facts, "decision"))


def _worth(facts: Facts) -> Section | None:
    return gate_sections.worth(part(facts, "decision"))


def _limits(facts: Facts) -> Section:
    limits = texts(facts, "params", "card", "limits")
    return Section(
        "Limits",
        _unlike(part(facts, "data")) + ("" if limits else f"What people know of its limits: {MISSING}."),
        limits,
        [_weakest_classes(facts), _weakest_slices(facts)],
        "Weakest first, at most half of them and no more than three. Left out are slices with fewer rows than the gate "
        "judges, and one that is all test rows.",
        beside=True,
    )


def _unlike(data: Facts) -> str:
    """Say of how many rows no figure tells; nothing where they are few."""
    share = value(at(data, "quarantined")) / max(value(at(data, "rows")), 1)
    if share < UNTOLD:
        return ""
    return f"Validation held back {percent(share)} of the rows read: all figures are of rows like the others. "


def _weakest_classes(facts: Facts) -> Table:
    classes = part(facts, "metrics", "classes")
    worst = _weakest([(label, one) for label, one in classes.items() if known(at(one, "f1"))], "f1")
    rows = [(Cell(text(label)), Cell(four(one["f1"])), Cell(count(at(one, "support")))) for label, one in worst]
    return _measured("Weakest classes", ("Class", "F1", "Test rows"), rows, classes)


def _weakest_slices(facts: Facts) -> Table:
    least, whole = value(at(facts, "params", "gate", "min_slice_rows")), at(facts, "metrics", "rows")
    slices = [
        (title, one)
        for title, one in _sliced(facts)
        if known(at(one, "value")) and value(at(one, "rows")) >= least and at(one, "rows") != whole
    ]
    rows = [(Cell(title), percents(one), Cell(count(at(one, "rows")))) for title, one in _weakest(slices, "value")]
    return _measured("Weakest slices", ("Slice", "Accuracy", "Test rows"), rows, part(facts, "metrics", "slices"))


def _measured(title: str, head: tuple[str, ...], rows: Sequence[tuple[Cell, ...]], recorded: Facts) -> Table:
    nothing = Cell("none" if recorded else MISSING)
    return Table(rows or [(nothing,) * len(head)], head, 2, title=f"{title}, measured")


def _weakest(parts: list[tuple[str, Any]], figure: str) -> list[tuple[str, Any]]:
    return sorted(parts, key=lambda one: float(one[1][figure]))[: min(WEAKEST, max(1, len(parts) // 2))]


def _compression(facts: Facts) -> Section | None:
    """The smaller models of which this may be one; nothing where none was asked for."""
    found = part(facts, "metrics", "compression")
    if not found:
        return None
    chosen, metric = at(found, "chosen"), described(text(at(found, "metric"))).title.lower()
    whole = part(found, "uncompressed")
    head = ("Model", "Size", "One row", "Accuracy", "Difference", "Same answer", "Calibration error", "Is")
    rows = [_candidate("uncompressed", whole, at(_milliseconds(facts), "uncompressed_ms"))]
    rows += [
        _candidate(name, one, at(part(facts, "training", "candidates", name), "ms"))
        for name, one in sorted(part(found, "candidates").items())
        if not at(one, "why")
    ]
    whys = {name: at(one, "why") for name, one in sorted(part(found, "candidates").items())}
    unsuited = [f"{text(name)}: {text(why)}" for name, why in whys.items() if why]
    return Section(
        "Smaller models",
        f"This is {text(chosen)}, the smallest that is proven no worse than the uncompressed model."
        if chosen
        else "This is the uncompressed model: no smaller one is proven no worse, and as quick.",
        unsuited,
        tables=[Table(rows, head, 6, stacked=True)],
        note=f"On {count(at(found, 'rows'))} validation rows. Proven: the gate's interval of the difference in "
        f"{metric} lies above {number(at(found, 'margin'), '{:g}', -1)}. One row: processor time, each measured in "
        "turns with the uncompressed model, where it was made.",
    )


def _milliseconds(facts: Facts) -> object:
    """The time of the first candidate that was measured, and of the uncompressed model beside it."""
    return next(iter(part(facts, "training", "candidates").values()), {})


def _candidate(name: str, found: object, milliseconds: object) -> tuple[Cell, ...]:
    figures, gap = part(found, "figures"), part(found, "difference")
    return (
        Cell(text(name)),
        Cell(number(at(found, "size_bytes"), "{:.2f} MB", 1e-6)),
        Cell(number(milliseconds, "{:.3f} ms")),
        Cell(four(at(figures, "accuracy"))),
        Cell(number(gap.get("value"), "{:+.4f}"), between(gap, "{:+.4f}")) if gap else Cell("–"),
        Cell(number(at(found, "agreement"), "{:.2f}%", 100) if gap else "–"),
        Cell(four(at(figures, "calibration_error"))),
        Cell(text(at(found, "verdict")) if gap else "–"),
    )


def _serving(facts: Facts) -> Section:
    rule = part(facts, "decision", "rule")
    rows = [
        ("One prediction, median", number(at(facts, "latency_ms"), "{:.3f} ms")),
        ("Longest that the gate allows", number(at(rule, "max_latency_ms"), "{:g} ms")),
        ("Exported model", number(at(facts, "metrics", "size_bytes"), "{:.2f} MB", 1e-6)),
        ("Largest that the gate allows", number(at(rule, "max_size_mb"), "{:g} MB")),
    ]
    return Section("Latency and size", tables=[pairs(rows)])


def _lineage(facts: Facts) -> Section:
    hashes = {
        "Code, git commit": at(facts, "commit"),
        "Data, MD5": at(facts, "data", "hash"),
        "Exported model, MD5": at(facts, "export"),
    }
    rows: list[Pair] = [(name, Cell(text(one), code=True)) for name, one in hashes.items()]
    rows += environment(facts).items()
    return Section("Lineage", tables=[pairs(rows)])


def _settings(facts: Facts) -> Section:
    blocks = {name: list(settings(part(facts, "params", name))) for name in ("preprocess", "train")}
    tables = [pairs(rows, f"{name.capitalize()}, from params.yaml") for name, rows in blocks.items() if rows]
    note = " ".join(f"Settings of {name}: {MISSING}." for name, rows in blocks.items() if not rows)
    return Section("Settings", tables=tables, note=note, beside=True)
