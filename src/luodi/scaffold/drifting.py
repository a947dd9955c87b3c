"""Compare a batch with the rows that are there, and through the model that lies in the checkout, if one does."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import compared, drift, quarantine
from luodi.checks.drift import Looked, Rows
from luodi.config import ModelSettings
from luodi.data import revisions, shards, split_rows
from luodi.errors import ArtifactError
from luodi.files import write_facts, write_text
from luodi.project.paths import ModelPaths
from luodi.report import language, page
from luodi.scoring.inference import Classifier

Answers = tuple[NDArray[np.bool_], NDArray[np.float64]]


def look(settings: ModelSettings, paths: ModelPaths, folder: Path) -> Looked:
    """Compare the rows of new shards in `folder` with those of the model's data that stand.

    Labels that the model does not have, and rows that validation would hold back, are not compared.
    """
    stands = revisions.standing(paths.data, settings.modality, settings.labels, settings.validate_.contradictions)
    before = drawn(shards.parts(paths.data, settings.modality), settings, stands)
    came = drawn(shards.parts(folder, settings.modality), settings)
    if min(len(before), len(came)) < settings.drift.min_rows:
        return Looked(len(came), len(before))
    model = _model(paths)
    test = _test_rows(settings, paths) if model else None
    return drift.look(
        _rows(before, settings, _judged(model, *test) if model and test else None),
        _rows(came, settings, _judged(model, came[settings.modality], came["label"]) if model and test else None),
        settings.drift,
    )


def write(paths: ModelPaths, batch: str, found: Looked, facts: dict[str, Any], lang: str = "en") -> Path:
    """Write the page of a batch, and what it says as JSON; return the page."""
    report = paths.artifacts / "batches" / f"{batch}.html"
    write_facts(report.with_suffix(".json"), found.as_json())
    html = page.render("batch", model=paths.model, drift=found, **facts)
    write_text(report, language.translated(html, lang, frozenset(facts["labels"])))
    return report


def drawn(parts: Iterable[pa.Table], settings: ModelSettings, stands: Any = None) -> pa.Table:
    """Rows that a digest of what they hold draws: the same of the same rows, in an order that says nothing."""
    kind, start = settings.modality, 0
    kept: list[pa.Table] = []
    for part in shards.larger(parts):
        rows = part if stands is None else part.filter(pa.array(stands[start : start + len(part)]))
        start += len(part)
        rows = rows.filter(pc.and_(pc.is_in(rows["label"], pa.array(settings.labels)), pc.is_valid(rows[kind])))
        rows = rows.select([kind, "label", "source", "shard", "row"]).append_column("digest", _digests(rows[kind]))
        if kept and len(kept[0]) == drift.MOST:  # what is above these is not drawn: it need not be measured
            rows = rows.filter(pc.less(rows["digest"], pc.max(kept[0]["digest"])))
        held = quarantine.held(compared.measured(rows, settings).marks) if len(rows) else []
        kept = [_least(pa.concat_tables([*kept, rows.filter(pa.array(~np.asarray(held, np.bool_)))]))]
    return kept[0]  # shards without a row are an error


def _digests(items: pa.ChunkedArray) -> pa.Array:
    """A number for what each holds: its CRC, its bits mixed (splitmix64), since like items have like CRCs."""
    found = np.fromiter(map(crc32, items.cast(pa.large_binary()).to_pylist()), np.uint64, len(items))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return pa.array(found ^ (found >> np.uint64(31)))


def _least(rows: pa.Table) -> pa.Table:
    return rows.sort_by("digest").slice(0, drift.MOST)


def _rows(rows: pa.Table, settings: ModelSettings, answers: Answers | None) -> Rows:
    return compared.as_rows(rows, settings, *(answers or ()))


def _model(paths: ModelPaths) -> Classifier | None:
    """The model that lies here; None if none does, or it was half made."""
    try:
        return Classifier.load(paths.export) if paths.export.exists() else None
    except ArtifactError:
        return None


def _test_rows(settings: ModelSettings, paths: ModelPaths) -> tuple[pa.ChunkedArray, pa.ChunkedArray] | None:
    try:
        test = split_rows.read(paths.rows, settings.modality, "test", len(settings.labels))
    except ArtifactError:
        return None
    names = [settings.labels[one] for one in test.label[: drift.MOST]]
    return pa.chunked_array([pa.array(test.items[: drift.MOST])]), pa.chunked_array([pa.array(names)])


def _judged(model: Classifier, items: pa.ChunkedArray, labels: pa.ChunkedArray) -> Answers:
    """Whether a model is right on rows, and how sure it is."""
    found = model.probabilities(items.to_pylist())
    answers = np.array(model.labels)[found.argmax(axis=1)]
    return answers == np.array(labels.to_pylist()), found.max(axis=1).astype(np.float64)
