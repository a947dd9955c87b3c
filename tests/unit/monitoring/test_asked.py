"""What the log tells: all rows counted, whole requests sampled, true labels joined."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import text
from luodi.errors import BrokenData, MissingColumn, MissingData
from luodi.monitoring import asked, truths, watch
from luodi.serving import log
from luodi.serving.log import Answered, Part

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LABELS = ("bad", "good", "odd")


def part(*rows: tuple[str, int, str, str, str], at: datetime = NOON) -> Part:
    """Rows: request, items, version, role, label."""
    found = []
    for request, items, version, role, label in rows:
        labels = LABELS if version != "m@v1.0.0" else LABELS[:2]
        shares = np.full((items, len(labels)), 0.1, np.float32)
        shares[:, labels.index(label)] = 1 - 0.1 * (len(labels) - 1)
        encoder = text.Encoder(labels, "char", 8, 0, (), ())
        texts = [f"{request} {item}" for item in range(items)]
        found.append(Answered(request, at, "m", version, role, texts, shares, 2.0, encoder))
    return Part(log.as_table(found), {one.version: one.encoder.labels for one in found})


def test_every_row_is_counted_by_day_version_and_role() -> None:
    found = asked.read(
        [
            part(("a", 2, "m@v1.0.0", log.PRODUCTION, "good"), ("a", 2, "m@v2.0.0", log.SHADOW, "odd")),
            part(("b", 1, "m@v1.0.0", log.PRODUCTION, "bad"), at=NOON + timedelta(days=1)),
        ],
        {},
    )
    assert found.rows == 5
    by = found.by()
    one = by["m@v1.0.0", log.PRODUCTION]
    assert (one.rows, dict(one.labels), round(one.sure / one.rows, 4), one.ms) == (3, {"good": 2, "bad": 1}, 0.9, 6.0)
    assert round(by["m@v2.0.0", log.SHADOW].sure, 4) == 1.6
    assert len(found.days) == 3
    assert found.labels["m@v2.0.0"] == LABELS
    assert found.versions(log.SHADOW) == ["m@v2.0.0"]
    assert found.labelled is None


def test_rows_whose_label_is_known_are_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "MOST", 3)
    parts = [part(*((f"{n}-{k}", 1, "m@v1.0.0", log.PRODUCTION, "good") for k in range(20))) for n in range(5)]
    found = asked.read(parts, {(f"{n}-7", 0): "bad" for n in range(5)} | {("of another", 0): "bad"})
    assert found.labelled is not None
    assert sorted(found.labelled["request"].to_pylist()) == [f"{n}-7" for n in range(5)]
    assert found.labelled["truth"].to_pylist() == ["bad"] * 5
    assert found.sample is not None
    assert len(found.sample) == 3
    assert found.rows == 100


@pytest.mark.slow
@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=12), min_size=1, max_size=6), st.integers(1, 20))
def test_a_sample_is_of_whole_requests_and_the_same_however_files_are_cut(files: list[list[int]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked, "MOST", most)
        rows = [(f"{n}-{k}", items) for n, file in enumerate(files) for k, items in enumerate(file)]
        one, other = (
            asked.read([part(*((name, items, "m@v1.0.0", "production", "good") for name, items in some))
                        for some in cut], {}).sample
            for cut in ([rows], [[row] for row in rows])
        )  # fmt: skip
    assert one is not None
    assert other is not None
    keys = [sorted(zip(s["request"].to_pylist(), s["item"].to_pylist(), strict=True)) for s in (one, other)]
    assert keys[0] == keys[1]
    sizes = dict(rows)
    for request in {name for name, _ in keys[0]}:
        assert sum(name == request for name, _ in keys[0]) == sizes[request]
    assert len(one) <= most or len({name for name, _ in keys[0]}) == 1


def test_probabilities_are_in_the_order_of_the_labels() -> None:
    rows = part(("a", 2, "m@v2.0.0", log.CANARY, "odd")).rows
    assert asked.probabilities(rows, 3).round(2).tolist() == [pytest.approx([0.1, 0.1, 0.8])] * 2


# True labels


def table(folder: Path, content: str) -> Path:
    path = folder / "true.csv"
    path.write_text(content)
    return path


def test_true_labels_are_read_and_those_of_chosen_rows_told_apart(tmp_path: Path) -> None:
    lines = ("label,request,item,why", "good,a,0,least certain", "bad,a,1,drawn at random", ",b,0,", "good,'=c,0,",
             "bad,'=c,0,")  # fmt: skip
    found = truths.read(table(tmp_path, "\n".join(lines)))
    assert found.known == {("a", 0): "good", ("a", 1): "bad", ("=c", 0): "bad"}
    assert found.chosen == {("a", 0)}
    assert found.empty == 1


def test_without_an_item_the_first_is_meant(tmp_path: Path) -> None:
    assert truths.read(table(tmp_path, "request,label\na,good\n")).known == {("a", 0): "good"}
    assert truths.fetched(str(tmp_path / "true.csv")).known == {("a", 0): "good"}


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        ("id,label\na,good\n", MissingColumn, "expected the columns request and label"),
        ("request,item,label\na,first,good\n", BrokenData, "expected the place of an item"),
    ],
)
def test_what_is_no_table_of_labels_is_told(tmp_path: Path, content: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        truths.read(table(tmp_path, content))


def test_labels_at_a_url() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/true.csv", b"request,label\na,good\n")
    assert truths.fetched("memory://true.csv").known == {("a", 0): "good"}
    with pytest.raises(MissingData, match="the table of true labels, cannot be read"):
        truths.fetched("memory://away.csv")


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("7d", NOON - timedelta(days=7)), ("12h", NOON - timedelta(hours=12)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T08:00+08:00", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_since(said: str, moment: datetime) -> None:
    assert watch.since(said, NOON) == moment


def test_an_empty_column_has_no_highest() -> None:
    assert len(asked._sure(pa.chunked_array([], pa.list_(pa.float32())))) == 0
