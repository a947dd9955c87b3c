"""Texts to predict, from files of every kind and from standard input; what cannot be read is named."""

import io
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import inputs
from luodi.errors import BrokenData, MissingColumn, MissingData

ROWS = ["很好", "不,好", 'a "b"', "两\n行", "", "😀"]


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read bytes as a file of that name, or as standard input."""

    def reader(name: str, content: bytes) -> list[str]:
        if name == "-":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "ascii", "surrogateescape"))
            return [text for batch in inputs.batches("-") for text in batch]
        path = tmp_path / name
        path.write_bytes(content)
        return [text for batch in inputs.batches(str(path)) for text in batch]

    return reader


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def jsonl(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


GOOD = parquet(pa.table({"text": ROWS * 200}))
RAW_GBK = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer("好".encode("gbk"))]
)
CSV = 'id,text\n1,很好\n2,"不,好"\n3,"a ""b"""\n4,"两\n行"\n5,\n6,😀\n'
BOM = "\ufeff".encode()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", CSV.encode(), ROWS),
        ("a.CSV", CSV.encode(), ROWS),
        ("a.csv", BOM + b"text\nx\n", ["x"]),
        ("a.csv", b"text\r\nx\r\ny\r\n", ["x", "y"]),
        ("a.csv", b"id,text\n1\n2,y", ["", "y"]),
        ("a.csv", b"text\n", []),
        ("a.jsonl", jsonl(*({"text": one} for one in ROWS)), ROWS),
        ("a.jsonl", BOM + jsonl({"text": "x", "id": 1}), ["x"]),
        ("a.jsonl", b'\n{"text": "x"}\r\n\n{"text": "y"}', ["x", "y"]),
        ("a.jsonl", b"", []),
        ("a.parquet", GOOD, ROWS * 200),
        ("a.parquet", parquet(pa.table({"text": pa.array(["x", None])})), ["x", ""]),
        ("a.parquet", parquet(pa.table({"text": pa.nulls(2)})), ["", ""]),
        ("a.parquet", parquet(pa.table({"text": pa.array(["x", "x"]).dictionary_encode()})), ["x", "x"]),
        ("a.parquet", parquet(pa.table({"text": pa.array(["x"], pa.large_string()), "id": [1]})), ["x"]),
        ("a.parquet", parquet(pa.table({"text": pa.array(["好".encode()])})), ["好"]),
        ("a.parquet", parquet(pa.table({"text": pa.array([], pa.string())})), []),
        ("-", "很好\n\n不好".encode(), ["很好", "", "不好"]),
        ("-", b"x\r\ny\r\n", ["x", "y"]),
        ("-", BOM + "很好\n".encode(), ["很好"]),
        ("-", BOM + jsonl({"text": "x"}) + b"plain\n", ["x", "plain"]),
        ("-", "a\u2028b\n".encode(), ["a\u2028b"]),
        ("-", b"", []),
    ],
)
def test_texts(read, name, content, expected):
    assert read(name, content) == expected


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.csv", b"", MissingColumn, "`text`, found none"),
        ("a.csv", b"id,label\n1,x\n", MissingColumn, "`text`, found id, label"),
        ("a.csv", b"Text\nx\n", MissingColumn, "found Text"),
        ("a.csv", "text\n很好\n".encode("gbk"), BrokenData, "is not UTF-8: convert it with `iconv -t utf-8`"),
        ("a.csv", b"text\n" + b"x\n" * 90000 + "好\n".encode("gbk"), BrokenData, "is not UTF-8"),
        ("a.csv", "text\n很好\n".encode("utf-16"), BrokenData, "is not UTF-8"),
        ("a.csv", b'text\n"' + b"x" * 200000, BrokenData, "field larger than field limit"),
        ("a.csv", b'"' + b"x" * 200000, BrokenData, "field larger than field limit"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', BrokenData, r"line 2: expected a JSON object, found '{\"text\": "),
        ("a.jsonl", b"words\n", BrokenData, "line 1: expected a JSON object, found 'words"),
        ("a.jsonl", b"[" * 100000, BrokenData, "line 1: expected a JSON object"),
        ("a.jsonl", b'["text"]\n', MissingColumn, "line 1: expected a column or key `text`, found none"),
        ("a.jsonl", jsonl({"text": "x"}, {"label": "y"}), MissingColumn, "line 2: .* found label"),
        ("a.jsonl", jsonl({"text": None}), MissingColumn, "line 1"),
        ("a.jsonl", jsonl({"text": 3}), MissingColumn, "line 1"),
        ("a.jsonl", '{"text": "很好"}\n'.encode("gbk"), BrokenData, "is not UTF-8"),
        ("a.parquet", b"", BrokenData, "not a readable Parquet file"),
        ("a.parquet", b"text\nx\n" * 9, BrokenData, "not a readable Parquet file"),
        ("a.parquet", GOOD[: len(GOOD) // 2], BrokenData, "not a readable Parquet file"),
        ("a.parquet", GOOD[:4] + b"\xff" * 60 + GOOD[64:], BrokenData, "not a readable Parquet file"),
        ("a.parquet", parquet(pa.table({"label": ["x"]})), MissingColumn, "`text`, found label"),
        ("a.parquet", parquet(pa.table({f"c{i}": ["x"] for i in range(500)})), MissingColumn, "found c0, c1.{,40}$"),
        ("a.parquet", parquet(pa.table({"text": [1, 2]})), BrokenData, "`text` of strings, found int64"),
        ("a.parquet", parquet(pa.table({"text": [["x"]]})), BrokenData, "of strings, found list"),
        ("a.parquet", parquet(pa.table({"text": pa.array(["好".encode("gbk")])})), BrokenData, "UTF8"),
        ("a.parquet", parquet(pa.table({"text": RAW_GBK})), BrokenData, "is not UTF-8"),
        ("a.parquet", parquet(pa.Table.from_arrays([pa.array(["x"])] * 2, ["text", "text"])), BrokenData, "text"),
        ("a.xlsx", b"PK", MissingData, r"expected \.csv, \.jsonl or \.parquet, found \.xlsx"),
        ("a", b"x", MissingData, "found no suffix"),
        ("-", "好\n".encode("gbk"), BrokenData, "^standard input is not UTF-8"),
        ("-", b'fine\n{"text": "x"}\n{broken\n', BrokenData, "^standard input, line 3: .*found '{broken'"),
        ("-", b'x\n{"label": "y"}\n', MissingColumn, "^standard input, line 2: .*found label"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(read, name, content, error, message):
    with pytest.raises(error, match=message) as caught:
        read(name, content)
    assert type(caught.value) is error
    assert len(str(caught.value)) < 500
    assert name == "-" or name in str(caught.value)


@pytest.mark.parametrize("name", ["gone.csv", "gone.jsonl", "gone.parquet"])
@pytest.mark.parametrize("folder", [False, True])
def test_what_is_no_file_is_named(name, folder, tmp_path):
    if folder:
        (tmp_path / name).mkdir()
    with pytest.raises(MissingData, match=f"{name} is not a file"):
        list(inputs.batches(str(tmp_path / name)))


def test_rows_before_a_broken_one_are_given_first(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl({"text": "x"}) * (inputs.BATCH + 1) + b"{")
    batches = inputs.batches(str(path))
    assert len(next(batches)) == inputs.BATCH
    with pytest.raises(BrokenData, match=f"line {inputs.BATCH + 2}"):
        next(batches)


LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"])))


@given(LINES)
def test_every_text_survives_each_format(tmp_path_factory, texts):
    folder = tmp_path_factory.getbasetemp()
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), folder / "any.parquet")
    (folder / "any.jsonl").write_bytes(jsonl(*({"text": one} for one in texts)))
    for name in ("any.parquet", "any.jsonl"):
        assert [text for batch in inputs.batches(str(folder / name)) for text in batch] == texts
