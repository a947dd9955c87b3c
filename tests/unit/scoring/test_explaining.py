"""What parts add, beside what is known of models made by hand."""

from pathlib import Path

import handmade
import images
import numpy as np
import pytest

from luodi.data import parts
from luodi.scoring.explaining import explain
from luodi.scoring.inference import Classifier, run_session


def test_regions_of_a_linear_model_add_what_its_weights_say(tmp_path: Path) -> None:
    """Shapley values of a sum are its terms, whatever the orders."""
    weights = handmade.make(tmp_path, handmade.IMAGES) / 255  # so that no probability is 0 or 1
    rewrite(tmp_path, weights)
    classifier, item = Classifier.load(tmp_path), images.png(3)
    found = explain(classifier, item, "no")
    pixels = handmade.IMAGES.encode([item])[0].astype(float)
    beyond = (pixels - np.median(pixels, axis=(0, 1)).astype(np.uint8)).reshape(-1)
    assert found.weights == pytest.approx(beyond * (weights[:, 0] - weights[:, 1]), abs=1e-4)
    assert found.label == "no"


def test_what_parts_of_a_text_add_sums_to_what_it_has_more_than_nothing(tmp_path: Path) -> None:
    rewrite(tmp_path, handmade.make(tmp_path) / 8)
    classifier = Classifier.load(tmp_path)
    found = explain(classifier, "好 坏书 ok")
    (chances,) = classifier.probabilities(["好 坏书 ok"])
    assert found.label == classifier.labels[chances.argmax()]
    assert found.probability == pytest.approx(chances.max())
    none = parts.of(classifier.encoder, "好 坏书 ok").without(np.zeros((1, 4), bool))
    ends = [odds(found.probability), odds(run_session(classifier.session, none)[0, int(chances.argmax())])]
    assert found.weights.sum() == pytest.approx(ends[0] - ends[1], abs=1e-4)
    assert found.weights.tolist() == explain(classifier, "好 坏书 ok").weights.tolist()  # the same each time
    told = found.as_json()["parts"]
    assert [one["text"] for one in told] == ["好", "坏", "书", "ok"]


def odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


def rewrite(folder: Path, weights: np.ndarray) -> None:
    """Give the model by hand other weights."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(folder / "model.onnx")
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights.astype(np.float32), "w"))
    onnx.save(model, folder / "model.onnx")


def test_a_report_explains_as_many_as_it_can_afford(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luodi.scoring import explaining

    rewrite(tmp_path, handmade.make(tmp_path) / 8)
    classifier = Classifier.load(tmp_path)
    items = ["好 坏书 ok", "书", "坏好"]
    assert [one.whole for one in explaining.several(classifier, items)] == items
    monkeypatch.setattr(explaining, "TOGETHER", 300)
    assert len(explaining.several(classifier, items)) == 2
    monkeypatch.setattr(explaining, "TOGETHER", 0)
    assert len(explaining.several(classifier, items)) == 1
