"""Only the ticks of a schedule that come start a run, whatever passed while nobody looked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def timetable() -> Any:
    """The module; each worker of pytest would import Airflow for it, which takes seconds."""
    from luodi.airflow import timetable

    return timetable


def next_run(timetable: Any, ago: Any, last: Any) -> Any:
    """Return in what time a daily schedule runs next whose last tick was `ago`, and whose last run was `last` ago."""
    from airflow.timetables.base import DataInterval, TimeRestriction
    from pendulum import instance

    now: Any = datetime.now(UTC)
    tick = now - ago
    daily = timetable.NextTick(f"{tick.minute} {tick.hour} * * *", timezone="UTC")
    ran = instance(now - last) if last else None
    info = daily.next_dagrun_info(
        last_automated_data_interval=DataInterval(ran, ran) if ran else None,
        restriction=TimeRestriction(instance(LONG_AGO), None, catchup=False),
    )
    assert info is not None
    return info.run_after - now


@pytest.mark.parametrize("last", [None, timedelta(days=30), timedelta(days=1, hours=3)])
@pytest.mark.parametrize("ago", [timedelta(hours=3), timedelta(hours=23), None])
def test_a_tick_that_has_passed_is_left_out(timetable: Any, ago: timedelta | None, last: timedelta | None) -> None:
    """The DAG is new, was paused, or nobody ran Airflow; by the least time that counts as late, and by more."""
    ago = ago or timetable.LATE + timedelta(minutes=2)
    assert timedelta(0) < next_run(timetable, ago, last) <= timedelta(days=1) - ago


def test_a_scheduler_that_is_a_little_late_still_runs_it(timetable: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(timetable.SINCE, raising=False)
    ago = timedelta(minutes=2)
    assert -ago - timedelta(minutes=1) <= next_run(timetable, ago, timedelta(days=1, minutes=2)) <= -ago


def test_it_does_not_run_again_what_it_ran(timetable: Any) -> None:
    ago = timedelta(minutes=2)
    assert next_run(timetable, ago, ago) > timedelta(hours=23)


def test_what_came_before_airflow_was_started_is_left_out(timetable: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(timetable.SINCE, datetime.now(UTC).isoformat())
    assert next_run(timetable, timedelta(minutes=2), None) > timedelta(hours=23)


def test_what_comes_after_airflow_was_started_is_run(timetable: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(timetable.SINCE, (datetime.now(UTC) - timedelta(days=2)).isoformat())
    assert next_run(timetable, timedelta(minutes=2), None) < timedelta(0)


@pytest.mark.parametrize(("kind", "dates"), [("ByDate", [3, 4, 5]), ("NextTick", [])])
def test_a_backfill_makes_the_runs_of_dates_that_passed_where_a_run_is_for_a_date(
    kind: str, dates: list[int], timetable: Any
) -> None:
    """As Airflow asks for them; of the schedule itself neither makes up for anything."""
    from airflow.timetables.base import TimeRestriction
    from pendulum import datetime as moment

    daily = getattr(timetable, kind)("0 3 * * *", timezone="UTC")
    days: list[int] = []
    last = None
    asked = TimeRestriction(moment(2026, 1, 3), moment(2026, 1, 6), catchup=True)
    while info := daily.next_dagrun_info(last_automated_data_interval=last, restriction=asked):
        last = info.data_interval
        days.append(info.logical_date.day)
    assert days == dates
    soon = daily.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(moment(2026, 1, 3), None, catchup=False)
    )
    assert soon.run_after > datetime.now(UTC) - timetable.LATE


@pytest.mark.parametrize("kind", ["NextTick", "ByDate"])
def test_airflow_stores_it_and_reads_it_back(kind: str, timetable: Any) -> None:
    weekly = getattr(timetable, kind)("0 3 * * 1", timezone="Asia/Shanghai")
    again = type(weekly).deserialize(weekly.serialize())
    assert type(again) is type(weekly)
    assert (again.summary, again.serialize()) == ("0 3 * * 1", weekly.serialize())
