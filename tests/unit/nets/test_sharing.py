"""Devices and hosts that share each batch end with the weights of one, but for rounding."""

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luodi.errors import LuodiError
from luodi.nets import sharing

pytestmark = pytest.mark.slow

# Rows, batches and parts that two devices divide; no dropout, of which each device draws its own.
TRAIN = """
import os, sys
from luodi.nets.stderr import quiet
with quiet():
    import keras
    import numpy as np
    from luodi import config
    from luodi.data.text import Encoder
    from luodi.nets import fitting, training
    from luodi.nets.checkpoints import Checkpoints, Store
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

training.DEAR = 0
encoder = Encoder(("a", "b", "c"), "char", 12, 16, (), tuple(map(chr, range(0x4E00, 0x4E00 + 38))))
y = np.arange(64, dtype=np.int32) % 3
x = (np.random.default_rng(0).integers(1, 13, (64, 12)) + 13 * y[:, None]).astype(np.int32)

def fitted(name, devices, kept=None, watch=None):
    train = config.TextTrain(
        architecture=name, embedding=8, units=8, filters=8, kernel=3, epochs=3, patience=3, batch_size=16,
        learning_rate=0.05, devices=devices,
    )
    settings = config.TextSettings(
        modality="text", labels=("a", "b", "c"), preprocess=config.TextPreprocess(tokenizer="char"), train=train
    )
    net = fitting.fit_rows(settings, encoder, (x, y), (x, y), kept, watch=watch)
    return net.model.get_weights(), (net.facts["devices"], net.facts["hosts"])

class Ended(Exception):
    pass

def end(rows):
    if len(rows) == 2:
        raise Ended

def ended(name, devices):
    kept = Checkpoints(Store(sys.argv[1] + "/kept"), b"")
    try:
        fitted(name, devices, kept, end)
    except Ended:
        return fitted(name, devices, kept)[0]

def save(file, weights):
    np.savez(f"{sys.argv[1]}/{file}.npz", *weights)
"""
DEVICES = """
for name in ("ngram", "cnn"):
    weights, counts = fitted(name, "one")
    save(f"one-{name}", weights)
    weights, shared = fitted(name, "all")
    save(f"two-{name}", weights)
    print("SHARED", counts, shared)
save("resumed-ngram", ended("ngram", "all"))
"""
HOSTS = """
weights, shared = fitted("ngram", "one")
save(f"hosts-{sys.argv[2]}", weights)
print("SHARED", shared, flush=True)
"""


def start(code: str, folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN + code, str(folder), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: "subprocess.Popen[str]") -> list[str]:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return [line for line in output.splitlines() if line.startswith("SHARED")]


def weights(folder: Path, name: str) -> list[Any]:
    with np.load(folder / f"{name}.npz") as found:
        return [found[one] for one in found.files]


def require_close(folder: Path, name: str, other: str) -> None:
    for one, two in zip(weights(folder, name), weights(folder, other), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-6)


@pytest.mark.proof
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_end_as_one_and_go_on_from_a_checkpoint(backend: str, tmp_path: Path) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    flags = "--xla_force_host_platform_device_count=2"
    assert said(start(DEVICES, tmp_path, KERAS_BACKEND=backend, XLA_FLAGS=flags)) == ["SHARED (1, 1) (2, 1)"] * 2
    for name in ("ngram", "cnn"):
        require_close(tmp_path, f"two-{name}", f"one-{name}")
    for one, two in zip(weights(tmp_path, "two-ngram"), weights(tmp_path, "resumed-ngram"), strict=True):
        np.testing.assert_array_equal(one, two)


def test_two_hosts_end_as_one(tmp_path: Path) -> None:
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports(2)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": host}} for host in range(2)]
    both = [
        start(HOSTS, tmp_path, str(host), KERAS_BACKEND="jax", TF_CONFIG=json.dumps(task))
        for host, task in enumerate(tasks)
    ]
    assert [said(one) for one in both] == [["SHARED (2, 2)"]] * 2
    assert said(start(HOSTS, tmp_path, "alone", KERAS_BACKEND="jax")) == ["SHARED (1, 1)"]
    require_close(tmp_path, "hosts-0", "hosts-alone")
    for one, two in zip(weights(tmp_path, "hosts-0"), weights(tmp_path, "hosts-1"), strict=True):
        np.testing.assert_array_equal(one, two)


def ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}',
            "TF_CONFIG names 2 hosts, and Keras trains on several by JAX alone: set KERAS_BACKEND=jax",
        ),
        ("hosts", "TF_CONFIG cannot be used: expected JSON such as .*, found hosts: correct it"),
        ("[]", "TF_CONFIG cannot be used"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "names 2 hosts"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "TF_CONFIG cannot be used"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "TF_CONFIG cannot be used"),
    ],
)
def test_hosts_that_cannot_train_together_are_told(text: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(LuodiError, match=told):
        sharing.join()


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'])
def test_one_host_is_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert sharing.join() == (1, 0)


def test_the_chief_comes_first() -> None:
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    found = [
        sharing._cluster(json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
        for kind, index in (("chief", 0), ("worker", 0), ("worker", 1))
    ]
    assert found == [(["a:1", "b:1", "c:1"], place) for place in range(3)]
