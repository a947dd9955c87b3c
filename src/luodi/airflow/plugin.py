"""What Airflow loads in each of its processes; the application is made where it is asked for: in the api-server."""

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from luodi.airflow import pages, run_note
from luodi.airflow.timetable import ByDate, NextTick


class LuodiPlugin(AirflowPlugin):
    """Adds the pages of a run to the api-server, the schedule to whoever reads a DAG, and a note to a run."""

    name = "luodi"
    listeners = [run_note]  # noqa: RUF012, Airflow's own attribute
    timetables = [NextTick, ByDate]  # noqa: RUF012, Airflow's own attribute
    fastapi_root_middlewares = [{"middleware": pages.WithoutForeign, "name": "luodi: no foreign pages"}]  # noqa: RUF012

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return [{"app": pages.app(), "url_prefix": pages.PREFIX, "name": "luodi: pages of a run"}]
