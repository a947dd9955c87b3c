"""Parquet as Hugging Face's `datasets` writes it: numbered parts of splits, names of classes, images inside."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from images import png

from luodi.data import documents, inputs, pictures, tables
from luodi.data.columns import NOTHING
from luodi.data.labels import Labels
from luodi.errors import BrokenData
from luodi.scaffold import guessing

FEATURES = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}
IMAGES = [png((4, 4), value) for value in (10, 200)]


def write(path: Path, features: Any = None, **columns: Any) -> Path:
    info = {"info": {"features": FEATURES if features is None else features}}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(info)}), path)
    return path


def texts(source: Path, tmp_path: Path) -> list[tuple[Any, ...]]:
    (room := tmp_path / "room").mkdir()
    found = documents.opened(source, tables.PLAIN, NOTHING, Labels(), room)
    return [(row.item, row.label, row.source) for row in found.rows]


def images(source: Path, tmp_path: Path) -> list[tuple[Any, ...]]:
    (room := tmp_path / "room").mkdir()
    files, _ = pictures.pictures(source, None, room, given=tables.PLAIN, wanted=NOTHING, labels=Labels())
    return [(row.item, row.label, row.source, row.origin) for row in pictures.images(files)]


def struct(*content: Any) -> pa.Array:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([one and {"bytes": one, "path": "x.png"} for one in content], kind)


def test_numbers_of_classes_are_their_names_and_none_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", text=["a", "b", "c", "d"], label=[1, 0, -1, None])
    assert texts(path, tmp_path) == [
        (text, label, "a.parquet") for text, label in zip("abcd", ["dog", "cat", None, None], strict=True)
    ]


@pytest.mark.parametrize(
    "features", [{}, [], {"label": 3}, {"other": FEATURES["label"]}, {"label": {"_type": "ClassLabel", "names": []}}]
)
def test_numbers_without_names_stay_numbers(features: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", features, text=["a", "b"], label=[1, 0])
    assert [label for _, label, _ in texts(path, tmp_path)] == ["1", "0"]


def test_strings_are_labels_whatever_names_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", text=["a", "b"], label=["1", "x"])
    assert [label for _, label, _ in texts(path, tmp_path)] == ["1", "x"]


@pytest.mark.parametrize("below", ["", "data"])
def test_numbered_parts_are_read_as_their_splits(below: str, tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    for part, text in (("train-00000-of-00002", "a"), ("train-00001-of-00002", "b"), ("validation-00000-of-00001", "c"),
                       ("test-00000-of-00001", "d")):  # fmt: skip
        write(folder / below / f"{part}.parquet", text=[text], label=[1])
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    found = sorted(texts(folder, tmp_path))
    assert found == [("a", "dog", "train"), ("b", "dog", "train"), ("c", "dog", "val"), ("d", "dog", "test")]
    assert guessing.modality(folder) == "text"


def test_many_parts_are_told_in_one_line(tmp_path: Path) -> None:
    paths = [(tmp_path / f"train-{part}-of-7.parquet", ".parquet") for part in range(7)]
    assert tables.told([(tmp_path / "a.csv", ".csv"), *paths]) == [
        "read a.csv as .csv",
        "read train-0-of-7.parquet, train-1-of-7.parquet, train-2-of-7.parquet and 4 more as .parquet",
    ]


def test_a_whole_beside_a_part_is_in_doubt(tmp_path: Path) -> None:
    for name in ("train.csv", "train-00000-of-00002.csv"):
        (tmp_path / "hf").mkdir(exist_ok=True)
        (tmp_path / "hf" / name).write_text("text,label\na,b\n")
    with pytest.raises(Exception, match="one table each of train, val and test"):
        texts(tmp_path / "hf", tmp_path)


@pytest.mark.parametrize("column", [struct(*IMAGES, None), pa.array([*IMAGES, None])], ids=["struct", "binary"])
def test_images_inside_are_images(column: pa.Array, tmp_path: Path) -> None:
    path = write(tmp_path / "hf" / "train-00000-of-00001.parquet", image=column, label=[0, 1, 1])
    write(tmp_path / "hf" / "test-00000-of-00001.parquet", image=column[:1], label=[0])
    found = images(tmp_path / "hf", tmp_path)
    name = path.name
    assert found[1:] == [
        (IMAGES[0], "cat", "train", f"{name}, row 0"),
        (IMAGES[1], "dog", "train", f"{name}, row 1"),
        (None, "dog", "train", f"{name}, row 2"),
    ]
    assert found[0][:3] == (IMAGES[0], "cat", "test")
    assert guessing.modality(tmp_path / "hf") == guessing.modality(path) == "image"


def test_images_inside_are_predicted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", image=struct(*IMAGES))
    assert [one for batch in inputs.images(str(path)) for one in batch] == [
        ("a.parquet, row 0", IMAGES[0]),
        ("a.parquet, row 1", IMAGES[1]),
    ]


def test_images_are_no_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", text=struct(*IMAGES), label=[0, 1])
    with pytest.raises(BrokenData, match="expected a column `text` of strings, found struct"):
        texts(path, tmp_path)


def test_texts_in_bytes_are_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", text=[b"a", "很".encode()], label=[0, 1])
    assert guessing.modality(path) == "text"
    assert texts(path, tmp_path) == [("a", "cat", "a.parquet"), ("很", "dog", "a.parquet")]
