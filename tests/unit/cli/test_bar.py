"""What a stage or a command tells of how far it is, to a terminal and to a file."""

import io
import re
import sys
import time

import pytest

from luodi.cli.bar import Bar
from luodi.system import progress

SHORT = 0.02  # seconds between two lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def heard(stream: io.StringIO, expected: str) -> None:
    """Wait until it has it."""
    until = time.monotonic() + 30
    while not re.search(expected, stream.getvalue()) and time.monotonic() < until:
        time.sleep(SHORT)
    assert re.search(expected, stream.getvalue())


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_step_is_told_with_what_is_left_of_it_and_then_no_more(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = kind()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with Bar("preprocess", every=SHORT) as bar, progress.followed(bar.at):
        bar.at("cleaning", 0.25)
        bar._since -= 30  # it began so long ago
        bar.at("cleaning", 0.25)
        heard(stream, "preprocess: cleaning.*25%" + (r", about (9\d s|2 min) left" if kind is io.StringIO else ""))
        for _ in progress.steps("encoding", [1, 2], 4):
            pass
        heard(stream, "preprocess: encoding.*50%")
        bar.at("encoding", 1.0)
        if kind is io.StringIO:
            heard(stream, r"still preprocess \(")


def test_rows_of_what_is_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Bar("scoring", every=SHORT) as bar:
        bar.reached(1000)
        heard(stream, r"still scoring: 1,000 rows \(")
        bar.read(0.5)
        bar.reached(2000)
        heard(stream, r"still scoring: 2,000 rows, 50%, about \d+ s left \(")
