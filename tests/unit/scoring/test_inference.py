"""The inference path on a hand-made ONNX model: no Keras in sight."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from handmade import ENCODER, IMAGES, make
from PIL import Image

from luodi.data import image, text
from luodi.errors import ArtifactError
from luodi.scoring import inference


def test_probabilities_are_those_of_the_model(tmp_path: Path) -> None:
    weights = make(tmp_path)
    classifier = inference.Classifier.load(tmp_path)
    texts = ["好书", "坏", "x", "书书书书书书"]
    scores = ENCODER.encode(texts) @ weights
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found: Any = classifier.probabilities(texts)
    assert (found.dtype, classifier.labels) == (np.float32, ("no", "yes"))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, inference.BATCH, inference.BATCH + 1])
def test_every_text_has_its_row_whatever_the_batches(tmp_path: Path, count: int) -> None:
    make(tmp_path)
    classifier = inference.Classifier.load(tmp_path)
    texts = ["好坏书"[i % 3] * (i % 5 + 1) for i in range(count)]
    found = classifier.probabilities(texts)
    assert found.shape == (count, 2)
    for index in {0, count // 2, count - 1} & set(range(count)):
        np.testing.assert_allclose(found[index], classifier.probabilities([texts[index]])[0], atol=1e-6)


def test_texts_are_cleaned_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow builds its expressions for each column anew, which costs as much as to clean hundreds of texts."""
    make(tmp_path)
    classifier, cleaned, clean = inference.Classifier.load(tmp_path), list[int](), text.cleaned

    def told(texts: list[str]) -> list[str]:
        cleaned.append(len(texts))
        return clean(texts)

    monkeypatch.setattr(text, "cleaned", told)
    classifier.probabilities(["好"] * 600)
    assert cleaned == [600]


def test_an_image_model_predicts_image_files(tmp_path: Path) -> None:
    weights = make(tmp_path, IMAGES)
    pixels = np.random.default_rng(5).integers(0, 256, (5, *IMAGES.shape), np.uint8)
    files = [image.png(Image.fromarray(one[..., 0])) for one in pixels]
    scores = pixels.reshape(5, -1) @ weights
    expected = np.exp(scores - scores.max(axis=1, keepdims=True))
    found = inference.Classifier.load(tmp_path).probabilities(files)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_a_broken_image_is_refused(tmp_path: Path) -> None:
    make(tmp_path, IMAGES)
    with pytest.raises(image.Unfit, match="cannot be decoded"):
        inference.Classifier.load(tmp_path).probabilities([b"no image"])


@pytest.mark.parametrize(("side", "rows"), [(8, 256), (64, 256), (128, 64), (512, 4), (4096, 1)])
def test_the_larger_the_images_the_fewer_at_a_time(side: int, rows: int) -> None:
    assert inference.batch_rows(image.Encoder(("no", "yes"), side, side, 1, (0.5,), (0.25,))) == rows


def test_facts_of_the_two_modalities() -> None:
    assert inference.facts(ENCODER) == {"size": 5, "length": 4, "classes": 2}
    assert inference.facts(IMAGES) == {"height": 2, "width": 3, "channels": 1, "classes": 2}


def test_an_encoder_of_other_images_is_refused(tmp_path: Path) -> None:
    make(tmp_path, IMAGES, recorded=inference.facts(IMAGES) | {"width": 4})
    with pytest.raises(ArtifactError, match="do not belong together"):
        inference.Classifier.load(tmp_path)


def test_threads_make_no_difference(tmp_path: Path) -> None:
    make(tmp_path)
    one, two = (inference.Classifier.load(tmp_path, threads).probabilities(["好书", "坏书"]) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_latency_is_in_milliseconds(tmp_path: Path) -> None:
    make(tmp_path)
    assert 0 < inference.latency(inference.Classifier.load(tmp_path), "好书", 5) < 1000


@pytest.mark.parametrize("name", ["model.onnx", "encoder.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} does not exist"):
        inference.Classifier.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 100])
def test_a_broken_model_is_refused(tmp_path: Path, content: bytes) -> None:
    make(tmp_path)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="not a readable ONNX model"):
        inference.Classifier.load(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_model_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    make(tmp_path)
    path = tmp_path / "model.onnx"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArtifactError):
        inference.Classifier.load(tmp_path)


@pytest.mark.parametrize("wrong", [{"size": 6}, {"length": 5}, {"classes": 3}])
def test_an_encoder_of_another_model_is_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    make(tmp_path, recorded=inference.facts(ENCODER) | wrong)
    with pytest.raises(ArtifactError, match="do not belong together"):
        inference.Classifier.load(tmp_path)


def test_a_model_that_luodi_did_not_export_is_refused(tmp_path: Path) -> None:
    make(tmp_path, recorded={})
    model = onnx.load(tmp_path / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match="do not belong together"):
        inference.Classifier.load(tmp_path)


def test_imports_neither_tensorflow_nor_pandas_nor_sklearn() -> None:
    unwanted = "{'tensorflow', 'keras', 'pandas', 'sklearn'}"
    code = f"import sys, luodi.scoring.inference; print(sorted({unwanted} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
