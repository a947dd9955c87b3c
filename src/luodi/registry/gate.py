"""Whether a challenger may land: the rules it has to keep, and what has to be proven of it beside the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luodi import config
from luodi.registry.evidence import more_rows
from luodi.registry.records import Check, Comparison, Decision, Verdict


@dataclass(frozen=True)
class Ruling:
    """A rule applied; `reasons` says what is wrong, in sentences, and is empty where the rule is kept."""

    name: str
    expected: str
    found: str
    reasons: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return not self.reasons

    @property
    def check(self) -> Check:
        return Check(name=self.name, expected=self.expected, found=self.found, passed=self.kept)


def judge(
    metrics: Mapping[str, Any],
    latency_ms: float,
    rule: config.Gate,
    champion: str | None,
    comparison: Comparison | None,
    *,
    notes: Sequence[str] = (),
) -> Decision:
    """Decide whether a challenger may land.

    Every version has to reach the minimum, to beat the lower bound of the linear baseline or make no mistake, to be
    calibrated, and to be small and fast enough. If there is a champion, the lower bound of the difference must lie
    above the margin; where the margin is 0 or more, the exact test must find the challenger ahead too. A bootstrap of
    few rows that differ finds too many of them better. McNemar's test never promotes more than its share. Nor does the
    swap test, if on each row either could have said what the other did; of models that err in other ways it may.

    Args:
        metrics: The content of metrics.json.
        latency_ms: Median of a one-row prediction, milliseconds.
        rule: What must be proven.
        champion: Name of the version in production; None if there is none.
        comparison: See `luodi.registry.evidence.compare`; None if there is no champion, or it could not be compared.
        notes: Why it could not.

    Returns:
        The verdict is "hold" if it is proven worse than the margin allows or breaks a rule, "promote" if all is proven,
        else "insufficient evidence"; `more_rows` of the comparison then says how many more test rows would decide.
    """
    rules, proofs = _absolute(metrics, latency_ms, rule), []
    if champion is not None and comparison is not None:
        rules.append(_slices(comparison, rule, champion))
        proofs = _proofs(comparison, rule, champion)
    elif champion is not None:
        proofs = [_uncompared(rule, champion, notes)]
    worse = comparison is not None and comparison.difference.high < rule.margin
    verdict = _verdict(rules, proofs, worse)
    reasons = [reason for ruling in (*rules, *proofs) for reason in ruling.reasons]
    if comparison is not None and verdict is Verdict.INSUFFICIENT:
        more = more_rows(comparison.difference, comparison.rows, rule)
        comparison = comparison.model_copy(update={"more_rows": more})
        reasons.append(_outlook(more))
    return Decision(
        verdict=verdict,
        reasons=tuple(reasons),
        champion=champion,
        rule=rule.model_dump(mode="json"),
        checks=tuple(ruling.check for ruling in (*rules, *proofs)),
        comparison=comparison,
        metrics=dict(metrics),
        latency_ms=latency_ms,
    )


def _verdict(rules: Sequence[Ruling], proofs: Sequence[Ruling], worse: bool) -> Verdict:
    if worse or not all(ruling.kept for ruling in rules):
        return Verdict.HOLD
    return Verdict.PROMOTE if all(ruling.kept for ruling in proofs) else Verdict.INSUFFICIENT


def _absolute(metrics: Mapping[str, Any], latency_ms: float, rule: config.Gate) -> list[Ruling]:
    """The rules for every version, champion or not."""
    name, model = rule.metric, metrics["model"]
    value, baseline = model[name]["value"], metrics["baseline"][name]["low"]
    error, size = model["calibration_error"]["value"], metrics["size_bytes"] / 1e6
    return [
        _rule_on(
            f"minimum {name}", f"at least {rule.minimum:.4f}", f"{value:.4f}", value >= rule.minimum,
            f"{name} {value:.4f} is below the minimum {rule.minimum:.4f}",
        ),
        _rule_on(
            "linear baseline", f"{name} above {baseline:.4f}", f"{value:.4f}", value > baseline or value >= 1,
            f"{name} {value:.4f} does not beat the linear baseline's lower bound {baseline:.4f}",
        ),
        _rule_on(
            "calibration error", f"at most {rule.max_calibration_error:.4f}", f"{error:.4f}",
            error <= rule.max_calibration_error,
            f"calibration error {error:.4f} is above the maximum {rule.max_calibration_error:.4f}",
        ),
        _rule_on(
            "size", f"at most {rule.max_size_mb:g} MB", f"{size:.2f} MB", size <= rule.max_size_mb,
            f"size {size:.2f} MB is above the maximum {rule.max_size_mb:g} MB",
        ),
        _rule_on(
            "latency", f"at most {rule.max_latency_ms:g} ms", f"{latency_ms:.2f} ms", latency_ms <= rule.max_latency_ms,
            f"latency {latency_ms:.2f} ms is above the maximum {rule.max_latency_ms:g} ms",
        ),
    ]  # fmt: skip


def _slices(comparison: Comparison, rule: config.Gate, champion: str) -> Ruling:
    judged = [part for part in comparison.slices if part.judged]
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
    )


def _proofs(comparison: Comparison, rule: config.Gate, champion: str) -> list[Ruling]:
    """What has to be proven of the difference."""
    gap, p, alpha = comparison.difference, comparison.p, round(1 - rule.confidence, 12)  # 0.05, not 0.05 + 4e-17
    found = f"{gap.value:+.4f}, interval {gap.low:+.4f} to {gap.high:+.4f}"
    side = "lies below the margin" if gap.high < rule.margin else "does not lie above the margin"
    interval = _rule_on(
        *_asked(rule, champion), found, gap.low > rule.margin,
        f"the difference in {rule.metric} from {champion}, {found}, {side} {rule.margin:+.4f}",
    )  # fmt: skip
    if rule.margin < 0:
        return [interval]
    name = "exact McNemar test" if rule.metric == "accuracy" else "exact swap test"
    expected = f"p below {alpha:.3g}, the challenger ahead"
    exact = _rule_on(
        name, expected, f"p {p:.3g}, difference {gap.value:+.4f}", p < alpha and gap.value > 0,
        f"the {name} does not find it better: expected {expected}, found p {p:.3g} at a difference of "
        f"{gap.value:+.4f}",
    )  # fmt: skip
    return [interval, exact]


def _uncompared(rule: config.Gate, champion: str, notes: Sequence[str]) -> Ruling:
    return Ruling(*_asked(rule, champion), "not compared", tuple(notes) or (f"it was not compared with {champion}",))


def _asked(rule: config.Gate, champion: str) -> tuple[str, str]:
    """Name and expectation of the check of the difference."""
    return f"difference from {champion}", f"{rule.metric}: whole interval above {rule.margin:+.4f}"


def _outlook(more: int | None) -> str:
    if more is None:
        return "no number of test rows that one could collect would decide it: the difference is too near the margin"
    return f"about {more:,} more test rows would decide it, 4 times in 5, if the difference stays"


def _rule_on(name: str, expected: str, found: str, passed: bool, reason: str) -> Ruling:
    return Ruling(name, expected, found, () if passed else (reason,))
