"""The nets and their loop on Keras' other backends, where these are installed: each in a process of its own."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from test_export import NAMES, checkout, checkout_of, encoded, keras, outputs

from luodi.files import read_json
from luodi.project.paths import ModelPaths
from luodi.scoring import inference

pytestmark = pytest.mark.slow

TRAIN = """
import os, signal, sys
from itertools import count
from pathlib import Path
from luodi import config
from luodi.config import user_code
from luodi.nets import training
from luodi.project.paths import ModelPaths
from luodi.stages import train

fatal, steps, begins = int(sys.argv[1]), count(), training.Standing.on_train_batch_begin
training.DEAR = 0  # a checkpoint as often as can be

def kill(standing, batch, logs=None):
    begins(standing, batch, logs)
    if next(steps) == fatal:
        os.kill(os.getpid(), signal.SIGKILL)

training.Standing.on_train_batch_begin = kill
for root in map(Path, sys.argv[2:]):
    name = root.name.split("-")[0]
    with user_code.importable(root):
        train.run(config.load(root / "params.yaml").models[name], ModelPaths(root, name))
"""


@pytest.fixture(params=["jax", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def run(backend: str, *roots: Path, fatal: int = -1) -> subprocess.CompletedProcess[str]:
    """Run stage train of each checkout, in one process, which is killed before a step."""
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LUODI_CHECKPOINTS": str(roots[0] / "checkpoints"),
    }
    command = [sys.executable, "-c", TRAIN, str(fatal), *map(str, roots)]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


def require_exported(paths: ModelPaths, backend: str) -> None:
    """What `backend` trained is exported, and TensorFlow reads the same from what it saved."""
    assert (read_json(paths.cost)["backend"], read_json(paths.choice)["chosen"]) == (backend, "net")
    x = encoded(paths, "validation")
    expected = keras.models.load_model(paths.keras_model, safe_mode=True).predict(x, verbose=0)
    found = inference.run_session(inference.open_session(paths.export / "model.onnx"), x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "titles",
    [
        pytest.param(["reviews-ngram", "reviews-cnn_lstm", "digits-cnn"], id="some"),
        pytest.param(NAMES, id="all", marks=pytest.mark.proof),
    ],
)
def test_nets_train_and_are_exported(backend: str, titles: list[str], tmp_path: Path) -> None:
    checkouts = [checkout_of(tmp_path, title) for title in titles]
    done = run(backend, *(paths.root for paths in checkouts))
    assert (done.returncode, done.stderr) == (0, "")
    for paths in checkouts:
        require_exported(paths, backend)


def test_a_killed_training_goes_on_within_its_epoch_to_the_same_bytes(backend: str, tmp_path: Path) -> None:
    changes = {"architecture": "cnn_lstm", "dropout": 0.2, "checkpoint_minutes": 1e-6}
    peace, killed = (checkout(tmp_path / name / "reviews", **changes) for name in ("peace", "killed"))
    assert run(backend, peace.root).returncode == 0
    for fatal in (2, 3):  # of four batches an epoch
        assert run(backend, killed.root, fatal=fatal).returncode == -signal.SIGKILL
    done = run(backend, killed.root)
    assert "goes on from epoch 2/2, batch 2/4" in done.stdout
    assert outputs(killed) == outputs(peace)


OWN = """
import os
import keras

class Doubled(keras.layers.Layer):  # which Keras could not read back
    def call(self, values):
        return 2 * values

def build(settings, encoder):
    if keras.backend.backend() == "tensorflow" and os.path.exists({fatal!r}):
        os._exit(9)
    x = keras.Input(encoder.shape, dtype="int32", name="x")
    vectors = keras.layers.Embedding(encoder.size, 4)(x)
    values = keras.layers.GlobalAveragePooling1D()(Doubled()(vectors))
    return keras.Model(x, keras.layers.Dense(len(encoder.labels), "softmax")(values))
"""


def test_an_own_network_is_exported_and_an_export_that_dies_is_told(backend: str, tmp_path: Path) -> None:
    paths = checkout(tmp_path / "reviews", architecture="ownnets:build")
    (paths.root / "ownnets.py").write_text(OWN.format(fatal=str(tmp_path / "fatal")), encoding="utf-8")
    assert run(backend, paths.root).returncode == 0
    assert read_json(paths.choice)["chosen"] == "net"
    (tmp_path / "fatal").touch()
    done = run(backend, paths.root)
    assert f"LuodiError: the process that exports what {backend} trained came to no end: " in done.stderr
