"""Rows that come at any moment of real runs, while paused, and while the scheduler is away: new in one run each.

And files that come into an inbox: taken in by a run each, soon after they lie there.
"""

import contextlib
import json
import os
import random
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bucket
import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import Project

from luodi.files import checksum
from luodi.local import arrived, embedded
from luodi.project import dvc_store, programs
from luodi.registry import last_judged
from luodi.system.processes import Runner

pytestmark = [pytest.mark.slow, pytest.mark.proof, pytest.mark.timeout(7200)]
DAG = "retrain_reviews"
QUIET = Runner(lambda line: None)
RUNS = f"/api/v2/dags/{DAG}/dagRuns"
SEED = int(os.environ.get("LUODI_TEST_SEED", "27"))


def wait_for(condition: Callable[[], Any], seconds: float = 3000) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(1)
    assert found, f"{condition} did not come true in {seconds} s"
    return found


@dataclass
class Origin:
    """The origin of a project, into which others push rows: no event tells the scheduler of them."""

    project: Project
    came: dict[str, float] = field(default_factory=dict)
    """MD5 of each batch -> the time at which it came."""

    def come(self) -> None:
        """Push a batch of three rows, as the task of an inbox on another host does, without its event."""
        number, origin = len(self.came), self.project.origin
        store, draft = Path(str(origin.remote)), self.project.home / "batch.parquet"
        rows = [f"第{number}批里的第{row}条, 很满意" for row in range(3)]
        pq.write_table(pa.table({"text": rows, "label": ["positive"] * 3, "source": ["new"] * 3}), draft)
        md5 = checksum(draft)
        (place := Path(dvc_store.place(store, md5))).parent.mkdir(parents=True, exist_ok=True)
        draft.rename(place)
        while True:
            head = self.project.bare("rev-parse", "main")

            def git(*arguments: str) -> str:
                return programs.git(origin, QUIET, Path(origin.git), *arguments)

            text = arrived.with_files(git, store, head, {f"reviews/part-9{number:04}.parquet": md5})
            index = {"GIT_DIR": origin.git, "GIT_INDEX_FILE": str(self.project.home / "index")}
            blob = self.project.run("git", "hash-object", "-w", "--stdin", stdin=text, env=index).strip()
            self.project.run("git", "read-tree", head, env=index)
            self.project.run("git", "update-index", "--cacheinfo", f"100644,{blob},data.dvc", env=index)
            tree = self.project.run("git", "write-tree", env=index).strip()
            commit = self.project.bare("commit-tree", tree, "-p", head, "-m", f"Ingest into reviews: {number}.csv")
            with contextlib.suppress(AssertionError):  # a landing was faster
                self.project.bare("update-ref", "refs/heads/main", commit, head)
                break
        self.came[md5] = time.time()


@dataclass
class Airflow:
    """`luodi up` of a project."""

    project: Project
    port: int
    process: psutil.Popen | None = None
    http: httpx.Client = field(default_factory=httpx.Client)

    def start(self) -> None:
        log = self.project.home / "started.log"
        self.process = self.project.start("luodi", "up", "--port", str(self.port))
        found = wait_for(lambda: re.search(r"^password: (\S+)$", log.read_text(), re.MULTILINE))
        login, url = {"username": "admin", "password": found[1]}, f"http://localhost:{self.port}"
        token = httpx.post(f"{url}/auth/token", json=login, timeout=600).raise_for_status().json()["access_token"]
        self.http.close()
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=600)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(600)
        wait_for(lambda: self.project.alive() == [])

    def pause(self, paused: bool) -> None:
        self.http.patch(f"/api/v2/dags/{DAG}", json={"is_paused": paused}).raise_for_status()

    def runs(self) -> list[dict[str, Any]]:
        return list(self.http.get(RUNS, params={"order_by": "run_after"}).raise_for_status().json()["dag_runs"])

    def at_work(self) -> list[str]:
        return [run["dag_run_id"] for run in self.runs() if run["state"] == "running"]

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        found = self.http.get(f"{RUNS}/{quote(run)}/taskInstances").raise_for_status().json()["task_instances"]
        return {one["task_id"]: one for one in found}

    def said(self, run: str, task: str) -> dict[str, Any]:
        path = f"{RUNS}/{quote(run)}/taskInstances/{task}/xcomEntries/return_value"
        return dict(self.http.get(path, params={"deserialize": True}).raise_for_status().json()["value"])


@pytest.fixture
def project(template: Project) -> Project:
    """A model whose run takes seconds, every three minutes."""
    found = template.copy("moments")
    path = found.root / "params.yaml"
    text = re.sub(r"^    schedule: .*$", '    schedule: "*/3 * * * *"', path.read_text("utf-8"), flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
    found.set({"train": {"architecture": "linear"}, "gate": {"minimum": 1.0}})  # each model is held: none lands
    origin, commit = embedded.prepare(found.root, QUIET)
    embedded.advance(origin, commit, QUIET)
    return found


@pytest.fixture
def airflow(project: Project) -> Iterator[Airflow]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = Airflow(project, probe.getsockname()[1])
    try:
        found.start()
        yield found
        found.kill()
    finally:
        found.http.close()
        for left in project.alive():
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


def judged_runs(airflow: Airflow) -> list[tuple[float, str, set[str]]]:
    """When each run that judged a model began to look at rows, its commit, and the shards that this has."""
    found = []
    for run in airflow.runs():
        tasks = airflow.tasks(run["dag_run_id"])
        if tasks["gate"]["state"] == "success":
            commit = airflow.said(run["dag_run_id"], "validate")["commit"]
            rows = last_judged.rows_of(airflow.project.origin, "reviews", commit, QUIET)
            found.append((datetime.fromisoformat(tasks["validate"]["start_date"]).timestamp(), commit, rows))
    return sorted(found)


def test_rows_are_new_in_exactly_one_run_whenever_they_come(airflow: Airflow) -> None:
    rng, origin = random.Random(SEED), Origin(airflow.project)

    def come_during_a_run(batches: int) -> None:
        """At random moments between what a run does; where it ends before, during the next."""
        for _ in range(batches):
            wait_for(airflow.at_work)
            time.sleep(rng.uniform(0, 30))
            origin.come()

    come_during_a_run(8)
    airflow.pause(True)
    for _ in range(4):
        time.sleep(rng.uniform(0, 10))
        origin.come()  # what runs waits too
    airflow.pause(False)
    come_during_a_run(3)
    wait_for(airflow.at_work)
    time.sleep(rng.uniform(0, 30))
    airflow.kill()
    origin.come()
    origin.come()
    airflow.start()
    come_during_a_run(3)
    head = last_judged.rows_of(airflow.project.origin, "reviews", airflow.project.bare("rev-parse", "main"), QUIET)
    wait_for(lambda: not airflow.at_work() and judged_runs(airflow)[-1][2] == head)
    runs = judged_runs(airflow)
    assert len(origin.came) == 20 and origin.came.keys() <= head
    before: set[str] = set()
    for began, commit, rows in runs:
        print(f"{time.ctime(began)} {commit[:12]}: {len(rows - before)} files of rows are new")
        assert before < rows, "a run judged rows that were judged, or lost some"
        missed = [md5 for md5, at in origin.came.items() if at < began and md5 not in rows]
        assert not missed, "a run began after rows had come, and did not see them"
        before = rows
    tries = [task["try_number"] for run in airflow.runs() for task in airflow.tasks(run["dag_run_id"]).values()]
    assert sum(number - 1 for number in tries if number > 1) <= 1, "a task lost a try by more than the kill"
    print(f"{len(origin.came)} batches, {len(runs)} runs judged a model, of {len(airflow.runs())}")


@dataclass
class Box:
    """An inbox, what Airflow is told of it by a person, and the folder of this host that its files lie in."""

    folder: Path
    connection: dict[str, Any]
    variable: dict[str, str] | None = None

    def come(self, name: str) -> None:
        self.folder.mkdir(exist_ok=True)
        rows = "".join(f"{name}里的第{row}条，很满意,positive\n" for row in range(3))
        draft = self.folder / f"{name}.part"
        draft.write_text(f"text,label\n{rows}", encoding="utf-8")
        os.utime(draft, (time.time() - 60,) * 2)
        draft.rename(self.folder / name)


@pytest.fixture(params=["variable", "bucket"])
def box(request: pytest.FixtureRequest, project: Project, tmp_path: Path) -> Iterator[Box]:
    """An inbox that the schedule looks into on New Year's Day, as it retrains."""
    with contextlib.ExitStack() as stack:
        if request.param == "bucket":
            pytest.importorskip("airflow.providers.amazon")
            (tmp_path / "bucket").mkdir()
            extra = {"endpoint_url": stack.enter_context(bucket.serve(tmp_path)), "region_name": "us-east-1"}
            connection = {"connection_id": "store", "conn_type": "aws", "login": bucket.KEY, "password": bucket.SECRET,
                          "extra": json.dumps(extra)}  # fmt: skip
            url, found = "s3://store@bucket/inbox", Box(tmp_path / "bucket" / "inbox", connection)
        else:
            value = {"key": "inbox_of_reviews", "value": f"file://files@{tmp_path}/inbox"}
            url, found = (
                "variable://inbox_of_reviews",
                Box(tmp_path / "inbox", {"connection_id": "files", "conn_type": "fs"}, value),
            )
        path = project.root / "params.yaml"
        ingest = f'\n    ingest: {{inbox: "{url}", schedule: "0 0 1 1 *", retrain_on_drift: false}}'
        text = path.read_text("utf-8").replace("  reviews:", f"  reviews:{ingest}").replace("*/3 * * * *", "@yearly")
        path.write_text(text, encoding="utf-8")
        project.set({})
        origin, commit = embedded.prepare(project.root, QUIET)
        embedded.advance(origin, commit, QUIET)
        yield found


def told(airflow: Airflow) -> str:
    """What the triggerer wrote into the logs of triggers, and Airflow to its own."""
    return "".join(path.read_text("utf-8", "replace") for path in airflow.project.root.rglob("*.log"))


def test_a_file_in_an_inbox_is_taken_in_by_one_run_soon_after_it_lies_there(box: Box, airflow: Airflow) -> None:
    """The triggerer sees it, also one that came while Airflow was away, and holds no worker while nothing comes.

    What the inbox names is made in Airflow while it runs; its password is nowhere but there.
    """
    path = "/api/v2/dags/ingest_reviews/dagRuns"

    def runs(number: int) -> list[dict[str, Any]] | None:
        found = airflow.http.get(path).raise_for_status().json()["dag_runs"]
        return found if len([run for run in found if run["state"] in ("success", "failed")]) >= number else None

    before = len(airflow.project.bare("log", "--format=%s", "main").splitlines())
    box.come("a.csv")
    wait_for(lambda: "Airflow has no " in told(airflow), 300)
    airflow.http.post("/api/v2/connections", json=box.connection).raise_for_status()
    if box.variable:
        airflow.http.post("/api/v2/variables", json=box.variable).raise_for_status()
    began = time.monotonic()
    wait_for(lambda: runs(1), 300)
    print(f"taken in {time.monotonic() - began:.0f} seconds after it could be")
    time.sleep(60)  # three looks, of which nothing comes
    assert [run["run_type"] for run in runs(1) or ()] == ["asset_triggered"]
    airflow.kill()
    box.come("b.csv")
    airflow.start()
    wait_for(lambda: runs(2), 300)
    time.sleep(60)
    assert [run["state"] for run in runs(2) or ()] == ["success"] * 2
    lie = {path.relative_to(box.folder).as_posix() for path in box.folder.rglob("*.csv")}
    assert lie == {"done/a.csv", "done/b.csv"}
    said = airflow.project.bare("log", "--format=%s", "main").splitlines()
    assert len(said) == before + 2, "each file is a commit, and nothing else is"
    places = (airflow.project.root / ".luodi", airflow.project.root / ".git", airflow.project.home)
    everywhere = [path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in everywhere if bucket.SECRET.encode() in path.read_bytes()] == []
