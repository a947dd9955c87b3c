"""The nets and their loop on Keras' other backends, where these are installed: each in a process of its own."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

TRAIN = """
import numpy as np
from luodi import config
from luodi.data.text import Encoder
from luodi.nets import fitting

encoder = Encoder(("a", "b", "c"), "char", 12, 16, (), tuple(map(chr, range(0x4E00, 0x4E00 + 38))))
y = np.arange(60, dtype=np.int32) % 3
x = (np.random.default_rng(0).integers(1, 13, (60, 12)) + 13 * y[:, None]).astype(np.int32)
for name in ("ngram", "mlp", "cnn", "cnn_lstm"):
    train = config.TextTrain(
        architecture=name, embedding=8, units=8, filters=8, kernel=3, pool=2, epochs=8, patience=8, batch_size=10,
        learning_rate=0.05,
    )
    settings = config.TextSettings(
        modality="text", labels=("a", "b", "c"), preprocess=config.TextPreprocess(tokenizer="char"), train=train
    )
    net = fitting.fit_rows(settings, encoder, (x, y), (x, y))
    assert (net.scores.argmax(1) == y).mean() > 0.9, name
    print(name, net.facts["backend"])
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_net_for_text_trains(backend: str) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    env = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run([sys.executable, "-c", TRAIN], env=env, check=True, capture_output=True, text=True).stdout
    said = [line for line in output.splitlines() if not line.startswith("train:")]
    assert said == [f"{name} {backend}" for name in ("ngram", "mlp", "cnn", "cnn_lstm")]
