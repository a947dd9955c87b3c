"""What lies in luodi's own folder is for its user alone, whatever the umask; what others are to read is not touched."""

import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from luodi import files
from luodi.errors import ArtifactError, LuodiError
from luodi.local import checkout, delivery
from luodi.project import programs, workspace
from luodi.project.origin import Origin
from luodi.registry import tags
from luodi.registry.tags import Version
from luodi.system.processes import Runner

UMASKS = [0o000, 0o022, 0o077]
PLANTED = "plantedPassw0rd"


def open_to_others(folder: Path) -> list[str]:
    """What below a folder others may read, write or enter, with its mode."""
    paths = [folder, *folder.rglob("*")]
    return [
        f"{stat.S_IMODE(path.lstat().st_mode):o} {path}"
        for path in paths
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    ]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=UMASKS, ids="{:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    assert os.umask(before) == request.param, "it was not put back"


@pytest.fixture
def runner() -> Runner:
    return Runner(print)


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    """A team's repository and DVC remote, both folders, outside of luodi's own."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "tester@localhost")
    bare, seed = tmp_path / "team.git", tmp_path / "seed"
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", str(bare))
    git(tmp_path, "init", "--quiet", "-b", "main", str(seed))
    (seed / ".dvc").mkdir()
    (seed / ".dvc" / "config").touch()
    (seed / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    git(seed, "add", "--all")
    git(seed, "commit", "--quiet", "-m", "A project")
    git(seed, "push", "--quiet", str(bare), "main")
    return Origin(str(bare), "main", str(tmp_path / "remote"), tmp_path / "deep" / "home")


def git(cwd: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=cwd, text=True, stderr=subprocess.STDOUT)


@pytest.mark.slow
def test_all_that_a_task_writes_is_private_and_what_it_pushes_is_not(
    umask: int, origin: Origin, runner: Runner, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "team.git")
    git(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / "seed"), str(tmp_path / "team.git"))
    (origin.home / "cache").mkdir(parents=True)  # of an earlier luodi
    tags.mirror(origin, runner)
    with pytest.raises(ArtifactError), workspace.clone(origin, programs.head(origin, runner), runner) as clone:
        (clone.root / "x").write_text("content")
        clone.dvc("add", "x")
        clone.dvc("push")
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "-m", "x")
        clone.git("push", "--quiet", "origin", "HEAD:main")
        assert mode(clone.root) == 0o700
        raise ArtifactError("so that the clone is kept")
    assert open_to_others(origin.home) == []
    assert list((origin.home / "cache" / "files" / "md5").rglob("*/*")), "the cache is among it"
    (pushed,) = (tmp_path / "remote" / "files" / "md5").glob("*/*")
    assert mode(pushed) == 0o444 & ~umask
    assert mode(pushed.parent) == 0o777 & ~umask
    commit = git(tmp_path / "team.git", "rev-parse", "main").strip()
    assert mode(tmp_path / "team.git" / "objects" / commit[:2] / commit[2:]) == 0o444 & ~umask


def test_what_an_earlier_luodi_left_open_is_closed(origin: Origin, runner: Runner) -> None:
    secret, link = origin.home / "airflow" / "passwords.json", origin.home / "link"
    secret.parent.mkdir(parents=True)
    secret.write_text("x")
    outside = origin.home.parent / "outside"
    outside.write_text("x")
    link.symlink_to(outside)
    (origin.home / "linked").hardlink_to(outside)
    for path, wide in ((origin.home, 0o777), (secret.parent, 0o755), (secret, 0o644), (outside, 0o644)):
        path.chmod(wide)
    with workspace.clone(origin, programs.head(origin, runner), runner):
        pass
    assert open_to_others(origin.home) == []
    assert mode(outside) == 0o644
    assert mode(secret) == 0o600


def test_to_write_cards_closes_the_folder_of_an_earlier_luodi(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "passwords").write_text("x")
    home.chmod(0o755)
    version = Version("reviews", "v1.0.0", "0" * 40, datetime(2026, 1, 31, tzinfo=UTC), "Ann", None, {})
    delivery.cards(Origin("/none", "main", None, home), version)
    assert open_to_others(home) == [] and mode(home) == 0o700


def test_the_settings_and_the_folder_of_a_checkout_are_private(umask: int, tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".luodi" / "cache").mkdir(parents=True)
    (tmp_path / ".luodi" / "cache" / "file").write_text("x")
    origin, local = Origin.embedded(tmp_path), tmp_path / ".dvc" / "config.local"
    checkout.connect(tmp_path, origin)
    assert open_to_others(origin.home) == [] and mode(local) == 0o600
    local.chmod(0o644)
    checkout.connect(tmp_path, origin)
    assert mode(local) == 0o600


def test_the_umask_of_the_user_comes_back_whoever_leaves_last() -> None:
    before = os.umask(0o022)
    try:
        inside, leave = threading.Event(), threading.Event()

        def work() -> None:
            with files.private():
                inside.set()
                leave.wait(20)

        thread = threading.Thread(target=work)
        with files.private():
            thread.start()
            inside.wait(20)
            assert files.users_umask() == 0o022
        assert os.umask(0o077) == 0o077  # the other is still inside
        leave.set()
        thread.join(20)
        assert os.umask(0o022) == 0o022 and files.users_umask() == -1
    finally:
        os.umask(before)


@pytest.mark.parametrize("url", ["http://me:{}@127.0.0.1:9/x.git", "http://127.0.0.1:9/x.git?token={}"])
@pytest.mark.slow
def test_a_password_goes_to_git_and_is_written_nowhere(
    url: str, origin: Origin, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git takes what it asks for from the real address, here a folder, and writes down the one without a password."""
    secret = Origin(url.format(PLANTED), "main", f"http://me:{PLANTED}@127.0.0.1:9/remote", origin.home)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    assert PLANTED not in secret.address
    with pytest.raises(LuodiError) as caught:
        programs.head(secret, runner)
    assert PLANTED not in str(caught.value) and "cannot be reached" in str(caught.value)

    real = dict(secret.credentials())
    real["GIT_CONFIG_KEY_0"] = f"url.{origin.git}.insteadOf"  # a folder stands for the server

    class Served(Runner):
        def run(self, *command: str, **more: Any) -> Any:
            assert not any(PLANTED in word for word in command), command
            more["env"] = {**more.get("env", {}), **real}
            return super().run(*command, **more)

    served = Served(print)
    tags.mirror(secret, served)
    with pytest.raises(LuodiError) as caught, workspace.clone(secret, programs.head(secret, served), served) as clone:
        clone.git("fetch", "--quiet", "origin", "main")
        (clone.root / "x").write_text("content")
        clone.dvc("add", "x")
        clone.dvc("push")
    assert PLANTED not in str(caught.value)
    kept = [path for path in origin.home.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]
    assert kept == []
    assert list((origin.home / "failed").glob("*/.git/config"))


def test_a_mirror_that_an_earlier_luodi_gave_a_password_is_made_anew(origin: Origin, runner: Runner) -> None:
    mirror = origin.home / "registry.git"
    git(origin.home.parent.parent, "clone", "--quiet", "--mirror", origin.git, str(mirror))
    secret = Origin(f"http://me:{PLANTED}@127.0.0.1:9/x.git", "main", None, origin.home)
    assert not tags._holds_password(mirror, secret)
    git(mirror, "config", "remote.origin.url", secret.git)
    assert tags._holds_password(mirror, secret) and not tags._holds_password(mirror, origin)
