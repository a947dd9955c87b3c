"""What the suite found, in words a reviewer reads: the verdict, each expectation, and the message of a failure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from luodi.terminal import visible

EXAMPLES = 5
FACTS = ("title", "severity", "passed", "expected", "found")
FAILED, WARNED, PASSED = "failed", "passed with warnings", "passed"


@dataclass(frozen=True)
class Example:
    """A row as it is shown: invisible characters escaped, long text cut; of an image, what it is in words.

    `beside` is another row, to be shown with this one.
    """

    shard: str
    row: int
    label: str
    text: str
    beside: "Example | None" = None
    origin: str | None = None

    @property
    def place(self) -> str:
        """Where a person finds the row: in what was added, if that is known, else in the shard."""
        return shown(self.origin or f"{self.shard} row {self.row}", 80)

    def __str__(self) -> str:
        return f"{self.place} [{self.label}] {shown(self.text, 40)}"


@dataclass(frozen=True)
class Finding:
    """One expectation and what became of it; one that is `idle` has a limit that no rows can break."""

    title: str
    severity: str
    passed: bool
    expected: str
    found: str
    examples: tuple[Example, ...]
    idle: bool = False

    @property
    def verdict(self) -> str:
        """What this finding makes of the whole batch."""
        if self.passed:
            return PASSED
        return FAILED if self.severity == "critical" else WARNED


def read(result: dict[str, Any], measured: pa.Table, item: str) -> list[Finding]:
    """Turn Great Expectations' result into findings, the gravest first.

    Args:
        result: As returned by `engine.validate`.
        measured: The table that was validated.
        item: Its column that is shown of a row.
    """
    return by_gravity(_finding(one, measured, item) for one in result["results"])


def of_classes(counts: Mapping[str, int], share: float, least: int, source: str | None = None) -> Finding:
    """Tell of classes that the test split will hardly prove anything of; a warning.

    Args:
        counts: Clean rows of each class, of `source` alone where that is named.
        share: Part of them that will be test rows, above 0.
        least: Test rows of a class that the gate asks for.
        source: All rows of which are the test split, an official one.
    """
    few = [(label, rows) for label, rows in sorted(counts.items(), key=lambda one: one[1]) if share * rows < least]
    of, needed = "" if source is None else f" of source {shown(source, 40)}", math.ceil(least / share)
    told = [f"class {shown(label, 40)} has {rows:,} rows{of}: about {share * rows:.0f} in the test split"
            for label, rows in few[:EXAMPLES]]  # fmt: skip
    more = [f"and {len(few) - EXAMPLES} more classes"] if len(few) > EXAMPLES else []
    return Finding(
        title="Each class has rows enough to be proven",
        severity="warning",
        passed=not few,
        expected=f"about {needed:,} rows of each class{of} or more: {least} of them in the test split",
        found="; ".join(told + more) or "all of them have",
        examples=(),
    )


def by_gravity(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the gravest first."""
    return sorted(findings, key=lambda one: ([FAILED, WARNED, PASSED].index(one.verdict), one.severity))


def verdict(findings: list[Finding]) -> str:
    """Return "failed" on any critical failure, else "passed with warnings" on any failure, else "passed"."""
    verdicts = {finding.verdict for finding in findings}
    return next(one for one in (FAILED, WARNED, PASSED) if one in verdicts or one == PASSED)


def facts(findings: list[Finding]) -> list[dict[str, str | bool]]:
    """Return the findings as JSON has them, without examples: they go into tags, where no row belongs."""
    return [{name: getattr(one, name) for name in FACTS} for one in findings]


def message(findings: list[Finding]) -> list[str]:
    """Name every critical failure, what was expected and found, and up to five examples of each, a line each."""
    failures = [finding for finding in findings if finding.verdict == FAILED]
    return [
        line
        for failure in failures
        for line in (
            f"  {failure.title}: expected {failure.expected}; found {failure.found}",
            *(f"    {example}" for example in failure.examples),
        )
    ]


def warnings(findings: list[Finding]) -> list[str]:
    """Name every warning, and what was found, a line each."""
    return [f"  warning: {finding.title}: found {finding.found}" for finding in findings if finding.verdict == WARNED]


def examples(measured: pa.Table, places: Any, item: str, width: int = 120) -> tuple[Example, ...]:
    """Show the rows of `measured` at `places`; `item` is the column that is shown in at most `width` characters."""
    names = ["shard", "row", "label", item, *(["origin"] if "origin" in measured.column_names else [])]
    found = measured.select(names).take(pa.array(places, pa.int64())).to_pylist()
    return tuple(
        Example(
            row["shard"], row["row"], shown(row["label"], 40), _seen(shown(row[item], width)), origin=row.get("origin")
        )
        for row in found
    )


def _seen(text: str) -> str:
    return text if text.strip() else "(blank)"


def shown(value: str | None, width: int) -> str:
    """Return `value` in at most `width` characters, with what cannot be seen written as an escape."""
    if value is None:
        return "(missing)"
    cut = value if len(value) <= width else value[: width - 1] + "…"
    return visible(cut)


def _finding(one: dict[str, Any], measured: pa.Table, item: str) -> Finding:
    config, result = one["expectation_config"], one["result"]
    meta = config.get("meta") or {}  # of an expectation that was not made by `suite.expect`: one of a user's own
    places = _places(result, meta.get("flag"), measured)
    shown = examples(measured, places, item)
    if beside := meta.get("beside"):
        others = examples(measured, measured[beside].take(pa.array(places, pa.int64())), item)
        shown = tuple(replace(one, beside=other) for one, other in zip(shown, others, strict=True))
    return Finding(
        title=meta.get("title", config["type"].replace("_", " ").capitalize()),
        severity=config["severity"],
        passed=one["success"],
        expected=meta.get("expected") or config.get("description") or _asked(config["kwargs"]),
        found=_found(result, meta.get("unit", "")),
        examples=shown,
        idle=meta.get("idle", False),
    )


def _asked(kwargs: dict[str, Any]) -> str:
    """What an expectation without a description asks for."""
    return shown(", ".join(f"{name} {value}" for name, value in kwargs.items() if name != "batch_id"), 200)


def _found(result: dict[str, Any], unit: str) -> str:
    if "unexpected_count" in result:
        return in_rows(result["unexpected_count"], result["element_count"])
    value = result.get("observed_value")
    if unit == "names":
        missing = result.get("partial_missing_list") or _missing_columns(result)
        return f"no {', '.join(missing)}" if missing else value if isinstance(value, str) else "all of them"
    if value is None:
        return "nothing to measure"
    if unit == "intensity":
        return f"{value:.3f}"
    if unit == "share":
        return percent(value)
    return f"{value:,} {unit}".strip() if isinstance(value, int | float) else shown(str(value), 200)


def _missing_columns(result: dict[str, Any]) -> list[str]:
    names: list[str] = result.get("details", {}).get("mismatched", {}).get("missing", [])
    return names


def in_rows(count: int, total: int) -> str:
    """Write a number of rows, and which share of all it is."""
    if count == 0:
        return "none"
    return f"{count:,} row{'' if count == 1 else 's'} ({percent(count / total)})"


def percent(share: float) -> str:
    """Write a share (0 to 1) as a percentage; a small one is not rounded to none."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _places(result: dict[str, Any], flag: str | None, measured: pa.Table) -> list[int]:
    """Places in `measured` of the first rows at fault."""
    places = result.get("partial_unexpected_index_list", [])
    if flag:
        places = measured[flag].to_numpy().nonzero()[0].tolist()
    return list(places[:EXAMPLES])
