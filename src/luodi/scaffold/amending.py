"""Rows that a person looked at in a sheet, and hands back: corrected, left out, or found right; all of it or nothing.

No shard is written again: what was corrected is a row that comes later, and a record says which rows count no longer.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from luodi import config, files
from luodi.checks import modality, quarantine
from luodi.config import ModelSettings
from luodi.data import arrivals, importing, revisions, shards, tables
from luodi.data.arrivals import KEY, Arrival
from luodi.data.importing import Row
from luodi.errors import BrokenData, MissingData
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import changes, ingesting, pipeline
from luodi.system.processes import Runner
from luodi.terminal import shown

SUGGESTED = "suggested"
VERDICT, KEEP, RELABEL, DROP = "verdict", "keep", "relabel", "drop"
VERDICTS = (KEEP, RELABEL, DROP)
NAMED = 5
Place = tuple[str, int]


@dataclass(frozen=True)
class Line:
    """What a line of a sheet says: of which rows, the first of them in words; None where it says nothing."""

    where: str
    places: tuple[Place, ...]
    verdict: str
    label: str | None
    suggested: str | None
    item: str | None


def lines(sheet: Path, kind: str) -> list[Line]:
    """Read a sheet that luodi wrote, and a person changed.

    Raises:
        DataError: It is none, or a verdict is none.
    """
    table = tables.look(sheet)
    if KEY not in table.columns:
        raise tables.missing(str(sheet), (KEY,), table.columns)
    known = tuple(name for name in (VERDICT, "label", SUGGESTED, kind) if name in table.columns)
    cell = str if table.marked else files.unmarked  # of columns that a person left out, tables knows no sheet
    found = []
    for place, row in tables.records(table, (KEY,), known):
        where, value = f"{sheet}, {place}", {name: tables.value(row, name) for name in (KEY, *known)}
        verdict = str(value.get(VERDICT) or "").strip().lower()
        try:
            places = tuple(arrivals.places(str(value[KEY] or "")))
        except ValueError:
            raise BrokenData(
                f"{where}: expected what luodi wrote under `{KEY}`, found {shown(value[KEY], 40)}"
            ) from None
        if verdict and verdict not in VERDICTS:
            raise BrokenData(f"{where}: expected {', '.join(VERDICTS)} or nothing, found {shown(verdict, 40)}")
        label, suggested, item = (one and cell(one).strip() for one in map(value.get, ("label", SUGGESTED, kind)))
        found.append(Line(where, places, verdict, label, suggested, item))
    return [line for line in found if line.places]


def amend(root: Path, model: str, sheet: Path, runner: Runner, *, what: str, discard: bool = False) -> str:
    """Take in a sheet, and return what was done, and what next.

    Args:
        what: What is recorded as having happened.
        discard: Every row of the sheet is left out.

    Raises:
        UnknownKey: There is no such model.
        DataError: The sheet cannot be used, names rows that are not there, or what it corrects would be held back.
    """
    settings = config.settings_of(config.load(root / PARAMS), model)
    paths = ModelPaths(root, model)
    with changes.exclusive(root) as staging:
        record = changes.require_data(root, model, runner)
        found = lines(sheet, settings.modality)
        stored = ingesting.stored(settings, paths.data)
        there = _rows_at(paths.data, settings, stored, {place for line in found for place in line.places})
        new, out, kept = _sorted_out(found, there, discard)
        before = arrivals.kept(paths.data)
        kept = [(shard, row) for shard, row in kept if row not in before.get(shard, ())]
        if not (new or out or kept):
            return (
                f"nothing to do in {shown(sheet.name)}: none of its {len(found):,} rows is changed, or all were before"
            )
        (folder := staging / "data").mkdir()
        with importing.Writer(folder, settings.modality, stored) as writer:
            written = ingesting.store(iter(new), writer)
        if new:
            _require_clean(folder, settings, sheet)
        number = arrivals.following(paths.data)
        moves = ingesting.named(written, paths.data, number)
        arrival = Arrival(
            _name(sheet), [sheet.name], len(found), len(new), 0, {}, dict(Counter(str(row.label) for row in new)),
            [move[1].name for move in moves], what, _by_shard(out), _by_shard(kept),
        )  # fmt: skip
        moves.append(arrivals.write(staging, paths.data, number, arrival))
        changes.make(root, paths.params.read_bytes(), pipeline.read(root), runner, moves=moves, record=record)
    return _message(model, sheet, arrival, len(out) - len(new))


def _sorted_out(
    found: Sequence[Line], there: Mapping[Place, Row | None], discard: bool
) -> tuple[list[Row], list[Place], list[Place]]:
    """The rows that are new, those that are out, and those that were found right; of equal ones the first is told."""
    new, out, kept = [], [], []
    for line in found:
        rows = [(place, row) for place in line.places if (row := there[place]) is not None]
        if not rows:
            continue  # handed back before
        row, places = rows[0][1], [place for place, _ in rows]
        changed = _changed(line, row)
        if line.verdict == RELABEL and changed.label == row.label and line.suggested:
            changed = changed._replace(label=line.suggested)
        if discard or line.verdict == DROP:
            out += places
        elif line.verdict == KEEP:
            kept += places
        elif changed != row:
            out += places
            new.append(changed)
        elif line.verdict == RELABEL:
            raise BrokenData(f"{line.where}: expected another label to relabel by, found {shown(row.label, 40)} again")
    return new, out, kept


def _changed(line: Line, row: Row) -> Row:
    """The row as the sheet has it: what a spreadsheet writes otherwise, such as ends of lines, is no change."""
    item, label = row.item, row.label
    if line.item and isinstance(item, str) and item.strip().splitlines() != line.item.splitlines():
        item = line.item
    if line.label and [label] != line.label.splitlines():
        label = line.label
    return row._replace(item=item, label=label)


def _rows_at(
    folder: Path, settings: ModelSettings, stored: Sequence[str], places: set[Place]
) -> dict[Place, Row | None]:
    """The rows at places; None of one that counts no longer.

    Raises:
        MissingData: One is not there.
    """
    stands = revisions.standing(folder, settings.modality, settings.labels, settings.validate_.contradictions)
    found: dict[Place, Row | None] = {}
    start, wanted = 0, {shard for shard, _ in places}
    for part in shards.parts(folder, settings.modality, stored):
        if wanted & set(part["shard"].unique().to_pylist()):
            found |= _of_part(part, settings.modality, stored, places, None if stands is None else stands[start:])
        start += len(part)
    if away := sorted(places - found.keys()):
        raise MissingData(
            f"{folder} has no row {arrivals.key(away[:1])}: the sheet was written of other data; write it again"
        )
    return found


def _of_part(part: pa.Table, kind: str, stored: Sequence[str], places: set[Place], stands: Any) -> Iterator[Any]:
    for number, row in enumerate(part.to_pylist()):
        if (place := (row["shard"], row["row"])) in places:
            kept = tuple(row[shards.OF_GROUP + name] for name in stored)
            one = Row(row[kind], row["label"], row["source"], row.get(shards.ORIGIN), kept)
            yield place, one if stands is None or stands[number] else None


def _require_clean(folder: Path, settings: ModelSettings, sheet: Path) -> None:
    measures = modality.measures(settings.modality)
    marks = measures.measure(shards.parts(folder, settings.modality), settings).marks
    marks = marks.drop_columns([quarantine.contradiction(measures.ITEM)])
    reasons = [", ".join(one) for one in quarantine.reasons(marks).to_pylist() if one]
    if reasons:
        why = ", ".join(f"{reason} {count:,}" for reason, count in Counter(reasons).most_common(NAMED))
        raise BrokenData(
            f"{sheet}: {len(reasons):,} of {marks.num_rows:,} corrected rows would be held back again: {why}; nothing "
            "was changed: correct them further, or leave them as they were"
        )


def _by_shard(places: Sequence[Place]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for shard, row in sorted(set(places)):
        found.setdefault(shard, []).append(row)
    return found


def _name(sheet: Path) -> str:
    return hashlib.blake2b(sheet.read_bytes(), digest_size=8).hexdigest()


def _message(model: str, sheet: Path, arrival: Arrival, less: int) -> str:
    out, kept = (sum(map(len, places.values())) for places in (arrival.out, arrival.kept))
    return "\n".join(
        [
            f"took {shown(sheet.name)} into {model}: {arrival.new:,} corrected, {less:,} fewer rows, "
            f"{kept:,} found right",
            f"  {out:,} rows count no longer; they stay in data/{model} as history, recorded in data.dvc",
            "next:",
            f"  git add data.dvc && git commit -m 'Correct {model}'",
            f"  luodi run {model}",
        ]
    )
