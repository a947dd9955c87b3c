"""What is taken out of an inbox, and when that is a reason to retrain."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bucket
import fsspec
import pytest
from pydantic import ValidationError

from luodi.config import Ingest


def at(place: str) -> Any:
    from luodi.airflow.inbox import Inbox  # here: Airflow takes seconds, in each worker of pytest
    from luodi.airflow.stores import Store

    return Inbox(Store.find(place))


def one(name: str = "a.csv", rows: int = 5, drift: str = "none", waiting: int = 5) -> dict[str, Any]:
    return {"name": name, "refused": None, "said": "", "rows": rows, "drift": drift, "waiting": waiting}


@pytest.mark.parametrize(
    ("settings", "files", "why"),
    [
        ({}, [], None),
        ({}, [one(waiting=10**6)], None),
        ({}, [one(drift="warning")], None),
        ({}, [one(), one("b.csv", drift="drift")], "drift in b.csv"),
        ({"retrain_on_drift": False}, [one(drift="drift")], None),
        ({"retrain_rows": 100}, [one(waiting=99)], None),
        ({"retrain_rows": 100}, [one(waiting=60), one(waiting=120)], "120 rows that no model was judged on"),
        ({"retrain_rows": 100}, [one(rows=0, waiting=120)], "120 rows that no model was judged on"),
    ],
)
def test_drift_or_enough_rows_are_a_reason(settings: Any, files: list[Any], why: str | None) -> None:
    from luodi.airflow import inbox

    assert inbox.reason(Ingest(inbox="/in", **settings), files) == why


def test_files_that_are_whole_are_taken_by_their_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden.csv", "c.csv.part", "young.csv", "done/old.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
        if name != "young.csv":
            os.utime(tmp_path / name, (time.time() - 60,) * 2)
    for where in (str(tmp_path), f"file://{tmp_path}"):
        assert at(where).waiting() == ["a.csv", "b.csv"]
    assert at(str(tmp_path / "nowhere")).waiting() == []


def lie(path: Path, seconds: float = 60) -> None:
    """Put a file there that was written so many seconds ago."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{seconds}")
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.mark.slow
def test_the_triggerer_tells_once_of_each_file_that_is_whole(tmp_path: Path) -> None:
    """Of one that came again under its name too; one look for all of an interval, and none ends it."""
    from luodi.airflow.inbox import InboxTrigger

    box = tmp_path / "inbox"
    trigger = InboxTrigger(str(box), every=0)
    looks: list[list[int]] = []

    def several() -> None:
        for name in ("b.csv", "c.csv.part", "c.csv"):
            lie(box / name)

    async def watch(*moves: Callable[[], Any]) -> None:
        """Make a move between two looks, and note what events came of each."""
        events = trigger.run()
        told: list[int] = []

        async def listen() -> None:
            async for event in events:
                told.append(event.payload)

        task = asyncio.create_task(listen())
        for move in (lambda: None, *moves):
            move()
            for _ in range(20):
                await asyncio.sleep(0.01)
            looks.append([*told])
            told.clear()
        task.cancel()

    asyncio.run(watch(
        lambda: lie(box / "a.csv"),
        lambda: lie(box / "young.csv", 0),
        several,
        lambda: lie(box / "a.csv", 90),
        lambda: box.rename(tmp_path / "elsewhere"),
        lambda: box.write_text("no folder"),
        box.unlink,
        lambda: lie(box / "d.csv"),
    ))  # fmt: skip
    assert looks == [[], [1], [], [2], [1], [], [], [], [1]]
    assert [type(trigger)(**trigger.serialize()[1]).serialize()] == [trigger.serialize()]


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_what_is_put_aside_takes_no_other_files_place(kind: str, tmp_path: Path) -> None:
    """A store that is no folder of this host too."""
    from luodi.airflow.inbox import REFUSED

    url = f"{kind}://{tmp_path}/in"
    fs, root = fsspec.url_to_fs(url)
    fs.makedirs(root, exist_ok=True)
    for content in ("first", "second", "third"):
        fs.pipe_file(f"{root}/a.csv", content.encode())
        assert at(url).waiting() == []  # it was written just now
        at(url).bring("a.csv", tmp_path / "here")
        assert (tmp_path / "here").read_text() == content
        at(url).put_aside("a.csv", REFUSED, "why")
    found = {path.rpartition("/")[2]: fs.cat_file(path).decode() for path in fs.ls(f"{root}/refused", detail=False)}
    assert found == {
        "a.csv": "first", "2-a.csv": "second", "3-a.csv": "third",
        "a.csv.txt": "why\n", "2-a.csv.txt": "why\n", "3-a.csv.txt": "why\n",
    }  # fmt: skip


@pytest.mark.parametrize("inbox", ["inbox", "./inbox", ""])
def test_an_inbox_is_the_same_to_every_worker(inbox: str) -> None:
    with pytest.raises(ValidationError, match="expected the whole path of a folder, or a URL"):
        Ingest(inbox=inbox)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of S3, with a bucket in which nothing is."""
    (tmp_path / "bucket").mkdir()
    with bucket.serve(tmp_path) as url:
        yield url


@pytest.fixture
def s3(served: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """S3 as fsspec reads it, by the credentials of the process."""
    s3fs = pytest.importorskip("s3fs")
    for name, value in {"ACCESS_KEY_ID": bucket.KEY, "SECRET_ACCESS_KEY": bucket.SECRET, "ENDPOINT_URL": served,
                        "DEFAULT_REGION": "us-east-1"}.items():  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()  # which keep the address of the server before
    return fsspec.filesystem("s3")


@pytest.mark.slow
def test_a_bucket_is_an_inbox_too(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luodi.airflow import inbox

    monkeypatch.setattr(inbox, "SETTLED", 0)
    box, folder = at("s3://bucket/inbox"), tmp_path / "bucket" / "inbox"
    assert box.waiting() == []
    for name in ("a.csv", "b.csv", "c.csv.part"):
        s3.pipe_file(f"bucket/inbox/{name}", name.encode())
    assert box.waiting() == ["a.csv", "b.csv"]
    box.bring("a.csv", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "a.csv"
    box.put_aside("a.csv", inbox.DONE)
    box.put_aside("b.csv", inbox.REFUSED, "why")
    s3.pipe_file("bucket/inbox/a.csv", b"other")
    box.put_aside("a.csv", inbox.DONE)
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert found == ["c.csv.part", "done/2-a.csv", "done/a.csv", "refused/b.csv", "refused/b.csv.txt"]


@pytest.mark.slow
def test_files_of_a_date_may_lie_in_a_bucket_and_what_is_there_is_known_again(s3: Any, tmp_path: Path) -> None:
    from luodi.airflow.predicting import Place

    for name in ("a.csv", "_b.csv", "sub/c.csv"):
        s3.pipe_file(f"bucket/in/{name}", name.encode())
    place = Place("s3://bucket/in/**/*")
    assert place.names() == ["a.csv", "sub/c.csv"]
    state = place.state("a.csv")
    assert state == Place("s3://bucket/in").state("a.csv")  # by the list of the bucket, and by its answer
    place.bring("sub/c.csv", tmp_path / "c.csv")
    for _ in range(2):
        Place("s3://bucket/out").put(tmp_path / "c.csv", "sub/c.parquet", {"input": state, "rows": 1})
    assert Place("s3://bucket/out").holds("sub/c.parquet", {"input": state})
    assert s3.cat_file("bucket/out/sub/c.parquet") == b"sub/c.csv"
    assert len(s3.find("bucket/out")) == 2
    s3.pipe_file("bucket/in/a.csv", b"other")
    assert Place("s3://bucket/in").state("a.csv") != state
