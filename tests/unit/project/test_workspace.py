"""DVC's settings hold any path that they can hold; a push that failed was overtaken by others, or refused."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from configobj import ConfigObj
from dvc.config import Config
from hypothesis import given
from hypothesis import strategies as st

from luodi.errors import LuodiError, PushRejected
from luodi.files import checksum, folder_checksum
from luodi.local import checkout
from luodi.project import dvc_settings, dvc_store, locks, programs, workspace
from luodi.project.origin import Origin
from luodi.project.workspace import Workspace
from luodi.registry import pushing
from luodi.system.processes import CommandFailed, Runner

AWKWARD = ["a,b", "a#b", "a #b", " a ", "%", "100%(a", "$a${b}", "it's", 'a"b', 'it\'s "#1"', "'", "a;b=c", "[雪]"]
ALL = "a,b #c % %(d $e 'f' \"g\""


@pytest.fixture
def runner() -> Runner:
    return Runner(print)


@pytest.fixture(autouse=True)
def _settings_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith(("GIT_", "DVC_"))]:
        monkeypatch.delenv(key)
    (tmp_path / "gitconfig").write_text("[user]\nname = Tester\nemail = tester@localhost\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "nowhere"))


def git(cwd: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=cwd, text=True).strip()


def commit(root: Path) -> None:
    git(root, "commit", "--quiet", "--allow-empty", "--message", f"In {root.name}")


def make_origin(home: Path, remote: Path) -> Any:
    """A bare repository of one commit, an empty DVC project."""
    home.mkdir(parents=True)
    git(home, "init", "--quiet", "--bare", "-b", "main", "origin.git")
    git(home, "init", "--quiet", "-b", "main", "seed")
    (home / "seed" / ".dvc").mkdir()
    (home / "seed" / ".dvc" / "config").write_text("")
    (home / "seed" / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    git(home / "seed", "add", "--all")
    commit(home / "seed")
    git(home / "seed", "push", "--quiet", str(home / "origin.git"), "main")
    return Origin(str(home / "origin.git"), "main", str(remote), home)


@pytest.mark.slow
@pytest.mark.parametrize("own_cache", [True, False])
@pytest.mark.parametrize("name", AWKWARD)
def test_dvc_reads_the_settings_of_a_clone_as_they_were_meant(
    name: str, own_cache: bool, runner: Runner, tmp_path: Path
) -> None:
    origin = make_origin(tmp_path / name / "home", tmp_path / name / "remote")
    with workspace.clone(origin, programs.head(origin, runner), runner, own_cache) as clone:
        found = Config(str(clone.root / ".dvc"))
        assert found["core"]["site_cache_dir"] == str(clone.root / ".dvc" / "tmp" / "site")
        assert found["cache"]["dir"] == str((clone.root / ".dvc" if own_cache else origin.home) / "cache")
        assert (found["core"]["remote"], found["remote"]["luodi"]["url"]) == ("luodi", origin.remote)


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD)
def test_dvc_uses_the_cache_that_a_clone_is_given(name: str, runner: Runner, tmp_path: Path) -> None:
    origin, cache = make_origin(tmp_path / "home", tmp_path / "remote"), tmp_path / name / "cache"
    with workspace.clone(origin, programs.head(origin, runner), runner, cache=cache) as clone:
        assert Config(str(clone.root / ".dvc"))["cache"]["dir"] == str(cache)


def test_what_a_killed_clone_left_is_swept_and_a_living_one_is_not(runner: Runner, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "home", tmp_path / "remote")
    left, commit = origin.home / "work" / "left" / "artifacts", programs.head(origin, runner)
    left.mkdir(parents=True)
    with workspace.clone(origin, commit, runner) as one, workspace.clone(origin, commit, runner) as other:
        assert one.lock.parent.is_dir() and other.lock.parent.is_dir()
        assert not left.exists()
    assert list((origin.home / "work").iterdir()) == []


@pytest.mark.slow
def test_dvc_pushes_to_an_awkward_path_and_pulls_from_there(runner: Any, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / ALL / "home", tmp_path / ALL / "remote")
    with workspace.clone(origin, programs.head(origin, runner), runner, own_cache=True) as clone:
        assert " ".join(clone.dvc("remote", "list").split()) == f"luodi {origin.remote} (default)"  # it folds the line
        assert clone.dvc("config", "remote.luodi.url") == f"{origin.remote}\n"
        (clone.root / "x").write_text("content")
        clone.dvc("add", "x")
        clone.dvc("push")
        (clone.root / "x").unlink()
        (clone.root / ".dvc" / "cache").rename(tmp_path / "gone")
        clone.pull("x")
        assert (clone.root / "x").read_text() == "content"
        assert (clone.root / dvc_settings.SITE).stat().st_mode & 0o777 == 0o700  # DVC loads pickles from there
    (stored,) = Path(origin.remote).glob("files/md5/*/*")
    assert stored.read_text() == "content"


@pytest.mark.parametrize("name", AWKWARD)
def test_dvc_reads_the_settings_of_a_checkout_as_they_were_meant(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    (root / ".dvc").mkdir(parents=True)
    origin = Origin.embedded(root)
    checkout.connect(root, origin)
    found = Config(str(root / ".dvc"))
    assert found["core"]["no_scm"]
    assert (found["core"]["remote"], found["remote"]["luodi"]["url"]) == ("luodi", origin.remote)
    assert found["cache"]["dir"] == str(origin.home / "cache")


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("'\"#,%()s \n"), min_size=1))
def test_quoted_comes_back_or_is_refused(text: str) -> None:
    try:
        line = f"key = {dvc_settings.quoted(text)}\n"
    except LuodiError:
        return
    assert ConfigObj([line]).dict() == {"key": text}


@pytest.mark.parametrize("text", ["/a/%(b)s/c", "/a\nb", "/a\u2028b", "/a'''b\"\"\"", ""])
def test_what_no_quotes_save_is_refused(text: str) -> None:
    with pytest.raises(LuodiError, match="DVC's settings cannot hold"):
        dvc_settings.quoted(text)


# Answers


def test_what_git_warns_of_is_no_part_of_its_answer(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a redirect, or with a banner of an SSH server."""
    origin = make_origin(tmp_path / "home", tmp_path / "remote")
    real = subprocess.check_output(["sh", "-c", "command -v git"], text=True).strip()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(f'#!/bin/sh\necho "warning: redirecting to x" >&2\nexec {real} "$@"\n')
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert programs.head(origin, runner) == git(tmp_path / "home" / "seed", "rev-parse", "HEAD")


def test_what_dvc_warns_of_is_no_part_of_its_answer(tmp_path: Path) -> None:
    class Warning(Runner):
        def run(self, *command: Any, **more: Any) -> str:
            script = 'echo "warning: old" >&2; echo \'{"not_in_remote": ["x"]}\''
            return super().run("sh", "-c", script, **more)

    assert Workspace(tmp_path, Origin("", "main", None, tmp_path), Warning(print), tmp_path).prove(paths=[]) == ["x"]


# Pulls


class Counting(Runner):
    """Tells what it runs."""

    def run(self, *command: Any, **more: Any) -> str:
        self.log(" ".join(command))
        return super().run(*command, **more)


@pytest.fixture
def pulling(tmp_path: Path) -> Any:
    """A clone whose outputs, a file and a folder, are in its cache and in no remote; and the commands that it runs."""
    origin = make_origin(tmp_path / "home", tmp_path / "remote")
    commands: list[str] = []
    kept = {"one": b"1", "folder/two": b"2", "folder/deep/three": b"3"}
    for name, data in kept.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_bytes(data)
    files = [
        {"md5": checksum(path), "relpath": path.relative_to(tmp_path / "made" / "folder").as_posix()}
        for path in sorted((tmp_path / "made" / "folder").rglob("*"))
        if path.is_file()
    ]
    listing = json.dumps(files).encode()
    md5s = {"one": checksum(tmp_path / "made" / "one"), "folder": folder_checksum(tmp_path / "made" / "folder")}
    for md5, data in [(md5s["folder"], listing), *((checksum(tmp_path / "made" / name), kept[name]) for name in kept)]:
        place = Path(dvc_store.place(tmp_path / "home" / "cache", md5))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    with workspace.clone(origin, programs.head(origin, Runner(print)), Counting(commands.append)) as clone:
        locks.write(clone.lock, {"stage@m": {"outs": [{"path": path, "md5": md5} for path, md5 in md5s.items()]}})
        yield clone, md5s, commands


def test_what_the_cache_holds_whole_is_copied_without_dvc(pulling: Any) -> None:
    clone, md5s, commands = pulling
    clone.pull("one", "folder")
    assert checksum(clone.root / "one") == md5s["one"]
    assert folder_checksum(clone.root / "folder") == md5s["folder"]
    assert not [command for command in commands if "strict_dvc" in command]
    (clone.root / "folder" / "two").write_text("another")  # a copy: the cache keeps what it has
    assert not dvc_store.damaged(clone.cache, md5s["folder"])


def test_what_was_brought_before_is_there(pulling: Any) -> None:
    clone, md5s, commands = pulling
    clone.pull("one", "folder")
    shutil.rmtree(clone.cache)
    clone.pull("folder", "one")
    assert folder_checksum(clone.root / "folder") == md5s["folder"]
    assert not [command for command in commands if "strict_dvc" in command]


@pytest.mark.slow
def test_what_was_changed_since_it_was_brought_is_for_dvc_to_tell(pulling: Any) -> None:
    clone, _, commands = pulling
    clone.pull("one", "folder")
    (clone.root / "folder" / "two").write_text("another")
    with pytest.raises(LuodiError):  # DVC knows no such stage: dvc.yaml has none
        clone.pull("one", "folder")
    (asked,) = [command for command in commands if "strict_dvc" in command]
    assert asked.endswith("pull folder")


def test_a_folder_without_a_file_is_copied_too(pulling: Any) -> None:
    clone, _, commands = pulling
    (clone.root.parent / "empty").mkdir()
    md5 = folder_checksum(clone.root.parent / "empty")
    Path(dvc_store.place(clone.cache, md5)).parent.mkdir(parents=True, exist_ok=True)
    Path(dvc_store.place(clone.cache, md5)).write_text("[]")
    locks.write(clone.lock, {"stage@m": {"outs": [{"path": "net", "md5": md5}]}})
    clone.pull("net")
    assert (clone.root / "net").is_dir()
    assert not [command for command in commands if "strict_dvc" in command]


@pytest.mark.slow
@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("x")], ids=["gone", "changed"])
def test_what_the_cache_lacks_or_holds_damaged_is_for_dvc_to_bring(pulling: Any, harm: Any) -> None:
    clone, _, commands = pulling
    harm(Path(dvc_store.place(clone.cache, checksum(clone.root.parents[1].parent / "made" / "folder" / "two"))))
    with pytest.raises(LuodiError):  # of the remote, which is not there, or of DVC, which knows no such stage
        clone.pull("one", "folder")
    (asked,) = [command for command in commands if "strict_dvc" in command]
    assert asked.endswith("pull folder")


def test_what_a_folder_remote_holds_is_proven_and_copied_without_dvc(pulling: Any) -> None:
    clone, md5s, commands = pulling
    shutil.copytree(clone.cache, clone.origin.remote, dirs_exist_ok=True)
    (clone.root / "stray").write_text("of another stage")
    assert clone.prove("stage@m", paths=["folder"]) == []
    assert folder_checksum(clone.root / "folder") == md5s["folder"] and not (clone.root / "one").exists()
    assert not [command for command in commands if "strict_dvc" in command]


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["one", "folder/deep/three"])
def test_what_a_folder_remote_lacks_is_for_dvc_to_tell(pulling: Any, lost: str) -> None:
    clone, _, commands = pulling
    shutil.copytree(clone.cache, clone.origin.remote, dirs_exist_ok=True)
    Path(dvc_store.place(clone.origin.remote, checksum(clone.origin.home.parent / "made" / lost))).unlink()
    with pytest.raises(LuodiError):  # DVC knows no such stage: dvc.yaml has none
        clone.prove("stage@m", paths=["folder"])
    assert [command for command in commands if "strict_dvc" in command]


def test_what_a_stage_reads_is_copied_unless_it_may_be_unchanged(pulling: Any) -> None:
    clone, md5s, _ = pulling
    do = {"cmd": "luodi next ${key}", "deps": ["one", "folder", "elsewhere"]}
    (clone.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"next": {"foreach": "${models}", "do": do}}}))
    (clone.root / "params.yaml").write_text("models: {m: {modality: text, labels: [a, b]}}")
    locks.write(clone.lock, {**locks.read(clone.lock), "next@m": {"deps": []}})
    clone._copy_dependencies("next@m")
    assert not (clone.root / "one").exists()
    locks.write(clone.lock, {name: entry for name, entry in locks.read(clone.lock).items() if name != "next@m"})
    clone._copy_dependencies("next@m")
    assert checksum(clone.root / "one") == md5s["one"] and folder_checksum(clone.root / "folder") == md5s["folder"]


# Pushes


@pytest.fixture
def clone(runner: Any, tmp_path: Path) -> Any:
    """A clone with a commit and a tag to push."""
    origin = make_origin(tmp_path / "home", tmp_path / "remote")
    git(tmp_path, "clone", "--quiet", origin.git, "clone")
    commit(tmp_path / "clone")
    git(tmp_path / "clone", "tag", "--annotate", "--message", "x", "m@v1.0.0")
    return Workspace(tmp_path / "clone", origin, runner, tmp_path / "cache")


def push(clone: Any) -> bool:
    return pushing.push(clone, ["HEAD:refs/heads/main", "refs/tags/m@v1.0.0"])


def hook(clone: Workspace, name: str, script: str) -> None:
    path = Path(clone.origin.git) / "hooks" / name
    path.write_text(f"#!/bin/sh\nunset GIT_QUARANTINE_PATH\n{script}\n")
    path.chmod(0o755)


def pushed(clone: Workspace) -> None:
    commit(clone.origin.home / "seed")
    git(clone.origin.home / "seed", "push", "--quiet", clone.origin.git, "main")


def pushed_and_fetched(clone: Workspace) -> None:
    pushed(clone)
    git(clone.root, "fetch", "--quiet", "origin", "main")


RACES: dict[str, Callable[[Workspace], object]] = {
    "fetch first": pushed,
    "non-fast-forward": pushed_and_fetched,
    "tag there": lambda clone: git(Path(clone.origin.git), "update-ref", "refs/tags/m@v1.0.0", "main"),
    "branch moved under it": lambda clone: hook(
        clone, "pre-receive", "git update-ref refs/heads/main $(git commit-tree main^{tree} -p main -m x)"
    ),
    "tag made under it": lambda clone: hook(clone, "pre-receive", "git update-ref refs/tags/m@v1.0.0 main"),
    "being written": lambda clone: Path(clone.origin.git, "refs", "heads", "main.lock").touch(),
}


@pytest.mark.slow
@pytest.mark.parametrize("race", RACES)
def test_a_push_that_others_overtook_may_be_tried_again(race: str, clone: Any) -> None:
    RACES[race](clone)
    assert push(clone) is False
    assert git(clone.root, "tag") == ""


DECLINED = 'echo "main is protected: a rule already exists (fetch first), cannot lock ref" >&2; exit 1'
REFUSALS: dict[str, tuple[Callable[[Workspace], object], str]] = {
    "pre-receive": (lambda clone: hook(clone, "pre-receive", DECLINED), "pre-receive hook declined; main is protected"),
    "update": (lambda clone: hook(clone, "update", DECLINED), "hook declined; atomic push failure; main is protected"),
    "hidden": (
        lambda clone: git(Path(clone.origin.git), "config", "receive.hideRefs", "refs/heads"),
        "deny updating a hidden ref",
    ),
    "too big": (
        lambda clone: git(Path(clone.origin.git), "config", "receive.maxInputSize", "1"),
        "unpacker error; fatal: pack exceeds maximum allowed size",
    ),
    "in the way": (
        lambda clone: git(Path(clone.origin.git), "update-ref", "refs/tags/m@v1.0.0/x", "main"),
        "cannot create 'refs/tags/m@v1.0.0'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_push_that_was_refused_tells_the_reason(refusal: str, clone: Any) -> None:
    prepare, reason = REFUSALS[refusal]
    prepare(clone)
    with pytest.raises(PushRejected) as caught:
        push(clone)
    assert "refuses the push of refs/heads/main, refs/tags/m@v1.0.0: " in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_push_that_git_never_tried_is_told_as_it_is(clone: Workspace) -> None:
    with pytest.raises(CommandFailed, match="does not match any"):
        pushing.push(clone, ["refs/tags/none"])


def test_an_empty_folder_in_the_cache_of_runs_is_swept(tmp_path: Path) -> None:
    old, new, filled = folders = [tmp_path / "runs" / "ab" / name for name in ("old", "new", "filled")]
    for folder in folders:
        folder.mkdir(parents=True)
    (filled / "entry").touch()
    for folder in (old, filled):
        os.utime(folder, (0, 0))
    dvc_store.sweep_runs(tmp_path)
    assert not old.exists() and new.exists() and filled.exists()
    dvc_store.sweep_runs(tmp_path / "no cache yet")
