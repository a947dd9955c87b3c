"""A disk that fills at any moment, and a file that may not grow: one message, code 70, nothing lost, nothing left."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from actors import GITCONFIG, Local, Plan, Template, do, forked, git, make

from luodi import cli
from luodi.cli import commands
from luodi.files import checksum, read_json
from luodi.local import delivery
from luodi.project.origin import Origin
from luodi.registry import tags
from luodi.system.processes import Runner

if TYPE_CHECKING:
    from project import Done  # not to be found by the processes that this file is run in

KIB = 1024
ROOM = 64 * KIB * KIB

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs prctl and tmpfs")]


@dataclass(frozen=True)
class World:
    """An origin, a remote and a home in one folder.

    Attributes:
        template: Has the challengers; the cache of `folder` has their files.
    """

    template: Template
    folder: Path

    @property
    def origin(self) -> Origin:
        return Origin(str(self.folder / "origin.git"), "main", str(self.folder / "remote"), self.folder / "home")

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def copy(self, folder: Path) -> Any:
        for name in ("origin.git", "remote", "home", "out"):
            if (self.folder / name).exists():
                shutil.copytree(self.folder / name, folder / name)
        return World(self.template, folder)

    def stored(self) -> dict[str, str]:
        """What must outlive a full disk: every ref, every file of the remote and of an earlier pull."""
        refs = dict(line.split(" ")[::-1] for line in git(Path(self.origin.git), "show-ref").splitlines())
        files = [*(self.folder / "remote").rglob("*"), *self.out.rglob("*")]
        return refs | {str(path.relative_to(self.folder)): checksum(path) for path in files if path.is_file()}

    def require_tidy(self) -> None:
        """Nothing is half there, nothing temporary is left."""
        git(Path(self.origin.git), "fsck", "--strict", "--no-dangling")
        for path in (self.folder / "remote").rglob("*"):
            assert not path.is_file() or checksum(path) == (path.parent.name + path.name).removesuffix(".dir"), path
        left = re.compile(r"tmp_|incoming|\.(lock|new|old|tmp)$|/\.[^/]*\.\d+$|/(work|failed)/")
        found = [str(path) for path in self.folder.rglob("*") if left.search(str(path.relative_to(self.folder)))]
        assert not found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Version quick@v1.0.0 has landed, and was pulled; what wants to land next lies in the host's cache."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "gitconfig").write_text(GITCONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("LUODI_", "GIT_", "DVC_"))]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        template = make(folder)
        made = World(template, folder / "world")
        made.folder.mkdir()
        shutil.copytree(folder / "origin.git", made.folder / "origin.git")
        (made.folder / "remote").mkdir()
        (made.folder / "home").mkdir()
        shutil.copytree(folder / "cache", made.folder / "home" / "cache")

        def begin() -> int:
            runner = Local()
            do(Plan("land", "quick", "weak"), template, made.origin, runner)
            pull(made, runner)
            return 0

        assert forked(begin) == (0, "")
        yield made


@pytest.fixture
def small(world: Any, tmp_path: Path) -> Any:
    """A copy of `world` on a file system of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield world.copy(disk)
    subprocess.run(["umount", "--lazy", disk], check=True)


def land(world: World, runner: Runner) -> None:
    do(Plan("land", "quick", "good"), world.template, world.origin, runner)


def pull(world: World, runner: Runner) -> None:
    chosen = tags.find(tags.mirror(world.origin, runner), "quick")
    delivery.deploy(world.origin, chosen, world.out, runner)


def pull_anew(world: World, runner: Runner) -> None:
    """As on a host that has nothing yet but an earlier pull."""
    shutil.rmtree(world.origin.home, ignore_errors=True)
    pull(world, runner)


ACTIONS: dict[str, Callable[[World, Runner], None]] = {"land": land, "pull": pull_anew}


def tell(world: World, action: str, limit: int = resource.RLIM_INFINITY) -> tuple[int, str]:
    """Do it in a process of its own, its end told as the command line tells it; return exit code and message.

    Args:
        limit: Bytes that no file of it may grow beyond.
    """
    command = [sys.executable, __file__, str(world.template.folder), str(world.folder), action, str(limit)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env)
    return done.returncode, done.stdout + done.stderr


def main(template: Path, folder: Path, action: str, limit: int) -> None:
    """Do one action on what lies in `folder`."""
    entries = {(model, name): found for model, name, found in read_json(template / "entries.json")}
    world = World(Template(template, git(template / "origin.git", "rev-parse", "main"), entries), folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    commands.app = lambda: ACTIONS[action](world, Runner(print))  # type: ignore[assignment]
    cli.main()


def leave(world: World, free: int) -> Path:
    """Fill the disk but for so many bytes; return the file that fills it."""
    space = os.statvfs(world.folder)
    filler = world.folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(space.f_bavail * space.f_frsize - free, 1))
    return filler


def require_one_message(code: int, said: str, message: str) -> None:
    assert code == 70, (code, said)
    assert re.fullmatch(rf"error: [^\n]*{message}[^\n]*run the command again\n", said), said


def attempt(world: World, action: str, *, free: int | None = None, limit: int | None = None) -> bool:
    """Do it with so little space, or so small files; return whether it could be done."""
    before = world.stored()
    filler = None if free is None else leave(world, free)
    code, said = tell(world, action) if limit is None else tell(world, action, limit)
    if code or said:
        require_one_message(code, said, "the disk is full" if limit is None else "may not grow further")
        assert before.items() <= world.stored().items()
    world.require_tidy()
    if filler:
        filler.unlink()
    return code == 0


def in_peace(world: World, action: str) -> None:
    """Whatever could not be done can be done now."""
    assert tell(world, action) == (0, "")
    world.require_tidy()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_full_disk_and_a_limit(action: str, small: World) -> None:
    for free in (0, 120 * KIB, 500 * KIB):
        assert not attempt(small, action, free=free)
    assert not attempt(small, action, limit=KIB)
    in_peace(small, action)


@pytest.mark.proof
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_disk_that_fills_at_any_moment(action: str, world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every 16 KiB, from one MiB on every 64, until it can be done."""
    done: list[bool] = []
    for free in (*range(0, KIB * KIB, 16 * KIB), *range(KIB * KIB, 8 * KIB * KIB, 64 * KIB)):
        disk = tmp_path_factory.mktemp(f"disk{free}")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", disk], check=True)
        try:
            small = world.copy(disk)
            done.append(attempt(small, action, free=free))
            in_peace(small, action)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
        if done[-3:] == [True] * 3:
            break
    assert done.count(False) > 20 and done[-1]


@pytest.mark.proof
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("action", ACTIONS)
def test_files_that_may_not_grow_at_any_moment(
    action: str, world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = []
    for limit in (*range(0, 16 * KIB, KIB), *range(16 * KIB, 160 * KIB, 16 * KIB)):
        place = world.copy(tmp_path_factory.mktemp(f"limit{limit}"))
        done.append(attempt(place, action, limit=limit))
        in_peace(place, action)
    assert not done[0]


@pytest.mark.proof
def test_a_run_says_at_once_that_the_disk_is_full(ran: "Done", tmp_path: Path) -> None:
    """Airflow's own files have room here, what the tasks write has none: each retry would meet the same."""
    project = ran.project.copy("full")
    project.set({"evaluate": {"mistakes": 3}})
    disk, aside = project.root / ".luodi", tmp_path / "aside"
    disk.rename(aside)
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    shutil.copytree(aside, disk, dirs_exist_ok=True)
    try:
        space = os.statvfs(disk)
        (disk / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize - 5000 * KIB))
        told = project.run("luodi", "run", "reviews", code=70)
        assert told.count("failed  ") == 1 and "error: retrain_reviews failed: the disk is full" in told
        (disk / "filler").unlink()
        assert "evaluate     done" in project.run("luodi", "run", "reviews")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
