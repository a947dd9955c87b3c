"""Progress: told while something goes on, and not when nobody wants it."""

import io
import time
from collections.abc import Iterator

import pytest

from luodi.system import progress
from luodi.system.progress import Heartbeat

SHORT = 0.05  # seconds between two lines


@pytest.fixture
def heard() -> Iterator[io.StringIO]:
    yield io.StringIO()
    progress.silence(False)


def wait_for_lines(stream: io.StringIO, count: int) -> list[str]:
    until = time.monotonic() + 30
    while stream.getvalue().count("\n") < count and time.monotonic() < until:
        time.sleep(SHORT / 5)
    return stream.getvalue().splitlines()


def test_a_wait_is_told_again_and_again_and_then_no_more(heard: io.StringIO) -> None:
    with Heartbeat("starting Airflow", heard, every=SHORT, since=time.monotonic() - 20):
        lines = wait_for_lines(heard, 2)
    assert lines[:2] == ["  still starting Airflow (20 s)"] * 2
    after = heard.getvalue()
    time.sleep(3 * SHORT)
    assert heard.getvalue() == after


def test_a_wait_that_is_short_is_not_told(heard: io.StringIO) -> None:
    with Heartbeat("starting Airflow", heard):
        pass
    assert heard.getvalue() == ""


def test_who_goes_on_to_tell_it_keeps_the_pace(heard: io.StringIO) -> None:
    every = 40 * SHORT
    with Heartbeat("starting Airflow", heard, every=every, since=time.monotonic() - 0.9 * every) as heartbeat:
        wait_for_lines(heard, 1)
        assert every <= time.monotonic() - heartbeat.since < 1.8 * every


def test_what_goes_on_now_is_told(heard: io.StringIO) -> None:
    with Heartbeat("starting Airflow", heard, every=SHORT, since=time.monotonic() - 99) as heartbeat:
        heartbeat.now("running train")
        assert set(wait_for_lines(heard, 2)) == {"  still running train (0 s)"}


def test_each_thing_that_goes_on_has_its_own_time_to_be_short(heard: io.StringIO) -> None:
    with Heartbeat("one", heard, every=20 * SHORT) as heartbeat:
        for name in map(str, range(60)):
            heartbeat.now(name)
            time.sleep(SHORT / 2)
    assert heard.getvalue() == ""


@pytest.mark.parametrize("why", ["silence", "a question", "somebody else tells it"])
def test_it_is_silent(why: str, heard: io.StringIO) -> None:
    progress.silence(why == "silence")
    with Heartbeat("it", heard, every=SHORT, unless=lambda: why == "somebody else tells it") as heartbeat:
        if why == "a question":
            heartbeat.now(None)
        time.sleep(5 * SHORT)
    assert heard.getvalue() == ""


def test_nobody_reads_any_more() -> None:
    gone = io.StringIO()
    gone.close()
    with Heartbeat("it", gone, every=SHORT):
        time.sleep(3 * SHORT)


def test_who_follows_is_told_which_share_of_a_step_is_done() -> None:
    told: list[tuple[str, float]] = []
    with progress.followed(lambda name, share: told.append((name, share))):
        assert list(progress.steps("reading", ["ab", "cde", "f"], 6, len)) == ["ab", "cde", "f"]
        assert list(progress.steps("fitting", [1, 2], 4)) == [1, 2]
    assert told == [("reading", 1 / 3), ("reading", 5 / 6), ("reading", 1.0), ("fitting", 0.25), ("fitting", 0.5)]
    assert list(progress.steps("reading", "abc", 3)) == ["a", "b", "c"]
    assert len(told) == 5
