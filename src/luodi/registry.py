"""Versions and stages of models on git tags, through GTO, and only there: any clone can read them.

A version is the annotated tag `reviews@v1.2.0`, its message one line and a JSON object of facts; the version at
stage `production` is named by the tag `reviews#production#N` of the highest N. Nobody can make N twice: two moves at
once are one, and one that is refused. Tags are only ever added.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from luodi import locks, workspace
from luodi.errors import ArtifactError, NoVersion, RegistryError
from luodi.files import checksum, folder_checksum, replacing_folder
from luodi.origin import Origin
from luodi.paths import ModelPaths
from luodi.processes import CommandFailed, Runner
from luodi.workspace import Workspace

PRODUCTION = "production"
NUMBER = re.compile(r"v\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Version:
    """A registered model.

    Attributes:
        model: Key of params.yaml.
        number: Such as "v1.2.0".
        commit: The commit whose dvc.lock holds its hashes.
        registered: When the tag was made.
        author: Who made it.
        stage: "production", or None.
        facts: The JSON object of the tag, see `luodi.landing`; empty if the tag was made by hand.
    """

    model: str
    number: str
    commit: str
    registered: datetime
    author: str
    stage: str | None
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.model}@{self.number}"


@dataclass(frozen=True)
class Move:
    """One assignment of the stage `production`.

    Attributes:
        place: Counts the moves of a model, from 1.
        number: The version that was put there; None if the stage was emptied.
        at: When.
        by: Who.
        facts: The JSON object of the tag: action ("land", "promote" or "rollback"), from, reason.
    """

    place: int
    number: str | None
    at: datetime
    by: str
    facts: Mapping[str, Any]


def versions(repository: Path, model: str) -> list[Version]:
    """Return the versions of `model` in a clone or mirror, newest first; pre-releases are none."""
    import gto.api
    from gto.exceptions import ArtifactNotFound

    try:
        known = gto.api.show(str(repository), model) if model else []
    except ArtifactNotFound:
        return []
    moved = moves(repository, model)
    current = moved[-1].number if moved else None
    found = [
        _version(model, raw, current) for raw in known if raw["registrations"] and NUMBER.fullmatch(raw["version"])
    ]
    return sorted(found, key=lambda version: _parts(version.number), reverse=True)


def moves(repository: Path, model: str) -> list[Move]:
    """Return every move of the stage `production`, in order of their counter: clocks may differ between hosts."""
    import gto.api
    from gto.tag import parse_name

    found = []
    for event in gto.api.history(str(repository), model):
        if event["stage"] == PRODUCTION and event["event"] in ("assignment", "unassignment"):
            number = event["version"] if event["event"] == "assignment" else None
            place = parse_name(event["ref"]).get("counter", 0)
            found.append(Move(place, number, event["timestamp"], event["author"], _facts(event["message"])))
    return sorted(found, key=lambda move: move.place)


def models(repository: Path) -> list[str]:
    """Return the names of the models that have a version, sorted."""
    import gto.api

    return sorted(name for name, state in gto.api.show(str(repository)).items() if state["registered"])


def find(repository: Path, model: str, number: str = PRODUCTION) -> Version:
    """Return one version by number, or the one at stage production.

    Raises:
        NoVersion: There is none; the message lists what there is.
    """
    known = versions(repository, model)
    for version in known:
        if number in (version.number, version.stage):
            return version
    if number == PRODUCTION and known:
        raise NoVersion(f"no version of {model} is in production; promote one of: {_names(known)}")
    there = _names(known) or f"no version of {model} at all"
    raise NoVersion(f"no {model}@{number} in the registry; there is: {there}")


def _names(known: list[Version]) -> str:
    return ", ".join(version.name for version in known[:5])


def mirror(origin: Origin, runner: Runner) -> Path:
    """Return an up-to-date bare mirror of the origin, kept on this host."""
    path = origin.home / "registry.git"
    if (path / "HEAD").exists():
        try:
            workspace.git(origin, runner, path, "fetch", "--quiet", "--prune", "--force", origin.git, "+refs/*:refs/*")
            return path
        except CommandFailed as error:
            if "File exists" not in error.output:
                raise
            # A git that was killed in it left a lock, which would keep everybody out: begin anew.
    with replacing_folder(path) as folder:
        workspace.git(origin, runner, origin.home, "clone", "--quiet", "--mirror", origin.git, str(folder))
    return path


def fetch(origin: Origin, version: Version, runner: Runner) -> Path:
    """Return a local folder with `export` and `sample.json` of a version.

    They are checked against the hashes in its dvc.lock when they come; later `export` is, against the tag.

    Raises:
        ArtifactError: The version has no such output: another luodi made it.
        RegistryError: The files do not match their hashes.
        RemoteError: The DVC remote cannot be used.
    """
    folder = origin.home / "models" / version.name
    if (folder / "export").is_dir() and folder_checksum(folder / "export") == version.facts.get("export"):
        return folder
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
        RegistryError: The files do not match their hashes.
        RemoteError: The DVC remote cannot be used.
    """
    if "export" not in version.facts:
        raise RegistryError(f"{version.name} was tagged by hand: its tag does not say which files it is")
    with workspace.clone(origin, version.commit, runner, own_cache) as clone:
        paths = [getattr(ModelPaths(Path(), version.model), name) for name in names]
        expected = _recorded(clone, version, paths)
        clone.pull(*map(str, paths))
        for path, md5 in expected.items():
            found = clone.root / path
            if (folder_checksum(found) if found.is_dir() else checksum(found)) != md5:
                raise RegistryError(
                    f"{path} of {version.name} does not match its hash {md5}: its files were changed, "
                    "in the DVC remote or in the DVC cache of this host"
                )
        yield clone


def _recorded(clone: Workspace, version: Version, paths: list[Path]) -> dict[Path, str]:
    """The hashes of outputs in the dvc.lock of a version, which itself must be what the version's tag says."""
    entries = locks.of_model(locks.read(clone.lock), version.model)
    known = {path: md5 for stage in entries for path, md5 in locks.outputs(entries, stage).items()}
    if missing := [str(path) for path in paths if path.as_posix() not in known]:
        raise ArtifactError(f"{version.name} has no {', '.join(missing)}: its dvc.lock does not name it")
    if export_hash(entries, version.model) != version.facts["export"]:
        raise RegistryError(f"{version.name} does not match its tag: its dvc.lock or its tag was changed")
    return {path: known[path.as_posix()] for path in paths}


def export_hash(entries: locks.Entries, model: str) -> str:
    """Return the MD5 of the exported model's folder in lock entries: the identity of a model."""
    paths = ModelPaths(Path(), model)
    return locks.outputs(entries, f"train@{model}")[paths.export.as_posix()]


def next_number(previous: str | None, change: str) -> str:
    """Return the version after `previous`: v1.0.0 first, then `change` (major, minor, patch) counts up."""
    if previous is None:
        return "v1.0.0"
    major, minor, patch = _parts(previous)
    bumped = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}
    return "v" + ".".join(map(str, bumped[change]))


def change(before: locks.Entries, after: locks.Entries, model: str) -> str:
    """Return what a version's number says of it: new labels major, new params or code minor, new data patch."""

    def params(entries: locks.Entries) -> Any:
        mine = locks.of_model(entries, model).values()
        return [entry.get("params") for entry in mine]

    def code(entries: locks.Entries) -> Any:
        mine = locks.of_model(entries, model).values()
        deps = (dep for entry in mine for dep in entry.get("deps", ()))
        return sorted({(dep["path"], dep["md5"]) for dep in deps if dep["path"].startswith("src/")})

    if _labels(before, model) != _labels(after, model):
        return "major"
    return "patch" if (params(before), code(before)) == (params(after), code(after)) else "minor"


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested params with dotted keys: {"train": {"epochs": 3}} is {"train.epochs": 3}."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return a line for each param that differs: "train.epochs 3 -> 4", with "none" where it is not there."""
    old, new = flat(before), flat(after)
    return [
        f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name, "none") != new.get(name, "none")
    ]


def _labels(entries: locks.Entries, model: str) -> Any:
    params = entries.get(f"train@{model}", {}).get("params", {}).get("params.yaml", {})
    return params.get(f"models.{model}.labels")


def _version(model: str, raw: Mapping[str, Any], current: str | None) -> Version:
    return Version(
        model,
        raw["version"],
        raw["commit_hexsha"],
        raw["registrations"][-1]["created_at"],
        raw["author"],
        PRODUCTION if raw["version"] == current else None,
        _facts(raw["message"]),
    )


def _facts(message: str) -> dict[str, Any]:
    """The JSON object below the title of a tag's message; empty if there is none."""
    try:
        facts = json.loads(message.partition("\n\n")[2])
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _parts(number: str) -> tuple[int, int, int]:
    major, minor, patch = number.removeprefix("v").split(".")
    return int(major), int(minor), int(patch)
