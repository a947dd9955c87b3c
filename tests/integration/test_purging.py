"""What is forgotten is named wherever it still lies, and is gone from git's and DVC's places after a purge."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from project import Done, Project

pytestmark = pytest.mark.slow


def holding(project: Project, texts: list[str]) -> Iterator[Path]:
    """Files of DVC's cache and remote, and of the checkout, that hold one of the texts."""
    home = project.origin.home
    for folder in (project.root / ".dvc" / "cache", project.root / "data", home / "cache", home / "remote"):
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            content = path.read_bytes()
            if content.startswith(b"PAR1"):
                table = pq.read_table(path)
                content = repr(table.column("text").to_pylist() if "text" in table.column_names else "").encode()
            if any(text.encode() in content for text in texts):
                yield path


@pytest.fixture(scope="module")
def purged(ran: Done) -> tuple[Project, list[str], str, str]:
    """A project with a version, in which three rows were forgotten, and then purged."""
    project = ran.project.copy("purged")
    shard = project.root / "data" / "reviews" / "slice.parquet"
    texts = [str(text) for text in pq.read_table(shard)["text"].to_pylist()[20:23]]
    (sheet := project.home / "gone.csv").write_text("text\n" + "".join(f'"{text}"\n' for text in texts))
    assert any(holding(project, texts))
    named = project.run("luodi", "data", "forget", "reviews", "--rows", str(sheet))
    removed = project.run("luodi", "data", "forget", "reviews", "--purge")
    return project, texts, named, removed


def test_every_place_that_holds_them_is_named(purged: tuple[Project, list[str], str, str]) -> None:
    project, _, named, _ = purged
    assert "forgot 3 rows of reviews, in 1 shard" in named or "forgot 4 rows" in named
    for word in ("DVC cache", "DVC remote", "trained on them", "reviews@v1.0.0", "other clones"):
        assert word in named, word
    assert project.git("status", "--porcelain").split() == ["M", "data.dvc"]


def test_a_purge_leaves_none_of_their_bytes(purged: tuple[Project, list[str], str, str]) -> None:
    project, texts, _, removed = purged
    assert "nothing to forget" in removed and "removed" in removed
    assert [path.relative_to(project.root) for path in holding(project, texts)] == []
    again = project.run("luodi", "data", "forget", "reviews", "--purge")
    assert "removed 0 files from DVC remote" in again


@pytest.mark.proof
def test_a_run_after_it_is_sound(purged: tuple[Project, list[str], str, str]) -> None:
    project, texts, _, _ = purged
    project.git("commit", "--quiet", "--all", "--message", "Forget rows of reviews")
    project.set({"train": {"architecture": "linear"}, "gate": {"margin": -1.0, "max_slice_loss": 1.0}})
    output = project.run("luodi", "run", "reviews")
    assert "reviews@v1.1.0" in output
    assert [path.relative_to(project.root) for path in holding(project, texts)] == []
    assert {one.name for one in project.versions()} == {"reviews@v1.0.0", "reviews@v1.1.0"}
