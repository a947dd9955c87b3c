"""The rules of the gate, each applied to what was measured: of every version, and of one beside the champion."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luodi import config
from luodi.registry.evidence import error_of, more_rows
from luodi.registry.records import Check, Comparison, Evidence, Fresh, Look
from luodi.report.formatting import level
from luodi.scoring import figures

NAMED = 20  # classes, each in a reason of its own
EVALUATE = "run `luodi evaluate` again"


@dataclass(frozen=True)
class Ruling:
    """A rule applied; `reasons` says what is wrong, in sentences, and is empty where the rule is kept.

    A rule that is not kept is broken, which holds the challenger, or `undecided`: the rows do not tell. `remedy` says
    what a person may do about it, `room` how far what was found lies from the limit: below 0 it is missing.
    """

    name: str
    expected: str
    found: str
    reasons: tuple[str, ...] = ()
    undecided: bool = False
    remedy: str = ""
    room: str = ""

    @property
    def kept(self) -> bool:
        return not self.reasons

    @property
    def broken(self) -> bool:
        return bool(self.reasons) and not self.undecided

    @property
    def check(self) -> Check:
        unclear = bool(self.reasons) and self.undecided
        return Check(
            name=self.name, expected=self.expected, found=self.found, passed=self.kept, undecided=unclear,
            room=self.room.replace("-", "−"),
        )  # fmt: skip


def of_version(metrics: Mapping[str, Any], latency_ms: float, rule: config.Gate) -> list[Ruling]:
    """Return the rules for every version, champion or not, by metrics.json and the latency of one row."""
    model = metrics["model"]
    error, size = model["calibration_error"]["value"], metrics["size_bytes"] / 1e6
    chance = metrics.get("calibration_by_chance", 0.0)
    told = f" beyond the {chance:.4f} that chance gives on these rows" if chance else ""
    return [
        _minimum(model, rule),
        *of_evaluation(metrics, rule),
        _rule_on(
            "calibration error", f"at most {rule.max_calibration_error:.4f}" + told, f"{error:.4f}",
            error <= rule.max_calibration_error + chance,
            f"calibration error {error:.4f} is above the maximum {rule.max_calibration_error:.4f}{told}",
            "add rows: it is calibrated by those that it was not fitted on; or raise gate.max_calibration_error if "
            "nobody reads the probabilities",
            f"{rule.max_calibration_error + chance - error:+.4f}",
        ),
        _rule_on(
            "size", f"at most {rule.max_size_mb:g} MB", f"{size:.2f} MB", size <= rule.max_size_mb,
            f"size {size:.2f} MB is above the maximum {rule.max_size_mb:g} MB",
            "choose a smaller network (block train), or raise gate.max_size_mb", f"{rule.max_size_mb - size:+.2f} MB",
        ),
        _rule_on(
            "latency", f"at most {rule.max_latency_ms:g} ms", f"{latency_ms:.2f} ms", latency_ms <= rule.max_latency_ms,
            f"latency {latency_ms:.2f} ms is above the maximum {rule.max_latency_ms:g} ms",
            "judge it again where nothing else runs, choose a smaller network, or raise gate.max_latency_ms",
            f"{rule.max_latency_ms - latency_ms:+.2f} ms",
        ),
    ]  # fmt: skip


def _minimum(model: Mapping[str, Any], rule: config.Gate) -> Ruling:
    name, expected = f"minimum {rule.metric}", f"at least {rule.minimum:.4f}"
    if rule.metric not in model:
        reason = f"{rule.metric} was not measured"
        return Ruling(name, expected, "not measured", (reason,), undecided=True, remedy=EVALUATE)
    value = model[rule.metric]["value"]
    return _rule_on(
        name, expected, f"{value:.4f}", value >= rule.minimum,
        f"{rule.metric} {value:.4f} is below the minimum {rule.minimum:.4f}",
        "add data, train longer or another train.architecture, or lower gate.minimum if less is enough",
        f"{value - rule.minimum:+.4f}",
    )  # fmt: skip


def of_evaluation(metrics: Mapping[str, Any], rule: config.Gate) -> list[Ruling]:
    """Return the rules that follow from metrics.json alone: beside the baseline, and of each class."""
    return [_baseline(metrics, rule), _class_rows(metrics, rule), _missed(metrics, rule), _guessing(metrics, rule)]


def _guessing(metrics: Mapping[str, Any], rule: config.Gate) -> Ruling:
    """Better than whoever answers without looking: the mean recall of k classes above 1 / k, whatever their sizes.

    By all the rows that the classes are judged by.
    """
    parts = [one.get("judged") or {} for one in metrics.get("classes", {}).values()]
    parts = [one for one in parts if one.get("rows") and one.get("low") is not None]
    if len(parts) < 2:
        return Ruling("guessing", "mean recall of the classes above that of guessing", "no two classes have rows")
    mean = figures.mean_share(parts)
    chance, said = 1 / len(parts), f"{mean['value']:.4f}, interval {mean['low']:.4f} to {mean['high']:.4f}"
    reason = f"the mean recall of the classes, {said}, does not lie above {chance:.4f}, that of guessing"
    return Ruling(
        "guessing", f"mean recall of the classes: interval above {chance:.4f}", said,
        () if mean["low"] > chance else (reason,), undecided=mean["high"] >= chance,
        remedy="add data, or look whether the labels belong to their rows: nothing was shown to be learned yet",
        room=f"{mean['low'] - chance:+.4f}",
    )  # fmt: skip


def _baseline(metrics: Mapping[str, Any], rule: config.Gate) -> Ruling:
    """Not worse than the linear baseline by the margin: the whole interval of the difference above it.

    What is proven worse, be it by less, is held: a linear model is there to be used instead. A few rows prove the
    margin of no classifier, not even of one that always says what the baseline does: where no row that the baseline
    gets right is lost nothing speaks for the baseline, and the rule is kept.
    """
    margin = -rule.baseline_margin
    name = "linear baseline"
    expected = f"{rule.metric}: difference not proven worse, interval above {margin:+.4f} or no row lost"
    found = metrics.get("proof", {})
    if (metrics.get("choice") or {}).get("chosen") == "linear":
        return Ruling(name, expected, "it is the linear model itself")
    if found.get("metric") != rule.metric:
        reason = f"the {name} was not compared in {rule.metric}"
        return Ruling(name, expected, "not compared", (reason,), undecided=True, remedy=EVALUATE)
    proof = Evidence.model_validate(found)
    gap, lost = proof.difference, proof.mcnemar.champion
    said = f"{gap.value:+.4f}, interval {gap.low:+.4f} to {gap.high:+.4f}, {lost:,} rows lost"
    if proof.out_of_fold:
        said += f" of {proof.rows:,}, of which {proof.out_of_fold:,} were scored out of fold"
    begun = f"the difference in {rule.metric} from the {name}, {said}, "
    if gap.high < 0:
        return Ruling(
            name, expected, said, (f"{begun}proves it worse",),
            remedy="a linear model does better on these data: take train.architecture: linear, or try another, more "
            "epochs or more data",
            room=f"{gap.high:+.4f}",
        )  # fmt: skip
    room = f"{gap.low - margin:+.4f}"
    if gap.low > margin or (lost == 0 and gap.value >= 0):
        return Ruling(name, expected, said, room=room if gap.low > margin else "")
    more = more_rows(gap, proof.rows, margin, rule.confidence)
    return Ruling(
        name, expected, said,
        (f"{begun}does not lie above {margin:+.4f}", outlook(more, "rows" if proof.out_of_fold else "test rows")),
        undecided=True,
        remedy="add data, take train.architecture: linear, which needs no such proof, raise preprocess.shares.test or "
        "gate.baseline_margin, or let a person decide (register.approval: human)",
        room=room,
    )  # fmt: skip


def _class_rows(metrics: Mapping[str, Any], rule: config.Gate) -> Ruling:
    """Each class needs rows to be judged by, but for those that a person accepts without."""
    counts = {label: _judged(one)[0] for label, one in metrics.get("classes", {}).items()}
    few = {label: rows for label, rows in counts.items() if rows < rule.min_class_rows}
    unlearned = {label: one.get("unlearned") or {"rows": 0} for label, one in metrics.get("classes", {}).items()}
    accepted = [f"{label} ({few[label]})" for label in rule.unproven if label in few]
    wanting = {label: rows for label, rows in few.items() if label not in rule.unproven}
    share = 1.0 if _beyond_test(metrics) else metrics.get("test_share", 1.0)
    apart = [label for label in wanting if unlearned[label]["rows"] > 1]
    reasons = [
        f"class {label} is judged by {_rows(rows)}, expected {rule.min_class_rows}: "
        + _lacking(unlearned[label], rule.min_class_rows - rows, share)
        for label, rows in wanting.items()
    ]
    if len(reasons) > NAMED:
        reasons[NAMED:] = [f"so are {len(reasons) - NAMED} more classes: the table of classes has them"]
    scored = (metrics.get("choice") or {}).get("chosen") == "linear" or _beyond_test(metrics)
    groups = ", of other groups" if apart else ""
    beyond = (
        ""
        if scored or len(apart) == len(wanting)
        else ", set train.out_of_fold to always, which has every class judged by all of its rows"
    )
    fewest = min(counts, key=counts.__getitem__, default=None)
    asked = [rows for label, rows in counts.items() if label not in rule.unproven]
    found = "no class" if fewest is None else f"fewest: class {fewest}, {_rows(counts[fewest])}"
    return Ruling(
        "rows of each class",
        f"each class judged by {rule.min_class_rows} rows or more" + (", but for unproven ones" if accepted else ""),
        found + (f"; accepted unproven: {', '.join(accepted)}" if accepted else ""),
        tuple(reasons),
        undecided=True,
        remedy=f"add rows of the classes named{groups}{beyond}{',' if groups or beyond else ''} or accept them as they "
        "are: list them in gate.unproven",
        room=f"{min(asked) - rule.min_class_rows:+,} rows" if asked else "",
    )


def _lacking(unlearned: Mapping[str, int], wanted: int, share: float) -> str:
    """What would do for a class that lacks `wanted` rows to be judged by, of which some are that judge nothing yet."""
    if (rows := unlearned["rows"]) <= 1:
        return f"about {math.ceil(max(1, wanted - rows) / share - 1e-9):,} more of its rows in the data would do"
    told = "all of one group" if unlearned["groups"] == 1 else "with no other of it to learn from"
    return f"{rows:,} more, {told}, judge nothing, for what was fitted without them does not know the class"


def _missed(metrics: Mapping[str, Any], rule: config.Gate) -> Ruling:
    """No class that can be judged may be missed altogether, whoever accepted it when it had fewer rows."""
    judged = {label: _judged(one) for label, one in metrics.get("classes", {}).items()}
    recalls = {label: recall for label, (rows, recall) in judged.items() if rows >= max(1, rule.min_class_rows)}
    worst = min(recalls, key=recalls.__getitem__, default=None)
    return Ruling(
        "classes found",
        "recall above 0 of each class with rows enough",
        "no class has rows enough"
        if worst is None
        else f"lowest: class {worst}, {recalls[worst]:.4f} of {_rows(judged[worst][0])}",
        tuple(
            f"none of the {_rows(judged[label][0])} of class {label} is recognised" + _taken(metrics["classes"][label])
            for label, recall in recalls.items()
            if recall == 0
        ),
        remedy="add rows of the class; or, if it means what another does, add the data again with one label for both "
        "(`luodi add --label-map`); or without the class",
        room="" if worst is None else f"{recalls[worst]:+.4f}",
    )


def _taken(one: Mapping[str, Any]) -> str:
    """What most rows of a class that is missed are taken for; empty where an older luodi measured."""
    return f", most are taken for {one['taken_for']}" if "taken_for" in one else ""


def _judged(one: Mapping[str, Any]) -> tuple[int, float]:
    """Rows that a class is judged by, and its recall on them, 0 without rows."""
    found = one.get("judged") or {"rows": one.get("support", 0), "value": one.get("recall")}
    return int(found["rows"]), float(found["value"] or 0)


def _beyond_test(metrics: Mapping[str, Any]) -> bool:
    """Whether classes are judged by out-of-fold rows too, so that each new row counts."""
    return any((one.get("judged") or {}).get("out_of_fold") for one in metrics.get("classes", {}).values())


def of_comparison(comparison: Comparison, rule: config.Gate, champion: str) -> list[Ruling]:
    """Return the rules for a version that was compared with the champion."""
    losses = [_slices(comparison, rule, champion), _losses(comparison, rule, champion)]
    apart = [*_since(comparison, rule, champion), *_newest(comparison, rule, champion)]
    return [*losses, *apart, *proofs(comparison, rule, champion)]


def _slices(comparison: Comparison, rule: config.Gate, champion: str) -> Ruling:
    judged = [part for part in comparison.slices if part.judged and part.by != "class"]
    worst = min(judged, key=lambda part: part.difference, default=None)
    lost = [part for part in judged if -part.difference > rule.max_slice_loss]
    return Ruling(
        "slices",
        f"no slice of {rule.min_slice_rows} rows or more loses more than {rule.max_slice_loss:.4f} of its accuracy",
        f"{worst.by} {worst.name}: {worst.difference:+.4f}" if worst else "no slice has as many rows",
        tuple(
            f"on {part.by} {part.name}, {part.rows} rows, accuracy is {-part.difference:.4f} below that of "
            f"{champion}: at most {rule.max_slice_loss:.4f} is allowed"
            for part in lost
        ),
        remedy="add data like that slice, or raise gate.max_slice_loss",
        room=f"{worst.difference + rule.max_slice_loss:+.4f}" if worst else "",
    )


def _losses(comparison: Comparison, rule: config.Gate, champion: str) -> Ruling:
    """No class may be proven to lose more recall than is allowed; 0.05 of 30 rows is chance."""
    judged = [part for part in comparison.slices if part.by == "class" and part.high is not None]
    worst = min(judged, key=lambda part: part.high or 0.0, default=None)
    return Ruling(
        "recall of classes",
        f"no class is proven to lose more than {rule.max_slice_loss:.4f} of its recall",
        f"{worst.name}: {worst.difference:+.4f}, at most {worst.high:+.4f}" if worst else "no class has rows enough",
        tuple(
            f"recall of class {part.name}, {part.rows} rows, is {-part.difference:.4f} below that of {champion}, and "
            f"at least {-part.high:.4f} below by its interval: at most {rule.max_slice_loss:.4f} is allowed"
            for part in judged
            if part.high is not None and part.high < -rule.max_slice_loss
        ),
        remedy="add rows of that class, or raise gate.max_slice_loss",
        room=f"{(worst.high or 0.0) + rule.max_slice_loss:+.4f}" if worst else "",
    )


def proofs(comparison: Comparison, rule: config.Gate, champion: str) -> list[Ruling]:
    """Return what has to be proven of the difference from the champion."""
    gap, p, look = comparison.difference, comparison.p, comparison.look
    low, alpha = (look.low, error_of(look.confidence)) if look else (gap.low, error_of(rule.confidence))
    found = f"{gap.value:+.4f}, interval {gap.low:+.4f} to {gap.high:+.4f}"
    found += f", at {level(look.confidence)} from {low:+.4f}" if look else ""
    worse = gap.high < rule.margin
    side = f"lies below the margin {rule.margin:+.4f}" if worse else f"does not lie above {_bar(rule, look)}"
    wait = "wait for more data, or let a person decide (register.approval: human)"
    reason = f"the difference in {rule.metric} from {champion}, {found}, {side}"
    interval = Ruling(
        *_asked(rule, champion, look), found, () if low > rule.margin else (reason,), undecided=not worse,
        remedy=f"{champion} stays: train on more data or with other settings" if worse else wait,
        room=f"{low - rule.margin:+.4f}",
    )  # fmt: skip
    if rule.margin < 0:
        return [interval]
    # Of rows in groups, whole groups change places, for accuracy too.
    name = "exact McNemar test" if rule.metric == "accuracy" and p == comparison.mcnemar.p else "exact swap test"
    expected = f"p below {alpha:.3g}, the challenger ahead"
    reason = (
        f"the {name} does not find it better: expected {expected}, found p {p:.3g} at a difference of {gap.value:+.4f}"
    )
    ahead = p < alpha and gap.value > 0
    exact = Ruling(
        name, expected, f"p {p:.3g}, difference {gap.value:+.4f}", () if ahead else (reason,), undecided=True,
        remedy=wait, room=f"{alpha - p if gap.value > 0 else -p:+.4f}",
    )  # fmt: skip
    return [interval, exact]


def _bar(rule: config.Gate, look: Look | None) -> str:
    """What an interval has to lie above: one that does may yet be no proof, for it is one look of many."""
    bar = f"the margin {rule.margin:+.4f}"
    if look is None:
        return bar
    named = f"look {look.number} in {look.period} at these test rows"
    return f"{bar} at confidence {level(look.confidence)}, as {named} has to"


def _since(comparison: Comparison, rule: config.Gate, champion: str) -> list[Ruling]:
    """On the rows that came after the champion was chosen, which it owes nothing to, it may not be proven worse."""
    if (fresh := comparison.fresh) is None:
        return []
    return [_not_worse("rows since the champion", fresh, f"test rows that came after {champion}", rule, champion)]


def _newest(comparison: Comparison, rule: config.Gate, champion: str) -> list[Ruling]:
    """On the newest rows, which are nearest to those that it will meet, it may not be proven worse."""
    if (newest := comparison.newest) is None:
        return []
    return [_not_worse("newest rows", newest, "newest rows", rule, champion)]


def _not_worse(name: str, part: Fresh, of: str, rule: config.Gate, champion: str) -> Ruling:
    gap = part.difference
    found = f"{gap.value:+.4f}, interval {gap.low:+.4f} to {gap.high:+.4f}, {part.rows:,} rows"
    return _rule_on(
        name, f"{rule.metric}: not proven to lie below {rule.margin:+.4f}", found, not gap.high < rule.margin,
        f"on the {part.rows:,} {of}, the difference in {rule.metric}, {found}, lies below the margin "
        f"{rule.margin:+.4f}",
        f"{champion} stays: train on more data like the newest", f"{gap.high - rule.margin:+.4f}",
    )  # fmt: skip


def uncompared(rule: config.Gate, champion: str, notes: Sequence[str]) -> Ruling:
    """Return what is left undecided where a version could not be compared with the champion, `notes` saying why."""
    return Ruling(
        *_asked(rule, champion, None), "not compared", tuple(notes) or (f"it was not compared with {champion}",),
        undecided=True, remedy="let a person decide (register.approval: human)",
    )  # fmt: skip


def _asked(rule: config.Gate, champion: str, look: Look | None) -> tuple[str, str]:
    """Name and expectation of the check of the difference."""
    where = f"the interval at {level(look.confidence)}" if look else "whole interval"
    return f"difference from {champion}", f"{rule.metric}: {where} above {rule.margin:+.4f}"


def outlook(more: int | None, rows: str = "test rows") -> str:
    """Say how many more rows would prove it, see `luodi.registry.evidence.more_rows`."""
    if more is None:
        return f"more {rows} would not prove it, if the difference stays: it lies below the margin, or too near to it"
    return f"about {more:,} more {rows} would prove it, 4 times in 5, if the difference stays"


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _rule_on(  # noqa: PLR0917, each is of the one rule
    name: str, expected: str, found: str, passed: bool, reason: str, remedy: str, room: str
) -> Ruling:
    return Ruling(name, expected, found, () if passed else (reason,), remedy=remedy, room=room)
