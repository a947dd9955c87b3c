"""Texts and images to predict, from files of every kind and standard input; what cannot be read is named."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from luodi.cli import prediction
from luodi.data import image, image_files, inputs
from luodi.data.text import Encoder
from luodi.errors import BrokenData, EmptyData, MissingColumn, MissingData
from luodi.scoring import bulk

ROWS = ["很好", "不,好", 'a "b"', "两\n行", "", "😀"]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
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
        ("a.jsonl", jsonl({"text": "x"}, {"label": "y"}, {"text": None}), ["x", "", ""]),
        ("a.csv", b"Text\nx\n", ["x"]),
        ("a.csv", b"id,review\n1,x\n", ["x"]),
        ("a.csv", b"words,label\nx,1\n", ["x"]),
        ("a.csv", "text\n很好\n".encode("utf-16"), ["很好"]),
        ("a.txt", b"text\nx, y\n", ["x, y"]),
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
def test_texts(read: Callable[..., Any], name: str, content: bytes, expected: list[str]) -> None:
    assert read(name, content) == expected


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.csv", b"", EmptyData, "holds no row: expected at least one"),
        ("a.csv", b"id,label,day\n1,x,y\n", MissingColumn, "--text-column; found id, label, day; .*--no-header"),
        ("a.csv", "text\n很好\n".encode("gbk"), BrokenData, "is not UTF-8, .*: name its encoding"),
        ("a.csv", b"text\n" + b"x\n" * 90000 + "好\n".encode("gbk"), BrokenData, "is not UTF-8"),
        ("a.csv", b'text\n"' + b"x" * 200000, BrokenData, "line 2: a quote opens in the last row"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', BrokenData, r"line 2: expected a JSON object, found '{\"text\": "),
        ("a.jsonl", b"words\n", BrokenData, "line 1: expected a JSON object, found 'words"),
        ("a.jsonl", b"[" * 100000, BrokenData, "line 1: expected a JSON object"),
        ("a.jsonl", b'["text"]\n', BrokenData, "line 1: expected a JSON object, found"),
        ("a.json", b'{"text": "x"}\n["text"]\n', BrokenData, "line 2: expected a JSON object, found"),
        ("a.jsonl", jsonl({"text": 3}), BrokenData, "line 1: expected a text in quotes under `text`, found 3"),
        ("a.jsonl", '{"text": "很好"}\n'.encode("gbk"), BrokenData, "is not UTF-8"),
        ("a.parquet", b"", BrokenData, "not a readable Parquet file"),
        ("a.parquet", b"text\nx\n" * 9, BrokenData, "not a readable Parquet file"),
        ("a.parquet", GOOD[: len(GOOD) // 2], BrokenData, "not a readable Parquet file"),
        ("a.parquet", GOOD[:4] + b"\xff" * 60 + GOOD[64:], BrokenData, "not a readable Parquet file"),
        ("a.parquet", parquet(pa.table({"label": ["x"], "id": ["x"], "day": ["x"]})), MissingColumn, "found label, id"),
        ("a.parquet", parquet(pa.table({f"c{i}": ["x"] for i in range(500)})), MissingColumn, "found c0, c1.{,40}$"),
        ("a.parquet", parquet(pa.table({"text": [1, 2]})), BrokenData, "`text` of strings, found int64"),
        ("a.parquet", parquet(pa.table({"text": [["x"]]})), BrokenData, "of strings, found list"),
        ("a.parquet", parquet(pa.table({"text": pa.array(["好".encode("gbk")])})), BrokenData, "UTF8"),
        ("a.parquet", parquet(pa.table({"text": RAW_GBK})), BrokenData, "is not UTF-8"),
        ("a.parquet", parquet(pa.Table.from_arrays([pa.array(["x"])] * 2, ["text", "text"])), BrokenData, "text"),
        ("a.xlsx", b"PK", BrokenData, "is not a readable workbook"),
        ("a.doc", b"x", MissingData, r"expected \.csv, .*found \.doc"),
        ("a", b"x", MissingData, "found no suffix"),
        ("-", "好\n".encode("gbk"), BrokenData, "^standard input is not UTF-8"),
        ("-", b'fine\n{"text": "x"}\n{broken\n', BrokenData, "^standard input, line 3: .*found '{broken'"),
        ("-", b'x\n{"label": "y"}\n', MissingColumn, "^standard input, line 2: .*found label"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(read: Any, name: str, content: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read(name, content)
    assert caught.value.exit_code == error.exit_code
    assert len(str(caught.value)) < 500
    assert name == "-" or name in str(caught.value)


@pytest.mark.parametrize("name", ["gone.csv", "gone.jsonl", "gone.parquet"])
@pytest.mark.parametrize("folder", [False, True])
def test_what_is_no_file_is_named(name: str, folder: bool, tmp_path: Path) -> None:
    if folder:
        (tmp_path / name).mkdir()
    with pytest.raises(MissingData, match=f"{name} is not a file"):
        list(inputs.batches(str(tmp_path / name)))


def test_rows_before_a_broken_one_are_given_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl({"text": "x"}) * (inputs.BATCH + 1) + b"{")
    batches = inputs.batches(str(path))
    assert len(next(batches)) == inputs.BATCH
    with pytest.raises(BrokenData, match=f"line {inputs.BATCH + 2}"):
        next(batches)


LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"])))


@given(LINES)
def test_every_text_survives_each_format(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), folder / "any.parquet")
    (folder / "any.jsonl").write_bytes(jsonl(*({"text": one} for one in texts)))
    for name in ("any.parquet", "any.jsonl"):
        assert [text for batch in inputs.batches(str(folder / name)) for text in batch] == texts


def picture(value: int = 0) -> Any:
    return image.png(Image.new("L", (4, 4), value))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of images, in folders of their own, among other files."""
    folder = tmp_path / "in"
    for place, name in enumerate(("b.png", "a/z.JPG", "a/c/d.jpeg", "a.png", "ä/x.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(place))
    for name in (".hidden.png", "notes.txt", "a/.cache/e.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def names(source: Any) -> Any:
    return [name for batch in inputs.images(str(source)) for name, _ in batch]


def test_a_folder_gives_its_images_in_order_of_name(pictures: Path) -> None:
    expected = ["a/c/d.jpeg", "a/z.JPG", "a.png", "b.png", "ä/x.png"]
    assert names(pictures) == [str(pictures / name) for name in expected]
    assert next(inputs.images(str(pictures)))[0][1] == (pictures / "a/c/d.jpeg").read_bytes()


def test_one_file_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"x")
    assert list(inputs.images(str(tmp_path / "scan"))) == [[(str(tmp_path / "scan"), b"x")]]


def test_batches_of_images_are_bounded(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "IMAGES", 2)
    assert [len(batch) for batch in inputs.images(str(pictures))] == [2, 2, 1]
    monkeypatch.setattr(inputs, "BYTES", 1)
    assert [len(batch) for batch in inputs.images(str(pictures))] == [1] * 5


def test_links_inside_the_folder_are_read_once(pictures: Path) -> None:
    (pictures / "c.png").symlink_to(pictures / "b.png")
    (pictures / "d").symlink_to(pictures / "a")
    assert [name.removeprefix(f"{pictures}/") for name in names(pictures)] == [
        "a/c/d.jpeg", "a/z.JPG", "a.png", "b.png", "c.png", "ä/x.png"
    ]  # fmt: skip


def test_the_folder_itself_may_be_a_link(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pictures)
    assert len(names(tmp_path / "link")) == 5


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("c.png", lambda path: path.symlink_to("/etc/passwd"), "a link that leads out of"),
        ("c", lambda path: path.symlink_to("/etc"), "a link that leads out of"),
        ("c", lambda path: path.symlink_to(".."), "a link that leads out of"),
        ("c.png", lambda path: path.symlink_to("gone.png"), "a link that leads nowhere"),
        ("c.png", lambda path: path.symlink_to("c.png"), "a link that leads nowhere"),
        ("c.png", os.mkfifo, "not a regular file"),
        ("c.png", lambda path: path.write_bytes(b"x" * 101), "too large: expected an image of at most 100 bytes"),
    ],
    ids=["file", "folder", "parent", "gone", "loop", "pipe", "large"],
)
def test_what_is_no_file_of_the_folder_is_refused_and_named(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[..., Any], message: str
) -> None:
    monkeypatch.setattr(image_files, "LARGEST", 100)
    make(pictures / name)
    with pytest.raises(BrokenData, match=f"{name} is {message}"):
        names(pictures)


@pytest.mark.parametrize("source", ["gone", "gone.png", "-", "empty", "pipe.png"])
def test_no_image_is_an_error_that_names_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(MissingData, match=source):
        names(source)


class Reader:
    """Stands for an image classifier: the brighter, the likelier "light"."""

    labels, version = ("dark", "light"), "m@v1.0.0"

    def probabilities(self, files: list[bytes]) -> np.ndarray | None:
        light = [np.asarray(image.open_image(data, 10)).mean() / 255 for data in files]
        return np.array([[1 - value, value] for value in light])


def test_predictions_of_images_name_the_file(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = next(inputs.images(str(pictures)))
    reader: Any = Reader()
    prediction.write_predictions(
        "file", [name for name, _ in files], bulk.images_of(reader, *zip(*files, strict=True)), reader
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == [name for name, _ in files]
    assert set(lines[0]) == {"file", "label", "probability", "version"}
    assert lines[0]["label"] == "dark"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"text", "image cannot be decoded"), (b"", "image is missing"), (picture()[:60], "image cannot be decoded")],
    ids=["text", "empty", "cut"],
)
def test_an_image_that_cannot_be_used_is_named(content: Any, reason: str) -> None:
    reader: Any = Reader()
    with pytest.raises(BrokenData, match=f"^bad.png: {reason}") as caught:
        bulk.images_of(reader, ["good.png", "bad.png"], [picture(), content])
    assert caught.value.exit_code == BrokenData.exit_code


class Answers:
    """Stands for a text classifier: it cleans as one does, and says "long" of what has two characters or more."""

    labels, version = ("short", "long"), "m@v1.0.0"

    def probabilities(self, texts: list[str]) -> np.ndarray | None:
        encoded = Encoder(("a", "b"), "char", 3, 9, (), ("好",)).encode(texts)
        long = (encoded != 0).sum(axis=1) > 1
        return np.stack([~long, long], axis=1).astype(np.float32)


def test_a_row_that_holds_nothing_to_classify_gets_a_null_and_the_others_their_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = ["很好", "", "好", "<br/>", "\ufeff"]
    answers: Any = Answers()
    prediction.write_predictions("text", texts, bulk.texts_of(answers, texts), answers)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == texts
    assert [line["label"] for line in lines] == ["long", None, "short", None, None]
    assert lines[1] == {
        "text": "", "label": None, "probability": None, "version": "m@v1.0.0", "reason": "nothing to classify"
    }  # fmt: skip
    assert bulk.texts_of(answers, [""]).shape == (1, 2)
