"""What the log says of a model in use: pure functions of what was asked, of true labels, and of what models answer."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi.checks import compared, drift
from luodi.checks.drift import Looked
from luodi.config import Gate, ModelSettings
from luodi.data import shards
from luodi.data.split_rows import Rows
from luodi.monitoring.asked import Asked, Key, Who, probabilities
from luodi.monitoring.truths import Truths
from luodi.registry import evidence
from luodi.registry.champion import aligned
from luodi.registry.records import Evidence, Look
from luodi.scoring import figures
from luodi.scoring.figures import Figure
from luodi.scoring.inference import Classifier
from luodi.scoring.scored import Scored
from luodi.serving import log

BEFORE = "before"
"""The role of the version that was in production before, which answers nothing."""
Role = Literal["shadow", "canary", "before"]
Standing = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Live:
    """How often a version was right where the true label is known.

    Attributes:
        accuracy: With its interval, in which rows of a request stand together.
        tested: Of the test rows, when it was registered; None where its tag does not say.
    """

    version: str
    role: str
    rows: int
    accuracy: Figure
    tested: Figure | None


@dataclass(frozen=True)
class Beside:
    """A version beside that in production, on what was asked.

    Attributes:
        pairs: Items of the sample that both answered.
        agree: Share of these to which both gave the same label, with its interval; None without any.
        proof: Of both on the items whose true label is known, by the statistics of the gate; None if they are too few.
        look: What was spent of the error budget; None where there is none.
        standing: What is proven of it.
    """

    version: str
    role: Role
    pairs: int
    agree: Figure | None
    proof: Evidence | None = None
    look: Look | None = None
    standing: Standing = "undecided"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "proof": self.proof and self.proof.to_json(),
            "look": self.look and self.look.to_json(),
        }


def sampled(asked: Asked) -> pa.Table:
    """Return the sample of what was asked, each item once: what shadows answered is not asked again."""
    assert asked.sample is not None
    rows = asked.sample.filter(pc.not_equal(asked.sample["role"], log.SHADOW))
    keys = zip(rows["request"].to_pylist(), rows["item"].to_pylist(), strict=True)
    first: dict[Key, int] = {}
    for place, key in enumerate(keys):
        first.setdefault(key, place)
    return rows.take(pa.array(list(first.values()), pa.int64()))


def drifted(
    settings: ModelSettings,
    model: Classifier,
    trained: tuple[Rows, Rows],
    came: pa.Table,
    right: NDArray[np.bool_] | None,
) -> tuple[Looked, NDArray[np.float64]]:
    """Compare what is asked with what a version was trained on; return that, and how strange each row is [rows].

    Args:
        trained: The train rows and the test rows of the version.
        came: Rows of the log, as `sampled` gives them, at most `drift.MOST` of which are compared.
        right: Whether the version is right on rows of the log whose true label is known; None where they are too few.
    """
    train, test = (rows.some(_drawn(len(rows))) for rows in trained)
    before = _as_rows(settings, train.items, ["" for _ in train.items])
    shares = model.probabilities(test.items)
    names = np.array(model.labels, object)
    before = replace(
        before,
        labels=names[shares.argmax(1)].tolist(),
        right=shares.argmax(1) == test.label,
        sure=shares.max(1).astype(np.float64),
    )
    items = came[settings.modality].to_pylist()[: drift.MOST]
    answers = model.probabilities(items) if items else np.zeros((0, len(names)), np.float32)
    asked = _as_rows(settings, items, names[answers.argmax(1)].tolist())
    found = drift.look(before, replace(asked, right=right, sure=answers.max(1).astype(np.float64)), settings.drift)
    strange = drift.strangeness(before, asked) if len(items) > 1 else np.zeros(len(items))
    return found, strange


def _drawn(rows: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(0).permutation(rows)[: drift.MOST])


def _as_rows(settings: ModelSettings, items: list[Any], labels: list[str]) -> drift.Rows:
    column = pa.array(items, shards.COLUMNS[settings.modality][settings.modality])
    return compared.as_rows(compared.table(settings, column, labels), settings)


def live(asked: Asked, truths: Truths, confidence: float, tested: Callable[[str], Figure | None]) -> list[Live]:
    """Return the accuracy of each version in each role, of rows that nothing about them chose to be labelled."""
    rows = _unchosen(asked, truths)
    found = []
    for version, role in sorted({*zip(rows["version"].to_pylist(), rows["role"].to_pylist(), strict=True)}):
        own = rows.filter(pc.and_(pc.equal(rows["version"], version), pc.equal(rows["role"], role)))
        accuracy = figures.share(_answered(own, asked.labels[version]), confidence)
        found.append(Live(version, role, len(own), accuracy, tested(version)))
    return found


def right(asked: Asked, truths: Truths, version: str, least: int) -> NDArray[np.bool_] | None:
    """Return whether a version was right where it answered and the truth is known; None of fewer rows than `least`."""
    rows = _unchosen(asked, truths)
    own = rows.filter(pc.and_(pc.equal(rows["version"], version), pc.not_equal(rows["role"], log.SHADOW)))
    return _answered(own, asked.labels[version]).correct if len(own) >= least else None


def _unchosen(asked: Asked, truths: Truths) -> pa.Table:
    rows = asked.labelled
    if rows is None:
        return log.SCHEMA.empty_table()
    if not truths.chosen:
        return rows
    keys = zip(rows["request"].to_pylist(), rows["item"].to_pylist(), strict=True)
    return rows.filter(pa.array([key not in truths.chosen for key in keys], pa.bool_()))


def _answered(rows: pa.Table, labels: Sequence[str]) -> Scored:
    """Rows of one version as it answered them; a true label that it does not know is one that it never gives."""
    places = {label: place for place, label in enumerate(labels)}
    truth = np.array([places.get(label, -1) for label in rows["truth"].to_pylist()], np.int64)
    shares = probabilities(rows, len(labels)).astype(np.float64)
    return Scored(truth, shares, _groups(rows["request"]))


def _groups(requests: pa.ChunkedArray) -> NDArray[np.int64]:
    found: NDArray[np.int64] = requests.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    return found


def agreement(asked: Asked, production: str, version: str, confidence: float) -> tuple[int, Figure | None]:
    """Return how many items of the sample both versions answered, and the share to which they gave the same label."""
    assert asked.sample is not None
    answers = [_labels_of(asked.sample, one) for one in (production, version)]
    both = [key for key in answers[0] if key in answers[1]]
    if not both:
        return 0, None
    same = np.array([answers[0][key] == answers[1][key] for key in both])
    requests = pa.chunked_array([pa.array([request for request, _ in both])])
    told = Scored(np.ones(len(both), np.int64), np.stack([~same, same], axis=1).astype(np.float64), _groups(requests))
    return len(both), figures.share(told, confidence)


def _labels_of(sample: pa.Table, version: str) -> dict[Key, str]:
    rows = sample.filter(pc.equal(sample["version"], version))
    names = ("request", "item", "label")
    found = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return {(request, item): label for request, item, label in found}


def proven(
    one: Classifier, production: Classifier, rows: pa.Table, kind: str, *, rule: Gate, look: Look | None
) -> tuple[Evidence, Standing]:
    """Compare two versions on items whose true label is known, by what decides at the gate, each scoring them anew.

    Args:
        rows: As `truly` gives them, of labels that both know; at least one.
        kind: "text" or "image".
        look: Names the confidence; None for that of `rule`.

    `better` is above the margin of `rule`, `worse` is below 0, both with that confidence.
    """
    items, labels = rows[kind].to_pylist(), production.labels
    truth = np.array([labels.index(label) for label in rows["truth"].to_pylist()], np.int64)
    group = _groups(rows["request"])
    own = aligned(one.probabilities(items), one.labels, labels).astype(np.float64)
    scores = production.probabilities(items).astype(np.float64)
    confident = rule if look is None else rule.model_copy(update={"confidence": look.confidence})
    found = evidence.decisive(Scored(truth, own, group), Scored(truth, scores, group), confident)
    better, worse = found.difference.low > rule.margin, found.difference.high < 0
    return found, "better" if better else "worse" if worse else "undecided"


def truly(asked: Asked, labels: Sequence[Sequence[str]]) -> pa.Table:
    """Return each item whose true label is known once, of labels that all of some versions have."""
    rows = asked.labelled
    if rows is None:
        return log.SCHEMA.empty_table().append_column("truth", pa.array([], pa.string()))
    known = [label for label in labels[0] if all(label in one for one in labels)]
    rows = rows.filter(pc.is_in(rows["truth"], pa.array(known, pa.string())))
    first: dict[Key, int] = {}
    for place, key in enumerate(zip(rows["request"].to_pylist(), rows["item"].to_pylist(), strict=True)):
        first.setdefault(key, place)
    return rows.take(pa.array(list(first.values()), pa.int64()))


def others(asked: Asked, production: str) -> list[Who]:
    """Return the versions that answered beside the one in production, as shadow or canary."""
    return [
        (version, role)
        for role in (log.SHADOW, log.CANARY)
        for version in asked.versions(role)
        if version != production
    ]
