"""How long nothing has happened to a model at the origin."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from luodi.project import programs, workspace
from luodi.project.origin import Origin
from luodi.registry import last_judged, tags
from luodi.system.processes import Runner

POINTER = "data.dvc"


@dataclass(frozen=True)
class Last:
    """What happened last.

    Attributes:
        name: Names it: while nothing else happens it stays the same.
        at: When.
    """

    name: str
    at: datetime

    def longer_than(self, days: int) -> bool:
        """Whether it is more than so many days ago."""
        return datetime.now(UTC) - self.at > timedelta(days=days)


def began(origin: Origin, runner: Runner) -> Last:
    """Return the first commit of the project: what happened where nothing else did."""
    with workspace.clone(origin, programs.head(origin, runner), runner) as clone:
        first, *_ = clone.git("log", "--max-parents=0", "--format=%H %ct").splitlines()
    return _of(first)


def landed(origin: Origin, model: str, runner: Runner) -> Last | None:
    """Return the newest version of a model; None if it has none."""
    newest = tags.versions(tags.mirror(origin, runner), model, 1)
    return Last(newest[0].name, newest[0].registered) if newest else None


def ingested(origin: Origin, model: str, days: int, runner: Runner) -> Last | None:
    """Return the last commit of rows that is more than so many days old, if it has the rows of the head; else None.

    Its name is that of the rows, for other models are in data.dvc too.
    """
    head = programs.head(origin, runner)
    with workspace.clone(origin, head, runner) as clone:
        commits = [_of(line) for line in clone.git("log", "--format=%H %ct", "--", POINTER).splitlines()]
    old = next((one for one in commits if one.longer_than(days)), None)
    if old is None:
        return None
    rows = last_judged.rows_of(origin, model, head, runner)
    if rows != last_judged.rows_of(origin, model, old.name, runner):
        return None
    return Last(hashlib.blake2b(" ".join(sorted(rows)).encode(), digest_size=8).hexdigest(), old.at)


def _of(line: str) -> Last:
    commit, seconds = line.split()
    return Last(commit, datetime.fromtimestamp(int(seconds), UTC))
