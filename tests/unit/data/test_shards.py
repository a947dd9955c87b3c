"""Raw Parquet shards: read in order, and every way they can be unusable has its own error."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luodi.data import shards
from luodi.errors import BrokenData, EmptyData, MissingColumn, MissingData

COLUMNS = ("text", "label", "source")


def table(count: int = 2, **changes: object) -> pa.Table:
    columns = {"text": [f"好{i}" for i in range(count)], "label": ["x"] * count, "source": ["s"] * count}
    return pa.table(columns | changes)


def parquet(content: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(content, sink)
    return sink.getvalue()


def buffer(*raw: bytes) -> pa.Array:
    """A string column whose bytes nobody checked."""
    ends = [sum(map(len, raw[:count])) for count in range(len(raw) + 1)]
    return pa.Array.from_buffers(
        pa.string(), len(raw), [None, pa.array(ends, pa.int32()).buffers()[1], pa.py_buffer(b"".join(raw))]
    )


GOOD = parquet(table(1000))


def read(folder: Path, **files: bytes) -> pa.Table:
    for name, content in files.items():
        (folder / f"{name}.parquet").write_bytes(content)
    return shards.read(folder, "text")


def test_shards_are_read_in_order_of_name_with_their_places(tmp_path: Path) -> None:
    found = read(tmp_path, b=parquet(table(2)), a=parquet(table(3)), c=parquet(table(0)))
    assert found.column_names == [*COLUMNS, "shard", "row"]
    assert found["shard"].to_pylist() == ["a.parquet"] * 3 + ["b.parquet"] * 2
    assert found["row"].to_pylist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("reader", [shards.read, lambda *given: pa.concat_tables(shards.parts(*given))])
def test_columns_of_groups_are_read_where_a_shard_has_them(tmp_path: Path, reader: Any) -> None:
    for name, content in {"a": table(2), "b": table(2, author=["x", None], day=[1, 2])}.items():
        (tmp_path / f"{name}.parquet").write_bytes(parquet(content))
    found = reader(tmp_path, "text", ["day", "author", "source"])
    assert found.column_names == [*COLUMNS, "of group day", "of group author", "of group source", "shard", "row"]
    assert found["of group day"].to_pylist() == [None, None, "1", "2"]
    assert found["of group author"].to_pylist() == [None, None, "x", None]
    assert found["of group source"].to_pylist() == ["s"] * 4
    with pytest.raises(MissingColumn, match="no shard has the column `writer`"):
        reader(tmp_path, "text", ["writer"])


@pytest.mark.parametrize("reader", [shards.read, lambda *given: pa.concat_tables(shards.parts(*given))])
def test_where_rows_stood_is_read_where_a_shard_says_it(tmp_path: Path, reader: Any) -> None:
    stood = {"a": table(2), "b": table(2, origin=["x.csv, line 2", None]), "c": table(2, origin=[1, 2])}
    for name, content in stood.items():
        (tmp_path / f"{name}.parquet").write_bytes(parquet(content))
    found = reader(tmp_path, "text")
    assert found.column_names == [*COLUMNS, "origin", "shard", "row"]
    assert found["origin"].to_pylist() == [None, None, "x.csv, line 2", None, None, None]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_every_kind_of_string_is_one(kind: Any, tmp_path: Path) -> None:
    found = read(tmp_path, a=parquet(table(text=pa.array(["好", "坏"]).cast(kind), more=[1, 2])), b=GOOD)
    assert found["text"].to_pylist()[:2] == ["好", "坏"]
    assert found.schema.field("text").type == pa.string()


def test_nulls_stay_nulls(tmp_path: Path) -> None:
    found = read(tmp_path, a=parquet(table(text=pa.nulls(2), source=pa.array([None, "s"]))))
    assert found["text"].to_pylist() == [None, None]
    assert found["source"].null_count == 1


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", BrokenData, "not a readable Parquet file"),
        (b"text,label\n" * 20, BrokenData, "not a readable Parquet file"),
        (GOOD[: len(GOOD) // 2], BrokenData, "not a readable Parquet file"),
        (GOOD[:-1], BrokenData, "not a readable Parquet file"),
        (GOOD[:4] + b"\xff" * 60 + GOOD[64:], BrokenData, "not a readable Parquet file"),
        (GOOD[:-300] + b"\xff" * 200 + GOOD[-100:], BrokenData, "not a readable Parquet file"),
        (parquet(table(text=[1, 2])), BrokenData, "expected columns of strings, found text is int64"),
        (parquet(table(label=[True, False])), BrokenData, "found label is bool"),
        (parquet(table(text=[["x"], ["y"]])), BrokenData, "found text is list"),
        (parquet(table(text=[1.5, 2], label=[1, 2])), BrokenData, "found text is double, label is int64"),
        (parquet(table(text=pa.array([b"\xba\xc3", b"x"]))), BrokenData, "UTF8"),
        (parquet(table(text=buffer(b"\xba\xc3", b"x"))), BrokenData, "UTF8"),
        (parquet(pa.Table.from_arrays([pa.array(["x"])] * 4, ["text", *COLUMNS])), BrokenData, "text"),
        (parquet(pa.table({"text": ["x"]})), MissingColumn, "missing label, source; found text"),
        (
            parquet(pa.table({"Text": ["x"], "label": ["y"], "source": ["z"]})),
            MissingColumn,
            "missing text; found Text",
        ),
        (parquet(table(0)), EmptyData, "hold no row"),
    ],
)
def test_an_unusable_shard_is_named(content: bytes, error: type, message: str, tmp_path: Path) -> None:
    good = {} if error is EmptyData else {"a": GOOD}
    with pytest.raises(error, match=message) as caught:
        read(tmp_path, **good, b=content)
    assert type(caught.value) is error
    assert error is EmptyData or "b.parquet" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", [None, "a.csv", "a.parquet.tmp"])
def test_no_shard_is_missing_data(name: str | None, tmp_path: Path) -> None:
    if name:
        (tmp_path / name).write_bytes(GOOD)
    with pytest.raises(MissingData, match=r"no \*\.parquet in .*`luodi fetch"):
        shards.read(tmp_path, "text")
    with pytest.raises(MissingData, match=r"no \*\.parquet in .*gone"):
        shards.read(tmp_path / "gone", "text")


def test_a_folder_named_as_a_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.parquet").mkdir()
    with pytest.raises(BrokenData, match=r"b\.parquet is not a readable Parquet file"):
        read(tmp_path, a=GOOD)


def images(*files: bytes | str | None, kind: pa.DataType | None = None, **changes: object) -> bytes:
    columns = {"image": pa.array(files, kind or pa.binary()), "label": ["x"] * len(files), "source": ["s"] * len(files)}
    return parquet(pa.table(columns | changes))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())], ids=str)
def test_images_are_the_bytes_of_their_files(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(images(b"\x89PNG\xff", None, b"", kind=kind))
    found = shards.read(tmp_path, "image")
    assert found.column_names == ["image", "label", "source", "shard", "row"]
    assert found["image"].to_pylist() == [b"\x89PNG\xff", None, b""]
    assert found.schema.field("image").type == pa.binary()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (images("x", kind=pa.string()), BrokenData, "image is string"),
        (parquet(pa.table({"image": [1], "label": ["x"], "source": ["s"]})), BrokenData, "image is int64"),
        (images(b"x", label=[1]), BrokenData, "label is int64"),
        (images(b"x", label=pa.array([b"\xff"])), BrokenData, "UTF8"),
        (GOOD, MissingColumn, "missing image; found text"),
    ],
)
def test_an_unusable_shard_of_images_is_named(content: bytes, error: type, message: str, tmp_path: Path) -> None:
    (tmp_path / "b.parquet").write_bytes(content)
    with pytest.raises(error, match=rf"b\.parquet.*{message}"):
        shards.read(tmp_path, "image")


def pictures(folder: Path, *sizes: int, **settings: Any) -> None:
    """Shards of rows of image (bytes), label, source; of `sizes` rows."""
    for name, count in zip("abc", sizes, strict=False):
        images = [b"\xff%d" % place * 1000 for place in range(count)]
        labels = pa.array([str(place) for place in range(count)]).dictionary_encode()
        pq.write_table(
            pa.table({"image": images, "label": labels, "source": [None] * count}),
            folder / f"{name}.parquet",
            **settings,
        )


@pytest.mark.parametrize("settings", [{}, {"row_group_size": 3}, {"use_dictionary": False}], ids=str)
def test_parts_together_are_what_read_gives(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path, 20, 0, 5, **settings)
    monkeypatch.setattr(shards, "PART", 5000)
    parts = list(shards.parts(tmp_path, "image"))
    assert max(part.num_rows for part in parts) <= 10
    assert pa.concat_tables(parts).equals(shards.read(tmp_path, "image"))
    assert parts[0].schema.types == [pa.binary(), pa.string(), pa.string(), pa.string(), pa.int64()]


@pytest.mark.slow
def test_parts_hold_one_row_group_in_memory(tmp_path: Path) -> None:
    pictures(tmp_path, 20_000, row_group_size=1000, use_dictionary=False, compression="none")
    before, most = pa.total_allocated_bytes(), 0
    for _ in shards.parts(tmp_path, "image"):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < (tmp_path / "a.parquet").stat().st_size / 4


def test_parts_are_refused_as_read_refuses(tmp_path: Path) -> None:
    with pytest.raises(MissingData):
        list(shards.parts(tmp_path, "image"))
    pictures(tmp_path, 0)
    with pytest.raises(EmptyData):
        list(shards.parts(tmp_path, "image"))
    pictures(tmp_path, 20)
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[:100] + bytes(200) + whole[300:])
    with pytest.raises(BrokenData, match="or write it again"):
        list(shards.parts(tmp_path, "image"))
    (tmp_path / "a.parquet").write_bytes(GOOD)
    with pytest.raises(MissingColumn, match="missing image"):
        list(shards.parts(tmp_path, "image"))
    pq.write_table(pa.table({"image": [1], "label": ["x"], "source": ["s"]}), tmp_path / "a.parquet")
    with pytest.raises(BrokenData, match="bytes for an image, found image is int64"):
        list(shards.parts(tmp_path, "image"))
