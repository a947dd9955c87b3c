"""data/ that others have a hand in: another repository, from which `dvc import` brought it, or another branch."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project import Project

from luodi.errors import SourceMismatch
from luodi.local import embedded
from luodi.project import data_pointer, dvc_store
from luodi.scaffold import changes
from luodi.system.processes import Runner

pytestmark = pytest.mark.slow


@pytest.fixture
def imported(make_project: Callable[[str], Project], tmp_path: Path) -> Project:
    project, other = make_project("imported"), tmp_path / "other"
    shutil.copytree(project.root / "data", other / "data")
    for command in ("git init -q", "dvc init -q", "dvc add -q data", "git add .", "git commit -qm Data"):
        project.run("sh", "-c", f"cd {other} && {command}")
    project.run("dvc", "import", "--quiet", "--force", str(other), "data")
    project.git("commit", "--quiet", "--all", "--message", "Import the data")
    return project


def test_what_was_imported_is_stored_in_the_remote_that_tasks_pull_from(imported: Project, quiet: Runner) -> None:
    origin, _ = embedded.prepare(imported.root, quiet)
    listing = data_pointer.recorded(imported.root / "data.dvc")
    store = Path(origin.remote or "")
    found = dvc_store.recorded([store], listing, "data/reviews") or {}
    assert found
    assert [md5 for md5 in found.values() if dvc_store.lacks(store, md5)] == []
    assert imported.git("status", "--porcelain") == ""
    assert "rev_lock" in (imported.root / "data.dvc").read_text()


def test_nothing_is_added_to_what_was_imported(imported: Project) -> None:
    """It would be pushed nowhere, and be gone after the next `dvc update`."""
    before = (imported.root / "data.dvc").read_text()
    with pytest.raises(SourceMismatch, match=r"data\.dvc is an import .* `rm data\.dvc && dvc add data`"):
        changes.require_data(imported.root, "reviews")
    told = imported.run("luodi", "data", "forget", "reviews", "--rows", "params.yaml", code=25)
    assert "`dvc update data.dvc`" in told
    assert (imported.root / "data.dvc").read_text() == before


def test_what_two_branches_took_in_is_united_as_the_message_says(make_project: Callable[[str], Project]) -> None:
    project = make_project("united")
    (shard,) = (project.root / "data" / "reviews").iterdir()
    project.run("dvc", "add", "--quiet", "data")  # into the cache
    for branch in ("theirs", "main"):
        project.git("checkout", "--quiet", *(["-b"] if branch == "theirs" else []), branch)
        project.run("dvc", "checkout", "--quiet", "--force", "data.dvc")
        shutil.copy(shard, shard.with_name(f"{branch}.parquet"))
        project.run("dvc", "add", "--quiet", "data")
        project.git("commit", "--quiet", "--all", "--message", f"Rows of {branch}")
    project.run("git", "merge", "--quiet", "theirs", code=1)
    with pytest.raises(SourceMismatch, match="holds both sides of a merge") as told:
        changes.require_data(project.root)
    abort, unite = re.findall(r"`([^`]+)`", str(told.value))[:2]
    for command in (abort, unite, "git merge --quiet --no-edit theirs", "dvc checkout --quiet data.dvc"):
        project.run("sh", "-c", command)
    assert {path.name for path in shard.parent.iterdir()} == {shard.name, "theirs.parquet", "main.parquet"}
    assert changes.require_data(project.root) == "data"
