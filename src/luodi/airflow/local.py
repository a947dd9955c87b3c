"""Airflow on one machine: what `luodi run` began is its own, even beside a scheduler, and ends with it.

`python -m luodi.airflow.local` ends the runs that were killed, once the database is there. With a FILE it also makes it
ready for `luodi up`: it loads the DAGs, and writes when each runs next: {DAG: ISO 8601, or null if it is paused or
never runs}.
"""

import contextlib
import fcntl
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.utils.db import upgradedb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from sqlalchemy import make_url

from luodi.airflow import GPU, run_note
from luodi.files import in_use, write_json, write_text

OWN = "luodi run: "
"""Begins the name of a pool that does not exist; the path of a log file follows.

No scheduler takes a task of such a pool: `luodi run` alone runs it, which holds the lock of that file.
"""


@contextmanager
def alone() -> Iterator[None]:
    """Make Airflow or its DAGs ready while no other process does.

    Airflow expects that: of two that find a DAG, or the folder of the DAGs, new at once, one fails.
    """
    with Path(os.environ["AIRFLOW_HOME"], "migrating").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def make_database() -> None:
    """Make the database, or bring it up to date; do nothing if it is the embedded one, of this Airflow.

    Here, by a process that has imported Airflow: another one, `airflow db migrate`, would import it once more.
    """
    database = Path(os.environ["AIRFLOW_HOME"], "airflow.db")
    embedded = make_url(conf.get("database", "sql_alchemy_conn")).database == str(database)
    done, version = database.with_name("migrated"), metadata.version("apache-airflow")
    if embedded and database.exists() and done.exists() and done.read_text() == version:
        return
    if embedded and not _revised(database):
        for begun in database.parent.glob(f"{database.name}*"):  # by one who was killed
            begun.unlink()
    upgradedb()
    if embedded:
        write_text(done, version)


def _revised(database: Path) -> bool:
    """Whether a database says of which revision it is: the last that is written of a new one."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT * FROM alembic_version").fetchone() is not None
    except sqlite3.OperationalError:  # there is none, or not yet a table
        return False


def release(run: DagRun) -> None:
    """Leave to the scheduler of `luodi up` what is left to do in a run, or what somebody there clears; note its end."""
    with create_session() as session:
        if run.state == DagRunState.SUCCESS:
            run_note.note(session.get_one(DagRun, run.id), session)
        for task in run.get_task_instances(session=session):
            task.pool = Pool.DEFAULT_POOL_NAME


def end_killed() -> None:
    """Let the runs fail whose `luodi run` is gone: a scheduler would go on with them, or wait for them forever."""
    with create_session() as session:
        for run in DagRun.find(state=DagRunState.RUNNING, session=session):
            own = [task for task in run.get_task_instances(session=session) if task.pool.startswith(OWN)]
            if own and not in_use(Path(own[0].pool.removeprefix(OWN))):
                run.set_state(DagRunState.FAILED)
                for task in own:
                    task.pool = Pool.DEFAULT_POOL_NAME
                    if task.state in State.unfinished:
                        task.set_state(TaskInstanceState.FAILED, session=session)


def load() -> None:
    """Bring the DAGs and their schedules into the database, as `airflow dags reserialize` does."""
    from airflow.cli.cli_parser import get_parser

    arguments = get_parser().parse_args(["dags", "reserialize"])
    arguments.func(arguments)


def make_pool() -> None:
    """Make the pool of what trains, one at a time, unless it is there: whoever made it wider did so on purpose."""
    with create_session() as session:
        if session.query(Pool).filter(Pool.pool == GPU).first() is None:
            Pool.create_or_update_pool(GPU, 1, "What trains, so many at a time", False, session=session)


def schedules() -> dict[str, str | None]:
    """Return when each DAG runs next."""
    with create_session() as session:
        dags = session.query(DagModel).filter(DagModel.is_stale.is_(False))
        times = {dag.dag_id: None if dag.is_paused else dag.next_dagrun_create_after for dag in dags}
    return {name: time.isoformat() if time else None for name, time in times.items()}


def main(result: Path | None) -> None:
    """End what was killed; make ready for `luodi up` if `result` is given."""
    with alone():
        make_database()
        end_killed()
        if result:
            make_pool()
            load()
            write_json(result, schedules())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
