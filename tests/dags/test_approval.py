"""A person stands between the gate and production: real runs on `luodi up`, all through Airflow's public REST API."""

import contextlib
import getpass
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from postbox import Postbox, postbox
from project import FAR, Done, Project

from luodi.errors import Held
from luodi.local import standalone

pytestmark = pytest.mark.slow

DAG = "retrain_reviews"
PAGES = ("validation", "preprocess", "evaluation", "comparison")
COMMENT = '好, "quoted" {{ 7 * 7 }} <b>'


def wait_for(condition: Callable[[], Any], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(1)
    assert found, f"{condition} did not come true in {seconds} s"
    return found


@dataclass(frozen=True)
class Airflow:
    """A running `luodi up`, and a session of its admin."""

    project: Project
    url: str
    http: httpx.Client

    def get(self, path: str, **params: Any) -> Any:
        return self.http.get(f"/api/v2/dags/{DAG}{path}", params=params).raise_for_status().json()

    def trigger(self) -> str:
        body = {"logical_date": None}
        answer = self.http.post(f"/api/v2/dags/{DAG}/dagRuns", json=body).raise_for_status()
        return str(answer.json()["dag_run_id"])

    def run_of(self, kind: str) -> str | None:
        """The id of the only run of that kind, manual or scheduled."""
        runs = [run["dag_run_id"] for run in self.get("/dagRuns", run_type=kind)["dag_runs"]]
        assert len(runs) < 2, runs
        return next(iter(runs), None)

    def states(self, run: str) -> dict[str, str]:
        instances = self.get(f"/dagRuns/{quote(run)}/taskInstances")["task_instances"]
        return {instance["task_id"]: instance["state"] for instance in instances}

    def ended(self, run: str) -> str:
        """Wait for the end of a run and return its state."""

        def state() -> str | None:
            found = str(self.get(f"/dagRuns/{quote(run)}")["state"])
            return found if found in ("success", "failed") else None

        return str(wait_for(state))

    def asks(self, run: str) -> bool:
        return self.states(run)["approve"] == "awaiting_input"

    def question(self, run: str) -> dict[str, Any]:
        (detail,) = self.get(f"/dagRuns/{quote(run)}/hitlDetails")["hitl_details"]
        return dict(detail)

    def answer(self, run: str, option: str, comment: str) -> None:
        path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/approve/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {"comment": comment}}
        self.http.patch(path, json=body).raise_for_status()

    def clear(self, run: str, task: str) -> None:
        """Let a task of a run, and those after it, run again."""
        body = {"dry_run": False, "dag_run_id": run, "task_ids": [task], "only_failed": False}
        body |= {"include_downstream": True}
        self.http.post(f"/api/v2/dags/{DAG}/clearTaskInstances", json=body).raise_for_status()

    def working(self) -> list[str]:
        """Titles of the processes that run a task now."""
        titles = []
        for process in self.project.alive():
            try:
                titles.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return [title for title in titles if title.startswith("airflow worker") and "<idle>" not in title]


@pytest.fixture(scope="module")
def post() -> Iterator[Postbox]:
    with postbox() as server:
        yield server


def ask_for_mail(project: Project) -> None:
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["models"]["reviews"]["notify"] = {
        "by": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
        "with": {"to": "team@example.org", "subject": "{title}", "html_content": "{html}"},
        "silence": {"ingested": 1, "run": 1, "landed": 1},
    }
    params["models"]["reviews"]["monitor"] = {
        "log": str(project.home / "asked"), "reports": str(project.home / "looked"), "rows": 8,
        "schedule": FAR,
    }  # fmt: skip
    params["models"]["reviews"]["predict"] = {
        "input": f"{project.home}/came/{{date}}", "output": f"{project.home}/scored/{{date}}",
        "schedule": FAR,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")


@pytest.fixture(scope="module")
def waiting(stocked: Done, post: Postbox) -> Done:
    """A project in which `luodi run` asked, and was left without an answer. All stages came from DVC's cache."""
    project = stocked.project.copy("waiting")
    ask_for_mail(project)
    project.set({"register": {"approval": "human"}})
    code, output = at_terminal(project, "luodi", "run", "reviews", typed="\n", env=post.connection)
    assert code == Held.exit_code, output
    return Done(project, output, {})


def at_terminal(project: Project, *command: str, typed: str, env: dict[str, str]) -> tuple[int, str]:
    """Run a command at a terminal of its own, where `typed` is typed; return its exit code and what it printed."""
    terminal, its = os.openpty()
    process = subprocess.Popen(command, cwd=project.root, env=project.env | env, stdin=its, stdout=its, stderr=its)
    os.close(its)
    os.write(terminal, typed.encode())
    printed = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(terminal, 4096):
            printed += piece
    os.close(terminal)
    return process.wait(), printed.decode()


@pytest.fixture(scope="module")
def airflow(waiting: Done, post: Postbox) -> Iterator[Airflow]:
    project = waiting.project
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = project.home / "started.log"
    environment = {"AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2", **post.connection}
    process = project.start("luodi", "up", "--port", str(port), env=environment)
    try:
        password = wait_for(lambda: re.search(r"^password: (\S+)$", log.read_text(), re.MULTILINE), 120)[1]
        url = f"http://localhost:{port}"
        login = {"username": "admin", "password": password}
        token = httpx.post(f"{url}/auth/token", json=login).raise_for_status().json()["access_token"]
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
            yield Airflow(project, url, http)
        process.send_signal(signal.SIGKILL)
        wait_for(lambda: project.alive() == [], 10)
    finally:
        for left in [process, *project.alive()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def parked(airflow: Airflow) -> str:
    """The run that `luodi run` left waiting."""
    return str(airflow.run_of("manual"))


def refs(project: Project) -> str:
    return project.bare("for-each-ref", "--format=%(refname) %(objectname)")


def nothing_landed(project: Project) -> bool:
    return project.bare("tag") == "" and "dvc.lock" not in project.bare("ls-tree", "--name-only", "main").split()


def test_luodi_run_asks_and_leaves_the_run_waiting_if_nobody_answers(waiting: Done) -> None:
    assert "  gate         done" in waiting.output
    assert "Land reviews? The gate says: promote" in waiting.output
    assert "waiting for approval" in waiting.output
    assert "luodi up" in waiting.output
    assert "register     done" not in waiting.output
    assert nothing_landed(waiting.project)


def test_what_trains_has_a_pool_of_its_own(airflow: Airflow) -> None:
    assert airflow.get("/tasks/train")["pool"] == "gpu"
    assert airflow.http.get("/api/v2/pools/gpu").raise_for_status().json()["slots"] == 1


def test_nothing_listens_but_the_pages_and_on_this_machine_only(airflow: Airflow) -> None:
    listening = set()
    for process in airflow.project.alive():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended since
            sockets = process.net_connections("inet")
            listening |= {tuple(one.laddr) for one in sockets if one.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", int(airflow.url.rpartition(":")[2]))}


def test_nobody_gets_in_without_the_password(airflow: Airflow) -> None:
    paths = (f"/api/v2/dags/{DAG}", f"/luodi/{DAG}/x/comparison", "/ui/config", "/execution/variables/x")
    assert [httpx.get(airflow.url + path, timeout=60).status_code for path in paths] == [401] * len(paths)
    assert httpx.get(f"{airflow.url}/auth/token").status_code == 403
    assert httpx.post(f"{airflow.url}/auth/token", json={"username": "admin", "password": "?"}).status_code == 401


def test_the_pages_show_what_the_tasks_of_luodi_run_logged(airflow: Airflow, parked: str) -> None:
    for stage in ("validate", "train", "evaluate"):
        logs = airflow.get(f"/dagRuns/{quote(parked)}/taskInstances/{stage}/logs/1")["content"]
        assert any(f"{stage}@reviews" in line["event"] for line in logs), logs


def test_the_question_tells_what_is_to_be_judged(airflow: Airflow, parked: str) -> None:
    assert airflow.asks(parked)
    question = airflow.question(parked)
    assert question["subject"] == "Land reviews? The gate says: promote"
    assert (question["options"], question["defaults"]) == (["Approve", "Reject"], ["Reject"])
    assert "accuracy" in question["body"].lower()
    assert set(question["params"]) == {"comment"}


def test_pages_are_for_users_of_airflow_only(airflow: Airflow, parked: str) -> None:
    for page in PAGES:
        assert httpx.get(f"{airflow.url}/luodi/{DAG}/{quote(parked)}/{page}").status_code == 401
    assert airflow.http.get(f"/luodi/{DAG}/{quote(parked)}/comparison").status_code == 200


def test_links_of_the_question_bring_pages_that_run_nothing(airflow: Airflow, parked: str) -> None:
    links = re.findall(r"\[(\w+)\]\((\S+?)\)", airflow.question(parked)["body"])
    assert tuple(name for name, _ in links) == PAGES
    for _, link in links:
        answer = airflow.http.get(link).raise_for_status()
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none';")
        assert "<html" in answer.text
        assert "<script" not in answer.text


@pytest.mark.parametrize(
    "path", ["{dag}/{run}/card", "{dag}/manual__2020/validation", "retrain_x/{run}/validation", "{dag}/{run}/../x"]
)
def test_what_is_not_there_is_told(airflow: Airflow, parked: str, path: str) -> None:
    answer = airflow.http.get(f"/luodi/{path.format(dag=DAG, run=quote(parked))}")
    assert answer.status_code == 404


def test_a_rejection_ends_the_run_well_and_lands_nothing(airflow: Airflow, parked: str) -> None:
    before = refs(airflow.project)
    airflow.answer(parked, "Reject", "not today")
    assert airflow.ended(parked) == "success"
    states = airflow.states(parked)
    assert (states["gate"], states["approve"], states["register"]) == ("success", "success", "skipped")
    assert refs(airflow.project) == before
    assert nothing_landed(airflow.project)


def test_nobody_is_asked_about_figures_that_the_question_does_not_show(airflow: Airflow, parked: str) -> None:
    """Airflow keeps a question as it was first asked, whatever the gate says when both are cleared."""
    entry = f"/api/v2/dags/{DAG}/dagRuns/{quote(parked)}/taskInstances/gate/xcomEntries/return_value"
    value = airflow.http.get(entry).raise_for_status().json()["value"]
    result = json.loads(value) if isinstance(value, str) else value
    result["decision"]["reasons"] = ["something else"]
    airflow.http.patch(entry, json={"value": result}).raise_for_status()
    airflow.clear(parked, "approve")
    assert airflow.ended(parked) == "failed"
    states = airflow.states(parked)
    assert (states["approve"], states["register"]) == ("failed", "upstream_failed")


@pytest.fixture(scope="module")
def late(airflow: Airflow, parked: str) -> str:
    """A run that was triggered through the API, and that nobody answered in time.

    That is 14 seconds: a scheduler that has not yet heard, by then, that the task waits, takes it for failed.
    """
    assert airflow.ended(parked) in ("success", "failed")  # one at a time
    airflow.project.set({"register": {"timeout_hours": 0.004}})
    run = airflow.trigger()
    wait_for(airflow.working)
    assert airflow.ended(run) == "success"
    airflow.project.set({"register": {"timeout_hours": 72}})
    return run


def test_no_answer_in_time_is_a_rejection(airflow: Airflow, late: str) -> None:
    states = airflow.states(late)
    assert (states["gate"], states["approve"], states["register"]) == ("success", "success", "skipped")
    question = airflow.question(late)
    assert (question["chosen_options"], question["responded_by_user"]) == (["Reject"], None)
    assert nothing_landed(airflow.project)


def ask_again(airflow: Airflow, run: str) -> None:
    """Clear the question of a run, and wait until it waits, in the database alone."""
    airflow.clear(run, "approve")
    wait_for(lambda: airflow.asks(run))
    wait_for(lambda: airflow.working() == [], 20)
    time.sleep(3)  # Airflow 3.3.2 asks again if the answer comes in the second in which its worker ends


@pytest.fixture(scope="module")
def refused(airflow: Airflow, late: str) -> str:
    """The same run, asked again, and rejected as somebody at a terminal does."""
    ask_again(airflow, late)
    answer = (
        f"from luodi.airflow import terminal_approval; terminal_approval.respond({DAG!r}, {late!r}, 'Reject', 'no')"
    )
    airflow.project.run(
        "python", "-c", answer, env=standalone.environment(airflow.project.root, airflow.project.origin)
    )
    assert airflow.ended(late) == "success"
    return late


def test_the_one_at_the_terminal_is_known(airflow: Airflow, refused: str) -> None:
    assert airflow.states(refused)["register"] == "skipped"
    assert airflow.question(refused)["responded_by_user"]["name"] == getpass.getuser()
    assert nothing_landed(airflow.project)


@pytest.fixture(scope="module")
def approved(airflow: Airflow, refused: str) -> str:
    """The same run once more, approved."""
    ask_again(airflow, refused)
    airflow.answer(refused, "Approve", COMMENT)
    wait_for(lambda: airflow.states(refused)["register"] == "success")
    return refused


def test_an_approval_lands_one_version_that_tells_who_when_and_why(airflow: Airflow, approved: str) -> None:
    assert airflow.ended(approved) == "success"
    (version,) = airflow.project.versions()
    assert (version.name, version.stage) == ("reviews@v1.0.0", "production")
    approval = version.facts["approval"]
    question = airflow.question(approved)
    assert approval.pop("at")[:19] == question["responded_at"][:19]
    assert approval == {"mode": "human", "by": "admin", "comment": COMMENT}
    assert version.facts["decision"]["verdict"] == "promote"


def test_links_of_a_run_on_airflow_name_its_host(airflow: Airflow, approved: str) -> None:
    links = re.findall(r"\]\((\S+?)\)", airflow.question(approved)["body"])
    assert len(links) == len(PAGES)
    for link in links:
        assert link.startswith(f"{airflow.url}/luodi/{DAG}/")
        assert airflow.http.get(link).status_code == 200


def test_starting_airflow_started_no_run_of_the_past_week(airflow: Airflow, approved: str) -> None:
    """Minutes ago: the tests before this one took them."""
    assert airflow.run_of("scheduled") is None
    later = datetime.fromisoformat(airflow.get("")["next_dagrun_run_after"])
    assert later > datetime.now(UTC)
    told = (airflow.project.home / "started.log").read_text()
    assert f"reviews: next run {later.astimezone():%Y-%m-%d %H:%M}" in told
    assert "luodi run MODEL" in told


def test_what_looks_for_silence_ends_well_where_there_is_none(airflow: Airflow, approved: str) -> None:
    path = "/api/v2/dags/watch_reviews/dagRuns"
    run = airflow.http.post(path, json={"logical_date": None}).raise_for_status().json()["dag_run_id"]
    wait_for(lambda: airflow.http.get(f"{path}/{quote(run)}").json()["state"] == "success")
    entry = airflow.http.get(f"{path}/{quote(run)}/taskInstances/watch/xcomEntries/return_value").raise_for_status()
    assert "ingested" not in str(entry.json()["value"])


def test_nobody_was_asked_yet(airflow: Airflow, approved: str) -> None:
    assert looked_at(airflow)["state"] == "skipped"


def looked_at(airflow: Airflow) -> dict[str, Any]:
    """Run monitor_reviews to its end; return its task."""
    ((run, task),) = to_the_end(airflow, "monitor_reviews", {})
    path = f"/api/v2/dags/monitor_reviews/dagRuns/{quote(run)}/taskInstances/monitor/xcomEntries/return_value"
    entry = airflow.http.get(path)
    return task | ({"found": entry.json()["value"]} if entry.status_code == 200 else {})


def to_the_end(airflow: Airflow, dag: str, conf: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Run a DAG to its end; return the id of the run with each of its tasks."""
    path, given = f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf}
    run = airflow.http.post(path, json=given).raise_for_status().json()["dag_run_id"]
    wait_for(lambda: airflow.http.get(f"{path}/{quote(run)}").json()["state"] in ("success", "failed"))
    tasks = airflow.http.get(f"{path}/{quote(run)}/taskInstances").json()["task_instances"]
    return [(run, dict(task)) for task in tasks]


def test_files_of_a_date_are_classified_by_mapped_tasks(airflow: Airflow, approved: str) -> None:
    date, texts = {"date": "2026-11-27"}, ["质量很好，下次还会再来", "太差了，退货"]
    assert [task["state"] for _, task in to_the_end(airflow, "predict_reviews", date)] == ["skipped", "skipped"]
    (came := airflow.project.home / "came" / "2026-11-27").mkdir(parents=True)
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(pa.table({"text": texts}), came / name)
    found = [(task["task_id"], task["map_index"], task["state"]) for _, task in
             to_the_end(airflow, "predict_reviews", date)]  # fmt: skip
    assert sorted(found) == [("files", -1, "success"), ("predict", 0, "success"), ("predict", 1, "success")]
    for name in ("a.parquet", "b.parquet"):
        answered = pq.read_table(airflow.project.home / "scored" / "2026-11-27" / name)
        assert answered["prediction"].to_pylist() == ["positive", "negative"]
        assert set(answered["version"].to_pylist()) == {"reviews@v1.0.0"}


ASKED = "Land reviews? The gate says: promote"


def test_each_thing_that_people_wait_for_is_told_once(
    airflow: Airflow, parked: str, approved: str, post: Postbox
) -> None:
    """The question of the first run was cleared and failed, that of the second asked three times."""
    told = [ASKED] * 2 + ["reviews: nothing landed: rejected"] * 2
    told += ["reviews: retrain_reviews failed in approve", "reviews@v1.0.0 landed"]
    with contextlib.suppress(AssertionError):  # what is asserted tells more
        wait_for(lambda: len(post.subjects()) >= len(told), 60)
    assert sorted(post.subjects()) == sorted(told)
    landed = post.text("reviews@v1.0.0 landed")
    assert "accuracy 0." in landed
    assert f"{airflow.url}/luodi/{DAG}/{quote(approved)}/evaluation" in landed
    assert f"The run {parked} of {DAG} failed in approve." in post.text("reviews: retrain_reviews failed in approve")


def test_what_is_asked_is_looked_at_and_drift_is_told_once(airflow: Airflow, approved: str, post: Postbox) -> None:
    """After those who count the messages."""
    from luodi.registry import classifier
    from luodi.serving.log import PRODUCTION, Answered, Log
    from luodi.system.processes import Runner

    project = airflow.project
    model = classifier.load(project.origin, "reviews", "v1.0.0", Runner(lambda line: None))
    writer = Log(str(project.home / "asked"))
    items = [f"The parcel came {row} days late, and nobody answers." for row in range(100)]
    for row, item in enumerate(items):
        given = "reviews", model.version, PRODUCTION, [item], model.probabilities([item]), 1.0, model.encoder
        writer.add(Answered(f"r{row}", datetime.now(UTC), *given))
    writer.close()
    task = looked_at(airflow)
    assert task["state"] == "success"
    found = task["found"]
    assert (found["drift"], found["rows"], found["production"]) == ("drift", 100, "reviews@v1.0.0")
    (told,) = wait_for(lambda: [one for one in post.subjects() if one.startswith("reviews in use: ")], 30)
    assert "what is asked drifted in" in told
    folder = project.home / "looked" / "reviews"
    (day,) = folder.iterdir()
    assert {path.name for path in day.iterdir()} == {
        "report.html",
        "report.json",
        "worth.csv",
        "worth.json",
        "worth.xml",
    }
    assert found["left"].endswith(f"/looked/reviews/{day.name}/report.html")
