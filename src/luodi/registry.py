"""Versions and stages of models on git tags, through GTO, and only there: any clone can read them.

A version is the annotated tag `reviews@v1.2.0`, its message one line and a JSON object of facts; the version at
stage `production` is named by the newest tag `reviews#production#N`.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from luodi import locks, workspace
from luodi.errors import NoVersion, RegistryError
from luodi.files import folder_checksum, replacing_folder
from luodi.origin import Origin
from luodi.paths import ModelPaths
from luodi.processes import Runner

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
        facts: The JSON object of the tag: metrics, sizes, the hash of the export, the commit of the run; empty if
            the tag was made by hand.
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


def versions(repository: Path, model: str) -> list[Version]:
    """Return the versions of `model` in a clone or mirror, newest first; pre-releases are none."""
    import gto.api
    from gto.exceptions import ArtifactNotFound

    try:
        known = gto.api.show(str(repository), model) if model else []
    except ArtifactNotFound:
        return []
    found = [_version(model, raw) for raw in known if raw["registrations"] and NUMBER.fullmatch(raw["version"])]
    return sorted(found, key=lambda version: _parts(version.number), reverse=True)


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
    there = ", ".join(version.name for version in known[:5]) or f"no version of {model} at all"
    raise NoVersion(f"no {model}@{number} in the registry; there is: {there}")


def mirror(origin: Origin, runner: Runner) -> Path:
    """Return an up-to-date bare mirror of the origin, kept on this host."""
    path = origin.home / "registry.git"
    if not (path / "HEAD").exists():
        shutil.rmtree(path, ignore_errors=True)
        with replacing_folder(path) as folder:
            workspace.git(origin, runner, origin.home, "clone", "--quiet", "--mirror", origin.git, str(folder))
    else:
        workspace.git(origin, runner, path, "fetch", "--quiet", "--prune", "--force", origin.git, "+refs/*:refs/*")
    return path


def fetch(origin: Origin, version: Version, runner: Runner) -> Path:
    """Return a local folder with the exported model of `version`, checked against the hash in its dvc.lock.

    Raises:
        RegistryError: The version has no such hash, or the files do not match it.
        RemoteError: The DVC remote cannot be used.
    """
    if not (expected := version.facts.get("export")):
        raise RegistryError(f"{version.name} was tagged by hand: its tag does not say which files it is")
    folder = origin.home / "models" / version.name
    if folder.is_dir() and folder_checksum(folder) == expected:
        return folder
    with workspace.clone(origin, version.commit, runner) as clone:
        export = ModelPaths(clone.root, version.model).export
        clone.pull(str(export.relative_to(clone.root)))
        if folder_checksum(export) != expected:
            raise RegistryError(f"{version.name} does not match its tag: its files or its tag were changed")
        with replacing_folder(folder) as temporary:
            shutil.copytree(export, temporary, dirs_exist_ok=True)
    return folder


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


def _labels(entries: locks.Entries, model: str) -> Any:
    params = entries.get(f"train@{model}", {}).get("params", {}).get("params.yaml", {})
    return params.get(f"models.{model}.labels")


def _version(model: str, raw: Mapping[str, Any]) -> Version:
    message = raw["message"].partition("\n\n")[2]
    try:
        facts = json.loads(message)
    except ValueError:
        facts = {}
    stages = [stage["stage"] for stage in raw["stages"]]
    return Version(
        model,
        raw["version"],
        raw["commit_hexsha"],
        raw["registrations"][-1]["created_at"],
        raw["author"],
        stages[0] if stages else None,
        facts if isinstance(facts, dict) else {},
    )


def _parts(number: str) -> tuple[int, int, int]:
    major, minor, patch = number.removeprefix("v").split(".")
    return int(major), int(minor), int(patch)
