"""Ctrl-C: a command that is stopped says what stands."""

import subprocess
import sys
from pathlib import Path

import pytest

# A command that is stopped at once, in luodi's place.
COMMAND = """
import os, signal, time
from luodi.system import guard
guard.end_in_order()
import typer
from luodi.cli import commands
commands.app = typer.Typer()
@commands.app.command(context_settings=dict(ignore_unknown_options=True))
def any(words: list[str]) -> None:
    os.kill(os.getpid(), signal.SIG{})
    time.sleep(60)
commands.run()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("-q add train", "nothing is left half done"),
        ("register reviews", "production moved as a whole or not at all: `luodi models list` tells"),
        ("train reviews", "run it again, and it goes on from its last checkpoint"),
        (
            "run reviews",
            "production is what it was, unless register ended; what stages made is kept: run it again, and it goes on",
        ),
    ],
)
def test_who_stops_a_command_is_told_what_stands(tmp_path: Path, command: str, said: str) -> None:
    done = stopped(tmp_path, "INT", *command.split())
    assert (done.stderr, done.returncode) == (f"stopped: {said}\n", 130)


def test_who_ends_a_command_by_another_signal_is_not_at_the_keyboard(tmp_path: Path) -> None:
    done = stopped(tmp_path, "TERM", "run", "reviews")
    assert (done.stderr, done.returncode) == ("", 143)


def stopped(folder: Path, signal: str, *command: str) -> "subprocess.CompletedProcess[str]":
    code = ["env", "--default-signal=INT", sys.executable, "-c", COMMAND.format(signal)]
    return subprocess.run([*code, *command], cwd=folder, capture_output=True, text=True, check=False)
