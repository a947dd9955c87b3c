"""What crosses the package: typed inside, the same JSON at the edge; which verdicts land; what no retry mends."""

from datetime import UTC, datetime
from typing import Any

import pytest

from luodi import errors
from luodi.errors import LuodiError, RegistryError, StageFailed
from luodi.registry.records import AUTO, Approval, Check, Decision, Verdict, lands

DECISION = Decision(
    verdict=Verdict.HOLD, reasons=("too slow",), champion=None, rule={"margin": 0.0}, comparison=None,
    checks=(Check(name="latency", expected="at most 1 ms", found="2.00 ms", passed=False, room="-1.00 ms"),),
    metrics={"rows": 3}, latency_ms=2,
)  # fmt: skip
JSON: dict[str, Any] = {
    "verdict": "hold", "reasons": ["too slow"], "champion": None, "rule": {"margin": 0.0}, "comparison": None,
    "checks": [{
        "name": "latency", "expected": "at most 1 ms", "found": "2.00 ms", "passed": False, "undecided": False,
        "room": "-1.00 ms",
    }],
    "metrics": {"rows": 3}, "latency_ms": 2.0, "changes": None, "turned": None,
    "approval": None, "dry": False, "doubts": None,
}  # fmt: skip


def test_a_decision_is_this_json_and_comes_back() -> None:
    assert DECISION.to_json() == JSON
    assert type(DECISION.to_json()["verdict"]) is str  # what keeps JSON may know no other kind
    assert Decision.from_json(JSON) == DECISION
    older = [{name: value for name, value in check.items() if name not in {"undecided", "room"}}
             for check in JSON["checks"]]  # fmt: skip
    told = Decision.from_json({name: value for name, value in JSON.items() if name != "changes"} | {"checks": older})
    assert told.checks[0].room == "" and told.verdict == DECISION.verdict


@pytest.mark.parametrize(
    ("found", "at"),
    [
        (JSON | {"verdict": "good"}, "verdict: Input should be 'promote', 'hold', 'insufficient evidence' or "),
        (JSON | {"checks": [{"name": "latency"}]}, r"checks\.0\.expected: Field required"),
        ({name: value for name, value in JSON.items() if name != "rule"}, "rule: Field required"),
        (None, "its top: Input should be"),
    ],
)
def test_a_decision_that_was_changed_by_hand_is_refused_by_name(found: dict[str, Any] | None, at: str) -> None:
    with pytest.raises(RegistryError, match=f"changed by hand: at {at}.*; trigger a new run"):
        Decision.from_json(found)


def test_an_approval_is_this_json() -> None:
    assert AUTO.to_json() == {"mode": "auto"}
    when = datetime(2026, 1, 31, 12, 30, 15, 999_999, tzinfo=UTC)
    assert Approval(mode="human", by="Li", at=when, comment="").to_json() == {
        "mode": "human", "by": "Li", "at": "2026-01-31T12:30:15+00:00", "comment": ""
    }  # fmt: skip


def test_records_do_not_change() -> None:
    record: Any = DECISION
    with pytest.raises(ValueError, match="frozen"):
        record.verdict = Verdict.PROMOTE


@pytest.mark.parametrize(
    ("verdict", "auto", "human"),
    [
        ("promote", True, True),
        ("hold", False, False),
        ("insufficient evidence", False, True),
        ("unchanged", True, True),
    ],
)
def test_which_verdicts_land(verdict: str, auto: bool, human: bool) -> None:
    assert [lands(verdict, mode) for mode in ("auto", "human")] == [auto, human]
    assert verdict in set(Verdict)


FINAL = {3, 4, 5, 6, 7, 10, 11, 12, 13, 20, 21, 22, 23, 24, 25}
"""Exit codes of what the same commit and the same data would end with again."""


def test_what_no_retry_can_mend() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LuodiError)}
    assert {kind.exit_code for kind in kinds if not kind.retryable} == FINAL
    assert {code for code in range(-64, 256) if not StageFailed("it failed", code=code).retryable} == FINAL
