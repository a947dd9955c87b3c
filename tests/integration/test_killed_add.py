"""`luodi add` killed at any change that it makes to the project: the same command again does all of it."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from project import Project

ADD = """
import os, signal, sys
from pathlib import Path
from luodi.scaffold import adding, changes, ingesting
from luodi.system.processes import Runner

EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.move", "subprocess.Popen"}
root, source, moment = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
seen, making, make = 0, False, changes.make

def hear(event, arguments):
    global seen
    if making and event in EVENTS:
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)

def watched(*arguments, **more):
    global making
    making = True
    make(*arguments, **more)
    making = False

changes.make = watched
sys.addaudithook(hear)
if sys.argv[4] == "add":
    adding.add_texts(root, "new", source, Runner(print))
else:
    ingesting.ingest(root, "reviews", [source], Runner(print))
print(seen)
"""


def add(project: Project, moment: int = 0, how: str = "add") -> subprocess.CompletedProcess[str]:
    """Add a model, or rows to one; be killed at that change of the project, counted from 1."""
    source, labels = project.home / "hotels.csv", ("negative", "positive")
    source.write_text("text,label\n" + "".join(f"room {row} was fine,{labels[row % 2]}\n" for row in range(100)))
    command = [sys.executable, "-c", ADD, str(project.root), str(source), str(moment), how]
    return subprocess.run(command, env=project.env, cwd=project.root, capture_output=True, text=True, check=False)


def contents(root: Path) -> dict[str, str]:
    """What a user has, and nothing of luodi's or DVC's own."""
    hidden = {".git", ".dvc", ".luodi", "__pycache__"}
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not hidden & set(path.relative_to(root).parts)
    }


@pytest.fixture(scope="module")
def added(make_project: Any) -> tuple[dict[str, str], int]:
    """What a project holds after an undisturbed add, and how many changes that made."""
    project = make_project("added-undisturbed")
    done = add(project)
    assert done.returncode == 0, done.stderr
    return contents(project.root), int(done.stdout.split()[-1])


def killed(make_project: Any, added: Any, moment: int, name: str) -> None:
    expected, _ = added
    project = make_project(f"killed-{name}-{moment}")
    done = add(project, moment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if contents(project.root) == expected and not (project.root / ".luodi" / "undo").exists():
        return  # all was done, and what had been put aside was being dropped
    again = add(project)
    assert again.returncode == 0, again.stderr
    assert contents(project.root) == expected
    assert not (project.root / ".luodi" / "undo").exists()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.75])
def test_an_add_that_was_killed_is_done_by_the_same_command(make_project: Any, added: Any, share: Any) -> None:
    killed(make_project, added, max(1, round(share * added[1])), "slice")


@pytest.mark.slow
def test_rows_that_were_being_ingested_are_there_once_by_the_same_command(make_project: Any) -> None:
    project, peace = make_project("ingesting-killed"), make_project("ingesting")
    done = add(peace, how="ingest")
    assert done.returncode == 0, done.stderr
    moment = int(done.stdout.split()[-1]) // 2
    assert add(project, moment, "ingest").returncode == -signal.SIGKILL
    again = add(project, how="ingest")
    assert again.returncode == 0, again.stderr
    assert contents(project.root) == contents(peace.root)
    assert len(list((project.root / "data" / "reviews").iterdir())) == 3  # and its record


@pytest.mark.slow
def test_what_was_committed_after_a_kill_is_not_taken_back(make_project: Any, added: Any) -> None:
    """The user went on: whoever commits takes the change for done."""
    project = make_project("committed")
    assert add(project, round(0.75 * added[1])).returncode == -signal.SIGKILL
    undo = project.root / ".luodi" / "undo"
    assert undo.exists()
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "Add new")
    before = contents(project.root)
    assert "has a model new already" in add(project).stderr
    assert contents(project.root) == before
    assert not undo.exists()


@pytest.mark.proof
def test_rows_are_there_once_whatever_change_was_the_last_before_a_kill(make_project: Any) -> None:
    peace = make_project("ingesting-all")
    for moment in range(1, 1 + int(add(peace, how="ingest").stdout.split()[-1])):
        project = make_project(f"ingesting-killed-{moment}")
        assert add(project, moment, "ingest").returncode == -signal.SIGKILL
        assert add(project, how="ingest").returncode == 0
        assert contents(project.root) == contents(peace.root)


@pytest.mark.proof
def test_an_add_that_was_killed_at_any_change_is_done_by_the_same_command(make_project: Any, added: Any) -> None:
    for moment in range(1, 1 + added[1]):
        killed(make_project, added, moment, "all")
