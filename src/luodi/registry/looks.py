"""The looks at the test rows of a model, kept as refs of the git origin: any host goes on where another stopped.

The third look of 2026 is the ref refs/luodi/looks/reviews/2026/3, made once and never moved. It names a blob that says
what was judged: the challenger, the champion, the rows, and by what. Its id follows from that, so that the same
judgement again, by whatever host, finds its ref and spends nothing more; a list of refs tells all, and no object is
read. They are no tags, which GTO would take for versions. Who removes them gives the budget back.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from luodi import config
from luodi.files import write_text
from luodi.project.workspace import Workspace
from luodi.registry import budget, pushing
from luodi.registry.records import Look, Verdict
from luodi.registry.tags import Version
from luodi.report.formatting import at

PLACE = "refs/luodi/looks"


@dataclass(frozen=True)
class Taken:
    """The refs of a model: period and number -> the id of what was judged."""

    known: Mapping[tuple[str, int], str]

    def place_of(self, judged: str) -> tuple[str, int] | None:
        return next((place for place, one in self.known.items() if one == judged), None)

    def next_in(self, period: str) -> tuple[str, int]:
        return period, 1 + max((number for one, number in self.known if one == period), default=0)


def take(
    clone: Workspace, model: str, judged: Mapping[str, object], rule: config.Gate, *, counted: bool
) -> Look | None:
    """Take a look at the test rows: spend of the budget what it costs, before anything is seen.

    Args:
        clone: Of the origin; the ref is pushed from it.
        judged: What tells this judgement from any other.
        counted: False if somebody only looks by hand, which spends nothing and lets nothing land.

    Returns:
        The look; None where `gate.false_landings.per` is look.

    Raises:
        PushRejected: The origin refuses the ref, or others were faster at each of the attempts.
    """
    if rule.false_landings.per == "look":
        return None
    note = clone.root / ".git" / "look"
    write_text(note, json.dumps({"model": model, **judged}, sort_keys=True, indent=1) + "\n")
    blob = clone.git("hash-object", "-w", "--no-filters", str(note)).strip()
    now = budget.period(rule.false_landings, datetime.now(UTC))

    def attempt() -> Look | None:
        taken = _taken(clone, model)
        if place := taken.place_of(blob):
            return _look(rule, *place, taken=True, total=len(taken.known))
        period, number = taken.next_in(now)
        if counted and not _push(clone, f"{PLACE}/{model}/{period}/{number}", blob):
            return None
        return _look(rule, period, number, taken=counted, total=len(taken.known) + counted)

    return pushing.until_first(clone.origin, attempt)


def approved(known: Sequence[Version], rule: config.Gate, period: str) -> int:
    """Return how many versions of a period a person let land though it was undecided whether they are better."""
    return sum(
        at(version.facts, "decision", "verdict") == Verdict.INSUFFICIENT
        for version in known
        if budget.period(rule.false_landings, version.registered) == period
    )


def _taken(clone: Workspace, model: str) -> Taken:
    listed = clone.git("ls-remote", "--quiet", "--refs", "origin", f"{PLACE}/{model}/*")
    found = {}
    for line in listed.splitlines():
        judged, _, ref = line.partition("\t")
        period, _, number = ref.removeprefix(f"{PLACE}/{model}/").partition("/")
        if number.isdecimal():
            found[period, int(number)] = judged
    return Taken(found)


def _push(clone: Workspace, ref: str, blob: str) -> bool:
    """Make the ref unless there is one: of two hosts at once the second one is told so."""
    return pushing.push(clone, [f"{blob}:{ref}"], f"--force-with-lease={ref}:")


def _look(rule: config.Gate, period: str, number: int, *, taken: bool, total: int) -> Look:
    return Look(
        period=period,
        number=number,
        taken=taken,
        total=total,
        confidence=budget.confidence(rule, number - 1),
        left=budget.left(rule.false_landings, number),
    )
