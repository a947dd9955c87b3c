"""What train writes: equal to Keras, equal between processes, refused when it is wrong."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from luodi import config, inference
from luodi.data.text import Encoder
from luodi.errors import ArtifactError
from luodi.files import write_json
from luodi.nets.quiet import quiet
from luodi.paths import ModelPaths
from luodi.stages import train

with quiet():
    import keras

    from luodi.nets import catalogue, export

ROOT = Path(__file__).parents[2]
ENCODER = Encoder(("no", "yes"), "char", 12, 16, (), tuple("好坏书买一二三四"))
TRAIN = {"embedding": 4, "units": 6, "filters": 5, "epochs": 2, "batch_size": 16}

RUN = """
import sys
from pathlib import Path
from luodi import config
from luodi.paths import ModelPaths
from luodi.stages import train
for root in map(Path, sys.argv[1:]):
    train.run(config.load(root / "params.yaml").models["reviews"], ModelPaths(root, "reviews"))
"""


def checkout(root, **changes):
    """A folder with params.yaml and the outputs of preprocess: 60 train rows, 20 of validation."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["models"]["reviews"]["train"] |= TRAIN | changes
    paths = ModelPaths(root, "reviews")
    paths.arrays.mkdir(parents=True)
    paths.params.write_text(yaml.safe_dump(params), encoding="utf-8")
    write_json(paths.encoder, ENCODER.as_json())
    rng = np.random.default_rng(1)
    for split, count in (("train", 60), ("validation", 20)):
        x = rng.integers(0, ENCODER.size, (count, ENCODER.length), np.int32)
        np.save(paths.array(split, "x"), x)
        np.save(paths.array(split, "y"), (x[:, 0] % 2).astype(np.int32))
    return paths


def run(paths):
    train.run(config.load(paths.params).models["reviews"], paths)


def outputs(paths):
    files = sorted(path for path in (paths.artifacts / "train").rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module", params=catalogue.ARCHITECTURES)
def trained(request, tmp_path_factory):
    paths = checkout(tmp_path_factory.mktemp(request.param), architecture=request.param)
    run(paths)
    return paths


def test_writes_these_files_and_no_other(trained):
    assert set(outputs(trained)) == {"model.keras", "model.onnx", "encoder.json", "history.csv"}
    assert (trained.export / "encoder.json").read_bytes() == trained.encoder.read_bytes()
    assert len(trained.history.read_text().splitlines()) == 3


def test_onnx_equals_the_saved_keras_model(trained):
    model = keras.models.load_model(trained.keras_model, safe_mode=True)
    x = np.load(trained.array("validation", "x"))
    session = inference.open_session(trained.export / "model.onnx")
    for rows in (x, x[:1], np.zeros_like(x[:2])):
        expected = model.predict(rows, verbose=0)
        np.testing.assert_allclose(inference.run_session(session, rows), expected, atol=1e-6)


def test_the_onnx_model_has_the_agreed_ports(trained):
    model = onnx.load(trained.export / "model.onnx")
    ports = [
        (
            port.name,
            port.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim],
        )
        for port in (*model.graph.input, *model.graph.output)
    ]
    assert ports == [
        ("x", onnx.TensorProto.INT32, ["batch", ENCODER.length]),
        ("probabilities", onnx.TensorProto.FLOAT, ["batch", 2]),
    ]


def test_the_export_predicts_raw_texts(trained):
    found = inference.Classifier.load(trained.export).probabilities(["好书", "", "坏" * 50])
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_mixed_precision_is_exported_in_float32(tmp_path):
    paths = checkout(tmp_path, precision="mixed_float16")
    run(paths)
    model = onnx.load(paths.export / "model.onnx")
    kinds = {weight.data_type for weight in model.graph.initializer}
    assert onnx.TensorProto.FLOAT in kinds
    assert onnx.TensorProto.FLOAT16 not in kinds


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path):
    roots = [[tmp_path / side / name for name in catalogue.ARCHITECTURES] for side in ("one", "two")]
    processes = []
    for seed, side in zip("12", roots, strict=True):
        for root in side:
            checkout(root, architecture=root.name)
        command = [sys.executable, "-c", RUN, *map(str, side)]
        processes.append(subprocess.Popen(command, env=os.environ | {"PYTHONHASHSEED": seed}))
    assert [process.wait(300) for process in processes] == [0, 0]
    for one, two in zip(*roots, strict=True):
        assert outputs(ModelPaths(one, "reviews")) == outputs(ModelPaths(two, "reviews")), one.name


def test_an_export_that_differs_is_refused_and_the_old_one_stays(tmp_path, monkeypatch):
    paths = checkout(tmp_path)
    run(paths)
    before = outputs(paths)
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ArtifactError, match="differs from the trained one"):
        run(paths)
    assert outputs(paths) == before


def test_without_preprocess_the_stage_to_run_is_named(tmp_path):
    paths = checkout(tmp_path)
    paths.array("validation", "y").unlink()
    with pytest.raises(ArtifactError, match=r"validation_y.npy does not exist: run `luodi preprocess`"):
        run(paths)


def test_training_says_nothing_on_standard_error(tmp_path):
    paths = checkout(tmp_path)
    command = [sys.executable, "-c", RUN, str(paths.root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["epoch", "epoch", "kept"]
