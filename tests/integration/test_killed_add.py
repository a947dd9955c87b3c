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
from luodi.scaffold import adding, changes
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
adding.add_texts(root, "new", source, Runner(print))
print(seen)
"""


def add(project: Project, moment: int = 0) -> subprocess.CompletedProcess[str]:
    """Add a model; be killed at that change of the project, counted from 1."""
    source = project.home / "hotels.csv"
    source.write_text("text,label\n" + "".join(f"room {row} was fine,{'ab'[row % 2]}\n" for row in range(100)))
    command = [sys.executable, "-c", ADD, str(project.root), str(source), str(moment)]
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
def test_an_add_that_was_killed_at_any_change_is_done_by_the_same_command(make_project: Any, added: Any) -> None:
    for moment in range(1, 1 + added[1]):
        killed(make_project, added, moment, "all")
