"""Every page that people decide by, made from cases that are hard to read: `python tests/gallery.py FOLDER [zh]`.

Rows, scores and decisions come from luodi's own code; no model is trained, for what a page shows of one is its scores.
"""

import hashlib
import io
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from luodi import config
from luodi.checks.drift import Looked, Statistic
from luodi.data import arrivals, image, split_rows
from luodi.data.arrivals import Arrival
from luodi.errors import ValidationFailed
from luodi.files import read_facts, write_text
from luodi.monitoring import sections
from luodi.monitoring.asked import Asked, Tally
from luodi.monitoring.judging import Beside, Live
from luodi.monitoring.truths import Truths
from luodi.monitoring.watch import Found, Step
from luodi.monitoring.worth import WHYS, Worth
from luodi.project.paths import ModelPaths
from luodi.registry import (
    acting,
    card,
    changed_answers,
    changes,
    doubts,
    evidence,
    gate,
    gate_sections,
    history,
    new_rows,
    training_page,
)
from luodi.registry.records import Agreement, Change, Decision, Estimate, Evidence
from luodi.registry.tags import Move, Version
from luodi.report import page
from luodi.scaffold import drifting
from luodi.scoring import figures, mistakes
from luodi.scoring.explaining import Explanation
from luodi.scoring.scored import Scored
from luodi.stages import evaluate, preprocess, validate
from luodi.tuning import charts

ROOT = Path(__file__).parents[1]
MODELS = config.load(ROOT / "params.yaml").models
REGISTERED = datetime(2026, 11, 23, 18, 2, tzinfo=UTC)
SPELLINGS = ("Negative", "NEGATIVE", "neg", "negativ", "负面", "bad", " negative")
BAD_WEEK = [
    *(("\u3000 ", "negative", f"week.csv, line {line}") for line in range(2, 30)),
    *((f"很好\ufffd{line}", "positive", f"week.csv, line {line}") for line in range(30, 60)),
    *((f"差\x00{line}", "negative", f"week.csv, line {line}") for line in range(60, 75)),
    *((f"说不清{line}", SPELLINGS[line % 7], f"week.csv, line {line}") for line in range(75, 180)),
    *((f"没有答案{line}", None, f"week.csv, line {line}") for line in range(180, 190)),
    *((f"房间很好，服务也好{line}", "negative", f"week.csv, line {line}") for line in range(190, 230)),
    *((f"The room was fine, number {line}.", "positive", f"week.csv, line {line}") for line in range(230, 455)),
    *((f"找客服 1391234{line:04}，邮箱 hotel{line}@example.com", "negative", f"week.csv, line {line}")
      for line in range(460, 480)),
    *((f"太长了{line}" * 2000, "positive", f"week.csv, line {line}") for line in range(455, 460)),
]  # fmt: skip
"""Text, label and place of rows that are amiss in eight ways; the sixth contradicts rows that were clean before."""


def texts(count: int) -> list[tuple[str, str, str]]:
    """Clean rows, half of which the second half repeats."""
    return [
        (f"房间很好，服务也好{row % (count // 2)}", "positive", f"base.csv, line {row + 2}")
        if row % 2
        else (f"房间又小又脏{row % (count // 2)}", "negative", f"base.csv, line {row + 2}")
        for row in range(count)
    ]


def lay(root: Path, model: str, shards: dict[str, list[tuple[Any, str | None, str | None]]]) -> ModelPaths:
    """Write shards of item, label and origin."""
    paths = ModelPaths(root, model)
    paths.data.mkdir(parents=True)
    for name, rows in shards.items():
        item, label, origin = zip(*rows, strict=True)
        columns = {MODELS[model].modality: item, "label": label, "source": [name] * len(rows), "origin": origin}
        pq.write_table(pa.table(columns), paths.data / f"{name}.parquet")
    return paths


def validation(root: Path, model: str, shards: dict[str, list[Any]]) -> ModelPaths:
    """Validate shards as the stage does, whatever it says of them."""
    settings = MODELS[model]
    limits = settings.validate_.model_copy(update={"min_rows": 100})
    paths = lay(root, model, shards)
    for number, name in enumerate([*shards][1:]):
        came = Arrival(name * 3, [f"{name}.csv"], len(shards[name]), len(shards[name]), 0, {}, {}, [f"{name}.parquet"])
        arrivals.write(paths.data, paths.data, number, came)
    with redirect_stdout(io.StringIO()), suppress(ValidationFailed):
        validate.run(settings.model_copy(update={"validate_": limits}), paths)
    return paths


def drawing(seed: int, size: int = 8) -> bytes:
    """A PNG that no other seed gives."""
    return image.png(Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size), np.uint8)))


def pictures() -> dict[str, list[Any]]:
    clean = [(drawing(row), str(row % 10), f"scans/{row % 10}/{row:04}.png") for row in range(1000)]
    broken = [(drawing(row)[:-30], "7", f"scans/7/{row:04}.png") for row in range(1000, 1012)]
    huge = [(drawing(row, 9000), "3", f"scans/3/{row:04}.png") for row in range(1012, 1013)]
    twice = [(drawing(row), str((row + 1) % 10), f"again/{row:04}.png") for row in range(40)]
    return {"scans": clean + broken + huge, "again": twice}


# Scores


def scored(truth: Any, right: Any, taken: Any, classes: int, seed: int) -> Scored:
    """Rows of which `right` (bool [rows]) are known; the others are taken for `taken`."""
    rng = np.random.default_rng(seed)
    predicted = np.where(right, truth, taken)
    sure = np.clip(right.mean() + rng.uniform(-0.04, 0.04, len(truth)), 0.5, 0.999)
    rest = ((1 - sure) / (classes - 1))[:, None]
    scores = np.repeat(rest, classes, 1)
    scores[np.arange(len(truth)), predicted] = sure
    return Scored(np.asarray(truth), scores)


def evaluation(labels: tuple[str, ...], rows: int, wrong: float) -> tuple[str, dict[str, Any]]:
    """Return the page of an evaluation and what metrics.json would hold of it."""
    classes, rng = len(labels), np.random.default_rng(1)
    truth = np.arange(rows) % classes
    share = np.clip(wrong * 2 * truth / max(classes - 1, 1), 0, 1)
    taken = np.where(rng.random(rows) < 0.7, 0, rng.integers(0, classes, rows))
    taken = np.where(taken == truth, (truth + 1) % classes, taken)
    model, baseline = (
        scored(truth, rng.random(rows) > share + more, taken, classes, seed) for seed, more in ((2, 0.0), (3, 0.03))
    )
    return evaluated(labels, model, baseline)


def item(place: int) -> str:
    return f"第{place}行：快递很快，包装完好，<b>就是贵</b>。" * (place % 3 + 1)


def evaluated(labels: tuple[str, ...], model: Scored, baseline: Scored) -> tuple[str, dict[str, Any]]:
    """Return the page of these scores, and what metrics.json would hold of them."""
    rows, classes, truth = model.rows, len(labels), model.truth
    settings = MODELS["reviews"].model_copy(
        update={"labels": labels, "evaluate": config.Evaluate(bootstrap=50, mistakes=200)}
    )
    items = [item(row) for row in range(rows)]
    origin: list[str | None] = [f"base.csv, line {row + 2}" for row in range(rows)]
    test = split_rows.Rows(items, truth.astype(np.int32), ["base"] * rows, origin)
    none = Scored(np.zeros(0, np.int64), np.zeros((0, classes)))
    measured = figures.rounded(evaluate.measure(test, model, baseline, none, settings))
    near = figures.near_slices(
        np.arange(rows), ["0.9 or more" if row % 9 == 0 else None for row in range(rows)], model, 0.95
    )
    measured |= {"size_bytes": 8_389_987, "test_share": 0.1, "nearest": figures.rounded(near), "newest": None}
    measured |= {"choice": {"chosen": "net", "metric": "accuracy", "validation": {}}}
    explained = [
        {"place": place, **explanation(items[place], labels[model.predicted[place]], number)}
        for number, place in enumerate(mistakes.surest(model, 200)[:10].tolist())
    ]
    view = evaluate.describe(measured, test, model, baseline, settings, explained=explained)
    return page.render("evaluation", name="reviews", **view), measured


def explanation(item: str, label: str, seed: int) -> dict[str, Any]:
    """What each character of a text adds to a label."""
    weights = np.random.default_rng(seed).normal(0, 1, len(item)) ** 3
    return Explanation(item, [(at, at + 1) for at in range(len(item))], label, 0.9, weights).as_json()


@dataclass(frozen=True)
class Run:
    """A challenger that alone is right on `wins` of the test rows; the rule of its champion's margin was `before`."""

    wins: int
    losses: int
    rows: int
    margin: float = 0.0
    before: float = 0.0
    champion: bool = True

    def scored(self) -> tuple[Scored, Scored]:
        """The challenger, and who it is compared with: the champion, or the baseline of a first landing."""
        truth = np.arange(self.rows) % 2
        mine, theirs = np.ones(self.rows, bool), np.ones(self.rows, bool)
        mine[: self.losses + 60] = theirs[:60] = theirs[self.losses + 60 : self.losses + 60 + self.wins] = False
        one, other = (scored(truth, right, 1 - truth, 2, 4) for right in (mine, theirs))
        return one, other

    def evaluation(self) -> tuple[str, dict[str, Any]]:
        """The page of the challenger, beside the linear baseline, and metrics.json."""
        one, other = self.scored()
        weaker = scored(one.truth, one.correct & (np.arange(self.rows) % 30 > 0), 1 - one.truth, 2, 4)
        return evaluated(LABELS, one, weaker if self.champion else other)

    def decide(self) -> Decision:
        (one, other), (_, measured) = self.scored(), self.evaluation()
        rule = config.Gate(minimum=0.8, margin=self.margin, min_slice_rows=100)
        settings = MODELS["reviews"].model_copy(update={"labels": LABELS, "gate": rule})
        name, comparison, changed = None, None, tuple[Change, ...]()
        if self.champion:
            name = "reviews@v1.0.0"
            slices = {"source": {"base": one.truth >= 0, "week": np.arange(self.rows) % 3 == 0}}
            comparison = evidence.compare(one, other, list(LABELS), slices, rule, [], 7)
            both = changed_answers.of(one, other, LABELS, np.arange(self.rows))
            comparison = comparison.model_copy(update={"turned": both})
            changed = self._changed(settings, rule)
        decision = gate.judge(measured, 0.21, rule, name, comparison)
        beside = None if self.champion else changed_answers.of(one, other, LABELS, np.arange(self.rows))
        more = {"changes": changed, "turned": beside, "approval": "human", "doubts": self._doubts(one.truth)}
        return decision.model_copy(update=more)

    def _doubts(self, truth: Any) -> Any:
        """Labels that the other rows contradict: one of fifty."""
        score = np.where(truth[:, None] == np.arange(2), 0.8, 0.2)
        score += np.where(np.arange(self.rows)[:, None] % 50, 0, [[0.7, -0.7]])
        given = np.clip(score, 0, 1).astype(np.float32)
        return doubts.of(truth.astype(np.int32), given, np.arange(self.rows), LABELS)

    def _changed(self, settings: Any, rule: config.Gate) -> tuple[Change, ...]:
        """What differs from the champion: the margin, the seed, and a week of rows."""
        old = settings.model_copy(update={"gate": rule.model_copy(update={"margin": self.before})})
        facts, now = ({"params": one.model_dump(mode="json", by_alias=True)} for one in (old, settings))
        facts["params"]["train"] |= {"seed": 1}
        read, clean = (raw(self.rows)[name] for name in ("rows", "clean"))
        facts["data"] = {"hash": "9f3c.dir", "rows": read - WEEK, "clean": clean - WEEK}
        validated = {"validate@reviews": {"deps": [{"path": "data/reviews", "md5": "77aa.dir"}]}}
        return tuple(changes.since(facts, {}, now["params"], validated, {"rows": read, "clean": clean}))


LABELS = ("negative", "positive")
WEEK = 459  # rows of the last week


def decided(wins: int, losses: int, rows: int) -> Decision:
    return Run(wins, losses, rows).decide()


def raw(test: int) -> dict[str, int]:
    """Rows of which `test` are test rows: those kept, a tenth of which these are, and those that were left out."""
    kept = 10 * test
    return {"kept": kept, "duplicate": kept - 62, "contradicting": 30, "empty": 0, "quarantined": 301,
            "clean": 2 * kept - 32, "rows": 2 * kept - 32 + 301}  # fmt: skip


def carded(decision: Decision) -> dict[str, Any]:
    """The facts of a version that landed by a decision."""
    settings = MODELS["reviews"].model_dump(mode="json", by_alias=True)
    test = decision.metrics["rows"]
    data = raw(test)
    return {
        "commit": "d48e82062cf213912b8036a7af324191b46e787e",
        "export": "3b1f0c2d5e9a4f6b8c7d0e1f2a3b4c5d.dir",
        "latency_ms": 0.21,
        "metrics": decision.metrics,
        "data": {
            "hash": "77aac41e2d40c4b7e9a1d05f7c66aa3f.dir", "dated": "2026-11-20",
            "rows": data["rows"], "quarantined": data["quarantined"],
            "summary": {
                "kept": {split: dict.fromkeys(LABELS, share * test // 2)
                         for split, share in (("train", 8), ("validation", 1), ("test", 1))},
                "dropped": {name: data[name] for name in ("duplicate", "contradicting", "empty")}, "rows": data["kept"],
            },
        },
        "sources": {"base": data["kept"] - WEEK, "week": WEEK},
        "environment": {"luodi": "0.2.0", "python": "3.11.7", "libraries": {"keras": "3.15.1", "numpy": "2.4.6"}},
        "params": settings,
        "training": {"seconds": 19.5, "cpu_seconds": 33.8, "joules": None, "device": "cpu", "epochs": 5},
        "decision": decision.to_json(),
        "example": {"given": "质量很好，下次还买", "answer": {"positive": 0.9713, "negative": 0.0287}},
        "approval": {"mode": "human", "by": "Ada", "at": "2026-11-23T19:02:11+01:00", "comment": "Fine by me."},
    }  # fmt: skip


RUNS = {
    "loosened": Run(24, 26, 2000, margin=-0.03),
    "promote": Run(80, 24, 2000),
    "hold": Run(20, 90, 2000),
    "insufficient": Run(41, 35, 2000),
    "first": Run(34, 12, 600, champion=False),
}
DECISIONS = {name: run.decide for name, run in RUNS.items()}
MANY = tuple(f"{kind} {number:03}" for kind in ("家用电器和厨房用品", "household and kitchen") for number in range(75))


def rows_of(decision: Decision) -> changed_answers.Rows:
    """What the rows hold that a decision names."""
    found = decision.comparison.turned if decision.comparison else decision.turned
    places = [place for one in found or () for place in one.places]
    places += [one.place for one in decision.doubts.shown] if decision.doubts else []
    return {place: changed_answers.Row(item(place), f"base.csv, line {place + 2}") for place in places}


STATUS = "In production since 2026-11-23 18:02 UTC (as of 2026-11-28 09:00 UTC)."


def landed(name: str) -> str:
    """The version that a run became."""
    return "reviews@v1.0.0" if name == "first" else "reviews@v1.1.0"


def comparisons() -> Iterator[tuple[str, str]]:
    for name, decide in DECISIONS.items():
        decision = decide()
        facts = decision.to_json()
        todo = acting.todo("reviews", facts, "airflow")
        yield f"comparison-{name}", card.comparison("reviews", facts, rows_of(decision), todo=todo)
        if name in {"loosened", "promote", "first"}:
            yield f"card-{name}", card.html(landed(name), REGISTERED, "Ada", carded(decision), STATUS)


def tuning() -> str:
    """A search of 24 trials, of which some were pruned and one failed."""
    rng, trials = np.random.default_rng(6), list[dict[str, Any]]()
    for number in range(24):
        state = "failed" if number == 7 else "pruned" if number % 5 == 4 else "complete"
        value = round(0.84 + rng.normal(0, 0.01), 4) if state == "complete" else None
        values = {"train.learning_rate": float(10 ** rng.uniform(-4, -2)), "train.epochs": int(rng.integers(2, 12))}
        trials.append({"trial": number, "value": value, "state": state, "values": values if number else {},
                       "seconds": 12.5, "beside": {}, "epochs": 5, "why": ""})  # fmt: skip
    best = max((one for one in trials[1:] if one["value"]), key=lambda one: one["value"])
    edge = {
        "value": 0.004,
        "low": 0.001,
        "high": 0.007,
        "rows": 1791,
        "seeds": [1, 2],
        "candidates": 23,
        "confidence": 0.95,
    }
    facts = {"trials": trials, "values": best["values"], "says": "the best of 23 trials is proven better", "better": 1,
             "metric": "accuracy", "beside": [], "best": best["trial"], "front": [best["trial"]],
             "importances": {"train.learning_rate": 0.8, "train.epochs": 0.2}, "edge": edge,
             "study": "reviews-1"}  # fmt: skip
    return page.render("tuning", model="reviews", facts=facts, charts=charts.charts(facts))


def training() -> str:
    """A network that went on learning its train rows by heart after its best epoch, and loses to the linear model."""
    epochs = [(0.55, 0.78, 0.42, 0.82), (0.16, 0.97, 0.35, 0.85), (0.03, 0.99, 0.38, 0.84), (0.02, 0.99, 0.41, 0.84)]
    lines = [",".join(map(str, (number, *one))) for number, one in enumerate(epochs, 1)]
    told = "\n".join(["epoch,loss,accuracy,val_loss,val_accuracy", *lines, ""])
    choice = {"metric": "accuracy", "validation": {"linear": {"accuracy": 0.861}, "net": {"accuracy": 0.85}}}
    spent = {"seconds": 19.5, "cpu_seconds": 36.0, "joules": 351.0, "device": "cpu", "epochs": 4,
             "peak_device_memory": None, "remarks": [
                 "val_loss was least after the first epoch and never fell again; a lower train.learning_rate, or more "
                 "train.dropout, may learn more"]}  # fmt: skip
    return str(training_page.html("reviews", told, {"epochs": 30}, choice, spent))


def batch(work: Path) -> str:
    """A batch of rows that are not like those before."""
    settings = MODELS["reviews"]
    paths = lay(work, "reviews", {"base": [*texts(1000)]})
    came = lay(
        work / "came", "reviews", {"week": [(f"The room was fine, {row}.", "positive", None) for row in range(500)]}
    )
    found = drifting.look(settings, paths, came.data)
    facts = {"files": ["week.csv"], "rows": 500, "new": 480, "held": 20, "labels": {"positive": 480},
             "reasons": {"text is blank": 20}}  # fmt: skip
    return drifting.write(paths, "week", found, facts).read_text("utf-8")


def in_use() -> str:
    """A model of many classes that drifted, with a shadow, a canary to revert, a rollback, and rows worth a label."""
    rng, days = np.random.default_rng(11), {}
    for number in range(90):
        tally = Tally(1000 + number, 850.0 - number, 2000.0, Counter({one: int(rng.integers(1, 99)) for one in MANY}))
        days[(REGISTERED + timedelta(days=number)).date(), ("reviews@v1.1.0", "production")] = tally
    days[REGISTERED.date(), ("reviews@v1.2.0", "canary")] = Tally(9, 8.0, 18.0, Counter({MANY[0]: 9}))
    figure = {"value": 0.71, "low": 0.68, "high": 0.74}
    proof = Evidence(rows=900, difference=Estimate(value=-0.06, low=-0.09, high=-0.03), p=0.0001,
                     mcnemar=Agreement(both=600, challenger=20, champion=80, neither=200, p=0.0001))  # fmt: skip
    drifted = Looked(2000, 2000, (
        Statistic("labels", "population stability index", 0.61, 0.52, 0.1, 0.25),
        Statistic("accuracy", "points less", 0.15, 0.11, 0.02, 0.05),
        Statistic("n-grams", "area under the curve of a model that tells them apart", 0.71, 0.69, 0.65, 0.8),
    ))  # fmt: skip
    rows = [Worth(f"r{n}", 0, "房间很好" * n + "https://example.com/" + "a" * 90, why, "reviews@v1.1.0", MANY[n], 0.5)
            for n, why in enumerate(WHYS * 9)]  # fmt: skip
    beside = [Beside("reviews@v1.2.0", "canary", 0, None, proof, None, "worse"),
              Beside("reviews@v1.0.0", "shadow", 812, figure)]  # fmt: skip
    found = Found(
        "reviews", "reviews@v1.1.0", REGISTERED, Asked(days), drifted,
        [Live("reviews@v1.1.0", "production", 900, figure, {"value": 0.86, "low": 0.85, "high": 0.87})], beside,
        Truths({("r1", 0): "a"}, {("r1", 0)}), 900, rows, [Step("revert", "reviews@v1.2.0", "proven worse")],
    )  # fmt: skip
    return sections.page(found, "text")


def versions() -> str:
    """The index of a model of many versions, of which one was rolled back, and of a run that landed nothing."""
    decision, held = DECISIONS["loosened"]().to_json(), DECISIONS["hold"]().to_json()
    rng = np.random.default_rng(5)
    found, moves = [], []
    for number in range(60):
        value = round(0.84 + 0.0005 * number + rng.normal(0, 0.004), 4)
        figure = {"value": value, "low": value - 0.012, "high": value + 0.012}
        facts = {"decision": decision, "metrics": {"model": {"accuracy": figure}}, "approval": {"mode": "auto"}}
        when = REGISTERED + timedelta(weeks=number - 60)
        stage = "production" if number == 59 else None
        found.append(Version("reviews", f"v1.{number}.0", "0" * 40, when, "Ada", stage, facts))
        moves.append(Move(number, f"v1.{number}.0", when, "Ada", {"action": "land"}))
    moves.insert(31, Move(60, "v1.29.0", REGISTERED, "Ada", {"action": "rollback", "reason": "it missed refunds"}))
    entries = [history.of_version(one, moves, f"{one.name}/card.html") for one in found]
    entries.append(history.of_run(held, REGISTERED, "reviews/run/comparison.html"))
    model = {"name": "reviews", "table": history.table(entries, "accuracy"), "metric": "Accuracy"}
    return page.render("index", models=[model | {"plot": history.plot(entries, "accuracy")}], kept=20)


def stages(work: Path) -> Iterator[tuple[str, str]]:
    clean = validation(work / "clean", "reviews", {"base": texts(1000)})
    yield "validation-clean", page.joined(clean.validation_report.read_text("utf-8"), [new_rows.FIRST])
    with redirect_stdout(io.StringIO()):
        preprocess.run(MODELS["reviews"], clean)
    yield "preprocess", clean.preprocess_report.read_text("utf-8")
    week = validation(work / "week", "reviews", {"base": texts(1000), "week": BAD_WEEK})
    counts = [read_facts(one.validation_summary) for one in (clean, week)]
    decision = DECISIONS["promote"]().to_json()
    told = (
        new_rows.rows("reviews@v1.0.0", *counts),
        doubts.section("reviews", decision, rows_of(DECISIONS["promote"]())),
    )
    yield "validation-week", page.joined(week.validation_report.read_text("utf-8"), [one for one in told if one])
    scans = validation(work / "scans", "digits", pictures())
    yield "validation-images", scans.validation_report.read_text("utf-8")


def whose(name: str, lang: str) -> page.Identity:
    """The head of a page: of a version, of a run that the gate judged, or of one of 1,000 rows."""
    made, names = "2026-11-23 18:02 UTC", frozenset({*LABELS, "base", "week", "scans", "again", *MANY})
    kind, _, case = name.partition("-")
    if kind == "card":
        who, status = landed(case), "registered by Ada"
    elif kind == "comparison" or name == "evaluation-two":
        verdict = DECISIONS.get(case, DECISIONS["hold"])().verdict
        who, status = (
            "a run of reviews",
            f"nothing landed: {verdict if verdict != 'promote' else 'waiting for approval'}",
        )
    elif kind == "validation":
        stopped = case in ("week", "images")
        who = "a run of digits" if case == "images" else "a run of reviews"
        status = "stopped by validation" if stopped else "run of 1,000 rows"
    else:
        who, status = "a run of reviews", "run of 1,000 rows"
    commit = hashlib.sha1(f"{who}{status}".encode(), usedforsecurity=False).hexdigest()
    return page.Identity(who, status, made, commit, "" if "rows" in status else "77aac41e.dir", lang, names)


def make(folder: Path, work: Path, lang: str = "en") -> list[Path]:
    """Write every page into `folder`, what they are made from below `work`; return the pages."""
    pages = dict([*stages(work), *comparisons()])
    decision = DECISIONS["hold"]().to_json()
    pages["evaluation-two"] = page.joined(
        RUNS["hold"].evaluation()[0],
        gate_sections.since(decision),
        gate_sections.judged(decision, acting.todo("reviews", decision, "airflow")),
    )
    pages |= {"training": training(), "tuning": tuning(), "batch": batch(work / "batch"), "in-use": in_use()}
    pages["evaluation-many"] = evaluation(MANY, 30_000, 0.34)[0]
    pages["index"] = versions()
    beside = [(f"{name}.html", name) for name in pages]
    pages = {name: page.headed(text, whose(name, lang), beside, f"{name}.html") for name, text in pages.items()}
    for name, text in pages.items():
        write_text(folder / f"{name}.html", text)
    return [folder / f"{name}.html" for name in pages]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        print(*make(Path(sys.argv[1]), Path(scratch), *sys.argv[2:]), sep="\n")
