"""`luodi add` killed at any change that it makes to the project: the same command again does all of it."""

import hashlib
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from project import Project

from luodi.data import shards
from luodi.files import folder_checksum

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


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from luodi.scaffold import ingesting
from luodi.system.processes import Runner

root, kills, each = Path(sys.argv[1]), int(sys.argv[2]), 5
import luodi.checks.drift, pyarrow.parquet, scipy.special  # a fork of this process imports nothing large

def ingest(source, seconds):
    child = os.fork()
    if not child:
        os.setsid()
        try:
            ingesting.ingest(root, "reviews", [source], Runner(lambda line: None))
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        if os.waitpid(child, os.WNOHANG)[0]:
            return 0, time.monotonic() - began
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    return os.WTERMSIG(os.waitpid(child, 0)[1]), seconds

rng, longest, killed, batch = random.Random(11), 5.0, 0, 0
while killed < kills:
    source = root.parent / f"batch {batch}.csv"
    lines = "".join(f"room {batch}-{row} was fine,{('negative', 'positive')[row % 2]}\\n" for row in range(20))
    source.write_text("text,label\\n" + lines)
    for _ in range(min(each, kills - killed)):
        signal_of, took = ingest(source, rng.uniform(0.01, longest))
        killed += signal_of == signal.SIGKILL
        longest = longest if signal_of else max(0.5, took)
    code, took = ingest(source, 600)
    assert code == 0
    longest, batch = took, batch + 1
print(killed, batch)
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


@pytest.mark.parametrize("kills", [pytest.param(8, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.proof)])
def test_no_kill_loses_a_row_or_adds_one_twice(make_project: Any, kills: int) -> None:
    project = make_project(f"killed-{kills}")
    command = [sys.executable, "-c", KILLS, str(project.root), str(kills)]
    done = subprocess.run(command, env=project.env, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    killed, batches = map(int, done.stdout.split())
    assert killed >= kills
    texts = Counter(shards.read(project.root / "data" / "reviews", "text")["text"].to_pylist())
    came = {f"room {batch}-{row} was fine" for batch in range(batches) for row in range(20)}
    assert {text: texts[text] for text in came} == dict.fromkeys(came, 1)
    assert not (project.root / ".luodi" / "undo").exists()
    assert folder_checksum(project.root / "data") in (project.root / "data.dvc").read_text()


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
