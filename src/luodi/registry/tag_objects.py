"""Tags as git keeps them: what their names say, and what is in their objects. Any may be damaged, or made by anyone.

Two commands of git read them: one lists their names, one shows the objects that are needed.
"""

import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from luodi.errors import GitError
from luodi.system.masking import redact
from luodi.system.processes import ELSEWHERE, git_command, of_another

DIGITS = "(?:0|[1-9][0-9]{0,17})"
NUMBER = re.compile(rf"v{DIGITS}\.{DIGITS}\.{DIGITS}")
NAME = "[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
NAMED = re.compile(
    rf"(?P<model>(?:[a-zA-Z0-9./_-]+=)?{NAME})"
    rf"(?:(?:@(?P<number>{NUMBER.pattern})|#(?P<stage>{NAME}))(?P<undone>!?)|@deprecated)(?:#(?P<place>[0-9]{{1,18}}))?"
)
"""The names that GTO gives tags, but for pre-releases; where people write a colon, a tag has =."""
TAGGED = re.compile(
    rb"object (?P<target>[0-9a-f]+)\ntype [a-z]+\ntag [^\n]*\n"
    rb"tagger (?P<by>[^\n]*?) ?<[^\n]*> (?P<seconds>[0-9]{1,12}) (?P<zone>[+-][0-9]{4})\n"
    rb"(?:[^\n]+\n)*\n?(?P<message>.*)",
    re.DOTALL,
)
DAMAGED = re.compile(
    r"^(?:remote: )?fatal: (?:(?:bad|loose|packed) object|remote error: upload-pack: not our ref) "
    r"(?:refs/tags/(?P<tag>\S+)|(?P<object>[0-9a-f]{40,}))",
    re.M,
)
"""What git says when it gives up at a ref, or at the object that one names."""
REMOTE = "luodi"  # what a mirror calls its origin
REFS = "--format=%(objectname)%09%(refname)"  # as `git ls-remote` lists them


@dataclass(frozen=True)
class TagName:
    """What the name of a tag says. That of a deprecated model has neither number nor stage."""

    tag: str
    object: str
    number: str | None
    stage: str | None
    undone: bool
    place: int


@dataclass(frozen=True)
class Tag:
    """What an annotated tag says."""

    commit: str
    at: datetime
    by: str
    message: str


def of_model(repository: Path, model: str) -> list[TagName]:
    """Return the tags of a model, as GTO names them."""
    tagged = model.replace(":", "=")
    found = []
    for tag, oid in listed(repository, f"refs/tags/{tagged}@*", f"refs/tags/{tagged}#*"):
        if (name := NAMED.fullmatch(tag)) and name["model"] == tagged:
            found.append(
                TagName(tag, oid, name["number"], name["stage"], bool(name["undone"]), int(name["place"] or 0))
            )
    return found


def listed(repository: Path, *patterns: str) -> list[tuple[str, str]]:
    """Return names and objects of tags; git would list nothing at all if it were to look at an object that is gone."""
    answer = git(repository, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", *patterns)
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip()
        raise GitError(f"the tags in {repository} cannot be read: see `git -C {repository} fsck` ({redact(said)})")
    lines = answer.stdout.decode(errors="replace").splitlines()
    return [(name, oid) for oid, _, name in (line.partition(" ") for line in lines)]


def git(repository: Path, *arguments: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run git on what is on its standard input; it changes nothing, and is soon over.

    Raises:
        GitError: The repository is another user's.
    """
    env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE} | {"LC_ALL": "C"}
    command = git_command(*arguments)
    done = subprocess.run(command, cwd=repository, env=env, input=given, capture_output=True, check=False)
    if done.returncode and (told := of_another(done.stderr.decode(errors="replace"))):
        raise told
    return done


def read(repository: Path, names: Sequence[TagName]) -> dict[TagName, Tag]:
    """Read annotated tags of commits. Any other is left out, and told."""
    found = {}
    objects = _objects(repository, [name.object for name in names])
    parsed = [TAGGED.match(content) if kind == "tag" else None for _, kind, content in objects]
    targets = list({tag["target"].decode(): None for tag in parsed if tag})  # a tag may be of another tag
    commits = dict(zip(targets, _objects(repository, [f"{one}^{{commit}}" for one in targets]), strict=True))
    for name, (_, kind, _), tag in zip(names, objects, parsed, strict=True):
        commit, at = (commits[tag["target"].decode()][0], _moment(tag)) if tag else ("", None)
        if tag and commit and at:
            by, message = (tag[part].decode(errors="replace") for part in ("by", "message"))
            found[name] = Tag(commit, at, by, message.strip())
        else:
            _leave_out(repository, name.tag, kind, commit)
    return found


def _moment(tag: re.Match[bytes]) -> datetime | None:
    zone = timedelta(hours=int(tag["zone"][:3]), minutes=int(tag["zone"][:1] + tag["zone"][3:]))
    try:
        return datetime.fromtimestamp(int(tag["seconds"]), timezone(zone))
    except (ValueError, OverflowError, OSError):
        return None


@functools.cache
def _leave_out(repository: Path, tag: str, kind: str, commit: str) -> None:
    """Tell once that a tag cannot be used, and how to be rid of it."""
    if kind == "":
        what = "its object is missing or damaged"
    elif kind != "tag":
        what = f"it is not annotated: it names a {kind}, and says neither who made it nor what it is"
    else:
        what = "git's record of who made it, and when, cannot be read" if commit else "it names no commit that is here"
    url = git(repository, "config", f"remote.{REMOTE}.url").stdout.decode(errors="replace").strip()
    remove = ("push", redact(url), f":refs/tags/{tag}") if url else ("update-ref", "-d", f"refs/tags/{tag}")
    remedy = shlex.join(["git", "-C", str(repository), *remove])
    print(f"warning: the tag {tag} is left out: {what}; `{remedy}` removes it", file=sys.stderr)


def _objects(repository: Path, asked: Sequence[str]) -> list[tuple[str, str, bytes]]:
    """Id, type and content of objects; empty where there is none that git can read."""
    found: list[tuple[str, str, bytes]] = []
    while len(found) < len(asked):
        given = "".join(f"{one}\n" for one in asked[len(found) :]).encode()
        found += _answers(git(repository, "cat-file", "--batch", "--buffer", given=given).stdout)
        if len(found) < len(asked):
            found.append(("", "", b""))  # it gave up at this one, and is to go on after it
    return found


def _answers(output: bytes) -> Iterator[tuple[str, str, bytes]]:
    """What `git cat-file --batch` said, but for what it could not end."""
    start = 0
    while (end := output.find(b"\n", start)) >= 0:
        oid, *about = output[start:end].decode().split(" ")
        start = end + 1
        if len(about) == 2 and about[1].isdigit():
            end = start + int(about[1])
            if len(output) <= end:
                return
            yield oid, about[0], output[start:end]
            start = end + 1
        else:
            yield "", "", b""


def damaged_tags(refs: str, said: str) -> list[str]:
    """Return the tags that git gave up at, by what it said; none if it was at something else.

    Args:
        refs: Ids and names, as `git ls-remote` lists them.
    """
    for found in DAMAGED.finditer(said):
        if tags := [found["tag"]] if found["tag"] else re.findall(rf"^{found['object']}\trefs/tags/(.+)$", refs, re.M):
            return tags
    return []
