"""Read the request log of a model, judge what it tells, and write it down."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from luodi.checks.drift import DRIFT, Looked
from luodi.config import ModelSettings
from luodi.data import split_rows
from luodi.errors import NoVersion
from luodi.files import write_facts, write_text
from luodi.monitoring import asked, judging, sections, worth
from luodi.monitoring.asked import Asked
from luodi.monitoring.judging import BEFORE, Beside, Live
from luodi.monitoring.truths import Truths
from luodi.monitoring.worth import Worth
from luodi.project import workspace
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.registry import classifier, looks, promotion, tags
from luodi.registry.classifier import Registered
from luodi.registry.records import Look
from luodi.registry.tags import Version
from luodi.report import language
from luodi.report.formatting import at, part
from luodi.scoring.figures import Figure
from luodi.serving import log
from luodi.system.processes import Runner

REPORT, FACTS = "report.html", "report.json"
Action = Literal["rollback", "promote", "revert"]


@dataclass(frozen=True)
class Step:
    """What is proven to be due; a canary that an option of a server made is ended by whoever runs that."""

    action: Action
    version: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        production: The version in production, such as "reviews@v1.2.0".
        drift: Of what is asked from what it was trained on.
        live, beside: Accuracy of each version, and other versions beside that in production.
        truths: True labels that were given; `joined` of them have their row in the log.
        worth: Rows that are worth a label.
        steps: What is proven to be due.
        done: What was done of it, in words.
        at: When it was looked at.
        canary: The version at stage canary.
    """

    model: str
    production: str
    since: datetime | None
    asked: Asked
    drift: Looked
    live: list[Live]
    beside: list[Beside]
    truths: Truths
    joined: int
    worth: list[Worth]
    steps: list[Step] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    canary: str | None = None

    @property
    def alarms(self) -> list[str]:
        """What somebody has to look at, in words; empty where nothing is wrong."""
        told = [
            f"{'live accuracy fell' if one.name == 'accuracy' else f'what is asked drifted in {one.name}'}: "
            f"{one.value:.3f} {one.unit}, at least {one.low:.3f} (alarms above {one.alarms})"
            for one in self.drift.statistics
            if one.verdict == DRIFT
        ]
        return [*told, *(f"{step.action} {step.version}: {step.reason}" for step in self.steps)]

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        days = [
            {"day": day.isoformat(), "version": version, "role": role, **_tally(tally)}
            for (day, (version, role)), tally in sorted(self.asked.days.items())
        ]
        return {
            "model": self.model,
            "production": self.production,
            "canary": self.canary,
            "at": self.at.isoformat(timespec="seconds"),
            "since": self.since and self.since.isoformat(),
            "rows": self.asked.rows,
            "alarms": self.alarms,
            "drift": self.drift.as_json(),
            "versions": [
                {"version": version, "role": role, **_tally(tally)}
                for (version, role), tally in self.asked.by().items()
            ],
            "days": days,
            "labels": {"given": len(self.truths.known), "joined": self.joined, "chosen": len(self.truths.chosen)},
            "live": [asdict(one) for one in self.live],
            "beside": [one.as_json() for one in self.beside],
            "worth": len(self.worth),
            "steps": [asdict(step) for step in self.steps],
            "done": self.done,
        }


def _tally(one: asked.Tally) -> dict[str, Any]:
    return {
        "rows": one.rows,
        "confidence": round(one.sure / one.rows, 4),
        "ms": round(one.ms / one.rows, 3),
        "labels": dict(one.labels.most_common()),
    }


@dataclass(frozen=True)
class Watch:
    """What is looked at, and with what.

    Attributes:
        counted: Whether a comparison spends of the error budget: what is done by it has to.
    """

    origin: Origin
    model: str
    settings: ModelSettings
    runner: Runner
    counted: bool = False

    def look(self, url: str, since: datetime | None, known: Truths, most: int) -> Found:
        """Read a log and judge.

        Args:
            url: Of the log.
            since: Nothing that was asked before; None is all.
            known: True labels.
            most: Rows that are worth a label.

        Raises:
            NoVersion: No version is in production.
            MissingData: The log holds no row of the model, or none since then.
            DataError: It cannot be read.
            RegistryError: A version's files are not those that were registered.
            RemoteError: They cannot be brought.
        """
        repository = tags.mirror(self.origin, self.runner)
        production = tags.find(repository, self.model)
        canary = tags.at_stage(tags.versions(repository, self.model, newest=0), tags.CANARY)
        read = asked.read(log.read(url, self.model, since), known.known)
        if not read.rows:
            raise log.nothing(url, self.model, since)
        model = classifier.load(self.origin, self.model, production.number, self.runner)
        rows = judging.sampled(read)
        right = judging.right(read, known, production.name, self.settings.drift.min_rows)
        drift, strange = judging.drifted(self.settings, model, self._trained(production), rows, right)
        beside = list(self._beside(read, model, production, repository))
        kind, confidence = self.settings.modality, self.settings.evaluate.confidence
        joined = 0 if read.labelled is None else len(judging.truly(read, [_all_labels(read)]))
        return Found(
            self.model, production.name, since, read, drift,
            judging.live(read, known, confidence, lambda version: self._tested(repository, version)),
            beside, known, joined,
            worth.chosen(rows, kind, read, strange.tolist(), known=set(known.known), most=most),
            list(_steps(beside)), canary=canary.name if canary else None,
        )  # fmt: skip

    def _trained(self, version: Version) -> tuple[split_rows.Rows, split_rows.Rows]:
        """The train and test rows of a version."""
        with tags.opened(self.origin, version, self.runner, "rows") as clone:
            path, labels = ModelPaths(clone.root, self.model).rows, part(version.facts, "params").get("labels")
            classes = len(labels) if isinstance(labels, list) else len(self.settings.labels)
            train, test = (split_rows.read(path, self.settings.modality, one, classes) for one in ("train", "test"))
            return train, test

    def _tested(self, repository: Path, name: str) -> Figure | None:
        with contextlib.suppress(NoVersion):
            figure = at(tags.find(repository, *name.split("@")).facts, "metrics", "model", "accuracy")
            return dict(figure) if isinstance(figure, dict) else None
        return None

    def _beside(self, read: Asked, model: Registered, production: Version, repository: Path) -> Iterator[Beside]:
        found = judging.others(read, production.name)
        with contextlib.suppress(NoVersion):
            before = f"{self.model}@{promotion.previous(repository, self.model)}"
            found += [(before, BEFORE)] if before not in dict(found) else []
        for version, role in found:
            pairs, agree = judging.agreement(read, production.name, version, self.settings.evaluate.confidence)
            one = Beside(version, role, pairs, agree)  # type: ignore[arg-type]
            if read.labelled is not None:
                one = self._proven(one, read, model, production)
            if one.role != BEFORE or one.proof:
                yield one

    def _proven(self, one: Beside, read: Asked, model: Registered, production: Version) -> Beside:
        """The same with what labels prove, where there are enough of them, and the version is in the registry."""
        try:
            other = classifier.load(self.origin, self.model, one.version.partition("@")[2], self.runner)
        except NoVersion:
            return one
        rows = judging.truly(read, [model.labels, other.labels])
        if len(rows) < self.settings.drift.min_rows:
            return one
        look = self._take(one, rows, production)
        rule, kind = self.settings.gate, self.settings.modality
        proof, standing = judging.proven(other, model, rows, kind, rule=rule, look=look)
        return Beside(one.version, one.role, one.pairs, one.agree, proof, look, standing)

    def _take(self, one: Beside, rows: pa.Table, production: Version) -> Look | None:
        """Spend of an error budget of their own for looks at live rows, of the same size as that of the gate."""
        rule = self.settings.gate
        names = ("request", "item", "truth")
        digest = hashlib.blake2b(repr(sorted(zip(*(rows[name].to_pylist() for name in names), strict=True))).encode())
        judged = {"challenger": one.version, "champion": production.name, "rows": digest.hexdigest()[:32],
                  "metric": rule.metric, "margin": rule.margin}  # fmt: skip
        with workspace.clone(self.origin, production.commit, self.runner) as clone:
            return looks.take(clone, f"{self.model}/live", judged, rule, counted=self.counted)


def _all_labels(read: Asked) -> list[str]:
    assert read.labelled is not None
    return [str(one) for one in pc.unique(read.labelled["truth"]).to_pylist()]


def _steps(beside: list[Beside]) -> Iterator[Step]:
    for one in beside:
        if one.proof is None:
            continue
        gap = one.proof.difference
        told = f"{gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}) on {one.proof.rows:,} rows whose label is known"
        if one.standing == "better" and one.role in (BEFORE, log.CANARY):
            yield Step("rollback" if one.role == BEFORE else "promote", one.version, f"proven better: {told}")
        elif one.standing == "worse" and one.role == log.CANARY:
            yield Step("revert", one.version, f"proven worse than production: {told}")


def write(folder: Path, found: Found, settings: ModelSettings, lang: str = "en") -> Path:
    """Write the page, the facts, and the rows that are worth a label; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    worth.write(folder, found.worth, settings.modality, settings.labels)
    write_facts(folder / FACTS, found.as_json())
    html = sections.page(found, settings.modality)
    write_text(folder / REPORT, language.translated(html, lang, frozenset(settings.labels)))
    return folder / REPORT


def since(text: str, now: datetime | None = None) -> datetime:
    """Return the moment that "7d", "12h" or an ISO date or time names, which is UTC where it has no zone.

    Raises:
        ValueError: It is none of them.
    """
    from datetime import timedelta

    units = {"d": "days", "h": "hours"}
    if text[-1:] in units and text[:-1].isdecimal():
        return (now or datetime.now(UTC)) - timedelta(**{units[text[-1]]: int(text[:-1])})
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
