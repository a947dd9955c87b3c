"""What the tools of ONNX Runtime make of an exported model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from luodi import config
from luodi.data.text import Encoder
from luodi.files import write_json
from luodi.project.paths import ModelPaths
from luodi.scoring import graphs, inference

ENCODER = Encoder(("no", "yes"), "char", 6, 16, (), tuple(map(chr, range(0x4E00, 0x4E00 + 5000))))
TEXTS = ["一丁", "丂七丄丅", "万", "丈三上下"]


@pytest.mark.slow
def test_a_table_that_is_copied_number_by_number_has_8_bits(tmp_path: Path) -> None:
    from luodi.compression import candidates  # a second, which nobody who collects tests should spend

    paths = ModelPaths(tmp_path, "reviews")
    paths.trained.mkdir(parents=True)
    nodes, weights = graphs.sums("table", "x", 2)
    nodes.append(helper.make_node("MatMul", ["sums", "kernel"], ["logits"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    weights["table"] = np.random.default_rng(0).normal(size=(ENCODER.size, 2)).astype(np.float32)
    weights["kernel"] = np.eye(2, dtype=np.float32)
    made = graphs.make(nodes, weights, ENCODER, any_width=True)
    (paths.trained / inference.MODEL).write_bytes(made.SerializeToString())
    write_json(paths.trained / inference.ENCODER, ENCODER.as_json())
    settings: Any = config.TextSettings
    classifier = inference.Classifier.load(paths.trained)
    whole = candidates.Whole(settings.model_construct(), config.Compress(), paths, classifier)
    candidates.write("int8_dynamic", whole, tmp_path / "small")
    small = inference.Classifier.load(tmp_path / "small")
    sizes = [(folder / inference.MODEL).stat().st_size for folder in (tmp_path / "small", paths.trained)]
    assert 3 * sizes[0] < sizes[1]
    np.testing.assert_allclose(small.probabilities(TEXTS), classifier.probabilities(TEXTS), atol=0.02)
