"""The server follows a real registry: what is in production answers, from one request to the next, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from actors import World
from starlette.testclient import TestClient

from luodi.registry import promotion, tags
from luodi.serving import sources, starting
from luodi.serving.following import Follower
from luodi.serving.limits import Limits
from luodi.serving.log import Answered
from luodi.serving.sources import Registry
from luodi.serving.starting import Beside, Prepared

TEXTS = [f"{row:03d}acegik" for row in range(40)]


class Served:
    """A server of `quick` without a socket, and what it told its log."""

    def __init__(self, world: World, *beside: Beside) -> None:
        self.told: list[str] = []
        self.seen: list[Answered] = []
        self.prepared: Prepared = starting.prepare(
            [Registry("quick", world.origin)], beside=beside, limits=Limits(), observer=self.seen.append, threads=1
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
