"""`luodi encoder add`: a checkpoint becomes an encoder of the project, or nothing changes at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoder
import tiny_stem
import yaml
from project import Ended
from safetensors.numpy import save_file

from luodi import config
from luodi.config import encoders, locked
from luodi.errors import BrokenData, LuodiError, MissingData, ParamsError, UnknownKey, WrongValue
from luodi.files import folder_checksum
from luodi.pretrained import store
from luodi.project import programs
from luodi.scaffold import adding, pipeline, recipe
from luodi.scaffold import encoders as scaffold

NOBODY: Any = None  # runs no command: `dvc` is faked
FILES = ("params.yaml", "dvc.yaml", "params.lock", "data.dvc", "encoders.yaml")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without a model; `dvc add data` is faked: it writes the pointer."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text("models: {}\n")
    (folder / "dvc.yaml").write_text(pipeline.template())
    locked.write(folder)

    def dvc(runner: Any, where: Path, *arguments: Any) -> None:
        assert arguments == ("add", "data")
        if (where / "full").exists():
            raise LuodiError("no room")
        (where / "data.dvc").write_text(f"outs:\n- md5: {folder_checksum(where / 'data')}\n  path: data\n")

    monkeypatch.setattr(programs, "dvc", dvc)
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tiny_encoder.write(tmp_path / "Tiny_Encoder v2")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


def state(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in FILES if (root / name).is_file()}


def table(root: Path) -> Path:
    rows = [("text", "label"), *tiny_encoder.texts(200)]
    (root.parent / "sides.csv").write_text("\n".join(",".join(row) for row in rows))
    return root.parent / "sides.csv"


def test_a_checkpoint_becomes_an_encoder(root: Path, checkpoint: Path) -> None:
    said = scaffold.add(root, checkpoint, None, NOBODY)
    assert said.startswith("added encoder tiny-encoder-v2: bert, ")
    assert "licence: mit" in said
    assert "gate.max_size_mb" not in said
    known = encoders.read(root)["tiny-encoder-v2"]
    folder, recorded = store.find(root, "tiny-encoder-v2", encoders.TextEncoder)
    assert recorded == known
    assert (known.licence, known.width, known.length, known.pad, known.pooling) == ("mit", 16, 40, 0, "mean")
    assert known.md5 == folder_checksum(folder)
    assert {path.name for path in folder.iterdir()} == {"encoder.onnx", "tokenizer.json"}
    assert (root / "data.dvc").exists()
    scaffold.add(root, checkpoint, "again", NOBODY)
    assert list(encoders.read(root)) == ["tiny-encoder-v2", "again"]
    assert encoders.read(root)["again"] == known


def test_a_model_may_be_added_that_tries_it(root: Path, checkpoint: Path) -> None:
    scaffold.add(root, checkpoint, "tiny", NOBODY)
    said = adding.add_texts(root, "sides", table(root), NOBODY, encoder="tiny")
    assert "or one on the vectors of tiny: what validation rows favour" in said
    block = yaml.safe_load((root / "params.yaml").read_text())["models"]["sides"]
    assert block["train"] == {"architecture": "pretrained", "encoder": "tiny"}
    assert "max_size_mb" not in block["gate"]
    effective = yaml.safe_load((root / "params.lock").read_text())["models"]["sides"]["train"]["encoder"]
    assert effective == f"tiny {encoders.read(root)['tiny'].md5}"
    assert "encoders.yaml" in yaml.safe_load((root / "dvc.yaml").read_text())["stages"]["settings"]["deps"]


@pytest.mark.slow
def test_a_network_of_images_becomes_one_too(root: Path, tmp_path: Path) -> None:
    network = tiny_stem.write(tmp_path / "Stripes.keras")
    said = scaffold.add(root, network, None, NOBODY, "Apache-2.0")
    assert said.startswith("added encoder stripes: stripes, ")
    assert "licence: Apache-2.0\n  vectors of 4 values; it reads 12 x 12 pixels, colour\n" in said
    assert "luodi add NAME PATH --encoder stripes" in said
    folder, known = store.find(root, "stripes", encoders.ImageEncoder)
    assert {path.name for path in folder.iterdir()} == {"encoder.onnx", "stem.keras"}
    for place, (content, label) in enumerate(tiny_stem.images(60)):
        (tmp_path / "ways" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "ways" / label / f"{place}.png").write_bytes(content)
    said = adding.add_images(root, "ways", tmp_path / "ways", NOBODY, encoder="stripes")
    assert "or one on the vectors of stripes: what validation rows favour" in said
    assert "brought to 12 x 12 x 3" in said
    block = yaml.safe_load((root / "params.yaml").read_text())["models"]["ways"]
    assert block["train"] == {"architecture": "pretrained", "encoder": "stripes"}
    effective = yaml.safe_load((root / "params.lock").read_text())["models"]["ways"]["train"]["encoder"]
    assert effective == f"stripes {known.md5}"


@pytest.mark.parametrize(
    ("height", "width", "brought"),
    [(28, 28, (96, 96)), (100, 50, (96, 64)), (600, 800, (160, 224)), (9, 900, (32, 224))],
)
def test_images_have_a_size_that_a_stem_of_any_size_sees_something_of(
    height: int, width: int, brought: tuple[int, int]
) -> None:
    known = encoders.ImageEncoder(
        md5="0" * 32 + ".dir", licence="mit", family="MobileNetV2", size_bytes=1, weights=1, width=8, channels=3,
        size=None,
    )  # fmt: skip
    preprocess = recipe.of_stem("tiny", known, height, width).settings["preprocess"]
    assert (preprocess["height"], preprocess["width"], preprocess["channels"]) == (*brought, 3)


def test_a_model_of_no_encoder_changes_nothing(root: Path) -> None:
    before = state(root)
    with pytest.raises(UnknownKey, match="has no encoder 'tiny'"):
        adding.add_texts(root, "sides", table(root), NOBODY, encoder="tiny")
    assert state(root) == before


@pytest.mark.parametrize(("size", "limit"), [(90_700_000, None), (96_000_000, 110), (438_000_000, 460)])
def test_the_limit_of_the_gate_is_what_a_model_on_it_needs(size: int, limit: int | None, root: Path) -> None:
    known = encoders.TextEncoder(
        md5="0" * 32 + ".dir", licence="mit", family="bert", size_bytes=size, weights=1, width=8, length=9, pad=0,
        pooling="cls",
    )  # fmt: skip
    assert recipe.of_encoder("tiny", known)["gate"].get("max_size_mb") == limit
    advice = recipe.text(5000, 3, 0.0, encoder="tiny", recorded=known)
    assert advice.settings["train"] == {"architecture": "pretrained", "encoder": "tiny"}
    assert advice.settings["gate"].get("max_size_mb") == limit


@pytest.mark.parametrize(("characters", "weights", "limit"), [(40, 22_600_000, None), (40, 109_000_000, 240)])
def test_the_gate_allows_the_time_that_an_encoder_takes(
    characters: int, weights: int, limit: float | None, root: Path
) -> None:
    known = encoders.TextEncoder(
        md5="0" * 32 + ".dir", licence="mit", family="bert", size_bytes=1, weights=weights, width=8, length=512, pad=0,
        pooling="cls",
    )  # fmt: skip
    advice = recipe.text(5000, 3, 0.0, encoder="tiny", recorded=known, typical=characters)
    assert advice.settings["gate"].get("max_latency_ms") == limit


def test_a_cache_of_hugging_face_is_read_through_its_links(root: Path, checkpoint: Path) -> None:
    cache = root.parent / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    snapshot = cache / "snapshots" / "1f2a"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for place, path in enumerate(sorted(checkpoint.iterdir())):
        (cache / "blobs" / str(place)).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", str(place)))
    assert scaffold.add(root, snapshot, None, NOBODY).startswith("added encoder all-minilm-l6-v2: bert, ")
    folder, _ = store.find(root, "all-minilm-l6-v2", encoders.TextEncoder)
    assert not any(path.is_symlink() for path in folder.iterdir())
    (cache / "blobs" / str(place)).unlink()
    with pytest.raises(MissingData, match="holds no"):
        scaffold.add(root, snapshot, "again", NOBODY)


def taken(root: Path, checkpoint: Path) -> None:
    scaffold.add(root, checkpoint, "tiny", NOBODY)


def in_the_way(root: Path, checkpoint: Path) -> None:
    store.place(root, "tiny").mkdir(parents=True)


def of_a_model(root: Path, checkpoint: Path) -> None:
    block = {"modality": "text", "labels": ["a", "b"]}
    (root / "params.yaml").write_text(yaml.safe_dump({"models": {"encoders": block}}))


def untrained(root: Path, checkpoint: Path) -> None:
    blank = {name: np.zeros_like(value) for name, value in tiny_encoder.tensors("bert").items()}
    save_file(blank, checkpoint / "model.safetensors")


def no_room(root: Path, checkpoint: Path) -> None:
    (root / "full").touch()


@pytest.mark.parametrize(
    ("before", "name", "kind", "says"),
    [
        (taken, "tiny", WrongValue, "has an encoder tiny already: choose another name with --name"),
        (in_the_way, "tiny", LuodiError, "exists, though encoders.yaml has no encoder tiny: move it away"),
        (of_a_model, "tiny", WrongValue, "data/encoders holds a model's data: rename that model"),
        (lambda root, folder: None, "Tiny", WrongValue, "'Tiny' cannot name an encoder"),
        (untrained, "tiny", BrokenData, "gives no vectors, or the same to two different texts"),
        (no_room, "tiny", LuodiError, "no room"),
    ],
)
def test_all_of_it_or_nothing(
    before: Callable[[Path, Path], None], name: str, kind: type[LuodiError], says: str, *, root: Path, checkpoint: Path
) -> None:
    before(root, checkpoint)
    was, files = state(root), sorted((root / "data").rglob("*"))
    with pytest.raises(kind, match=says):
        scaffold.add(root, checkpoint, name, NOBODY)
    assert state(root) == was
    assert sorted((root / "data").rglob("*")) == files


def test_the_command_line(root: Path, luodi: Callable[..., Ended], tmp_path: Path) -> None:
    none = luodi(root, "encoder", "list")
    assert (none.returncode, none.stdout) == (0, "no encoder yet: `luodi encoder add DIR|FILE` adds one\n")
    known = encoders.TextEncoder(
        md5="0" * 32 + ".dir", licence="mit", family="bert", size_bytes=90_700_000, weights=22_565_376, width=384,
        length=256, pad=0, pooling="mean",
    )  # fmt: skip
    (root / encoders.NAME).write_text(encoders.text({"minilm": known}))
    listed = luodi(root, "encoder", "list", "--json")
    assert json.loads(listed.stdout) == {"minilm": known.model_dump(mode="json")}
    shown = luodi(root, "encoder", "list").stdout
    assert all(one in shown for one in ("minilm", "22,565,376", "90.7", "mit"))
    for path in (tmp_path / "nowhere", tmp_path):
        failed = luodi(root, "encoder", "add", str(path), "--name", "tiny")
        assert failed.returncode == MissingData.exit_code
        assert failed.stderr.startswith("error: ")
    image = luodi(root, "add", "a", "--modality", "image", "--from", str(tmp_path), "--encoder", "minilm")
    assert image.returncode == WrongValue.exit_code
    assert "minilm is an encoder of texts, and the model is one of images" in image.stderr


def test_a_setting_that_names_one_by_hand_is_checked(root: Path) -> None:
    block = {"modality": "text", "labels": ["a", "b"], "train": {"architecture": "pretrained", "encoder": "tiny"}}
    (root / "params.yaml").write_text(yaml.safe_dump({"models": {"sides": block}}))
    with pytest.raises(ParamsError, match="has no encoder 'tiny'"):
        locked.effective(root, config.load(root / "params.yaml"))
