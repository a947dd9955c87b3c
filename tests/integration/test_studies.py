"""Studies in a real PostgreSQL that several hosts share; skipped where there is none, or no driver."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import Done, Project
from test_tuning import VALIDATED, assert_ended, searching, training

from luodi.errors import LuodiError
from luodi.tuning import study
from luodi.tuning.study import Place

DRIVER = find_spec("psycopg2")
INITDB = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not (DRIVER and INITDB), reason="needs PostgreSQL's server and psycopg2"),
]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a server of one's own, which listens on a socket alone. It does not run as root."""
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="luodi-postgres-"))
    if user:
        shutil.chown(folder, user)
    binaries = Path(os.path.realpath(INITDB)).parent
    subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "-U", "me", "--auth=trust", "--no-sync"],
        user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    server = subprocess.Popen(
        [binaries / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
        user=user, cwd=folder, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"postgresql+psycopg2://me@/postgres?host={folder}"
        deadline = time.monotonic() + 60
        while True:
            try:
                study.storage(url)
                break
            except LuodiError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # not for SIGTERM: it waits for clients
        server.wait(60)
        shutil.rmtree(folder)


def test_one_host_runs_a_study_at_a_time(database: str, tmp_path: Path) -> None:
    first, second = (Place(tmp_path / name, database) for name in ("first", "second"))
    busy = pytest.raises(LuodiError, match=r"m-1 in postgresql.* by another host: .* `luodi tune status m`")
    with study.alone(first, "m-1"), study.alone(second, "m-2"), busy, study.alone(second, "m-1"):
        pass
    with study.alone(second, "m-1"):
        pass


@pytest.mark.proof
def test_kills_of_two_workers_lose_and_double_no_trial(database: str, template: Project, reproduced: Done) -> None:
    project = template.copy("shared")
    searching(project, trials=16, workers=2)
    shutil.copytree(reproduced.project.root / VALIDATED, project.root / VALIDATED)
    assert DRIVER
    assert DRIVER.origin
    path = f"{project.env['PYTHONPATH']}{os.pathsep}{Path(DRIVER.origin).parent.parent}"
    env = {"LUODI_STUDIES": database, "PYTHONPATH": path}
    rng, kills = random.Random(5), 0
    process = project.start("luodi", "tune", "reviews", env=env)
    while kills < 8 and process.poll() is None:
        time.sleep(rng.uniform(5, 20))
        if victims := training(project):
            rng.choice(victims).kill()
            kills += 1
    process.wait(1800)
    assert "16 of 16 trials ended" in project.run("luodi", "tune", "reviews", env=env) + project.run(
        "luodi", "tune", "status", "reviews", env=env
    )
    assert kills >= 4
    assert_ended(study.storage(database), 16)
