"""An odd text has one answer: as training gives it, as exported, by luodi.load and by `luodi predict`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_encoder
from project import Ended

import luodi as package
from luodi import config
from luodi.data import text as texts
from luodi.files import folder_checksum, write_json
from luodi.linear import fitting
from luodi.pretrained import text, vectors
from luodi.pretrained.frozen import Frozen
from luodi.pretrained.lengths import together
from luodi.project.paths import ModelPaths
from luodi.scoring.inference import Classifier

NEAR = 1e-5


def fitted(made: ModelPaths, **train: Any) -> Frozen:
    block: dict[str, Any] = {"modality": "text", "labels": ["left", "right"]}
    block["train"] = {"architecture": "pretrained", "encoder": "tiny", "threads": 1, **train}
    found = config.parse({"models": {"sides": block}}, "params.yaml").models["sides"]
    assert isinstance(found, config.TextSettings)
    return text.fit(found, made)


def pulled(folder: Path) -> Path:
    """Make what was exported a folder that `luodi pull` brought."""
    write_json(folder / "version.json", {"version": "sides@v1.0.0", "export": folder_checksum(folder)})
    return folder


@pytest.mark.parametrize(
    ("tuning", "count"),
    [
        ("frozen", 300),
        pytest.param("frozen", 10_000, marks=pytest.mark.proof),
        pytest.param("lora", 10_000, marks=[pytest.mark.proof, pytest.mark.timeout(7200)]),
    ],
)
def test_odd_texts_have_one_answer(
    tuning: str, count: int, *, made: ModelPaths, home: Path, tmp_path: Path, luodi: Callable[..., Ended]
) -> None:
    odd = tiny_encoder.odd(count)
    clean = texts.clean_list(odd)
    if tuning == "frozen":
        frozen = fitted(made)
        frozen.write(tmp_path / "export")
        trained = by_head(frozen, clean, made)
    else:
        tuned = text.tune(fitted(made, tuning="lora", epochs=1, batch_size=16, learning_rate=0.02))
        tuned.write(tmp_path / "export")
        trained = by_keras(tuned, clean)
    assert np.ptp(trained[:, 0]) > 0.01  # they are told apart
    exported = Classifier.load(tmp_path / "export").probabilities(odd)
    folder = pulled(tmp_path / "export")
    pq.write_table(pa.table({"text": odd}), tmp_path / "odd.parquet")
    ended = luodi(tmp_path, "predict", str(folder), "--input", "odd.parquet", "--output", "answers.parquet")
    assert ended.returncode == 0, ended.stderr
    answers = pq.read_table(tmp_path / "answers.parquet").to_pydict()
    assert answers["text"] == odd
    loaded = package.load(folder).predict_proba(odd)
    for other in (trained, loaded):
        assert np.abs(other - exported).max() < NEAR
    assert np.abs(exported.max(1) - np.array(answers["probability"])).max() < NEAR
    sure = np.abs(exported[:, 0] - 0.5) > NEAR
    assert [("left", "right")[place] for place in exported[sure].argmax(1)] == np.array(answers["prediction"])[
        sure
    ].tolist()


def by_head(frozen: Frozen, clean: list[str], made: ModelPaths) -> Any:
    """The vectors as training computes them, and the logistic regression that is exported."""
    encoder: Any = frozen.encoder
    found = vectors.of(clean, partial(together, encoder=encoder), frozen.graph, frozen.recorded, made)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    features = (unit - frozen.standard.mean) / frozen.standard.scale
    final = fitting.again(frozen.both, frozen.classes, frozen.judged, frozen._logistic)
    return shares(final.logits(features))


def by_keras(tuned: Any, clean: list[str]) -> Any:
    """What Keras says of texts of like lengths."""
    found = np.empty((len(clean), 2), np.float32)
    for places, _, encode in together(clean, tuned.frozen.encoder):
        found[list(places)] = tuned.net.model.predict_on_batch(encode())
    return found


def shares(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
