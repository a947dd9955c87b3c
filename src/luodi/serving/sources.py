"""Where the versions that are served come from: the registry, or a folder that `luodi pull` made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from luodi.errors import NoVersion
from luodi.project.origin import Origin
from luodi.registry import classifier, tags
from luodi.registry.classifier import Registered
from luodi.system.processes import Runner
from luodi.terminal import shown


@dataclass(frozen=True)
class Wanted:
    """What is to answer.

    Attributes:
        version: Such as "reviews@v1.0.0".
        canary: Another that answers a share of requests in its place; None where there is none.
    """

    version: str
    canary: str | None = None
    share: float = 0.0


class Source(Protocol):
    @property
    def model(self) -> str:
        """The name that it is asked by."""

    @property
    def stage(self) -> str:
        """The stage whose version answers: a role of the request log."""

    def current(self) -> Wanted:
        """Return what is to answer; it costs little, and raises LuodiError."""

    def load(self, version: str, threads: int) -> Registered:
        """Return that version, once it is proven to be what was registered; raises LuodiError."""


@dataclass(frozen=True)
class Registry:
    """The version at a stage of the registry; with that in production the canary."""

    model: str
    origin: Origin
    stage: str = tags.PRODUCTION

    def current(self) -> Wanted:
        repository = tags.mirror(self.origin, _quiet())
        version = tags.find(repository, self.model, self.stage).name
        known = tags.versions(repository, self.model, newest=0) if self.stage == tags.PRODUCTION else []
        canary = tags.at_stage(known, tags.CANARY)
        return Wanted(version, canary.name, canary.share) if canary else Wanted(version)

    def load(self, version: str, threads: int) -> Registered:
        """Bring a version, hashes checked, and let it predict its stored sample."""
        return classifier.load(self.origin, self.model, version.partition("@")[2], _quiet(), threads)


@dataclass(frozen=True)
class Folder:
    """What `luodi pull` brought; when it brings another version there, that one is served."""

    model: str
    path: Path
    stage: str = tags.PRODUCTION

    @classmethod
    def of(cls, path: Path) -> "Folder":
        """Raise NoVersion if no pull made the folder."""
        return cls(_version(path).partition("@")[0], path)

    def current(self) -> Wanted:
        return Wanted(_version(self.path))

    def load(self, version: str, threads: int) -> Registered:
        """Return it, hashes checked; of the stored sample a pulled folder holds nothing."""
        found = classifier.pulled(self.path, threads)
        if found.version != version:
            raise NoVersion(f"{shown(self.path)} holds {found.version}, no {version}: look again")
        return found


def _version(path: Path) -> str:
    facts = classifier.pulled_facts(path)
    if not facts:
        raise NoVersion(f"{shown(path)} holds no pulled model: `luodi pull MODEL {shown(path)}` brings one there")
    return str(facts["version"])


def _quiet() -> Runner:
    return Runner(lambda line: None)  # one command at a time each
