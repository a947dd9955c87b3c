"""A project with an encoder and the rows of a model on it."""

from pathlib import Path

import pytest
import tiny_encoder

from luodi.config import encoders
from luodi.config.encoders import TextEncoder
from luodi.data import subwords
from luodi.files import folder_checksum
from luodi.pretrained import checkpoint, graph, store
from luodi.project.paths import ModelPaths

ROWS = 120


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> ModelPaths:
    """A project with an encoder and the rows of a model. Do not change it."""
    return project(tmp_path_factory.mktemp("frozen"), "roberta")  # of an odd length


@pytest.fixture
def decoding(tmp_path: Path) -> ModelPaths:
    """The same with a decoder."""
    return project(tmp_path / "decoding", "gpt2")


def project(root: Path, family: str) -> ModelPaths:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = checkpoint.read(tiny_encoder.write(root / "checkpoint", family))
    folder = store.place(root, "tiny")
    folder.mkdir(parents=True)
    model = graph.of(found)
    (folder / store.GRAPH).write_bytes(model.SerializeToString(deterministic=True))
    (folder / subwords.TOKENIZER).write_text(found.tokenizer, encoding="utf-8")
    known = TextEncoder(
        md5=folder_checksum(folder), licence="mit", family=family, size_bytes=1, weights=found.weights, width=16,
        length=found.length, pad=found.pad, pooling=found.pooling,
    )  # fmt: skip
    (root / encoders.NAME).write_text(encoders.text({"tiny": known}), encoding="utf-8")
    paths = ModelPaths(root, "sides")
    paths.rows.parent.mkdir(parents=True)
    texts, labels = zip(*tiny_encoder.texts(ROWS), strict=True)
    split = ["train", "train", "train", "train", "validation", "validation", "test", "test"] * (ROWS // 8)
    label = pa.array([one == "right" for one in labels]).cast(pa.int32())
    pq.write_table(pa.table({"text": texts, "label": label, "source": ["a"] * ROWS, "split": split}), paths.rows)
    return paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUODI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
