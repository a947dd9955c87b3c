"""docker/cluster.py against an API that answers as told: what is sent again, and what a run is said to have come to."""

import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from email.message import Message
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

import pytest
from project import ROOT

from luodi.errors import Held, Unproven

DAG = "/api/v2/dags/retrain_reviews"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("cluster_tool", ROOT / "docker" / "cluster.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "url", lambda: "http://airflow")
    monkeypatch.setattr(module, "read", lambda name: "secret")
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return module


LOST = [
    TimeoutError(),
    URLError("gone"),
    ConnectionResetError(),
    IncompleteRead(b'{"dag_run'),
    json.JSONDecodeError("cut", '{"dag_run', 9),
    500,
    503,
]


class Api:
    """Answers POSTs of runs as `script` says, an HTTP status or an exception each, then well."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.logins: list[str | None] = []
        self.posted: list[tuple[Any, str | None]] = []

    def __call__(self, request: Any, timeout: int) -> Any:
        if request.full_url.endswith("/auth/token"):
            self.logins.append(request.get_header("Authorization"))
            return io.BytesIO(json.dumps({"access_token": f"token {len(self.logins)}"}).encode())
        self.posted.append((json.loads(request.data), request.get_header("Authorization")))
        answer = self.script.pop(0) if self.script else 200
        if isinstance(answer, Exception):
            raise answer
        if answer != 200:
            raise HTTPError(request.full_url, answer, "said no", Message(), io.BytesIO(b"because"))
        return io.BytesIO(json.dumps({"dag_run_id": self.posted[-1][0].get("dag_run_id", "of Airflow")}).encode())


def serve(tool: Any, monkeypatch: pytest.MonkeyPatch, *script: Any) -> tuple[Any, Any]:
    api = Api(*script)
    monkeypatch.setattr(tool, "urlopen", api)
    return api, tool.Airflow()


@pytest.mark.parametrize("lost", LOST)
def test_a_trigger_whose_answer_was_lost_starts_one_run(lost: Any, tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api, airflow = serve(tool, monkeypatch, lost, lost, 409)
    run = airflow.trigger("reviews")
    assert re.fullmatch(r"manual__[\d-]{10}T[\d:.]+\+00:00", run)
    assert [body for body, _ in api.posted] == [{"logical_date": None, "dag_run_id": run}] * 3


def test_a_trigger_that_never_arrived_is_sent_again(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api, airflow = serve(tool, monkeypatch, URLError("refused"))
    assert airflow.trigger("reviews") == api.posted[1][0]["dag_run_id"]


@pytest.mark.parametrize("script", [[409], [401, 409], [404], [503, 404]])
def test_what_no_earlier_try_explains_is_an_error(
    script: list[int], tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, airflow = serve(tool, monkeypatch, *script)
    with pytest.raises(SystemExit) as end:
        airflow.trigger("reviews")
    assert f"HTTP Error {script[-1]}" in str(end.value)


def test_only_a_trigger_takes_a_conflict_for_done(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, airflow = serve(tool, monkeypatch, 503, 409)
    with pytest.raises(SystemExit, match="409"):
        airflow.call("somewhere", {})


def test_an_expired_token_is_renewed_once(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api, airflow = serve(tool, monkeypatch, 401)
    airflow.token = "of yesterday"
    airflow.trigger("reviews")
    assert api.logins == [None]
    assert [token for _, token in api.posted] == ["Bearer of yesterday", "Bearer token 1"]
    assert len({body["dag_run_id"] for body, _ in api.posted}) == 1


def test_a_token_that_is_refused_when_it_is_new_is_an_error(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api, airflow = serve(tool, monkeypatch, 401, 401, 401)
    with pytest.raises(SystemExit, match="401"):
        airflow.trigger("reviews")
    assert len(api.posted) == 2


def test_a_wrong_password_is_an_error_at_once(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(request: Request, timeout: int) -> None:
        calls.append(request.full_url)
        raise HTTPError(request.full_url, 401, "said no", Message(), io.BytesIO(b"because"))

    monkeypatch.setattr(tool, "urlopen", refuse)
    with pytest.raises(SystemExit, match="401"):
        tool.Airflow().call("dags")
    assert calls == ["http://airflow/auth/token"]


def decision(verdict: str, *reasons: Any) -> dict[str, Any]:
    return {"verdict": verdict, "reasons": list(reasons), "champion": None}


def answer(who: Any = "Ann", comment: Any = "not today", received: Any = True) -> Any:
    person = {"id": "1", "name": who} if who else None
    return {"response_received": received, "responded_by_user": person, "params_input": {"comment": comment}}


@pytest.fixture
def ends(tool: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Let `run` meet a run that ended well; return its exit code and what it printed last."""

    def meet(states: Any, results: Any, details: Any = ()) -> Any:
        tasks = [{"task_id": task, "state": state, "duration": 1.0} for task, state in states.items()]
        answers = {
            "/auth/token": {"access_token": "a token"},
            f"{DAG}/taskInstances": {"task_instances": tasks},
            f"{DAG}/hitlDetails": {"hitl_details": list(details)},
            "/api/v2/dags": {"dags": [{"dag_id": "retrain_reviews"}]},
        }
        for task, value in results.items():
            answers[f"{DAG}/taskInstances/{task}/xcomEntries/return_value"] = {"value": value}

        def send(self: Any, path: str, body: Any, method: Any) -> Any:
            path = re.sub(r"/dagRuns/[^/]+", "", path.partition("?")[0])
            return answers.get(path, {"state": "success", "dag_run_id": "run"})

        monkeypatch.setattr(tool.Airflow, "_send", send)
        code: Any = 0
        try:
            tool.run("reviews")
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr().out
        return code, printed.partition(" verdict  ")[2] or printed

    return meet


@pytest.mark.parametrize("verdict", ["promote", "unchanged"])
@pytest.mark.parametrize("asked", [{}, {"approve": "success"}, {"approve": "skipped"}])
def test_a_landing_is_told(verdict: str, asked: dict[str, str], ends: Callable[..., Any]) -> None:
    states = {"gate": "success", **asked, "register": "success"}
    results = {"register": decision(verdict) | {"version": "reviews@v1.0.0"}}
    assert ends(states, results) == (0, f"{verdict}\n version  reviews@v1.0.0\n")


@pytest.mark.parametrize(("verdict", "code"), [("hold", Held.exit_code), ("insufficient evidence", Unproven.exit_code)])
@pytest.mark.parametrize("register", ["skipped", "success"])
@pytest.mark.parametrize("asked", [{}, {"approve": "skipped"}])
def test_what_did_not_land_ends_as_luodi_run_does(
    verdict: str, code: int, register: str, asked: dict[str, str], ends: Callable[..., Any]
) -> None:
    """Register may find, once it is its turn, that the champion has changed."""
    states = {"gate": "success", **asked, "register": register}
    said = decision(verdict, "too slow")
    results = {"gate": {"decision": said}, "register": said | {"version": None}}
    assert ends(states, results) == (code, f"{verdict}\n version  none\n reason   too slow\n")


@pytest.mark.parametrize("verdict", ["promote", "insufficient evidence"])
@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ([answer()], "rejected by Ann: not today"),
        ([answer(comment="")], "rejected by Ann"),
        ([answer(who=None, comment="")], "rejected by nobody"),
        ([answer(received=False)], "nobody approved"),
        ([], "nobody approved"),
    ],
)
def test_a_rejection_is_told(
    verdict: str, details: list[dict[str, Any]], reason: str, ends: Callable[..., Any]
) -> None:
    states = {"gate": "success", "approve": "success", "register": "skipped"}
    results = {"gate": {"decision": decision(verdict)}}
    assert ends(states, results, details) == (Held.exit_code, f"rejected\n version  none\n reason   {reason}\n")


def test_a_run_for_which_nothing_is_new_says_so(ends: Callable[..., Any]) -> None:
    states = {"validate": "success", "gate": "skipped", "register": "skipped"}
    code, printed = ends(states, {"validate": {"nothing_new": "nothing changed since reviews@v1.0.0 landed"}})
    assert code == 0
    assert printed.endswith(" nothing changed since reviews@v1.0.0 landed; --again judges it once more\n")


def test_a_trigger_asks_for_what_it_was_told(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api, airflow = serve(tool, monkeypatch)
    airflow.trigger("reviews", again=True)
    assert [body["conf"] for body, _ in api.posted] == [{"again": True}]


DOCKER = """\
#!/bin/sh
# Stands where docker does, and keeps what it was fed.
case "$*" in
    *"config --services"*) echo git; echo s3 ;;
    *" exec -T git "*) cat > "$FED/bundle" ;;
    *" run -T "*) cat > "$FED/data.tar" ;;
    *" port "*) echo 127.0.0.1:8080 ;;
esac
"""


def make_project(root: Any) -> Any:
    """A repository of one commit, and data."""
    (root / "data" / "hotels").mkdir(parents=True)
    (root / "data" / "hotels" / "rows.parquet").write_bytes(b"rows")
    (root / "data.dvc").write_text("outs: []\n")
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "data.dvc"], [*identity, "commit", "-qm", "Add hotels"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout


def up(tmp_path: Path, project: Any) -> Any:
    """`cluster.py up --project`, with a copy of docker/ so that no secret of a real cluster is touched."""
    shutil.copytree(ROOT / "docker", tmp_path / "luodi" / "docker", ignore=shutil.ignore_patterns("secrets", ".env"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "FED": str(tmp_path)}
    command = [sys.executable, tmp_path / "luodi" / "docker" / "cluster.py", "up", "--project", project]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_project_elsewhere_is_what_the_cluster_gets(tmp_path: Path) -> None:
    head = make_project(tmp_path / "hotels")
    done = up(tmp_path, tmp_path / "hotels")
    assert done.returncode == 0, done.stderr
    listed = subprocess.check_output(["git", "bundle", "list-heads", tmp_path / "bundle"], text=True)
    assert listed.split() == [head.strip(), "HEAD"]
    with tarfile.open(tmp_path / "data.tar") as archive:
        assert "data/hotels/rows.parquet" in archive.getnames()


def test_a_folder_that_is_no_project_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = up(tmp_path, tmp_path / "empty")
    assert done.returncode == 1
    assert "has no .git: name the checkout of a project with its data" in done.stderr
    assert not (tmp_path / "luodi" / "docker" / "secrets").exists()
