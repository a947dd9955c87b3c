"""Who asks at the same time is one batch; who comes when too many wait is told so; nobody spoils another's answer."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from luodi.files import folder_checksum, write_json
from luodi.registry.classifier import Registered
from luodi.serving import starting
from luodi.serving.batching import Batcher
from luodi.serving.limits import Limits
from luodi.serving.refusing import Refused
from luodi.serving.served import Model
from luodi.serving.sources import Folder


class Slow(Registered):
    """A version that takes a tenth of a second, or fails."""

    def probabilities(self, items: Sequence[Any]) -> NDArray[np.float32]:
        time.sleep(0.1)
        if "坏" in items:
            raise RuntimeError("a fault of ours, with a password in it")
        return super().probabilities(items)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    handmade.make(tmp_path)
    export = folder_checksum(tmp_path)
    write_json(tmp_path / "version.json", {"version": "words@v1.0.0", "format": 2, "export": export})
    return tmp_path


def batcher(made: Path, kind: type[Registered], most: int = 100) -> tuple[Batcher, list[int]]:
    told: list[int] = []
    found = Batcher(kind.open(made, "words@v1.0.0", {}, 1), most, told.append)
    found.warm("书")
    return found, told


def test_those_that_come_together_are_one_batch(made: Path) -> None:
    found, told = batcher(made, Registered)

    async def ask() -> list[Any]:
        return list(await asyncio.gather(*(found.ask(items) for items in (["好"], ["书", "<b>"], ["好书"]))))

    one, two, three = asyncio.run(ask())
    assert told == [4]
    assert [len(one), len(two), len(three)] == [1, 2, 1]
    assert "nothing to classify" in two[1]
    np.testing.assert_array_equal(two[0], found.classifier.predict_proba(["书"])[0])


def test_what_comes_while_a_batch_is_predicted_is_the_next(made: Path) -> None:
    found, told = batcher(made, Slow)

    async def ask() -> None:
        first = asyncio.create_task(found.ask(["好"]))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, *(found.ask(["书"]) for _ in range(5)))

    asyncio.run(ask())
    assert told == [1, 5]


def test_who_comes_when_too_many_wait_is_refused_and_the_others_are_answered(made: Path) -> None:
    found, told = batcher(made, Slow, most=3)

    async def ask() -> list[Any]:
        tasks = [asyncio.create_task(found.ask(["好"]))]
        await asyncio.sleep(0.02)
        tasks += [asyncio.create_task(found.ask(["书"])) for _ in range(5)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    said = asyncio.run(ask())
    refused = [one for one in said if isinstance(one, Refused)]
    assert [(one.status, one.headers) for one in refused] == [(429, {"Retry-After": "1"})] * 2
    assert told == [1, 3]


def test_who_has_gone_is_not_predicted(made: Path) -> None:
    found, told = batcher(made, Slow)

    async def ask() -> None:
        first = asyncio.create_task(found.ask(["好"]))
        await asyncio.sleep(0.02)
        gone = [asyncio.create_task(found.ask(["书"])) for _ in range(3)]
        await asyncio.sleep(0.02)
        for one in gone[:2]:
            one.cancel()
        await asyncio.gather(first, gone[2])

    asyncio.run(ask())
    assert told == [1, 1] and found.waiting == 0


def test_a_fault_of_ours_is_one_sentence_to_the_client_and_ends_nothing(made: Path) -> None:
    prepared = starting.prepare([Folder.of(made)], limits=Limits(timeout=0.05))
    model: Model = prepared.service.models["words"]
    slow = model.ready(Slow.open(made, "words@v1.0.1", {}, 1), "production", "书")
    model.put(slow)
    with TestClient(prepared.service.app(), raise_server_exceptions=False) as client:
        late = client.post("/predict/words", json={"texts": ["好"]})
        assert late.status_code == 504 and "no answer within 0.05 s" in late.json()["error"]
        prepared.service.limits = Limits(timeout=5)
        broken = client.post("/predict/words", json={"texts": ["坏"]})
        assert broken.status_code == 500
        assert broken.json() == {"error": "something is wrong with this server: its log says what"}
        assert client.post("/predict/words", json={"texts": ["好"]}).json()["version"] == "words@v1.0.1"
        assert 'luodi_requests_total{code="500",model=""} 1.0' in client.get("/metrics").text
