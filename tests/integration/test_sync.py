"""`luodi sync`: what landed comes into a checkout, and nothing that is only there is lost."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from actors import World, git

from luodi.project import locks


@pytest.fixture
def checkout(one: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the commit that the first version was trained on, with the DVC remote of the team."""
    for name, value in one.origin.environment().items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", "--no-tags", one.origin.git, str(root))
    git(root, "reset", "--quiet", "--hard", one.commit)
    (root / ".dvc" / "config.local").write_text(
        f"[core]\n    remote = team\n['remote \"team\"']\n    url = {one.origin.remote}\n"
    )
    return root


def test_entries_files_and_tags_of_the_version_in_production_come(
    checkout: Path, one: World, luodi: Callable[..., Any]
) -> None:
    done = luodi(checkout, "sync", "quick")
    assert done.returncode == 0, done.stderr
    assert "quick@v1.0.0: in dvc.lock" in done.stdout
    assert "next: `git add dvc.lock && git commit -m 'Land quick'`" in done.stdout
    assert locks.read(checkout / "dvc.lock") == one.entries("quick", "weak")
    assert (checkout / "artifacts" / "quick" / "evaluate" / "report.html").read_text() == "The report of weak.\n"
    assert git(checkout, "tag").split() == ["quick#production#1", "quick@v1.0.0"]
    assert not (checkout / "artifacts" / "careful").exists()


def test_files_that_dvc_has_not_stored_are_told_and_stay(checkout: Path, one: World, luodi: Callable[..., Any]) -> None:
    """As `luodi evaluate` by hand leaves them, which DVC knows nothing of."""
    mine = checkout / "artifacts" / "quick" / "evaluate" / "report.html"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = luodi(checkout, "sync", "quick")
    assert done.returncode == 42
    assert (
        "it has not stored (1), as a stage run by hand leaves it: artifacts/quick/evaluate/report.html" in done.stderr
    )
    assert "LUODI_DVC_REMOTE" not in done.stderr
    assert mine.read_text() == "mine"
    mine.unlink()
    assert luodi(checkout, "sync", "quick").returncode == 0
    assert mine.read_text() == "The report of weak.\n"


def test_where_dvc_knows_no_remote_it_is_pointed_to_that_of_the_origin(
    checkout: Path, one: World, luodi: Callable[..., Any]
) -> None:
    (checkout / ".dvc" / "config.local").unlink()
    done = luodi(checkout, "sync", "quick")
    assert done.returncode == 0, done.stderr
    assert f"url = {one.origin.remote}" in (checkout / ".dvc" / "config.local").read_text()
    assert (checkout / "artifacts" / "quick" / "evaluate" / "report.html").read_text() == "The report of weak.\n"


def test_what_was_synced_gives_way_to_what_landed_since(checkout: Path, one: World, luodi: Callable[..., Any]) -> None:
    assert luodi(checkout, "sync").returncode == 0
    one.land("quick", "best")
    done = luodi(checkout, "sync")
    assert done.returncode == 0, done.stderr
    assert locks.of_model(locks.read(checkout / "dvc.lock"), "quick") == one.entries("quick", "best")
    assert locks.of_model(locks.read(checkout / "dvc.lock"), "careful") == one.entries("careful", "weak")


def test_entries_that_are_only_here_are_not_lost(checkout: Path, one: World, luodi: Callable[..., Any]) -> None:
    mine = one.entries("quick", "hopeless")
    locks.write(checkout / "dvc.lock", mine)
    done = luodi(checkout, "sync", "quick")
    assert (done.returncode, locks.read(checkout / "dvc.lock")) == (42, mine)
    assert "dvc.lock has entries of quick that no commit holds" in done.stderr
    git(checkout, "commit", "--quiet", "--all", "--message", "Mine")
    assert luodi(checkout, "sync", "quick").returncode == 0


def test_another_tag_of_that_name_is_not_moved(checkout: Path, luodi: Callable[..., Any]) -> None:
    git(checkout, "tag", "quick@v1.0.0")
    done = luodi(checkout, "sync", "quick")
    assert done.returncode == 40 and "the tag quick@v1.0.0 of this checkout is not that of" in done.stderr
    git(checkout, *done.stderr.partition("`git ")[2].partition("`")[0].split())
    assert luodi(checkout, "sync", "quick").returncode == 0


def test_a_clone_lands_nothing_beside_versions_whose_registry_is_elsewhere(
    one: World, tmp_path: Path, luodi: Callable[..., Any]
) -> None:
    """A registry of its own began there: another v1.0.0, compared with none, whose tag `luodi sync` then refused."""
    git(tmp_path, "clone", "--quiet", one.origin.git, "elsewhere")
    root = tmp_path / "elsewhere"
    for command in (["run", "quick"], ["up"], ["register", "quick"]):
        done = luodi(root, *command)
        assert done.returncode == 60, done.stderr
        assert "v1.0.0 landed elsewhere" in done.stderr and "with LUODI_GIT_URL set to" in done.stderr
        assert not (root / ".luodi").exists()
    subprocess.run(done.stderr.partition("anew: `")[2].partition("`")[0], shell=True, cwd=root, check=True)
    assert git(root, "tag", "--list", "quick*") == ""
    assert "landed elsewhere" not in luodi(root, "register", "quick").stderr


def test_where_nothing_landed_it_says_so(nothing: World, tmp_path: Path, luodi: Callable[..., Any]) -> None:
    git(tmp_path, "clone", "--quiet", nothing.origin.git, "checkout")
    done = luodi(tmp_path / "checkout", "sync", **nothing.origin.environment())
    assert done.returncode == 61 and "`luodi run quick` lands one" in done.stderr


def test_a_project_without_a_model_has_nothing_to_bring(
    nothing: World, tmp_path: Path, luodi: Callable[..., Any]
) -> None:
    git(tmp_path, "clone", "--quiet", nothing.origin.git, "checkout")
    (tmp_path / "checkout" / "params.yaml").write_text("models: {}\n")
    done = luodi(tmp_path / "checkout", "sync", **nothing.origin.environment())
    assert done.returncode == 61 and "no version of any model is in production" in done.stderr


def test_a_version_that_was_tagged_by_hand_is_not_taken_for_files(
    checkout: Path, one: World, luodi: Callable[..., Any]
) -> None:
    one.git("tag", "--annotate", "--message", "mine", "quick@v9.0.0", one.commit)
    one.git("tag", "--annotate", "--message", "quick v9.0.0 to production", "quick#production#2", one.commit)
    before = (checkout / "dvc.lock").read_bytes()
    done = luodi(checkout, "sync", "quick")
    assert done.returncode == 60 and "quick@v9.0.0 was tagged by hand" in done.stderr
    assert (checkout / "dvc.lock").read_bytes() == before
