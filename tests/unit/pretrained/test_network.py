"""The network of an encoder says what its graph says, before training and after."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_encoder
from numpy.typing import NDArray

from luodi.config import TextTrain
from luodi.data import subwords
from luodi.pretrained import checkpoint, graph, network
from luodi.pretrained.head import Head, Standard
from luodi.scoring import inference

pytestmark = pytest.mark.slow

TEXTS = ["", "a", tiny_encoder.texts(1)[0][0], "好书 unknown!", " ".join(tiny_encoder.words(1, 9))]
HEAD = Head(
    Standard(np.full(16, 0.1, np.float32), np.float32(0.3)),
    np.random.default_rng(1).normal(0, 0.5, (16, 3)).astype(np.float32),
    np.array([0, 0.1, -0.1], np.float32),
)


def said(model: Any, x: NDArray[np.int32]) -> NDArray[np.float32]:
    return inference.run_session(inference.session(HEAD.behind(model).SerializeToString()), x)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "gpt2"])
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_it_says_what_the_graph_says(family: str, tuning: Any, tmp_path: Path) -> None:
    relu = dict.fromkeys(("hidden_act", "activation"), "relu")  # a decoder has its own key
    found = checkpoint.read(tiny_encoder.write(tmp_path / "tiny", family, **relu))
    model = graph.of(found)
    (tmp_path / "encoder.onnx").write_bytes(model.SerializeToString())
    form, weights = graph.read(tmp_path / "encoder.onnx")
    own = graph.weights(found, found.tensors())
    assert weights.keys() == own.keys()
    assert max(np.abs(weights[name] - own[name]).max() for name in own) < 1e-6
    built = network.build(TextTrain(encoder="tiny", tuning=tuning, dropout=0.3), form, weights, HEAD)
    x = subwords.padded(subwords.Encoder((), found.length, found.pad, found.tokenizer).ids(TEXTS), found.pad)
    expected = said(model, x)
    assert np.abs(built.predict(x, verbose=0) - expected).max() < 1e-5
    for one in built.trainable_variables:
        one.assign(one + 0.1 * keras.random.normal(one.shape, seed=3))
    merged, kernel, bias = network.trained(built, form)
    joined = Head(HEAD.standard, kernel, bias).behind(graph.build(form, merged))
    given = inference.run_session(inference.session(joined.SerializeToString()), x)
    assert np.abs(given - expected).max() > 1e-3
    assert np.abs(built.predict(x, verbose=0) - given).max() < 1e-5
