"""Airflow on one machine: its database, made in the process that runs the DAG, and its API there."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from luodi.local import standalone
from luodi.project.origin import Origin

# What the API answers to one who speaks the version of its client, and to one who speaks an older one.
SPEAK = """
import httpx
from airflow.sdk.api.datamodels._generated import API_VERSION
from airflow.sdk.execution_time.supervisor import in_process_api_server
from luodi.airflow import local_run
local_run.speak_newest()
client = httpx.Client(transport=in_process_api_server().transport, base_url="http://api")
for version in (API_VERSION, "2025-04-11"):
    print(client.get("/health", headers={"Airflow-API-Version": version}).status_code)
"""

# What comes of a run whose question is left to later while Airflow reads a long answer of its database.
LEAVE = """
import signal
from airflow import settings
from luodi.airflow import local_run
from luodi.airflow.terminal_approval import Unanswered
from sqlalchemy import text

def leave(number, frame):
    raise Unanswered

class Asking:
    def test(self, run_conf):
        signal.signal(signal.SIGALRM, leave)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000000) SELECT x FROM n"
        settings.Session().execute(text(numbers)).all()

print(local_run.ran(Asking(), {}), settings.Session().execute(text("SELECT 1")).scalar())
"""


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """An embedded origin with the settings of Airflow, and no database."""
    origin = Origin.embedded(tmp_path)
    standalone._settle(origin)
    return origin


def python(origin: Origin, *arguments: str) -> str:
    env = {**os.environ, **standalone.environment(origin.home.parent, origin), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *arguments], env=env, check=True, capture_output=True, text=True).stdout


def test_a_database_whose_maker_was_killed_is_made_anew_and_then_left_alone(origin: Origin) -> None:
    database = origin.home / "airflow" / "airflow.db"
    with contextlib.closing(sqlite3.connect(database)) as half:
        half.execute("CREATE TABLE dag_run (id INTEGER)")  # a table that Airflow would take for its own
        half.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")  # the row comes last
        half.commit()
    python(origin, "-m", "luodi.airflow.local")
    assert (database.parent / "migrated").read_text() == metadata.version("apache-airflow")
    with contextlib.closing(sqlite3.connect(database)) as whole:
        assert whole.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        assert len(whole.execute("PRAGMA table_info(dag_run)").fetchall()) > 10
        assert whole.execute("SELECT pool FROM slot_pool").fetchall() == [("default_pool",)]
        whole.execute("DELETE FROM slot_pool")
        whole.commit()
    assert "pool" not in python(origin, "-m", "luodi.airflow.local")  # Airflow says that it adds one
    with contextlib.closing(sqlite3.connect(database)) as again:
        assert again.execute("SELECT pool FROM slot_pool").fetchall() == []


def test_the_api_of_a_run_speaks_the_one_version_of_its_client(origin: Origin) -> None:
    """To make the other versions takes it three seconds of each run."""
    known, other = map(int, python(origin, "-c", SPEAK).split()[-2:])
    assert (known, other) == (200, 404), "Airflow's API or its client has changed, see `local_run.speak_newest`"


def test_a_question_may_be_left_at_any_moment(origin: Origin) -> None:
    """Airflow's session was left in the middle of a query, and what came of the run could not be read."""
    assert python(origin, "-c", LEAVE).splitlines()[-1] == "None 1"
