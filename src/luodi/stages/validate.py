"""Check the raw rows, hold back the bad ones, and write what was found before saying so."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import files
from luodi.checks import (
    findings,
    held_back,
    joined_rows,
    last_batch,
    leaking_columns,
    modality,
    newest,
    profile,
    quarantine,
    reasons,
)
from luodi.checks.findings import Finding
from luodi.checks.modality import Measures
from luodi.config import ModelSettings
from luodi.data import arrivals, groups, revisions, shards
from luodi.data.groups import Groups
from luodi.errors import BrokenData, NothingLeft, ValidationFailed
from luodi.project.paths import ModelPaths
from luodi.report import page
from luodi.system import progress
from luodi.system.collector import uncollected

ROOM = 150_000  # bytes of held rows in the report, as a file to take away
Parts = Callable[[], Iterable[pa.Table]]  # all rows, from the first, at every call
Stands = NDArray[np.bool_] | None  # of all rows; None where every one does


def run(settings: ModelSettings, paths: ModelPaths) -> None:
    """Read the shards and write clean rows, quarantine, result, Data Docs and report.

    Raises:
        DataError: The shards cannot be used.
        NothingLeft: Every row was quarantined.
        ValidationFailed: A critical expectation failed; all outputs are written.
    """
    kind = modality.measures(settings.modality)
    came = _parts(kind, settings, paths.data)
    stands = revisions.standing(paths.data, settings.modality, settings.labels, settings.validate_.contradictions)
    parts = came if stands is None else partial(_that_stand, came, stands)
    checked = newest.hold_back(kind.measure(parts(), settings), settings)
    with uncollected():
        from luodi.checks import engine  # here, not above: Great Expectations takes seconds to start

    with files.replacing_folder(paths.data_docs) as docs:
        result = engine.validate(paths.model, checked.table, modality.expectations(settings, paths.root), docs)
    found = _explained(findings.read(result, checked.table, kind.SHOWN), checked, kind.SHOWN)
    if joined := _groups(came, stands, checked, settings):
        checked = joined_rows.hold_back(checked, joined)
        found = findings.by_gravity(
            [*found, joined_rows.finding(checked, kind.SHOWN), joined_rows.of_classes(checked, settings)]
        )
    latest = newest.marked(checked, settings)
    if latest is not None:
        found = findings.by_gravity([*found, newest.finding(checked, latest, settings)])
    if settings.preprocess.test_source is not None or settings.preprocess.shares.test > 0:
        found = findings.by_gravity([*found, _of_classes(checked.table, settings)])
    if told := _told(checked, stands, settings, paths.data):
        found = findings.by_gravity([*found, leaking_columns.finding(told)])
    _separate(parts(), checked, joined_rows.columns(checked, latest), paths, kind.ITEM)
    files.write_json(paths.validation_result, result)
    counts = _counts(checked.table, kind.ITEM) | joined_rows.counts(checked)
    history = {} if stands is None else {"history": int((~stands).sum())}
    usable, told_of_kind = reasons.usable(checked), kind.facts(checked)
    told_of = {"usable": usable, "findings": findings.facts(found), **_counted(checked, told_of_kind)}
    files.write_facts(paths.validation_summary, counts | history | told_of)
    files.write_text(
        paths.validation_report, report(paths, settings, parts, checked, found, told_of_kind, usable=usable, **history)
    )
    more = "".join(f", beside {count:,} that count no longer" for count in history.values())
    said = f"{paths.model}: {summary(checked.table, kind.ITEM, found)}{more}"
    print("\n".join([said, *findings.warnings(found)]))
    _judge(paths, checked.table, found)


def _explained(found: list[Finding], checked: quarantine.Checked, item: str) -> list[Finding]:
    """Say of the rows that are held back why, and in which file most of them are; show some of the main reason."""
    table = checked.table
    held = table[quarantine.HELD].to_numpy()
    if not held.any():
        return found
    file = reasons.files(table)
    counts = sorted((-_sum(checked.marks[reason]), reason) for reason in checked.reasons)
    why = ", ".join(f"{reason} {-count:,}" for count, reason in counts if count)
    where, most = _commonest(file, held)
    beside = f"; {most:,} of them in {where}" if pc.count_distinct(file).as_py() > 1 else ""
    main = checked.marks[counts[0][1]].to_numpy()
    main = main if main.any() else held
    there = main & pc.equal(file, _commonest(file, main)[0]).to_numpy(zero_copy_only=False)
    examples = findings.examples(table, np.flatnonzero(there)[: findings.EXAMPLES], item)
    return [
        replace(one, found=f"{one.found}: {why}{beside}", examples=examples) if one.title == quarantine.FEW else one
        for one in found
    ]


def _commonest(file: pa.Array, rows: NDArray[np.bool_]) -> tuple[str, int]:
    """The file that most of the rows are from, and how many are."""
    return Counter(file.filter(pa.array(rows)).to_pylist()).most_common(1)[0]


def _of_classes(measured: pa.Table, settings: ModelSettings) -> Finding:
    official = settings.preprocess.test_source
    out = measured[quarantine.HELD]
    if official is not None:
        out = pc.or_(out, pc.not_equal(measured["source"], official))
    clean = pc.value_counts(measured["label"].filter(pc.invert(out)))
    rows = dict(zip(clean.field("values").to_pylist(), clean.field("counts").to_pylist(), strict=True))
    counts = {label: rows.get(label, 0) for label in settings.labels if label not in settings.gate.unproven}
    share = settings.preprocess.shares.test if official is None else 1
    return findings.of_classes(counts, share, settings.gate.min_class_rows, official)


def _told(
    checked: quarantine.Checked, stands: Stands, settings: ModelSettings, folder: Path
) -> list[leaking_columns.Told]:
    """How well the other columns of the shards tell the labels: of rows that will be used, equal ones once."""
    table = checked.table
    out = pc.or_(table[quarantine.HELD], table[quarantine.duplicate(modality.measures(settings.modality).ITEM)])
    label = pc.fill_null(pc.index_in(table["label"], pa.array(settings.labels)), -1).to_numpy()
    used = ~out.to_numpy() & (label >= 0)
    columns = shards.kept(folder, settings.modality) if used.any() else []
    found = []
    for name in columns:
        column = shards.column(folder, name)
        column = column if stands is None else column.filter(pa.array(stands))
        found.append(leaking_columns.told(name, column, label, used))
    return [one for one in found if one]


def report(  # noqa: PLR0917, each is another thing
    paths: ModelPaths,
    settings: ModelSettings,
    parts: Parts,
    checked: quarantine.Checked,
    found: list[Finding],
    facts: dict[str, Any],
    *,
    usable: int,
    history: int = 0,
) -> str:
    """Return the report page, after the quarantine is written.

    `parts` are the rows that were checked, beside so many that count no longer; `usable` of them are left. `facts` are
    those that `kind.facts` gives.
    """
    kind, measured = modality.measures(settings.modality), checked.table
    why = reasons.of(checked, kind.ITEM, kind.SHOWN)
    last = last_batch.of(checked, arrivals.read(paths.data), settings.labels, kind.ITEM, kind.SHOWN)
    sheet, rows = held_back.csv(held_back.read(paths.quarantine), ROOM)
    return page.render(
        f"validation_{settings.modality}",
        model=paths.model,
        verdict=findings.verdict(found),
        findings=found,
        counts=_counts(measured, kind.ITEM),
        usable=usable,
        history=history,
        together=joined_rows.counts(checked),
        split=settings.preprocess.split,
        full=groups.FULL,
        profile=profile.profile(measured, kind.charts(measured), settings.labels),
        facts=facts,
        lately=last,
        reasons=why,
        spellings=reasons.spellings(measured, settings.labels),
        sheet=page.download(sheet),
        in_sheet=rows,
        other_sheet=page.download(held_back.csv(facts["other"]["table"], ROOM)[0]) if facts.get("other") else "",
        pictures=kind.pictures(parts(), _shown(found, why, last), settings),
        percent=findings.percent,
    )


def summary(measured: pa.Table, item: str, found: list[Finding]) -> str:
    """Return one line: the verdict and the counts of rows."""
    counts = _counts(measured, item)
    return f"{findings.verdict(found)}; " + ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _parts(kind: Measures, settings: ModelSettings, folder: Path) -> Parts:
    if kind.WHOLE:
        whole = [shards.read(folder, settings.modality, settings.preprocess.split.columns)]
        return lambda: whole
    columns, rows = settings.preprocess.split.columns, shards.rows(folder)
    return lambda: progress.steps("reading", shards.parts(folder, settings.modality, columns), rows, len)


def _that_stand(parts: Parts, stands: NDArray[np.bool_]) -> Iterator[pa.Table]:
    start = 0
    for part in parts():
        yield part.filter(pa.array(stands[start : start + len(part)]))
        start += len(part)


def _groups(came: Parts, stands: Stands, checked: quarantine.Checked, settings: ModelSettings) -> Groups | None:
    """The groups of the rows checked, as all rows that came make them: a correction moves no row to another split."""
    kind = modality.measures(settings.modality)
    if stands is None or not joined_rows.asked(settings):
        return joined_rows.groups_of(checked, settings, kind)
    found = joined_rows.groups_of(newest.hold_back(kind.measure(came(), settings), settings), settings, kind)
    return found and replace(found, first=found.first[stands], split=found.split[stands], loose=found.loose[stands])


def _counts(measured: pa.Table, item: str) -> dict[str, int]:
    total, held, duplicates = (
        measured.num_rows,
        _sum(measured[quarantine.HELD]),
        _sum(measured[quarantine.duplicate(item)]),
    )
    return {"rows": total, "clean": total - held, "quarantined": held, "duplicates": duplicates}


def _sum(marks: pa.ChunkedArray) -> int:
    return int(marks.to_numpy().sum())


def _counted(checked: quarantine.Checked, facts: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Rows by reason, by script, and by what is masked of them, for a later run to be compared with."""
    held = {name: _sum(checked.table[name]) for name in checked.reasons}
    named: dict[str, dict[str, int]] = {name: dict(facts[name]) for name in ("scripts", "masked") if name in facts}
    return {"held": {name: rows for name, rows in held.items() if rows}, **named}


def _shown(found: list[Finding], why: list[reasons.Reason], last: last_batch.Lately | None) -> set[tuple[str, int]]:
    """Places of all rows that the report shows."""
    examples = [*(one.examples for one in found), *(one.examples for one in why), last.examples if last else ()]
    shown = [example for some in examples for example in some]
    return {(one.shard, one.row) for example in shown for one in (example, example.beside) if one}


def _separate(
    parts: Iterable[pa.Table],
    checked: quarantine.Checked,
    placed: dict[str, pa.Array],
    paths: ModelPaths,
    item: str,
) -> None:
    """Write the clean rows, with the columns of where they are placed, and the quarantine, part by part."""
    start, marks = 0, checked.marks
    with ExitStack() as stack:
        write = [_writer(stack, path) for path in (paths.clean, paths.quarantine)]
        for rows in parts:
            part = rows
            for name, column in placed.items():
                part = part.append_column(name, column.slice(start, rows.num_rows))
            for one, table in zip(write, quarantine.split(part, marks.slice(start, part.num_rows), item), strict=True):
                one(table)
            start += part.num_rows
        if start != marks.num_rows:
            raise BrokenData(f"{paths.data} changed while it was read: run `luodi validate {paths.model}` again")


def _writer(stack: ExitStack, path: Path) -> Callable[[pa.Table], None]:
    """Return a function that appends rows to the Parquet file `path`, which is in place when `stack` closes."""
    temporary = stack.enter_context(files.replacing(path))
    writers: list[pq.ParquetWriter] = []

    def write(table: pa.Table) -> None:
        if not writers:
            writers.append(stack.enter_context(pq.ParquetWriter(temporary, table.schema)))
        elif not table.num_rows:
            return
        writers[0].write_table(table)

    return write


def _judge(paths: ModelPaths, measured: pa.Table, found: list[Finding]) -> None:
    where = (
        *findings.message(found),
        f"open {paths.validation_report} for the full report; "
        "nothing is trained, and the version in production stays; correct the data "
        f"(`luodi validate {paths.model}`, then `luodi quarantine {paths.model}` list the rows that are held back), "
        "or block validate of the model in params.yaml",
    )
    if _sum(measured[quarantine.HELD]) == measured.num_rows:
        raise NothingLeft(f"every row of {paths.model} was quarantined, none is left to train on:", *where)
    if findings.verdict(found) == findings.FAILED:
        raise ValidationFailed(f"the data of {paths.model} broke a critical expectation:", *where)
