"""A model on a stem's vectors of images: as it came and trained on, exported and read back."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_stem

from luodi import config
from luodi.config import encoders, user_code
from luodi.data.image import Encoder
from luodi.errors import ParamsError, WrongValue
from luodi.files import folder_checksum
from luodi.nets import checkpoints
from luodi.pretrained import image, store, vectors
from luodi.pretrained.frozen import Frozen
from luodi.project.paths import ModelPaths
from luodi.scaffold import stems
from luodi.scoring import choice, inference

pytestmark = pytest.mark.slow

ROWS = 120
SIZE = {"height": tiny_stem.SIDE, "width": tiny_stem.SIDE}


def settings(preprocess: dict[str, Any] = SIZE, **train: Any) -> config.ImageSettings:
    block: dict[str, Any] = {"modality": "image", "labels": list(tiny_stem.STRIPES), "preprocess": preprocess}
    block["train"] = {"architecture": "pretrained", "encoder": "stripes", "threads": 1, **train}
    found = config.parse({"models": {"ways": block}}, "params.yaml").models["ways"]
    assert isinstance(found, config.ImageSettings)
    return found


@pytest.fixture(scope="module")
def stem(tmp_path_factory: pytest.TempPathFactory) -> ModelPaths:
    """A project with a stem and the rows of a model. Do not change it."""
    root = tmp_path_factory.mktemp("stem")
    known = stems.prepared(tiny_stem.write(root / "stripes.keras"), store.place(root, "stripes"), "mit")
    (root / encoders.NAME).write_text(encoders.text({"stripes": known}), encoding="utf-8")
    paths = ModelPaths(root, "ways")
    paths.rows.parent.mkdir(parents=True)
    images, labels = zip(*tiny_stem.images(ROWS), strict=True)
    split = ["train", "train", "train", "train", "validation", "validation", "test", "test"] * (ROWS // 8)
    label = pa.array([tiny_stem.STRIPES[one] for one in labels], pa.int32())
    table = {"image": pa.array(images, pa.large_binary()), "label": label, "source": ["a"] * ROWS, "split": split}
    pq.write_table(pa.table(table), paths.rows)
    return paths


def right(folder: Path) -> float:
    """Of rows that no training saw."""
    fresh, served = tiny_stem.images(40, seed=5), inference.Classifier.load(folder)
    given = served.probabilities([one for one, _ in fresh])
    return float(np.mean([served.labels[row.argmax()] == label for row, (_, label) in zip(given, fresh, strict=True)]))


def test_it_learns_what_pixels_do_not_tell(stem: ModelPaths, home: Path, tmp_path: Path) -> None:
    frozen = image.fit(settings(), stem)
    for name in ("first", "second"):
        frozen.write(tmp_path / name)
    assert {path.name for path in (tmp_path / "first").iterdir()} == {"model.onnx", "encoder.json"}
    assert right(tmp_path / "first") > 0.95
    assert folder_checksum(tmp_path / "first") == folder_checksum(tmp_path / "second")
    facts = frozen.facts()
    assert choice.sentence({"chosen": "pretrained", "encoder": facts}).startswith(
        "the pretrained encoder stripes under a linear model of 10 trained weights (stripes, "
    )
    assert facts["licence"] == "mit"


def _encoder(frozen: Frozen) -> Encoder:
    assert isinstance(frozen.encoder, Encoder)
    return frozen.encoder


def test_a_vector_depends_on_its_image_alone(stem: ModelPaths, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = image.fit(settings(), stem)
    assert "90 of 90 images" in capsys.readouterr().out
    assert np.array_equal(image.fit(settings(), stem).both.features, first.both.features)
    assert "0 of 90 images" in capsys.readouterr().out
    images = [one for one, _ in tiny_stem.images(70)]
    known = encoders.of(stem.root, "stripes", encoders.ImageEncoder)
    graph, together = store.place(stem.root, "stripes") / store.GRAPH, partial(image._together, encoder=_encoder(first))
    of = partial(vectors.of, together=together, graph=graph, recorded=known)
    found = of(images, paths=ModelPaths(stem.root, "together"))
    for place in (0, 33, 69):
        assert np.array_equal(of([images[place]], paths=ModelPaths(stem.root, f"m{place}"))[0], found[place])


def test_it_is_trained_on_from_there(stem: ModelPaths, home: Path, tmp_path: Path) -> None:
    """All but batch norm, which stays to the last bit; what is exported is what was trained."""
    tuning = settings(tuning="full", learning_rate=0.01, epochs=2)
    assert (tuning.train.batch_size, tuning.train.clip_norm) == (32, 1.0)
    frozen = image.fit(tuning, stem)
    tuned = image.tune(frozen, checkpoints.of_stage(tuning, stem, frozen.encoder))
    assert len(tuned.history) == 2
    assert np.abs(tuned.scores - frozen.scores).max() > 1e-3
    layers = {one.name: one for one in tuned.net.model._flatten_layers()}
    assert np.allclose(layers["norm"].get_weights(), [np.ones(4), np.zeros(4), np.full(4, 0.01), np.full(4, 0.2)])
    assert np.abs(layers["steepness"].get_weights()[0] - tiny_stem.network().get_layer("steepness").get_weights()).max()
    assert tuned.facts()["trained"] == 3 * 3 * 3 * 4 + 4 * 2 + 2
    tuned.write(tmp_path / "tuned")
    assert right(tmp_path / "tuned") > 0.95
    again = image.tune(frozen, checkpoints.of_stage(tuning, stem, frozen.encoder))
    again.write(tmp_path / "again")
    assert folder_checksum(tmp_path / "tuned") == folder_checksum(tmp_path / "again")
    found = tuned.out_of_fold(np.arange(90) % 9)
    assert (found.argmax(1) == frozen.both.label).mean() > 0.9


@pytest.mark.parametrize(
    ("preprocess", "says"),
    [
        ({}, r"stripes reads images of 12 x 12 pixels, colour, .* preprocess: \{height: 12, width: 12, channels: 3\}"),
        ({**SIZE, "channels": 1}, "stripes reads images of 12 x 12 pixels, colour"),
    ],
)
def test_images_of_another_kind_are_told(preprocess: dict[str, Any], says: str, stem: ModelPaths) -> None:
    with pytest.raises(WrongValue, match=says):
        user_code.effective(settings(preprocess), stem.root)


def test_a_model_of_texts_has_no_stem(stem: ModelPaths) -> None:
    train = {"architecture": "pretrained", "encoder": "stripes"}
    block = {"modality": "text", "labels": ["a", "b"], "train": train}
    found = config.parse({"models": {"sides": block}}, "params.yaml").models["sides"]
    with pytest.raises(WrongValue, match="stripes is an encoder of images, and the model is one of texts"):
        user_code.effective(found, stem.root)


def test_lower_precision_is_not_for_a_stem() -> None:
    with pytest.raises(ParamsError, match="mixed_bfloat16 is not for a pretrained encoder of images"):
        settings(precision="mixed_bfloat16")
