"""Every command, ended in every way at many moments: nothing lives on, nothing lands later, and it works the next time.

tests/unit/system/test_guard.py and tests/dags/test_kill_task.py have the slice of it that every run of the suite takes.
"""

import random
import shutil
import signal
import time

import psutil
import pytest
from project import Done, Project

from luodi.errors import SourceMismatch

pytestmark = pytest.mark.proof

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
MOMENTS = 4  # a command and a signal
RUNS = 12  # of `luodi run`, killed one after the other
LATER = 3  # seconds in which something might still land

COMMANDS = {
    "gate": "luodi gate reviews",
    "register": "luodi register reviews",
    "add": "luodi add more --modality text --from {home}/more.csv",
    "fetch": "luodi fetch reviews",
    "promote": "luodi promote reviews@v1.0.0",
    "rollback": "luodi rollback reviews@v1.0.0",
    "pull": "luodi pull reviews@v1.0.0 {home}/pulled",
    "predict": "luodi predict reviews 好",
    "models": "luodi models",
    "repro": "dvc repro --force train@reviews",
}
LANDED = {"pull", "predict", "models"}
MOVES = {"promote", "rollback"}
EASY = {"gate": {"margin": -0.5, "max_slice_loss": 1.0}, "train": {"learning_rate": 0.0051}}


@pytest.fixture(scope="module")
def followed(stocked: Done) -> Project:
    """reviews@v1.1.0 is in production, before it v1.0.0 was. Do not change it: work in a copy."""
    project = stocked.project.copy("followed")
    project.run("luodi", "register", "reviews")
    project.set(EASY)
    project.run("dvc", "repro", "--quiet")
    project.run("luodi", "register", "reviews")
    return project


@pytest.fixture
def project(name: str, number: signal.Signals, stocked: Done, request: pytest.FixtureRequest) -> Project:
    """A project in which the command of that name has something to do."""
    before: Project = request.getfixturevalue("followed") if name in MOVES else stocked.project
    project = before.copy(f"ended-{name}-{number.name}")
    rows = "\n".join(f"第{row}条评论写得很不一样,{'good' if row % 2 else 'bad'}" for row in range(600))
    (project.home / "more.csv").write_text(f"text,label\n{rows}\n")
    if name in LANDED:
        project.run("luodi", "register", "reviews")
    if name == "fetch":  # the whole corpus, as data.dvc is to record it
        shutil.rmtree(project.root / "data" / "reviews")
        project.run("luodi", "fetch", "reviews", code=SourceMismatch.exit_code)
        project.run("dvc", "add", "--quiet", "data")
        project.git("commit", "--quiet", "--all", "--message", "The whole corpus")
        shutil.rmtree(project.root / "data" / "reviews")
    return project


def start(project: Project, *command: str) -> psutil.Popen:
    """Start a command that minds SIGHUP and SIGINT, though a suite that runs in the background ignores them."""
    return project.start("env", "--default-signal=HUP,INT", *command)


def refs(project: Project) -> str:
    return project.bare("for-each-ref", "--format=%(refname) %(objectname)")


def end(project: Project, process: psutil.Popen, number: signal.Signals, after: float) -> bool:
    """End a command some seconds after its start, and see to what is left of it; False if it had ended by then."""
    try:
        process.wait(after)
        return False
    except psutil.TimeoutExpired:
        process.send_signal(number)
    code = process.wait(20)
    deadline = time.monotonic() + 5
    while (left := project.alive()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    before = refs(project)
    time.sleep(LATER)
    assert refs(project) == before
    assert project.alive() == []
    return code in (-number, 128 + number)  # else it had ended in the meantime


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_ended_ends_whole(project: Project, name: str, number: signal.Signals) -> None:
    command = COMMANDS[name].format(home=project.home).split()
    spare = project.copy(f"{project.root.name}-whole")
    started = time.monotonic()
    spare.run(*(part.replace(str(project.home), str(spare.home)) for part in command))
    took, rng, ended = time.monotonic() - started, random.Random(f"{name} {number}"), 0
    for _ in range(3 * MOMENTS):
        if name == "fetch":  # else there is nothing to do
            shutil.rmtree(project.root / "data" / "reviews", ignore_errors=True)
        started = time.monotonic()
        if end(project, start(project, *command), number, rng.uniform(0.1, took)):
            ended += 1
        else:
            took = min(took, time.monotonic() - started)
        if ended == MOMENTS:
            break
    assert ended >= MOMENTS // 2, "it was always faster"
    if (lock := project.root / ".dvc" / "tmp" / "rwlock").exists() and not lock.read_bytes():
        lock.unlink()  # README.md, of whoever kills DVC as it writes it
    project.run("git", "checkout", "--", ".")
    if (project.root / "data" / "more").exists():
        return  # it was added before it was ended
    if name in MOVES and project.versions()[-1].stage == "production":
        return  # it was moved before it was ended
    project.run(*command)


@pytest.mark.parametrize("number", SIGNALS)
def test_luodi_run_ended_at_any_moment_lands_once_in_the_end(stocked: Done, number: signal.Signals) -> None:
    """From nothing: Airflow's settings, its database, its runs, the clones, the landing."""
    project = stocked.project.copy(f"ended-{number.name}")
    rng, longest = random.Random(number), 60.0
    ended = []
    for part in range(RUNS):  # the late ones last: after one that came to its end there is nothing to do
        process = start(project, "luodi", "run", "reviews")
        ended.append(end(project, process, number, longest * (part + rng.random()) / RUNS))
        if not ended[-1]:
            assert process.wait() == 0, (project.home / "started.log").read_text()
    assert sum(ended) >= RUNS // 2
    project.run("luodi", "run", "reviews")
    (version,) = project.versions()
    assert (version.name, version.stage) == ("reviews@v1.0.0", "production")
    assert list((project.origin.home / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "together"), [*((number, False) for number in (*SIGNALS, signal.SIGINT)), (signal.SIGKILL, True)]
)
def test_luodi_up_ends_with_all_its_parts(stocked: Done, number: signal.Signals, together: bool) -> None:
    """Even if front, guard and worker are killed at once, as `killall -9 luodi` does."""
    project = stocked.project.copy(f"up-{number.name}-{together}")
    process = start(project, "luodi", "up", "--port", "18471")
    log = project.home / "started.log"
    deadline = time.monotonic() + 240
    while "Airflow is ready" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    assert len(project.alive()) > 8
    if together:
        (guard,) = process.children()
        (worker,) = guard.children()
        for one in (process, guard):
            one.suspend()  # none notices the end of another
        for one in (worker, guard):
            one.kill()
    assert end(project, process, number, 0.1) or number == signal.SIGINT  # by which one stops it: it ends with 0


def test_two_runs_of_a_model_at_once_land_one_version(stocked: Done) -> None:
    project = stocked.project.copy("twice")
    first, second = (project.start("luodi", "run", "reviews") for _ in range(2))
    assert (first.wait(600), second.wait(600)) == (0, 0), (project.home / "started.log").read_text()
    (version,) = project.versions()
    assert version.name == "reviews@v1.0.0"
    assert len(list((project.origin.home / "logs").glob("reviews-*.log"))) == 2
