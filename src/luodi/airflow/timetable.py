"""When models are retrained: at the ticks of a schedule that come, and not at one that has passed."""

import os
from datetime import UTC, datetime, timedelta

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import instance

LATE = timedelta(minutes=5)  # for a scheduler that is busy, or starts anew
SINCE = "LUODI_SINCE"


class NextTick(CronTriggerTimetable):
    """A cron schedule that makes up for nothing: not when Airflow starts, nor for a DAG that is new or was paused.

    A tick that no scheduler saw for `LATE`, or that came before the time in LUODI_SINCE (ISO 8601), is left out.
    `catchup=False` would still make up for the last one.
    """

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the first tick that is not left out and comes after the last run."""
        earliest = max(time for time in (restriction.earliest, datetime.now(UTC) - LATE, since()) if time)
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval,
            restriction=TimeRestriction(instance(earliest), restriction.latest, catchup=False),
        )


class ByDate(NextTick):
    """Such a schedule of runs that are each for a date: `airflow backfill create` makes those of dates that passed."""

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next tick of a backfill, which alone asks for what was missed, else as of any schedule here."""
        by: type[CronTriggerTimetable] = CronTriggerTimetable if restriction.catchup else NextTick
        return by.next_dagrun_info(
            self, last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )


def since() -> datetime | None:
    """Return the time at which Airflow was started, if whoever started it said so."""
    return datetime.fromisoformat(text) if (text := os.environ.get(SINCE)) else None
