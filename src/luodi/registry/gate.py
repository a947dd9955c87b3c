"""Whether a challenger may land: by the rules that it has to keep, and what is proven of it beside the champion."""

from collections.abc import Mapping, Sequence
from typing import Any

from luodi import config
from luodi.registry import rules
from luodi.registry.evidence import more_rows
from luodi.registry.records import Comparison, Decision, Verdict
from luodi.registry.rules import Ruling


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

    Every version has to reach the minimum, to be calibrated, and to be small and fast enough. It must be shown not to
    be worse than the linear baseline by more than a margin, each class must have rows enough to be judged by, and none
    may be missed altogether. If there is a champion, the lower bound of the difference must lie above the margin; where
    the margin is 0 or more, the exact test must find the challenger ahead too, and no class may be proven to lose more
    recall than is allowed. With a look, both proofs are at its confidence, see `luodi.registry.budget`; what holds a
    challenger is proven at that of the rule. McNemar's test never promotes more than its share. Nor does the swap test,
    if on each row either could have said what the other did; of models that err in other ways it may.

    Args:
        metrics: The content of metrics.json.
        latency_ms: Median of a one-row prediction, milliseconds.
        rule: What must be proven.
        champion: Name of the version in production; None if there is none.
        comparison: See `luodi.registry.evidence.compare`; None if there is no champion, or it could not be compared.
        notes: Why it could not.

    Returns:
        The verdict is "hold" if a rule is broken or it is proven worse than a margin allows, "promote" if all is
        proven, else "insufficient evidence"; `more_rows` of the comparison then says how many more test rows would
        decide.
    """
    rulings = rules.of_version(metrics, latency_ms, rule)
    if champion is not None and comparison is not None:
        rulings += rules.of_comparison(comparison, rule, champion)
    elif champion is not None:
        rulings.append(rules.uncompared(rule, champion, notes))
    verdict = _verdict(rulings)
    reasons = [reason for ruling in rulings for reason in ruling.reasons]
    if comparison is not None and verdict is Verdict.INSUFFICIENT and _unproven(comparison, rule):
        asked = comparison.look.confidence if comparison.look else None
        more = more_rows(comparison.difference, comparison.rows, rule.margin, rule.confidence, asked)
        comparison = comparison.model_copy(update={"more_rows": more})
        reasons.append(rules.outlook(more))
    wanting = [ruling for ruling in rulings if not ruling.kept and (ruling.broken or verdict is Verdict.INSUFFICIENT)]
    reasons += [f"what to do: {ruling.remedy}" for ruling in wanting[:1]]
    return Decision(
        verdict=verdict,
        reasons=tuple(reasons),
        champion=champion,
        rule=rule.model_dump(mode="json"),
        checks=tuple(ruling.check for ruling in rulings),
        comparison=comparison,
        metrics=dict(metrics),
        latency_ms=latency_ms,
    )


def _verdict(rulings: Sequence[Ruling]) -> Verdict:
    if any(ruling.broken for ruling in rulings):
        return Verdict.HOLD
    return Verdict.PROMOTE if all(ruling.kept for ruling in rulings) else Verdict.INSUFFICIENT


def _unproven(comparison: Comparison, rule: config.Gate) -> bool:
    """Whether it is the difference from the champion that the rows do not tell."""
    return not all(ruling.kept for ruling in rules.proofs(comparison, rule, ""))
