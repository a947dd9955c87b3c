"""Commands stream, tell their exit code, and die whole: by kill, and with this process."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from luodi.system.masking import redact
from luodi.system.processes import TAIL, CommandFailed, Runner

# Leaves a grandchild that ignores SIGTERM, holds the output open, and whose id stands in a file.
STUBBORN = "trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done"


def wait_for(condition: Any, seconds: Any = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def lines() -> list[Any]:
    return []


@pytest.fixture
def runner(lines: list[Any]) -> Runner:
    return Runner(lines.append)


def test_streamed_output_and_errors_come_as_one(runner: Runner, lines: list[Any], tmp_path: Path) -> None:
    output = runner.run("sh", "-c", "echo one; echo two >&2; printf 三", cwd=tmp_path, stream=True)
    assert output == "one\ntwo\n三"
    assert lines == ["one", "two", "三"]


def test_a_warning_is_no_part_of_an_answer(runner: Runner, lines: list[Any], tmp_path: Path) -> None:
    """As git's "warning: redirecting to", or what an SSH server greets with."""
    assert runner.run("sh", "-c", "echo warning >&2; echo one; printf 三", cwd=tmp_path) == "one\n三"
    assert lines == []


def test_a_failure_tells_the_output_and_then_the_errors(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"exit code 1:\nout\nwhy$") as caught:
        runner.run("sh", "-c", "echo why >&2; printf out; exit 1", cwd=tmp_path)
    assert caught.value.output == "out\nwhy\n"


@pytest.mark.parametrize("first", [1, 2])
def test_much_on_both_outputs_blocks_neither(runner: Runner, tmp_path: Path, first: int) -> None:
    script = f"seq 100000 >&{first}; seq 100000 >&{3 - first}"
    assert runner.run("sh", "-c", script, cwd=tmp_path).split() == [str(number) for number in range(1, 100001)]


def test_a_streamed_line_tells_no_password(runner: Runner, lines: list[Any], tmp_path: Path) -> None:
    runner.run("echo", "from https://me:secret@host/x.git", cwd=tmp_path, stream=True)
    assert lines == ["from https://host/x.git"]


def test_lines_come_as_they_are_printed(tmp_path: Path) -> None:
    """The command goes on only once its first line has arrived here."""
    signpost = tmp_path / "go"
    runner = Runner(lambda line: signpost.touch())
    output = runner.run(
        "sh", "-c", f"echo one; until [ -e {signpost} ]; do sleep 0.01; done; echo two", cwd=tmp_path, stream=True
    )
    assert output == "one\ntwo\n"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("code", [1, 3, 70, 255])
def test_an_exit_code_is_told_with_the_output(runner: Runner, stream: bool, code: int, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=rf"`sh -c .*` ended with exit code {code}:\nwhy$") as caught:
        runner.run("sh", "-c", f"echo why >&2; exit {code}", cwd=tmp_path, stream=stream)
    assert (caught.value.code, caught.value.output) == (code, "why\n")
    assert runner.run("true", cwd=tmp_path) == ""


def test_the_message_has_the_reason_without_the_marks_and_the_advice_of_git(runner: Runner, tmp_path: Path) -> None:
    said = "hint: Updates were rejected\\nTo /x.git\\nremote: error: it is full\\nfatal: no room\\n"
    with pytest.raises(CommandFailed) as caught:
        runner.run("sh", "-c", f"printf '{said}' >&2; exit 1", cwd=tmp_path)
    assert str(caught.value).splitlines()[1:] == ["it is full", "no room"]
    assert "hint: Updates" in caught.value.output


def test_a_signal_is_a_negative_code(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        runner.run("sh", "-c", "kill -9 $$", cwd=tmp_path)
    assert caught.value.code == -9


def test_a_streamed_failure_keeps_the_last_lines(runner: Runner, lines: list[Any], tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        runner.run("sh", "-c", "seq 1000; exit 1", cwd=tmp_path, stream=True)
    assert caught.value.output.split() == [str(number) for number in range(1001 - TAIL, 1001)]
    assert len(lines) == 1000


def test_a_command_that_does_not_exist_is_told(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises((CommandFailed, FileNotFoundError), match="no-such-command"):
        runner.run("no-such-command", cwd=tmp_path)


def test_where_and_with_what_it_runs(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "1")
    output = runner.run("sh", "-c", 'echo "$PWD $OUTER $INNER"; cat', cwd=tmp_path, env={"INNER": "2"})
    assert output == f"{tmp_path} 1 2\n"


def test_bytes_that_are_not_utf8_do_not_stop_it(runner: Runner, tmp_path: Path) -> None:
    assert runner.run("printf", r"a\377b", cwd=tmp_path) == "a\ufffdb"


@pytest.mark.parametrize("leader", ["sleep 100", "exit 0", "trap '' TERM; while :; do sleep 0.1; done"])
@pytest.mark.parametrize("closed", ["", ">&-", "2>&-"])
def test_kill_ends_a_grandchild_that_ignores_sigterm(leader: str, closed: str, tmp_path: Path) -> None:
    """Whether its parent still lives, is gone, or ignores SIGTERM too, and whichever output it holds open."""
    runner, pids, errors = Runner(print), tmp_path / "pid", []

    def work() -> None:
        try:
            runner.run(
                "sh",
                "-c",
                f"sh -c '{STUBBORN.format(pids).replace(chr(39), chr(34))}' {closed} & {leader}",
                cwd=tmp_path,
            )
        except CommandFailed as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: pids.exists() and pids.read_text().strip())
    grandchild = int(pids.read_text())
    assert alive(grandchild)
    runner.kill(grace=0.5)
    thread.join(20)
    assert not thread.is_alive()
    wait_for(lambda: not alive(grandchild))


@pytest.mark.parametrize("stream", [True, False])
def test_a_command_does_not_outlive_an_exception(stream: bool, runner: Runner, tmp_path: Path) -> None:
    """As that which Airflow raises in the main thread when a task's time is up."""

    class TimeIsUp(BaseException):
        pass

    def ring(*_: object) -> None:
        raise TimeIsUp

    def call() -> None:
        # Not in the instant in which Python starts it: then only the end of this process ends it.
        wait_for(lambda: runner._process and pids.exists() and pids.read_text().strip())
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGALRM)

    pids, before = tmp_path / "pid", signal.signal(signal.SIGALRM, ring)
    threading.Thread(target=call).start()
    try:
        with pytest.raises(TimeIsUp):
            runner.run("sh", "-c", f"echo $$ > {pids}; exec sleep 100", cwd=tmp_path, stream=stream)
    finally:
        signal.signal(signal.SIGALRM, before)
    wait_for(lambda: not alive(int(pids.read_text())))


def test_kill_ends_a_command_that_is_just_being_started(runner: Runner, tmp_path: Path) -> None:
    def start(*arguments: Any, **options: Any) -> Any:
        process = subprocess.Popen(*arguments, **options)
        runner.kill()  # as a signal does that arrives here
        return process

    runner.start = start
    with pytest.raises(CommandFailed) as caught:
        runner.run("sleep", "100", cwd=tmp_path)
    assert caught.value.code == -signal.SIGTERM


def test_kill_lets_a_command_end_in_its_own_way(tmp_path: Path) -> None:
    runner, errors = Runner(print), []
    script = f"trap 'echo bye; exit 7' TERM; touch {tmp_path}/ready; while :; do sleep 0.1; done"

    def work() -> None:
        try:
            runner.run("sh", "-c", script, cwd=tmp_path)
        except CommandFailed as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for((tmp_path / "ready").exists)
    runner.kill(grace=20)
    thread.join(20)
    assert [error.code for error in errors] == [7]
    assert errors[0].output.startswith("bye\n")


def test_kill_without_a_command_starts_no_other(tmp_path: Path) -> None:
    runner = Runner(print)
    assert runner.run("echo", "x", cwd=tmp_path) == "x\n"
    runner.kill()
    with pytest.raises(CommandFailed, match="not started"):
        runner.run("touch", "made", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_command_dies_when_this_process_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    code = f"""
from pathlib import Path
from luodi.system.processes import Runner
Runner(print).run("sh", "-c", "echo $$ > {pids}; exec sleep 100", cwd=Path("."))
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: pids.exists() and pids.read_text().strip())
    child = int(pids.read_text())
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not alive(child))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("fatal: https://me:secret@host/x.git failed", "fatal: https://host/x.git failed"),
        ("s3://key:secret@bucket and ssh://git@host", "s3://bucket and ssh://git@host"),
        ("webdav://me@bucket and s3://connection@bucket", "webdav://bucket and s3://connection@bucket"),
        ("https://me:p@ss@host/x.git", "https://host/x.git"),
        ("https://host/a@b", "https://host/a@b"),
        ("git@host:x", "git@host:x"),
        ("at ://nothing here@all", "at ://nothing here@all"),
    ],
)
def test_passwords_are_not_told(raw: str, shown: str) -> None:
    assert redact(raw) == shown


def test_a_failure_tells_no_password() -> None:
    error = CommandFailed(["git", "clone", "https://me:secret@host/x"], 128, "fatal: https://me:secret@host/x\n")
    assert "secret" not in str(error)
