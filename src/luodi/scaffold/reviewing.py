"""Label review: rows whose label the rest of the data contradicts, for a person to look at; nothing changes by itself.

Out-of-fold probabilities of the linear model for every row, and the rule of `luodi.registry.doubts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from luodi import config, files
from luodi.checks import held_back
from luodi.config import ModelSettings
from luodi.data import arrivals, encoders, modality, revisions, shards, split_rows, splits
from luodi.data.arrivals import KEY
from luodi.data.split_rows import Rows
from luodi.project.paths import PARAMS, ModelPaths
from luodi.registry import doubts
from luodi.report import language, page
from luodi.report.document import Cell, Section, Table, pairs
from luodi.scaffold.amending import SUGGESTED, VERDICT, Place
from luodi.scoring import folds
from luodi.stages import baseline

SHEET = "doubts.csv"
SHOWN = 200  # rows on a page


@dataclass(frozen=True)
class Suspect:
    """A row whose label the others contradict.

    Attributes:
        places: Where it stands, and those that hold the same.
        item: Its text; of an image where it comes from.
        suggested: The label that the others would give it.
        own, other: The probabilities of its label and of the one suggested.
        origin: Where the first of them stood: "hotels.csv, line 3".
    """

    places: tuple[Place, ...]
    item: str
    label: str
    suggested: str
    own: float
    other: float
    origin: str = ""


def review(root: Path, model: str) -> tuple[list[Suspect], int]:
    """Return the rows whose label the others contradict, the most suspicious first, and how many rows were looked at.

    Raises:
        UnknownKey: There is no such model.
        ArtifactError: preprocess has not run.
    """
    settings = config.settings_of(config.load(root / PARAMS), model)
    paths = ModelPaths(root, model)
    parts = [split_rows.read(paths.rows, settings.modality, split, len(settings.labels)) for split in splits.NAMES]
    items = [item for part in parts for item in part.items]
    label = np.concatenate([part.label for part in parts])
    group = split_rows.groups(paths.rows)
    group = group[np.concatenate([split_rows.positions(paths.rows, split) for split in splits.NAMES])]
    found = out_of_fold(settings, paths, items, label, group)
    known = np.flatnonzero(folds.learned(label, group))  # of another class each row would be in doubt
    places, counted = doubts.suspects(label[known], found[known])
    places = known[places]
    where = _where(paths, settings, [items[place] for place in places])
    answer = []
    for place, other in zip(places.tolist(), counted.tolist(), strict=True):
        rows, shown, origin = where.get(_content(settings, items[place]), ((), "", ""))
        if rows:
            own = float(found[place, label[place]])
            names = settings.labels[label[place]], settings.labels[other]
            answer.append(Suspect(rows, shown, *names, own, float(found[place, other]), origin))
    return answer, len(label)


def out_of_fold(
    settings: ModelSettings, paths: ModelPaths, items: list[object], label: NDArray[np.int32], group: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Score each row by a linear model that saw neither it nor what stands together with it: [n, classes]."""
    encoder = encoders.load(paths.encoder)

    def pick(rows: folds.Rows) -> Rows:
        return Rows([items[row] for row in rows], label[rows], [])

    def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
        models, own = baseline.fit(settings, encoder, pick(fitted), pick(judged))
        return baseline.classifier(models.final, own).probabilities(pick(held).items)

    with threadpool_limits(1):
        return folds.scores(label, group, len(settings.labels), score)


def write(path: Path, found: list[Suspect]) -> None:
    """Write a line a suspect for a spreadsheet: a person fills in the verdict, keep, relabel or drop."""
    head = [VERDICT, "label", SUGGESTED, "text", "of its label", "of the suggested", KEY]
    lines = (
        ["", one.label, one.suggested, one.item, f"{one.own:.3f}", f"{one.other:.3f}", arrivals.key(one.places)]
        for one in found
    )
    files.write_sheet(path, head, lines)


def write_page(paths: ModelPaths, found: list[Suspect], rows: int) -> Path:
    """Write the page of validation with the suspects of so many rows on it, their sheet beside it; return its path."""
    report = paths.artifacts / "labels" / "validation.html"
    write(report.with_name(SHEET), found)
    params, text = config.load(paths.params), paths.validation_report.read_text(encoding="utf-8")
    told = page.joined(text, [_section(paths.model, found, rows)])
    names = frozenset(config.settings_of(params, paths.model).labels)
    files.write_text(report, language.translated(told, params.language, names))
    return report


def _section(model: str, found: list[Suspect], rows: int) -> Section:
    lines = [
        (
            Cell(one.item[: doubts.LONGEST], below=one.origin),
            Cell(one.label, f"{one.own:.0%}"),
            Cell(one.suggested, f"{one.other:.0%}"),
        )
        for one in found[:SHOWN]
    ]
    return Section(
        doubts.TITLE,
        f"{len(found):,} of {rows:,} rows, the most suspicious first: scored by linear models that did not see them.",
        tables=[Table(lines, doubts.HEAD), pairs([("All of them", Cell(SHEET, link=SHEET))])],
        note=f"Nothing changes by itself. Write keep, relabel or drop under verdict in {SHEET}, and hand it back: "
        f"luodi labels apply {model} {SHEET}. What is here and rightly labelled is often hard, or says both.",
    )  # fmt: skip


Where = tuple[tuple[Place, ...], str, str]
"""Where rows stand, how the first of them is shown, and where it came from."""


def _where(paths: ModelPaths, settings: ModelSettings, items: list[object]) -> Mapping[int, Where]:
    """Where rows of these clean items stand; without those found right before."""
    wanted = {_content(settings, item) for item in items}
    clean, seed = modality.of(settings.modality).cleaner(settings.preprocess), settings.preprocess.seed
    stands = revisions.standing(paths.data, settings.modality, settings.labels, settings.validate_.contradictions)
    right, start = _passed_over(paths), 0
    found: dict[int, Where] = {}
    for part in shards.parts(paths.data, settings.modality):
        counts = np.ones(len(part), np.bool_) if stands is None else stands[start : start + len(part)]
        start += len(part)
        usable = part.filter(pa.array(counts & ~revisions.marked(part, right)))
        if not len(usable):
            continue
        content = splits.digests(clean(usable[settings.modality].combine_chunks()), seed)
        for row in np.flatnonzero(np.isin(content, np.array([*wanted], np.uint64))).tolist():
            one = usable.slice(row, 1).to_pylist()[0]
            place, item = (one["shard"], one["row"]), one[settings.modality]
            if known := found.get(int(content[row])):
                found[int(content[row])] = ((*known[0], place), *known[1:])
                continue
            origin = one.get(shards.ORIGIN)
            text = item if isinstance(item, str) else origin or one["source"]
            found[int(content[row])] = (place,), str(text), str(origin or f"{place[0]} row {place[1]}")
    return found


def _passed_over(paths: ModelPaths) -> dict[str, set[int]]:
    """Rows that validation held back, or a person found right, by their shard."""
    found = arrivals.kept(paths.data)
    out = held_back.read(paths.quarantine)
    for shard, row in zip(out["shard"].to_pylist(), out["row"].to_pylist(), strict=True):
        found.setdefault(shard, set()).add(row)
    return found


def _content(settings: ModelSettings, item: object) -> int:
    return int(splits.digests(modality.of(settings.modality).column([item]), settings.preprocess.seed)[0])
