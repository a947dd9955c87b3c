"""The server follows a real registry: what is in production answers, from one request to the next, and nothing else."""

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import psutil
import pyarrow as pa
import pytest
from actors import World
from starlette.testclient import TestClient

from luodi.registry import promotion, tags
from luodi.serving import log, sources, starting
from luodi.serving.following import Follower
from luodi.serving.limits import Limits
from luodi.serving.log import Answered
from luodi.serving.sources import Registry
from luodi.serving.starting import Beside, Prepared

TEXTS = [f"{row:03d}acegik" for row in range(40)]


class Served:
    """A server of `quick` without a socket, and what it told its log."""

    def __init__(self, world: World, *beside: Beside, stage: str = "production") -> None:
        self.told: list[str] = []
        self.seen: list[Answered] = []
        self.prepared: Prepared = starting.prepare(
            [Registry("quick", world.origin, stage)],
            beside=beside,
            limits=Limits(),
            observer=self.seen.append,
            threads=1,
        )
        self.follower: Follower = self.prepared.follower(0, lambda call, *given: call(*given), self.told.append)
        self.client = TestClient(self.prepared.service.app(), raise_server_exceptions=False)

    def look(self) -> None:
        self.follower.look(self.prepared.followed[0])

    def version(self, **headers: str) -> str:
        said = self.client.post("/predict/quick", json={"texts": TEXTS[:2]}, headers=headers)
        assert said.status_code == 200, said.text
        return str(said.json()["version"])

    def figure(self, name: str) -> list[str]:
        return [line for line in self.client.get("/metrics").text.splitlines() if line.startswith(name)]


@pytest.fixture(autouse=True)
def quietly(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_quiet", lambda: two.runner)  # DVC in this process


def move(world: World, number: str | None, action: str = "promote") -> None:
    promotion.move(world.origin, "quick", number, world.runner, action=action, reason="a test")


def test_what_is_in_production_answers(two: World) -> None:
    served = Served(two)
    assert served.version() == "quick@v1.0.1"
    served.look()
    assert served.told == []
    move(two, None, "rollback")
    served.look()
    assert served.version() == "quick@v1.0.0"
    assert served.told[0].startswith("quick@v1.0.0 answers now, quick@v1.0.1 did; it was ready in ")
    assert served.figure('luodi_version_served{model="quick",role="production",version="quick@v1.0.1"} 0.0')
    assert served.client.get("/v2/models/quick/versions/v1.0.1").status_code == 404
    two.land("quick", "best")
    served.look()
    assert served.version() == "quick@v1.0.2"


def test_what_is_not_what_was_registered_never_answers(two: World) -> None:
    served = Served(two)
    move(two, "v1.0.0")
    kept = tags.fetch(two.origin, tags.find(Path(two.origin.git), "quick"), two.runner)
    sample = json.loads((kept / "sample.json").read_text())
    sample["probabilities"] = [row[::-1] for row in sample["probabilities"]]
    (kept / "sample.json").write_text(json.dumps(sample))
    for _ in range(3):
        served.look()
        assert served.version() == "quick@v1.0.1"
    (told,) = served.told  # once, not every few seconds
    assert told.startswith("warning: quick@v1.0.0 is not taken over, quick@v1.0.1 goes on:")
    assert "does not predict its sample" in told
    assert (
        served.figure('luodi_behind{model="quick"} 1.0')
        and served.figure("luodi_follow_failures_total{")[0][-3:] == "3.0"
    )
    assert "does not predict" in served.client.post("/v2/repository/index").json()[0]["reason"]
    (kept / "export" / "model.onnx").write_bytes(b"")  # and then it is brought again
    (kept / "sample.json").unlink()
    served.look()
    assert served.version() == "quick@v1.0.0"
    assert served.figure('luodi_behind{model="quick"} 0.0')


def test_a_registry_that_is_away_stops_nothing(two: World) -> None:
    served = Served(two)
    move(two, "v1.0.0")
    two_git = Path(two.origin.git)
    two_git.rename(two_git.with_name("away"))
    served.look()
    assert served.version() == "quick@v1.0.1" and "the version in production is not taken over" in served.told[0]
    two_git.with_name("away").rename(two_git)
    served.look()
    assert served.version() == "quick@v1.0.0"


def test_a_shadow_is_scored_and_never_answers(two: World) -> None:
    served = Served(two, Beside("quick@v1.0.0"))
    with served.client:  # one event loop for all requests
        for row in range(10):
            said = served.client.post("/predict/quick", json={"texts": TEXTS[4 * row : 4 * row + 4]}).json()
            assert said["version"] == "quick@v1.0.1"
        assert served.client.get("/v2/models/quick/versions/v1.0.0").status_code == 404
        roles = [(one.role, one.version) for one in served.seen]
    assert roles.count(("shadow", "quick@v1.0.0")) == roles.count(("production", "quick@v1.0.1")) == 10
    figures = served.figure("luodi_shadow_items_total")
    assert sum(float(line.rpartition(" ")[2]) for line in figures) == 40
    pairs = {one.request: one for one in served.seen if one.role == "shadow"}
    assert {one.request for one in served.seen} == set(pairs)


def test_a_canary_answers_its_share_of_requests_the_same_each_time(two: World) -> None:
    served = Served(two, Beside("quick@v1.0.0", 0.25))
    by = {name: served.version(**{"X-Request-ID": name}) for name in map(str, range(400))}
    assert 60 <= list(by.values()).count("quick@v1.0.0") <= 140
    assert {name: served.version(**{"X-Request-ID": name}) for name in list(by)[:20]} == dict(list(by.items())[:20])
    assert {one.role for one in served.seen} == {"canary", "production"}
    asked: Any = served.client.get("/v2/models/quick/versions/v1.0.0").json()
    assert asked["version"] == "v1.0.0" and asked["versions"] == ["v1.0.1", "v1.0.0"]
    move(two, "v1.0.0")
    served.look()
    assert {served.version(**{"X-Request-ID": name}) for name in list(by)[:20]} == {"quick@v1.0.0"}


def test_the_canary_of_the_registry_is_followed(two: World) -> None:
    served = Served(two)
    promotion.try_out(two.origin, "quick", "v1.0.0", 0.25, two.runner, reason="a test")
    served.look()
    assert served.told == ["quick@v1.0.0 answers 0.25 of requests as canary"]
    names = [str(row) for row in range(200)]
    by = [served.version(**{"X-Request-ID": name}) for name in names]
    assert 25 <= by.count("quick@v1.0.0") <= 75
    assert [one.role for one in served.seen].count("canary") == by.count("quick@v1.0.0")
    before = served.prepared.service.models["quick"].canary
    promotion.try_out(two.origin, "quick", "v1.0.0", 0.5, two.runner, reason="a test")
    served.look()
    assert [served.version(**{"X-Request-ID": name}) for name in names].count("quick@v1.0.0") > 75
    assert served.prepared.service.models["quick"].canary is before  # nothing was loaded anew
    fresh, alone = Served(two), Served(two, stage="canary")
    fresh.look()
    assert {fresh.version(**{"X-Request-ID": name}) for name in names[:20]} == {"quick@v1.0.0", "quick@v1.0.1"}
    assert {alone.version(**{"X-Request-ID": name}) for name in names[:20]} == {"quick@v1.0.0"}
    assert {one.role for one in alone.seen} == {"canary"}
    lines: list[str] = []
    for server in (alone, fresh):
        with socket.create_server(("127.0.0.1", 0)) as where:
            starting._tell(server.prepared.service.models, where, lines.append)
    stands = [line.split("  ")[0] for line in lines if line.startswith("quick")]
    assert stands == ["quick@v1.0.0 (canary)", "quick@v1.0.1 (production)", "quick@v1.0.0 (canary, 50% of requests)"]
    own = Served(two, Beside("quick@v1.0.0", 0.001))
    own.look()
    assert own.told == []
    promotion.end_canary(two.origin, "quick", two.runner, reason="a test")
    for server in (served, own, alone):
        server.look()
    assert {served.version(**{"X-Request-ID": name}) for name in names[:20]} == {"quick@v1.0.1"}
    assert served.told[-1] == "quick@v1.0.0 is no canary of quick any more"
    assert own.client.post("/v2/repository/index").json()[1]["role"] == "canary"
    assert (
        "the version in canary is not taken over, quick@v1.0.0 goes on: no version of quick is a canary"
        in alone.told[0]
    )


def test_a_canary_that_is_not_what_was_registered_stops_no_landing(two: World) -> None:
    served = Served(two)
    promotion.try_out(two.origin, "quick", "v1.0.0", 0.25, two.runner, reason="a test")
    kept = tags.fetch(two.origin, tags.find(Path(two.origin.git), "quick", "v1.0.0"), two.runner)
    sample = json.loads((kept / "sample.json").read_text())
    sample["probabilities"] = [row[::-1] for row in sample["probabilities"]]
    (kept / "sample.json").write_text(json.dumps(sample))
    for _ in range(3):
        served.look()
    (told,) = served.told
    assert told.startswith("warning: quick@v1.0.0 does not answer as canary: ")
    assert served.figure('luodi_behind{model="quick"} 0.0')
    again = Served(two)
    again.look()
    assert again.version() == "quick@v1.0.1"
    two.land("quick", "best")
    served.look()
    assert served.version() == "quick@v1.0.2"


LATE = 15.0
"""Seconds after which no version answers from which production has moved; two of them are between looks."""


class Said(NamedTuple):
    asked: float
    status: int
    version: str


class Moved(NamedTuple):
    """A move of production, in effect at some moment while it was made."""

    begun: float
    ended: float
    to: str


class Clients:
    """Who asks, each on a connection of its own, a hundred times a second together, until they are stopped."""

    def __init__(self, port: int) -> None:
        self.port, self.said, self.over = port, list[Said](), threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(4)] + [threading.Thread(target=self._dawdle)]

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        for row in itertools.cycle(range(len(TEXTS))):
            if self.over.wait(0.04):
                break
            asked = time.monotonic()
            connection.request("POST", "/predict/quick", json.dumps({"texts": TEXTS[row : row + 2]}))
            answer = connection.getresponse()
            self.said.append(Said(asked, answer.status, json.loads(answer.read()).get("version", "")))
        connection.close()

    def _dawdle(self) -> None:
        """One who sends a byte in a while, and reads no answer."""
        while not self.over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                for byte in b"POST /predict/quick HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n":
                    connection.sendall(bytes([byte]))
                    if self.over.wait(0.2):
                        return


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that is full."""
    folder = tmp_path / "log"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    with contextlib.suppress(OSError):
        (folder / "filler").write_bytes(bytes(2**20))
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def serving(world: World, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A server with a home of its own: what it serves comes from the remote, which is `folder`/remote to it."""
    (folder / "remote").symlink_to(Path(str(world.origin.remote)))
    env = os.environ | world.origin.environment()
    env |= {"LUODI_HOME": str(folder / "home"), "LUODI_DVC_REMOTE": str(folder / "remote")}
    process = subprocess.Popen(
        [sys.executable, "-m", "luodi", "serve", "quick", "--port", "0", "--follow", "2", "--log", str(folder / "log")],
        cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    try:
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)/docs", line)))
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        with process.stdout as output:
            told = output.read()
        assert process.wait(30) == 0
        assert "Traceback" not in told, told


def answering(parent: int) -> psutil.Process:
    """The process of a server that answers: the largest, beside which git and its kin come and go."""
    sizes: dict[int, psutil.Process] = {}
    for one in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes[one.memory_info().rss] = one
    return sizes[max(sizes)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("swaps", "seconds"), [(2, 3.0), pytest.param(20, 28.0, marks=[pytest.mark.proof, pytest.mark.timeout(1800)])]
)
def test_no_request_fails_while_versions_come_and_go(
    two: World, tmp_path: Path, full: Path, swaps: int, seconds: float
) -> None:
    """And while the remote is away, the disk of the log is full, and clients are slow; memory is bounded."""
    moved: list[Moved] = []
    with serving(two, tmp_path) as (process, port), Clients(port) as clients:
        time.sleep(seconds)
        worker = answering(process.pid)
        before = worker.memory_info().rss
        (tmp_path / "remote").unlink()
        two.move("quick", "v1.0.0")
        time.sleep(6)
        assert {one.version for one in clients.said[-20:]} == {"quick@v1.0.1"}  # it goes on
        (tmp_path / "remote").symlink_to(Path(str(two.origin.remote)))
        back = time.monotonic()
        until(lambda: clients.said[-1].version == "quick@v1.0.0")
        assert time.monotonic() - back < LATE
        for number in itertools.islice(itertools.cycle(("v1.0.1", "v1.0.0")), swaps - 1):
            begun = time.monotonic()
            two.move("quick", number)
            moved.append(Moved(begun, time.monotonic(), f"quick@{number}"))
            time.sleep(seconds)
            until(lambda: clients.said[-1].version == moved[-1].to)
        after = worker.memory_info().rss
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            figures = answer.read().decode()
    assert swaps < 20 or "luodi_log_failures 0.0" not in figures  # a file a minute
    assert {one.status for one in clients.said} == {200}
    for move, following in itertools.pairwise([*moved, Moved(float("inf"), float("inf"), "")]):
        late = [
            one for one in clients.said if move.ended + LATE < one.asked < following.begun and one.version != move.to
        ]
        assert [(one.asked - move.ended, one.version) for one in late] == []
    # Without a log it grows by less than 32 MiB; what waits for a full disk, and the table of it, are bounded too.
    assert after - before < 128 * 2**20, f"{before / 2**20:.0f} MiB, then {after / 2**20:.0f} MiB"


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_asked_and_answered_is_kept_and_a_full_disk_stops_nobody(
    two: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(two, Beside("quick@v1.0.0"))
    writer = log.Log(str(tmp_path / "log"), seconds=0.05)
    served.prepared.service.models["quick"].observer = writer.add
    served.prepared.service.metrics.watch(writer)
    real = writer._fs.open
    monkeypatch.setattr(writer._fs, "open", lambda path, mode: Path("/dev/full").open(mode))  # noqa: SIM115
    with served.client:
        asked = {"texts": [TEXTS[0], "<b></b>", TEXTS[1]]}
        for row in range(5):
            said = served.client.post("/predict/quick", json=asked, headers={"X-Request-ID": f"r{row}"})
            assert said.status_code == 200
        until(lambda: served.figure("luodi_log_failures ")[0] != "luodi_log_failures 0.0")
        monkeypatch.setattr(writer._fs, "open", real)
        until(lambda: served.figure('luodi_log_rows{what="written"}') == ['luodi_log_rows{what="written"} 20.0'])
    writer.close()
    rows = pa.concat_tables([part.rows for part in log.read(str(tmp_path / "log"), "quick")]).to_pylist()
    assert {(one["request"], one["item"]) for one in rows} == {(f"r{row}", item) for row in range(5) for item in (0, 2)}
    assert {(one["role"], one["version"]) for one in rows} == {
        ("production", "quick@v1.0.1"), ("shadow", "quick@v1.0.0")
    }  # fmt: skip
    assert {one["text"] for one in rows} == {TEXTS[0], TEXTS[1]}
