"""Versions and stages of models on git tags, in the form of GTO, and only there: any clone can read them.

A version is the annotated tag `reviews@v1.2.0`, its message one line and a JSON object of facts; the version at
stage `production` is named by the tag `reviews#production#N` of the highest N. Nobody can make N twice: two moves at
once are one, and one that is refused. Tags are only ever added. A version at stage `canary` is named alike, and is none
once `reviews#canary!#N` of a higher N, or of the same, says so, or it is in production.

No JSON is parsed before it is looked at: see `luodi.registry.tag_objects`. GTO reads and writes the same tags, but all
of them each time, and one that is damaged ends it.
"""

import functools
import json
import shlex
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from luodi.errors import ArtifactError, GitError, NoVersion, RegistryError, did_you_mean
from luodi.files import FORMAT, folder_checksum, format_of, private, private_folder, replacing_folder, write_text
from luodi.project import locks, programs, workspace
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.project.workspace import Workspace
from luodi.registry import tag_objects
from luodi.registry.tag_objects import NAMED, NUMBER, REFS, REMOTE, Tag, TagName, damaged_tags
from luodi.system.masking import redact
from luodi.system.processes import CommandFailed, Runner
from luodi.terminal import shown

PRODUCTION, CANARY = "production", "canary"
SHARE = 0.05
"""Of requests that a canary answers whose tag does not say so, for one made by hand."""
LEVELS = 50  # of facts within facts


@dataclass(frozen=True)
class Version:
    """A registered model.

    Attributes:
        model: Key of params.yaml.
        number: Such as "v1.2.0".
        commit: The commit whose dvc.lock holds its hashes.
        registered: When the tag was made.
        author: Who made it.
        stage: "production", "canary" or None.
        facts: The JSON object of the tag, see `luodi.registry.promotion`; empty if the tag was made by hand. Whoever
            made the tag wrote them: any may be missing, or of another type.
        share: Of requests that a canary answers, 0 to 1; 0 of any other version.
    """

    model: str
    number: str
    commit: str
    registered: datetime
    author: str
    stage: str | None
    facts: Mapping[str, Any]
    share: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.model}@{self.number}"

    @property
    def standing(self) -> str:
        """The stage in words: of a canary its share too; empty where it is at none."""
        return f"{self.stage} {self.share:.3g}" if self.stage == CANARY else self.stage or ""

    @property
    def export(self) -> str | None:
        """The MD5 of the exported model's folder; None if the tag was made by hand."""
        found = self.facts.get("export")
        return found if isinstance(found, str) else None

    @property
    def format(self) -> int:
        """The form of the facts, see `luodi.files.FORMAT`; 1 if they do not say."""
        return format_of(self.facts)


@dataclass(frozen=True)
class Move:
    """One assignment of the stage `production`.

    Attributes:
        place: Counts the moves of a model, from 1.
        number: The version that was put there, or a commit that no version is on; None if the stage was emptied.
        at: When.
        by: Who.
        facts: The JSON object of the tag: action ("land", "promote" or "rollback"), from, reason.
    """

    place: int
    number: str | None
    at: datetime
    by: str
    facts: Mapping[str, Any]


class Facts(Mapping[str, Any]):
    """The JSON object below the title of a tag's message, parsed when it is looked at; empty if there is none."""

    def __init__(self, message: str) -> None:
        self.message = message

    @functools.cached_property
    def _found(self) -> dict[str, Any]:
        try:
            facts = json.loads(self.message.partition("\n\n")[2])
        except (ValueError, RecursionError):
            return {}
        return facts if isinstance(facts, dict) and _flat_enough(facts) else {}

    def __getitem__(self, name: str) -> Any:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return repr(self._found)


def _flat_enough(value: Any, levels: int = LEVELS) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not inner or (levels > 0 and all(_flat_enough(one, levels - 1) for one in inner))


# Reading


def versions(repository: Path, model: str, newest: int | None = None) -> list[Version]:
    """Return the versions of `model` in a clone or mirror, newest first; pre-releases are none.

    Args:
        newest: So many at most, and those at a stage; no others are read.
    """
    names = tag_objects.of_model(repository, model)
    return _versions(repository, model, names, _numbers(names)[:newest])


def find(repository: Path, model: str, number: str = PRODUCTION) -> Version:
    """Return one version by number, or the one at a stage.

    Raises:
        NoVersion: There is none; the message lists what there is.
    """
    for version in _versions(repository, model, tag_objects.of_model(repository, model), [number]):
        if number in (version.number, version.stage):
            return version
    known = ", ".join(version.name for version in versions(repository, model, 5)[:5])
    if number == PRODUCTION and known:
        newest = known.partition(",")[0]
        raise NoVersion(
            f"no version of {model} is in production: `luodi promote {newest}` puts the newest there; there is: {known}"
        )
    if number == CANARY and known:
        raise NoVersion(f"no version of {model} is a canary: `luodi promote {model}@VERSION --canary 5%` makes it one")
    asked = shown(f"{model}@{number}")
    there = known or f"no version of {shown(model)} at all"
    near = "" if known else did_you_mean(model, models(repository))
    raise NoVersion(f"no {asked} in the registry; there is: {there}{near}")


def in_production(known: Iterable[Version]) -> Version | None:
    """Return the version at stage production among those of a model."""
    return at_stage(known, PRODUCTION)


def at_stage(known: Iterable[Version], stage: str) -> Version | None:
    """Return the version at a stage among those of a model."""
    return next((version for version in known if version.stage == stage), None)


def same(known: Iterable[Version], export: str) -> Version | None:
    """Return the version that is the model of this hash; of several the one in production, then the newest."""
    # Thousands are not parsed to find one.
    told = [version for version in known if not isinstance(version.facts, Facts) or export in version.facts.message]
    found = [version for version in told if version.export == export]
    return in_production(found) or (found[0] if found else None)


def moves(repository: Path, model: str) -> list[Move]:
    """Return every move of the stage `production`, in order of their counter: clocks may differ between hosts."""
    names = tag_objects.of_model(repository, model)
    on = _on_commits(_registrations(repository, names, _numbers(names)))
    return [
        Move(name.place, None if name.undone else _put(tag, on), tag.at, tag.by, Facts(tag.message))
        for name, tag in _in_order(tag_objects.read(repository, [name for name in names if name.stage == PRODUCTION]))
    ]


def models(repository: Path) -> list[str]:
    """Return the names of the models that have the tag of a version, sorted."""
    found = (NAMED.fullmatch(tag) for tag, _ in tag_objects.listed(repository, "refs/tags"))
    return sorted({name["model"].replace("=", ":") for name in found if name and name["number"] and not name["undone"]})


def next_place(repository: Path, model: str) -> int:
    """Return the counter of the next move. Take it before you look at production: a move made since then has it."""
    return max((name.place for name in tag_objects.of_model(repository, model)), default=0) + 1


def numbers(repository: Path, model: str) -> list[str]:
    """Return the numbers that tags of `model` have, highest first; those of damaged or withdrawn versions too."""
    return _numbers(tag_objects.of_model(repository, model))


def _versions(repository: Path, model: str, names: Sequence[TagName], wanted: Collection[str]) -> list[Version]:
    """The versions of some numbers, and those at a stage, newest first."""
    if _deprecated(repository, names):
        return []
    canary, moved = _current(repository, names, CANARY)
    share = _share(moved)
    staged = {canary: (CANARY, share), _current(repository, names, PRODUCTION)[0]: (PRODUCTION, 0.0)}
    registered = _registrations(repository, names, {*wanted, *staged})
    nowhere: tuple[None, float] = (None, 0.0)
    return [
        Version(model, number, tag.commit, tag.at, tag.by, stage, Facts(tag.message), share)
        for number in sorted(registered, key=_parts, reverse=True)
        for tag, active in [registered[number]]
        for stage, share in [staged.get(number, nowhere)]
        if active
    ]


def _share(moved: Tag | None) -> float:
    """The share that the tag of a canary gives it."""
    share = Facts(moved.message).get("share") if moved else None
    return float(share) if isinstance(share, int | float) and 0 < share < 1 else SHARE


def _numbers(names: Iterable[TagName]) -> list[str]:
    return sorted({name.number for name in names if name.number}, key=_parts, reverse=True)


def _registrations(
    repository: Path, names: Iterable[TagName], wanted: Collection[str | None]
) -> dict[str, tuple[Tag, bool]]:
    """Number -> the tag that spoke of it last, and whether it registers it or takes it back."""
    found: dict[str, tuple[Tag, bool]] = {}
    tags = tag_objects.read(repository, [name for name in names if name.number and name.number in wanted])
    for name, tag in sorted(tags.items(), key=lambda one: (one[1].at, one[0].undone)):
        found[name.number or ""] = tag, not name.undone
    return found


def _deprecated(repository: Path, names: Sequence[TagName]) -> bool:
    """Whether the last that was said of the model is that nobody should use it any more."""
    if all(name.number or name.stage for name in names):
        return False
    said = [(tag.at, bool(name.number or name.stage)) for name, tag in tag_objects.read(repository, names).items()]
    return bool(said) and not max(said)[1]


def _current(repository: Path, names: Sequence[TagName], stage: str) -> tuple[str | None, Tag | None]:
    """The number of the version at a stage, and the tag that put it there."""
    stages = [name for name in names if name.stage == stage]
    for place in sorted({name.place for name in stages}, reverse=True):
        if moved := _in_order(tag_objects.read(repository, [name for name in stages if name.place == place])):
            name, tag = moved[-1]
            if name.undone:
                return None, None
            said = _registrations(repository, names, _said(tag))
            if (number := _put(tag, _on_commits(said))) in said:
                return number, tag
            return _put(tag, _on_commits(_registrations(repository, names, _numbers(names)))), tag
    return None, None


def _in_order(tags: Mapping[TagName, Tag]) -> list[tuple[TagName, Tag]]:
    return sorted(tags.items(), key=lambda one: (one[0].place, one[1].at, one[0].undone))


def _said(move: Tag) -> list[str]:
    """The numbers in the title of a move, which GTO and luodi both write."""
    return NUMBER.findall(move.message.partition("\n")[0])


def _on_commits(registered: Mapping[str, tuple[Tag, bool]]) -> dict[str, list[str]]:
    """Commit -> the numbers of the versions on it, first those that stand, first registered first."""
    on: dict[str, list[str]] = {}
    for number, (tag, _) in sorted(registered.items(), key=lambda one: (not one[1][1], one[1][0].at)):
        on.setdefault(tag.commit, []).append(number)
    return on


def _put(move: Tag, on: Mapping[str, Sequence[str]]) -> str:
    """The version that a move is to. It names a commit: of several versions there, the one that its title names.

    If that names none, it is the one that was first there: one tagged later does not change what was moved.
    """
    there = on.get(move.commit, [move.commit])
    said = _said(move)
    return next((number for number in there if number in said), there[0])


# Where the origin's tags are


@private()
def mirror(origin: Origin, runner: Runner) -> Path:
    """Return a repository with all tags of the origin: itself if it is a folder of this host, else a mirror of it."""
    here = Path(origin.git)
    if (here / "HEAD").exists() or (here / ".git").exists():
        return here
    path = private_folder(origin.home) / "registry.git"
    if (path / "HEAD").exists() and not _holds_password(path, origin):
        try:
            _follow(origin, path, runner)
            return path
        except CommandFailed:
            pass  # git was killed in it, say, and left a lock, which would keep everybody out: begin anew
    try:
        with replacing_folder(path) as folder:
            programs.git(origin, runner, folder, "init", "--quiet", "--bare", "--template=")
            programs.git(origin, runner, folder, "config", f"remote.{REMOTE}.url", origin.address)
            _follow(origin, folder, runner)
    except CommandFailed as error:
        said = redact(error.output.strip().rpartition("\n")[2])
        raise GitError(
            f"git origin {origin.address} cannot be read: run `git fsck` there, and mend it ({said})"
        ) from None
    return path


def _holds_password(mirror: Path, origin: Origin) -> bool:
    """Whether an earlier luodi wrote the password of the origin into the mirror's settings."""
    return origin.address != origin.git and origin.git in (mirror / "config").read_text(encoding="utf-8")


def _follow(origin: Origin, path: Path, runner: Runner) -> None:
    """Fetch what is new, but for tags that the origin cannot give; to compare is cheaper than to fetch nothing."""
    theirs = programs.git(origin, runner, path, "ls-remote", "--quiet", "--refs", origin.address)
    if sorted(theirs.splitlines()) == sorted(programs.git(origin, runner, path, "for-each-ref", REFS).splitlines()):
        return
    options = ("--quiet", "--prune", "--force", "--no-write-fetch-head")
    lost: list[str] = []
    while True:
        try:
            without = (f"^refs/tags/{tag}" for tag in lost)
            programs.git(origin, runner, path, "fetch", *options, origin.address, "+refs/*:refs/*", *without)
            return
        except CommandFailed as error:
            more = damaged_tags(theirs, error.output)
            if not more or more[0] in lost:
                raise
            for tag in more:
                _tell_lost(origin.address, tag)
            lost += more


@functools.cache
def _tell_lost(address: str, tag: str) -> None:
    remove = shlex.join(["git", "update-ref", "-d", f"refs/tags/{tag}"])
    print(
        f"warning: the tag {tag} is left out: its object is missing or damaged in {redact(address)}; "
        f"`{remove}` there removes it",
        file=sys.stderr,
    )


@private()
def set_aside(origin: Origin) -> None:
    """Take tags that git cannot read out of the embedded origin: for one of them it refuses every push, or every clone.

    What they were is kept beside it, and told.

    Raises:
        GitError: Something else than a tag is damaged, or git cannot remove the tag: what is locked, say.
    """
    bare = Path(origin.git)
    while bare == origin.home / "origin.git":
        read = tag_objects.git(bare, "rev-list", "--no-walk", "--quiet", "--all")
        if not read.returncode:
            return
        refs = tag_objects.git(bare, "for-each-ref", REFS).stdout
        if not (tags := damaged_tags(refs.decode(errors="replace"), read.stderr.decode(errors="replace"))):
            raise GitError(
                f"{bare} is damaged, and no tag is the reason: see `git -C {bare} fsck`, or restore a backup"
            )
        tag = tags[0]
        kept = origin.home / "damaged" / tag
        kept.parent.mkdir(parents=True, exist_ok=True)
        if (bare / "refs" / "tags" / tag).is_file():
            (bare / "refs" / "tags" / tag).replace(kept)
        else:
            write_text(kept, dict(tag_objects.listed(bare, f"refs/tags/{tag}"))[tag])
            if tag_objects.git(bare, "update-ref", "-d", f"refs/tags/{tag}").returncode:
                remove = shlex.join(["git", "-C", str(bare), "update-ref", "-d", f"refs/tags/{tag}"])
                raise GitError(f"the tag {tag} is damaged, and git cannot remove it: see what `{remove}` says")
        print(f"warning: the tag {tag} is damaged: what is left of it was moved from {bare} to {kept}", file=sys.stderr)


@private()
def fetch(origin: Origin, version: Version, runner: Runner) -> Path:
    """Return a local folder with `export` and `sample.json` of a version.

    They are checked against the hashes in its dvc.lock when they come; later `export` is, against the tag.

    Raises:
        ArtifactError: The version has no such output: another luodi made it.
        RegistryError: The files do not match their hashes.
        RemoteError: The DVC remote cannot be used.
    """
    folder = origin.home / "models" / version.name
    if (folder / "export").is_dir() and folder_checksum(folder / "export") == version.export:
        return folder
    set_aside(origin)
    with opened(origin, version, runner, "export", "sample") as clone, replacing_folder(folder) as temporary:
        paths = ModelPaths(clone.root, version.model)
        shutil.copytree(paths.export, temporary / "export")
        shutil.copyfile(paths.sample, temporary / "sample.json")
    return folder


@contextmanager
def opened(
    origin: Origin, version: Version, runner: Runner, *names: str, own_cache: bool = False
) -> Iterator[Workspace]:
    """Yield a clone at the commit of `version` with some of its outputs, each checked against its hash.

    Args:
        names: Of properties of ModelPaths, such as "export".
        own_cache: What is there comes from the remote, not from a cache of this host.

    Raises:
        ArtifactError: The version has no such output: another luodi made it.
        RegistryError: The files do not match their hashes, or a newer luodi registered them.
        RemoteError: The DVC remote cannot be used.
    """
    require_readable(version)
    with workspace.clone(origin, version.commit, runner, own_cache) as clone:
        known = ModelPaths(clone.root, version.model)  # as the version's own dvc.yaml has them
        paths = [getattr(known, name).relative_to(clone.root) for name in names]
        _require_recorded(clone, version, paths)
        tags = f"`git fetch --tags {shlex.quote(origin.address)} && dvc push --all-tags`"
        clone.pull(*map(str, paths), mend=f"{tags} in a checkout whose DVC cache has it")
        yield clone


def require_readable(version: Version) -> None:
    """Raise RegistryError if a person made its tag, or a newer luodi: it is not known which files it is."""
    if version.export is None:
        raise RegistryError(
            f"{version.name} was tagged by hand: its tag does not say which files it is; "
            f"promote a version that landed, see `luodi models list {version.model}`"
        )
    if version.format > FORMAT:
        raise RegistryError(
            f"{version.name} was registered by a newer luodi: the facts in its tag are of format {version.format}, and "
            f"this one reads up to {FORMAT}: install the newer one here"
        )


def _require_recorded(clone: Workspace, version: Version, paths: list[Path]) -> None:
    """Raise unless the dvc.lock of a version names the outputs, and is itself what the version's tag says."""
    entries = locks.of_model(locks.read(clone.lock), version.model)
    known = {path for stage in entries for path in locks.outputs(entries, stage)}
    if missing := [str(path) for path in paths if path.as_posix() not in known]:
        raise ArtifactError(
            f"{version.name} has no {', '.join(missing)}: its dvc.lock does not name it, another luodi made it; "
            "register the model again"
        )
    if export_hash(entries, version.model) != version.export:
        raise RegistryError(
            f"{version.name} does not match its tag: its dvc.lock or its tag was changed; promote another version"
        )


def export_hash(entries: locks.Entries, model: str) -> str:
    """Return the MD5 of the exported model's folder in lock entries: the identity of a model.

    Raises:
        KeyError: No stage made it.
    """
    paths = ModelPaths(Path(), model)
    judged = {dep["path"] for dep in entries.get(f"evaluate@{model}", {}).get("deps", ())}
    stage, path = ("compress", paths.compressed) if str(paths.compressed) in judged else ("train", paths.trained)
    return locks.outputs(entries, f"{stage}@{model}")[path.as_posix()]


def next_number(previous: str | None, change: str) -> str:
    """Return the version after `previous`: v1.0.0 first, then `change` (major, minor, patch) counts up."""
    if previous is None:
        return "v1.0.0"
    major, minor, patch = _parts(previous)
    bumped = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}
    return "v" + ".".join(map(str, bumped[change]))


def change(before: locks.Entries, after: locks.Entries, model: str) -> str:
    """Return what a version's number says of it: new labels major, new params or code minor, new data patch."""

    def made_by(entries: locks.Entries) -> Any:
        stages = locks.of_model(entries, model)
        return {stage: (locks.params(entries, stage), locks.code(entries, stage)) for stage in stages}

    if _labels(before, model) != _labels(after, model):
        return "major"
    return "patch" if made_by(before) == made_by(after) else "minor"


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested params with dotted keys: {"train": {"epochs": 3}} is {"train.epochs": 3}."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return a line for each param that differs: "train.epochs 3 -> 4", with "none" where it is not there, or null."""
    old, new = ({name: value for name, value in flat(one).items() if value is not None} for one in (before, after))
    return [
        f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name, "none") != new.get(name, "none")
    ]


def _labels(entries: locks.Entries, model: str) -> Any:
    return locks.params(entries, f"train@{model}").get(f"models.{model}.labels")


def _parts(number: str) -> tuple[int, int, int]:
    major, minor, patch = number.removeprefix("v").split(".")
    return int(major), int(minor), int(patch)
