"""Rows as a network reads them: those of rows.parquet, encoded, in its order; of train with its augmented copies."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from luodi import config
from luodi.data import encoders, image, modality
from luodi.errors import ArtifactError
from luodi.files import write_json
from luodi.nets import arrays
from luodi.project.paths import ModelPaths

SPLITS = ("train", "validation", "test")
COUNT = 60


def settings(kind: str, **augment: float) -> config.ModelSettings:
    own = {"height": 8, "width": 8, "channels": 1} if kind == "image" else {"tokenizer": "char", "max_length": 12}
    preprocess = own | ({"augment": augment} if augment else {})
    block = {"modality": kind, "labels": ["a", "b"], "preprocess": preprocess}
    return config.parse({"models": {"m": block}}, "params.yaml").models["m"]


def items(kind: str) -> pa.Array:
    if kind == "text":
        return pa.array([f"第{number}间房很好很好" for number in range(COUNT)])
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8), np.uint8)
    return pa.array([image.png(Image.fromarray(one)) for one in pixels])


def rows_of(root: Path, kind: str, labels: list[int] | None = None) -> ModelPaths:
    """What preprocess writes, in small row groups; splits stand one row by the other."""
    paths, found = ModelPaths(root, "m"), items(kind)
    paths.rows.parent.mkdir(parents=True)
    columns = {kind: found, "label": pa.array(labels or [0, 1] * (COUNT // 2), pa.int32()), "source": ["s"] * COUNT}
    pq.write_table(pa.table(columns | {"split": list(SPLITS) * (COUNT // 3)}), paths.rows, row_group_size=7)
    block = settings(kind)
    encoder = modality.of(kind).fit_encoder([found], block.preprocess, block.labels)
    write_json(paths.encoder, encoder.as_json())
    return paths


@pytest.mark.parametrize("kind", ["text", "image"])
def test_they_are_the_encoded_rows_of_the_split(kind: str, tmp_path: Path) -> None:
    paths = rows_of(tmp_path, kind)
    encoder, whole = encoders.load(paths.encoder), items(kind).to_pylist()
    for place, split in enumerate(SPLITS):
        x, y = arrays.load(split, settings(kind), paths, encoder)
        assert (x.shape, x.dtype, y.dtype) == (
            (COUNT // 3, *encoder.shape),
            np.dtype(encoder.dtype),
            np.dtype(np.int32),
        )
        assert (x == encoder.encode(whole[place::3])).all()
        assert y.tolist() == ([0, 1] * (COUNT // 2))[place::3]


def test_copies_stand_behind_the_rows_of_train_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And do not depend on how many rows are encoded at a time."""
    block, plain = settings("text", copies=2, swap=0.2, delete=0.0, mask=0.2), settings("text")
    paths = rows_of(tmp_path, "text")
    encoder, count = encoders.load(paths.encoder), COUNT // 3
    x, y = arrays.load("train", block, paths, encoder)
    alone, label = arrays.load("train", plain, paths, encoder)
    assert (x[:count] == alone).all() and y.tolist() == label.tolist() * 3
    assert not (x[count : 2 * count] == alone).all() and not (x[2 * count :] == x[count : 2 * count]).all()
    for split in SPLITS[1:]:
        assert (arrays.load(split, block, paths, encoder)[0] == arrays.load(split, plain, paths, encoder)[0]).all()
    monkeypatch.setattr(modality.of("text"), "CHUNK", 3)
    assert (arrays.load("train", block, paths, encoder)[0] == x).all()


def test_no_file_of_theirs_is_left(tmp_path: Path) -> None:
    """Not even while they are read: whatever ends the process, the system takes them back."""
    paths = rows_of(tmp_path, "image")
    before = sorted(tmp_path.rglob("*"))
    x, _ = arrays.load("train", settings("image"), paths, encoders.load(paths.encoder))
    assert sorted(tmp_path.rglob("*")) == before
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]
    assert mapped and all(line.endswith("(deleted)") for line in mapped), os.getpid()
    assert not x.flags.writeable


@pytest.mark.parametrize(
    ("split", "labels", "message"),
    [
        ("newest", None, "holds no row of split 'newest'"),
        ("train", [2] * COUNT, "expected labels from 0 to 1, found 2 to 2"),
        ("train", [-1] * COUNT, "expected labels from 0 to 1, found -1 to -1"),
    ],
)
def test_rows_that_no_network_can_be_trained_on_are_refused(
    split: str, labels: list[int] | None, message: str, tmp_path: Path
) -> None:
    paths = rows_of(tmp_path, "text", labels)
    with pytest.raises(ArtifactError, match=message):
        arrays.load(split, settings("text"), paths, encoders.load(paths.encoder))


@pytest.mark.parametrize("content", [None, b"", b"junk", b"PAR1 and no more PAR1"])
def test_without_a_whole_file_the_stage_to_run_is_named(content: bytes | None, tmp_path: Path) -> None:
    paths = rows_of(tmp_path, "text")
    paths.rows.unlink() if content is None else paths.rows.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"rows.parquet .*run `(luodi preprocess \w+|dvc repro)`"):
        arrays.load("train", settings("text"), paths, encoders.load(paths.encoder))


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    paths = rows_of(tmp_path, "image")
    block = settings("image")
    larger = image.Encoder(block.labels, 16, 16, 1, (0.5,), (0.5,))
    with pytest.raises(ArtifactError, match=r"rows.parquet .*run `(luodi preprocess \w+|dvc repro)`"):
        arrays.load("train", block, paths, larger)
