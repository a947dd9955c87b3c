"""Airflow's own command, once its database is ready: `python -m luodi.airflow.command LOG ARGUMENT...`.

In one process: another one would import Airflow once more, which takes seconds.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow import settings
from airflow.__main__ import main as airflow

from luodi.airflow import local
from luodi.airflow.local_run import speak_newest
from luodi.errors import NO_DATABASE


@contextmanager
def printed_to(log: Path) -> Iterator[None]:
    """Send what this process prints to a file for a while."""
    outputs = {number: os.dup(number) for number in (1, 2)}
    with log.open("ab") as file:
        for number in outputs:
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, output in outputs.items():
            os.dup2(output, number)
            os.close(output)


def prepare(log: Path) -> bool:
    """Make the database ready; return whether it is. `log` tells why it is not."""
    with printed_to(log):
        try:
            local.main(None)
            settings.get_engine().dispose()  # type: ignore[no-untyped-call]  # the command may fork
            return True
        except (Exception, SystemExit):
            traceback.print_exc()
            return False


if __name__ == "__main__":
    if not prepare(Path(sys.argv[1])):
        sys.exit(NO_DATABASE)
    sys.argv = ["airflow", *sys.argv[2:]]
    if sys.argv[2:3] == ["test"]:  # `dags test`, `tasks test`: the API is for this process alone
        speak_newest()
    airflow()  # type: ignore[no-untyped-call]
