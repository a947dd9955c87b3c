"""DVC in a checkout keeps its state, of which it loads pickles, where nobody else can write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.config import Config

from luodi.errors import DirtyCheckout, LuodiError
from luodi.local import checkout
from luodi.project import dvc_settings, programs
from luodi.project.origin import Origin
from luodi.system.processes import Runner

EARLIER = checkout.CONFIG.format(scm="", cache='"../.luodi/cache"', remote='"../.luodi/remote"')
OWN = """\
# mine
['remote "team"']
    url = ssh://host/models  # the team's
    password = "a,b#c"
[ Core ]   # and this
    remote = team
    checksum_jobs = 4
"""


def made(root: Path, local: str | None = None) -> Path:
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    autostage = false\n")
    if local is not None:
        (root / ".dvc" / "config.local").write_text(local)
    return root


def connect(root: Path) -> str:
    """Connect a checkout; return its local settings."""
    checkout.connect(root, Origin.embedded(root))
    return (root / ".dvc" / "config.local").read_text()


def state(root: Path) -> str:
    return f'    site_cache_dir = "{root}/.dvc/tmp/site"\n'


def dvc(cwd: Path, *arguments: str) -> str:
    """Run DVC as a person does."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    return subprocess.check_output([sys.executable, "-m", "dvc", *arguments], cwd=cwd, env=env, text=True)


@pytest.mark.parametrize("local", [EARLIER, OWN, "['core']\n", "[cache]\n    dir = /somewhere", "# nothing yet\n"])
def test_settings_that_are_there_get_the_missing_line_and_keep_the_others(local: str, tmp_path: Path) -> None:
    root = made(tmp_path / "project", local)
    before, text = Config(str(root / ".dvc")), connect(root)
    added = {state(root).rstrip()} | ({"[core]"} - set(local.splitlines()))
    assert [line for line in text.splitlines() if line not in added] == local.splitlines()
    after = Config(str(root / ".dvc"))
    assert after["core"].pop("site_cache_dir") == f"{root}/.dvc/tmp/site"
    assert after == before
    assert connect(root) == text


@pytest.mark.slow
def test_what_dvc_kept_before_is_found_after(tmp_path: Path) -> None:
    """`dvc repro`, then `luodi gate`: nothing has to be made again."""
    root = made(tmp_path / "project")
    dvc(root, "config", "core.analytics", "false")
    (root / "net").write_text("weights")
    dvc(root, "add", "--quiet", "net")
    assert connect(root) != ""
    assert dvc(root, "status", "--json").strip() == "{}"
    (root / "net").unlink()
    dvc(root, "checkout", "--quiet", "net")
    assert (root / "net").read_text() == "weights"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a link", "links"])
def test_what_others_share_or_files_link_to_stays(kind: str, tmp_path: Path) -> None:
    root, shared = made(tmp_path / "project"), tmp_path / "shared"
    kept = shared if kind == "a link" else root / ".dvc" / "cache"
    (kept / "files").mkdir(parents=True)
    (kept / "files" / "one").write_text("weights")
    if kind == "a link":
        (root / ".dvc" / "cache").symlink_to(shared)
    else:
        dvc(root, "config", "cache.type", "symlink")
    connect(root)
    assert (kept / "files" / "one").read_text() == "weights"


def test_settings_with_a_password_are_for_their_owner_alone(tmp_path: Path) -> None:
    root = made(tmp_path / "project", OWN)
    connect(root)
    assert (root / ".dvc" / "config.local").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("level", ["local", "repo", "global"])
def test_a_value_that_was_set_stays(level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made(tmp_path / "project")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    (tmp_path / "global").mkdir()
    with Config(str(root / ".dvc")).edit(level) as settings:
        settings["core"]["site_cache_dir"] = "/fast/disk"
    text = connect(root)
    assert f"{root}" not in text
    assert Config(str(root / ".dvc"))["core"]["site_cache_dir"] == "/fast/disk"


def test_a_checkout_that_was_moved_is_mended(tmp_path: Path) -> None:
    root = made(tmp_path / "here")
    connect(root)
    there = root.rename(tmp_path / "there")
    text = connect(there)
    assert state(there) in text
    assert str(root) not in text
    assert not root.exists()


def test_what_luodi_added_does_not_keep_the_embedded_remote_away(tmp_path: Path) -> None:
    root = made(tmp_path / "project")
    checkout.keep_state(root)  # as a command does that works with a git origin of one's own
    assert "luodi/remote" in connect(root)


def test_settings_that_dvc_cannot_read_are_told(tmp_path: Path) -> None:
    root = made(tmp_path / "project", "[core\n")
    with pytest.raises(LuodiError, match=r"DVC cannot read its settings, .*config"):
        connect(root)
    assert (root / ".dvc" / "config.local").read_text() == "[core\n"


@pytest.mark.slow
def test_nobody_else_can_write_where_dvc_keeps_its_state(tmp_path: Path) -> None:
    root = made(tmp_path / "project")
    site = root / dvc_settings.SITE
    site.mkdir(parents=True)
    site.chmod(0o777)  # as DVC makes it
    connect(root)
    (root / "folder").mkdir()
    (root / "folder" / "file").write_text("content")
    dvc(root / "folder", "add", "--quiet", "file")
    assert site.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in site.iterdir()] == ["repo"]
    assert {path.name for path in (root / "folder").iterdir()} == {"file", "file.dvc", ".gitignore"}


@pytest.mark.slow
def test_what_is_not_reproduced_is_named(tmp_path: Path) -> None:
    root, runner = made(tmp_path / "checkout"), Runner(lambda line: None)
    (root / "rows").write_text("1\n")
    (root / "params.yaml").write_text("models: {m: {rate: 1, size: 2}}\n")
    (root / "dvc.yaml").write_text(
        "stages:\n  copy:\n    cmd: cp rows made\n    deps: [rows]\n    params: [models.m]\n    outs: [made]\n"
    )
    programs.dvc(runner, root, "repro", "--quiet")
    checkout.require_reproduced(root, ["copy"], runner)
    for path, content, said in (
        ("params.yaml", "models: {m: {rate: 3, size: 2}}\n", "of copy models.m changed: run `dvc repro` first"),
        ("rows", "2\n", "of copy rows, models.m changed"),
    ):
        (root / path).write_text(content)
        with pytest.raises(DirtyCheckout, match=said):
            checkout.require_reproduced(root, ["copy"], runner)
