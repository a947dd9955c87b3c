"""A small real project: a checkout with its own git and DVC, and commands that run in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, count
from pathlib import Path
from typing import Any

import psutil
import yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from luodi import config
from luodi.config import locked
from luodi.data import builtin_datasets
from luodi.local import checkout
from luodi.project import locks
from luodi.project.origin import Origin
from luodi.registry import tags
from luodi.registry.tags import Version
from luodi.scaffold import pipeline

ROOT = Path(__file__).resolve().parent.parent
FAR = f"{datetime.now().astimezone() + timedelta(hours=12):%M %H * * %w}"
"""A schedule, once a week like the default, that has Airflow start nothing while tests run, at a midnight neither."""
Ended = subprocess.CompletedProcess[str]
FOREIGN = ("LUODI_", "GIT_", "DVC_", "AIRFLOW", "PYTHON")


def full(model: str) -> dict[str, Any]:
    """The block of a model of this repository with every setting written out, as a project may have it."""
    block = config.load(ROOT / "params.yaml").models[model].model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"modality": block.pop("modality"), **block}


def full_params() -> str:
    """params.yaml with every setting of every model of this repository."""
    return written({name: full(name) for name in config.load(ROOT / "params.yaml").models})


def written(blocks: Mapping[str, dict[str, Any]]) -> str:
    """params.yaml of these blocks, each setting on a line."""
    return pipeline.dump({"models": {name: _laid_out(block) for name, block in blocks.items()}})


def _laid_out(value: Any, depth: int = 0) -> Any:
    """Lists, and mappings within a stage's block, on one line."""
    if isinstance(value, dict):
        found: Any = CommentedMap((key, _laid_out(one, depth + 1)) for key, one in value.items())
    elif isinstance(value, list):
        found = CommentedSeq(value)
    else:
        return value
    if isinstance(value, list) or depth > 1:
        found.fa.set_flow_style()
    return found


@dataclass(frozen=True)
class Project:
    """A checkout with an embedded origin, cache and remote of its own.

    Attributes:
        copies: Where copies of it go: what all workers of pytest share lies elsewhere.
    """

    root: Path
    home: Path
    copies: Path

    @property
    def env(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        return inherited | {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    @property
    def origin(self) -> Origin:
        return Origin.embedded(self.root)

    @property
    def lock(self) -> dict[str, Any]:
        """The lock entries of the models' stages: not that of `settings`, which runs in a checkout alone."""
        return {name: entry for name, entry in locks.read(self.root / "dvc.lock").items() if "@" in name}

    def run(self, *command: str, code: int = 0, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run a command in the checkout, expect its exit code, return what it printed, errors included."""
        done = subprocess.run(
            command, cwd=self.root, env=self.env | dict(env or {}), input=stdin, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == code, f"{command} ended with {done.returncode}, expected {code}:\n{done.stdout}"
        return done.stdout

    def start(self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> psutil.Popen:
        """Start a command in a process group of its own; its output goes to `started.log` in `home`."""
        with (self.home / "started.log").open("wb") as log:
            return psutil.Popen(
                command, cwd=cwd or self.root, env=self.env | dict(env or {}), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).strip()

    def bare(self, *arguments: str) -> str:
        """Run git in the embedded origin."""
        return self.run("git", "--git-dir", self.origin.git, *arguments).strip()

    def set(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Change parameters of `reviews` and commit them."""
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        for block, values in changes.items():
            params["models"]["reviews"][block] |= values
        path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
        locked.write(self.root)
        self.git("commit", "--quiet", "--all", "--message", "Change parameters")

    def add_digits(self, **preprocess: Any) -> None:
        """The other model of this repository joins, as it stands there but for these settings of preprocess."""
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        ours = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["models"]["digits"] = ours["models"]["digits"]
        params["models"]["digits"]["preprocess"] |= preprocess
        path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")
        builtin_datasets.fetch("digits", self.root / "data" / "digits")
        self.run("dvc", "add", "--quiet", "data")
        locked.write(self.root)
        self.git("commit", "--quiet", "--all", "--message", "Add digits")

    def landed(self, ref: str = "main") -> dict[str, Any]:
        """The lock entries on a branch of the embedded origin."""
        return locks.parse(self.bare("show", f"{ref}:dvc.lock"), ref)

    def versions(self) -> list[Version]:
        return tags.versions(Path(self.origin.git), "reviews")

    def copy(self, name: str) -> "Project":
        """A copy that shares nothing with this one; of two that ask for one name the later has a number behind it."""
        free = next(
            one
            for one in chain([name], (f"{name}-{number}" for number in count(2)))
            if not (self.copies / one).exists()
        )
        return self.copy_to(Project(self.copies / free, self.copies / f"{free}.home", self.copies))

    def copy_to(self, other: "Project") -> "Project":
        shutil.copytree(self.root, other.root, symlinks=True)
        shutil.copytree(self.home, other.home, symlinks=True)
        (other.root / ".dvc" / "config.local").unlink(missing_ok=True)
        checkout.connect(other.root, other.origin)
        return other

    def alive(self) -> list[psutil.Process]:
        """Processes that work in this project, or in a clone of it, or name it in their command line."""
        return [process for process in psutil.process_iter() if self._concerns(process)]

    def _concerns(self, process: psutil.Process) -> bool:
        try:
            places = [process.cwd(), *process.cmdline()]
            return process.pid != os.getpid() and any(str(self.root) in place for place in places)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


@dataclass(frozen=True)
class Done:
    """A project in which the whole graph ran once, what was printed, and the lock entries that it left."""

    project: Project
    output: str
    entries: dict[str, Any]
