"""Pushing refs to the git origin while others do: all of them or none, again where others were faster."""

import re
import shlex
from collections.abc import Callable
from typing import TypeVar

from luodi.errors import LuodiError, PushRejected
from luodi.project.origin import Origin
from luodi.project.workspace import Workspace
from luodi.registry import tag_objects
from luodi.system.processes import CommandFailed

ATTEMPTS = 5  # pushes tried while others land at the same time
RACED = re.compile(
    r"^ ! \[rejected\] .*\((fetch first|non-fast-forward|already exists|stale info)\)"
    r"|^( ! \[remote rejected\]|remote: error: cannot lock ref) .*"
    r"(but expected|reference already exists|incorrect old value|File exists|failed to (lock|update ref))",
    re.MULTILINE,
)
"""What git prints when a ref moved before or under a push. A hook that declines is a rejection too, and no race."""

T = TypeVar("T")


def until_first(origin: Origin, attempt: Callable[[], T | None]) -> T:
    """Return what the first attempt gives that nobody was faster than; those that somebody was give None.

    Raises:
        PushRejected: Others were at each of them.
    """
    for _ in range(ATTEMPTS):
        if (found := attempt()) is not None:
            return found
    raise PushRejected(f"{ATTEMPTS} pushes to {origin.branch} were refused because others pushed first: run it again")


def push(clone: Workspace, refs: list[str], *options: str) -> bool:
    """Push all refs or none. Returns False, the tags forgotten, if the origin moved meanwhile.

    Raises:
        PushRejected: The origin refuses the push, whoever else pushes.
    """
    try:
        clone.git("push", "--quiet", "--atomic", *options, "origin", *refs)
    except CommandFailed as error:
        if not RACED.search(error.output):
            raise _refusal(clone, refs, error) from None
        if tags := [ref.removeprefix("refs/tags/") for ref in refs if ref.startswith("refs/tags/")]:
            clone.git("tag", "--delete", *tags)
        return False
    return True


def _refusal(clone: Workspace, refs: list[str], error: CommandFailed) -> LuodiError:
    """What the origin said when it refused a push; the error itself if it said nothing."""
    origin = clone.origin
    lines = error.output.splitlines()
    reasons = [line.partition(" (")[2].removesuffix(")") for line in lines if line.startswith(" ! [")]
    said = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    if not reasons:
        return error
    if damaged := tag_objects.damaged_tags(clone.git("ls-remote", "--quiet", "--refs", "origin"), error.output):
        tag, *_ = damaged
        remove = shlex.join(["git", "update-ref", "-d", f"refs/tags/{tag}"])
        return PushRejected(
            f"git origin {origin.address} refuses every push, for its tag {tag} is damaged: "
            f"remove it there, `{remove}`, and run it again"
        )
    names = ", ".join(ref.rpartition(":")[2] for ref in refs)
    return PushRejected(
        f"git origin {origin.address} refuses the push of {names}: "
        f"{'; '.join(dict.fromkeys(filter(None, [*reasons, *said])))}: let this user push them, and run it again"
    )
