"""The tiny project of actors.py, to land on in this process: a landing takes less than a second."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from actors import FOREIGN, GITCONFIG, HUMAN, MODELS, Local, Template, World, copy_world, git, make_here, spare_time
from project import Ended, Project

from luodi.registry.records import AUTO
from luodi.system import processes

Alone = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A context in which DVC spares time, and nothing of whoever runs the tests is in the environment."""
    settings = tmp_path_factory.mktemp("git") / "config"
    settings.write_text(GITCONFIG)
    changes: list[tuple[Any, str, Any]] = []
    spare_time(lambda *change: changes.append(change))

    @contextmanager
    def context() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(FOREIGN) and name != "PYTHONPATH"]:
                patch.delenv(name)
            patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
            patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
            for change in changes:
                patch.setattr(*change)
            yield

    return context


@pytest.fixture(scope="module")
def quiet() -> Iterator[Local]:
    """Runs DVC in this process: its start is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        spare_time(patch.setattr)
        yield Local()


@pytest.fixture
def in_process(quiet: Local, luodi: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """`luodi` in a project is this process, and so is the DVC that it starts."""
    run = Project.run

    def quick(project: Project, *command: str, code: int = 0, env: Mapping[str, str] | None = None) -> str:
        if command[0] != "luodi":
            return run(project, *command, code=code, env=env)
        done = luodi(project, *command[1:], **(env or {}))
        assert done.returncode == code, f"{command} ended with {done.returncode}, expected {code}:\n{done.stderr}"
        return done.stdout + done.stderr

    monkeypatch.setattr(Project, "run", quick)
    monkeypatch.setattr(processes, "Runner", lambda tell: quiet)


@pytest.fixture(scope="session")
def tiny(alone: Alone, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The tiny project; its DVC remote has the files of all challengers."""
    folder = tmp_path_factory.mktemp("tiny")
    with alone():
        entries = make_here(folder)
        commit = git(folder / "origin.git", "rev-parse", "main")
    (folder / "remote").rmdir()
    (folder / "cache").rename(folder / "remote")
    (folder / "cache").symlink_to("remote")
    return Template(folder, commit, entries)


@pytest.fixture(scope="session")
def landed(alone: Any, tiny: Any) -> Path:
    """A world in which `weak` is in production of both models. Do not change it: work in a copy."""
    folder: Path = tiny.folder / "landed"
    world = world_of(tiny, tiny.folder, folder)
    with alone():
        for model, mode in MODELS.items():
            world.land(model, "weak", approval=HUMAN if mode == "human" else AUTO)
    return folder


@pytest.fixture(scope="session")
def succeeded(alone: Any, tiny: Any, landed: Path) -> Path:
    """A world in which `good` came after `weak` in `quick`. Do not change it: work in a copy."""
    folder: Path = tiny.folder / "succeeded"
    world = world_of(tiny, landed, folder)
    with alone():
        world.land("quick", "good")
    return folder


def world_of(tiny: Any, source: Path, target: Path) -> Any:
    return World(tiny, copy_world(source, target, tiny), tiny.commit, Local())


@pytest.fixture
def nothing(alone: Alone, tiny: Template, tmp_path: Path) -> Iterator[World]:
    """A world in which nothing has landed."""
    with alone():
        yield world_of(tiny, tiny.folder, tmp_path / "world")


@pytest.fixture
def one(alone: Alone, tiny: Template, landed: Path, tmp_path: Path) -> Iterator[World]:
    """A world in which `weak` is v1.0.0 of both models, in production."""
    with alone():
        yield world_of(tiny, landed, tmp_path / "world")


@pytest.fixture
def two(alone: Alone, tiny: Template, succeeded: Path, tmp_path: Path) -> Iterator[World]:
    """A world in which `good` is v1.0.1 of `quick`, in production, and `weak` was."""
    with alone():
        yield world_of(tiny, succeeded, tmp_path / "world")
