"""The graph of an encoder gives the vectors of its checkpoint, whatever a row is padded to."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_encoder
from numpy.typing import NDArray

from luodi.data import subwords
from luodi.pretrained import checkpoint, graph
from luodi.pretrained.checkpoint import Checkpoint
from luodi.scoring import inference

TEXTS = ["", "a", tiny_encoder.texts(1)[0][0], "好书 unknown!", "a " * 60, " ".join(tiny_encoder.words(1, 9))]

POOLED = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "last": "pooling_mode_lasttoken"}


def ids_of(found: Checkpoint, texts: list[str]) -> list[list[int]]:
    return subwords.Encoder((), found.length, found.pad, found.tokenizer).ids(texts)


def vectors(found: Checkpoint, x: NDArray[np.int32]) -> NDArray[np.float32]:
    model = graph.of(found)
    onnx.checker.check_model(model)
    given: NDArray[np.float32] = inference.session(model.SerializeToString()).run(["vectors"], {"x": x})[0]
    return given


@pytest.mark.parametrize("family", checkpoint.FAMILIES)
@pytest.mark.parametrize("change", [{}, dict.fromkeys(("hidden_act", "activation", "activation_function"), "relu")])
@pytest.mark.parametrize("pooling", POOLED)
def test_vectors_are_those_of_an_independent_forward_pass(
    family: str, change: Mapping[str, Any], pooling: str, tmp_path: Path
) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny", family, **change)
    (folder / "1_Pooling").mkdir()
    own = {key: name == pooling for name, key in POOLED.items()}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **own}))
    found = checkpoint.read(folder)
    assert found.pooling == pooling
    ids = ids_of(found, TEXTS)
    assert max(map(len, ids)) == found.length == tiny_encoder.POSITIONS - (family in tiny_encoder.OFFSET)
    given = vectors(found, subwords.padded(ids, found.pad))
    expected = [tiny_encoder.vector(family, row, pooling=pooling, config=change) for row in ids]
    assert np.abs(given - np.stack(expected)).max() < 1e-5
    assert found.weights == sum(one.size for one in tiny_encoder.tensors(family).values())


def test_names_of_before_and_of_a_head_are_known(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    plain = tiny_encoder.write(tmp_path / "plain")
    older = Path(shutil.copytree(plain, tmp_path / "older"))
    weights = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in load_file(plain / "model.safetensors").items()
    }
    save_file(weights | {"cls.predictions.bias": np.zeros(3, np.float32)}, older / "model.safetensors")
    x = subwords.padded(ids_of(checkpoint.read(plain), TEXTS), 0)
    assert np.array_equal(vectors(checkpoint.read(older), x), vectors(checkpoint.read(plain), x))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_another_precision_is_read(kind: str, tmp_path: Path) -> None:
    import ml_dtypes
    from safetensors.numpy import save_file

    half: Any = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float64": np.float64}[kind]
    folder, weights = tiny_encoder.write(tmp_path / "half"), tiny_encoder.tensors("bert")
    save_file({name: value.astype(half) for name, value in weights.items()}, folder / "model.safetensors")
    found = checkpoint.read(folder).tensors()
    assert all(np.array_equal(found[name], weights[name].astype(half).astype(np.float32)) for name in found)


def test_the_same_checkpoint_is_the_same_bytes(tmp_path: Path) -> None:
    folder = tiny_encoder.write(tmp_path / "tiny")
    made = [graph.of(found) for found in (checkpoint.read(folder), checkpoint.read(folder))]
    first, second = (one.SerializeToString(deterministic=True) for one in made)
    assert first == second


def test_minilm_gives_the_vectors_of_its_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one, where it lies on this machine; nothing is downloaded."""
    import os

    from safetensors.numpy import load_file

    folder = Path(os.environ.get("LUODI_TEST_ENCODER", "no folder"))
    if not folder.is_dir():
        pytest.skip("LUODI_TEST_ENCODER names no folder of all-MiniLM-L6-v2")
    config = json.loads((folder / "config.json").read_text())
    for name, key in (("WIDTH", "hidden_size"), ("HEADS", "num_attention_heads"), ("LAYERS", "num_hidden_layers")):
        monkeypatch.setattr(tiny_encoder, name, config[key])
    weights = load_file(folder / "model.safetensors")
    monkeypatch.setattr(tiny_encoder, "tensors", lambda family: weights)
    found = checkpoint.read(folder)
    ids = ids_of(found, ["what is my balance", "Überweisung, bitte! 好书"])
    expected = [tiny_encoder.vector("bert", row, config=config) for row in ids]
    assert np.abs(vectors(found, subwords.padded(ids, found.pad)) - np.stack(expected)).max() < 1e-4
