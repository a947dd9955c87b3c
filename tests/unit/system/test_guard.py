"""Nothing outlives a contained command: whatever its processes do, whichever is killed, and in whichever way."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

# The command: it starts children that fight back, writes down its own id, and waits.
COMMAND = """
import os, signal, subprocess, sys, time
from luodi.system import guard
guard.GRACE = 3.0
guard.contain()
guard.end_in_order()
stubborn = "trap '' TERM HUP INT; while :; do sleep 1; done"
try:
    subprocess.Popen(["sh", "-c", stubborn])
    subprocess.Popen(["setsid", "sh", "-c", f"({stubborn}) & {stubborn}"], stdin=subprocess.DEVNULL)
    subprocess.Popen(["sh", "-c", "setsid sh -c 'setsid sleep 1000 & exit' & exit"]).wait()  # a daemon
    time.sleep(0.3)
    with open("part", "w") as file:
        file.write(str(os.getpid()))
    os.rename("part", "pid")
    %s
finally:
    time.sleep(0.2)
    open("undone", "w").close()
"""


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def living(folder: Path) -> list[psutil.Process]:
    """Processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for process in living(tmp_path):
        process.kill()


def start(folder: Path, end: str = "time.sleep(1000)", **options: object) -> Any:
    # A suite that runs in the background ignores SIGINT, and so would all it starts.
    command = ["env", "--default-signal=INT,HUP,QUIT", sys.executable, "-c", COMMAND % end]
    process = subprocess.Popen(command, cwd=folder, **{"start_new_session": True, **options})  # type: ignore[call-overload]
    wait_for((folder / "pid").exists)
    assert len(living(folder)) >= 6
    return process


def test_a_program_that_leaves_children_is_run_guarded(folder: Path) -> None:
    """As Airflow's scheduler is: its workers do not notice that it was killed."""
    (folder / "leaving.py").write_text("import subprocess\nsubprocess.Popen(['sleep', '1000']).wait()\n")
    process = subprocess.Popen([sys.executable, "-m", "luodi.system.guard", "leaving"], cwd=folder)
    wait_for(lambda: len(living(folder)) == 4)
    process.kill()
    process.wait()
    wait_for(lambda: living(folder) == [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_lets_the_command_end_in_order_and_ends_all_it_started(folder: Path, number: signal.Signals) -> None:
    process = start(folder, stderr=subprocess.DEVNULL)
    process.send_signal(number)
    code = process.wait(60)
    assert living(folder) == []
    assert (folder / "undone").exists()
    assert code == (130 if number == signal.SIGINT else 128 + number)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
@pytest.mark.parametrize("whom", ["front", "guard", "worker", "group"])
def test_a_kill_ends_all_at_once_whoever_is_hit(folder: Path, number: signal.Signals, whom: str) -> None:
    process = start(folder, stderr=subprocess.DEVNULL)
    worker = int((folder / "pid").read_text())
    target = {"front": process.pid, "guard": psutil.Process(worker).ppid(), "worker": worker, "group": -process.pid}
    os.kill(target[whom], number)
    assert process.wait(60) != 0
    wait_for(lambda: living(folder) == [], 5)
    assert not (folder / "undone").exists()


def test_signals_one_after_the_other_do_not_disturb_what_is_undone(folder: Path) -> None:
    process = start(folder)
    for _ in range(20):
        os.killpg(process.pid, signal.SIGTERM)  # the worker gets it twice
        time.sleep(0.005)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert (folder / "undone").exists()
    assert living(folder) == []


@pytest.mark.slow
def test_a_command_that_does_not_end_is_killed_after_a_while(folder: Path) -> None:
    process = start(folder, "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); time.sleep(1000)")
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGKILL
    assert living(folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_its_exit_code_is_told_and_nothing_is_left(folder: Path, code: int) -> None:
    process = start(folder, f"sys.exit({code})")
    assert process.wait(60) == code
    assert living(folder) == []


def test_a_closed_terminal_ends_all(folder: Path) -> None:
    ours, its = pty.openpty()
    take = (
        "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGHUP, signal.SIG_DFL)  # should nohup run us\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", take, sys.executable, "-c", COMMAND % "time.sleep(1000)"]
    process = subprocess.Popen(command, cwd=folder, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    wait_for((folder / "pid").exists)
    os.close(ours)
    process.wait(60)
    wait_for(lambda: living(folder) == [], 5)


def test_ctrl_c_at_a_terminal_ends_all(folder: Path) -> None:
    ours, its = pty.openpty()
    take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    command = [
        "env", "--default-signal=INT", sys.executable, "-c", take, sys.executable, "-c", COMMAND % "input('name: ')"
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=folder, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    wait_for((folder / "pid").exists)
    assert b"name: " in os.read(ours, 1000)
    time.sleep(0.2)  # Python forgets a signal that comes between its prompt and its reading until somebody answers
    os.write(ours, b"\x03")
    assert process.wait(60) == 130
    assert living(folder) == []
    os.close(ours)


def test_nohup_survives_a_hangup(folder: Path) -> None:
    command = ["nohup", sys.executable, "-c", COMMAND % "time.sleep(1000)"]
    process = subprocess.Popen(command, cwd=folder, start_new_session=True)
    wait_for((folder / "pid").exists)
    os.killpg(process.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert living(folder) == []


@pytest.mark.parametrize("shell", ["exec {}", "{}; true", "sh -c '{}; true'; true"])
def test_a_stage_ends_with_the_dvc_that_runs_it(folder: Path, shell: str) -> None:
    """As a DVC that a user started: nobody else is there to end the stage."""
    (folder / "stage.py").write_text(COMMAND % "time.sleep(1000)")
    command = shell.format(f"{sys.executable} stage.py")
    dvc = f"import os, subprocess; subprocess.run(['sh', '-c', {command!r}], env=dict(os.environ, DVC_STAGE='x'))"
    process = subprocess.Popen([sys.executable, "-c", dvc], cwd=folder)
    wait_for((folder / "pid").exists)
    time.sleep(0.5)  # until it watches
    process.kill()
    process.wait()
    wait_for(lambda: living(folder) == [])


# A command that a signal meets in C code, as in an import, which makes an error of its own of what the signal raises.
MET = """
import os, signal, sys, time
from pathlib import Path
from luodi import cli
from luodi.cli.commands import app
from luodi.errors import BrokenData
from luodi.system.processes import Runner
@app.command()
def meet():
    try:
        os.kill(os.getpid(), signal.%s)
        time.sleep(20)
    except BaseException as error:
        cause = error
    %s
sys.argv[1:] = ["meet"]
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize(
    "then",
    [
        'raise ImportError("initialization failed") from cause',
        'raise BrokenData("it cannot be read: make it again")',
        'Runner(print).run("touch", "landed", cwd=Path())',
    ],
)
def test_a_signal_is_not_mistaken_for_an_error_nor_forgotten(tmp_path: Path, number: signal.Signals, then: str) -> None:
    code = MET % (number.name, then)
    command = ["env", "--default-signal=INT,HUP,QUIT", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = "stopped: nothing is left half done\n" if number == signal.SIGINT else ""
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", told)
    assert list(tmp_path.iterdir()) == []


# Ctrl-C while the command line is imported, which takes a third of a second.
EARLY = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from luodi.cli import main
sys.argv[1:] = ["--version"]
main()
"""


def test_a_signal_before_the_commands_are_there_is_heard_too(tmp_path: Path) -> None:
    command = ["env", "--default-signal=INT", sys.executable, "-c", EARLY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")
