"""The request log: whole requests, masked, bounded, and a disk that is full stops nobody."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luodi.data import image, text
from luodi.errors import ArtifactError, BrokenData, LuodiError, MissingData
from luodi.serving import log
from luodi.serving.log import Answered, Log

TEXTS = text.Encoder(("bad", "good"), "char", 8, 0, (), ("a", "b"))
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def answered(request: str, *items: str | bytes, role: str = log.PRODUCTION, at: datetime = NOON) -> Answered:
    encoder = TEXTS if isinstance(items[0], str) else image.Encoder(("0", "1"), 4, 4, 1, (0.5,), (0.5,))
    shares = np.tile(np.array([0.25, 0.75], np.float32), (len(items), 1))
    return Answered(request, at, "reviews", "reviews@v1.0.0", role, items, shares, 1.5, encoder)


def rows(folder: Path, since: datetime | None = None) -> pa.Table:
    return pa.concat_tables([part.rows for part in log.read(str(folder), "reviews", since)])


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_row_says_what_was_asked_and_what_was_answered(tmp_path: Path) -> None:
    writer = Log(str(tmp_path))
    writer.add(answered("one", "call 13912345678 <b>now</b>", "  质量　很好 "))
    writer.add(answered("one", "call 13912345678 <b>now</b>", role=log.SHADOW))
    writer.close()
    first, second, third = rows(tmp_path).to_pylist()
    assert first == {
        "request": "one", "item": 0, "at": NOON, "model": "reviews", "version": "reviews@v1.0.0", "role": "production",
        "text": "call [PHONE] now", "image": None, "label": "good", "probabilities": [0.25, 0.75], "ms": 1.5,
    }  # fmt: skip
    assert (second["item"], second["text"], third["role"]) == (1, "质量 很好", "shadow")
    assert (writer.counts.written, writer.counts.files, writer.counts.dropped) == (3, 1, 0)
    (part,) = log.read(str(tmp_path), "reviews")
    assert part.labels == {"reviews@v1.0.0": ("bad", "good")}
    (path,) = tmp_path.rglob("*.parquet")
    assert path.relative_to(tmp_path).parts[0] == "reviews"
    assert path.parent.name == datetime.now(UTC).date().isoformat()


def test_an_image_is_what_the_model_sees_and_nothing_else(tmp_path: Path) -> None:
    sent = image.png(Image.new("RGB", (9, 7), "white"))
    writer = Log(str(tmp_path))
    writer.add(answered("one", sent))
    writer.close()
    kept = image.pixels([rows(tmp_path)["image"][0].as_py()])
    assert kept.shape[:3] == (1, 4, 4)
    assert (kept == 255).all()


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_greater_share_holds_the_requests_of_a_lesser(request: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert log.drawn(request, less) <= log.drawn(request, more)
    assert log.drawn(request, 1.0)
    assert not log.drawn(request, 0.0)


def test_a_share_is_of_whole_requests(tmp_path: Path) -> None:
    writer = Log(str(tmp_path), share=0.3)
    for number in range(2000):
        writer.add(answered(f"request {number}", "a", "b"))
    writer.close()
    counts = rows(tmp_path)["request"].value_counts().to_pylist()
    assert {one["counts"] for one in counts} == {2}
    assert 500 < len(counts) < 700  # 600 expected, of deviation 20
    assert writer.counts.dropped == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=4), min_size=1, max_size=8))
def test_whatever_is_asked_comes_back_clean(tmp_path_factory: pytest.TempPathFactory, asked: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("log")
    writer = Log(str(folder))
    for number, items in enumerate(asked):
        writer.add(answered(str(number), *items))
    writer.close()
    assert rows(folder)["text"].to_pylist() == text.clean_list([one for items in asked for one in items])


def test_what_does_not_fit_is_dropped_and_counted_at_once(tmp_path: Path) -> None:
    writer = Log(str(tmp_path), waiting=10_000, seconds=60)
    writer.add(answered("large", "x" * 20_000, "y"))
    assert writer.counts.dropped == 2
    writer.add(answered("small", "x"))
    writer.close()
    writer.add(answered("late", "x"))
    assert (writer.counts.written, writer.counts.dropped) == (1, 3)


def test_a_full_disk_is_counted_and_what_waits_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/full takes what is written as a full disk does."""
    writer = Log(str(tmp_path), seconds=0.01)
    real = writer._fs.open
    monkeypatch.setattr(writer._fs, "open", lambda path, mode: Path("/dev/full").open(mode))  # noqa: SIM115
    writer.add(answered("one", "a"))
    until(lambda: writer.counts.failed > 1)
    assert "No space left" in writer.counts.error
    assert not list(tmp_path.rglob("*.parquet*"))
    writer.add(answered("two", "b"))
    monkeypatch.setattr(writer._fs, "open", real)
    until(lambda: writer.counts.written == 2)
    writer.close()
    assert rows(tmp_path)["request"].to_pylist() == ["one", "two"]
    assert writer.counts.dropped == 0


def test_what_cannot_be_written_for_long_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "reviews").write_text("a file where a folder is to be")
    writer = Log(str(tmp_path), seconds=0.01, waiting=2000)
    for number in range(400):
        writer.add(answered(str(number), "x" * 100))
        time.sleep(0.0005)
    writer.close()
    assert writer.counts.dropped == 400
    assert writer.counts.written == 0


def test_an_item_that_no_cleaning_reads_costs_no_other_row(tmp_path: Path) -> None:
    writer = Log(str(tmp_path))
    good = image.png(Image.new("L", (4, 4)))
    for number, item in enumerate((good, b"no picture", good)):
        writer.add(answered(str(number), item))
    writer.close()
    assert rows(tmp_path)["request"].to_pylist() == ["0", "2"]
    assert (writer.counts.dropped, writer.counts.written) == (1, 2)
    assert "unfit" in writer.counts.error


def test_the_oldest_files_go_and_the_newest_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("of somebody else " * 9)
    writer = Log(str(tmp_path), seconds=0.01, most=12_000)
    for number in range(10):
        writer.add(answered(str(number), "a"))
        until(lambda: writer.counts.written == number + 1)  # noqa: B023 - waited for at once
    writer.close()
    left = sorted(tmp_path.rglob("*.parquet"))
    assert sum(path.stat().st_size for path in left) <= 12_000
    assert len(left) == 10 - writer.counts.removed < 10
    assert rows(tmp_path)["request"].to_pylist() == [str(number) for number in range(10 - len(left), 10)]
    assert (tmp_path / "mine.csv").exists()


def test_since_leaves_out_what_was_asked_before(tmp_path: Path) -> None:
    writer, now = Log(str(tmp_path)), datetime.now(UTC)
    writer.add(answered("old", "a", at=now - timedelta(hours=2)))
    writer.add(answered("new", "a", at=now))
    writer.close()
    assert rows(tmp_path, now - timedelta(hours=1))["request"].to_pylist() == ["new"]
    old = next(tmp_path.rglob("20*-*-*")).rename(tmp_path / "reviews" / "2020-01-01")
    (old / "x.parquet").write_text("is not read")
    with pytest.raises(ValueError, match="Must pass at least one table"):
        rows(tmp_path, now)


def test_a_url_that_fsspec_knows_holds_a_log_too() -> None:
    writer = Log("memory://logs")
    writer.add(answered("one", "a"))
    writer.close()
    (part,) = log.read("memory://logs", "reviews")
    assert part.rows["request"].to_pylist() == ["one"]


def damaged(folder: Path) -> None:
    (folder / "x.parquet").write_bytes(b"PAR1")


def of_another(folder: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), folder / "x.parquet")


def newer(folder: Path) -> None:
    metadata = {log.FORMAT_KEY: b"9", log.LABELS_KEY: json.dumps({}).encode()}
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata(metadata), folder / "x.parquet")


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        (damaged, BrokenData, "is no file of a request log"),
        (of_another, BrokenData, "is no file of a request log"),
        (newer, ArtifactError, "newer luodi"),
        (lambda _: None, MissingData, "holds no request log of reviews"),
    ],
)
def test_what_is_no_log_is_told(
    tmp_path: Path, spoil: Callable[[Path], None], error: type[LuodiError], told: str
) -> None:
    folder = tmp_path / "reviews" / "2026-11-28"
    folder.mkdir(parents=True)
    spoil(folder)
    with pytest.raises(error, match=told):
        list(log.read(str(tmp_path), "reviews"))


def test_an_unknown_kind_of_url_is_told() -> None:
    with pytest.raises(MissingData, match="no URL that fsspec can open"):
        Log("nowhere://bucket")
