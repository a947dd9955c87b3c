"""What train writes: equal to Keras, equal between processes, refused when it is wrong."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from images import png
from PIL import Image
from project import full_params

from luodi import config
from luodi.data import image
from luodi.data.text import Encoder
from luodi.errors import ArtifactError
from luodi.files import read_json, write_json
from luodi.linear import fitting
from luodi.linear import text as linear
from luodi.nets.stderr import quiet
from luodi.project.paths import ModelPaths
from luodi.scoring import choice, folds, inference
from luodi.stages import train

with quiet():
    import keras

    from luodi.nets import arrays, catalogue, export

ROOT = Path(__file__).parents[3]
KNOWN = "好坏书买一二三四"
ENCODERS: dict[str, Any] = {
    "reviews": Encoder(("no", "yes"), "char", 12, 16, (), tuple(KNOWN)),
    "digits": image.Encoder(("no", "yes"), 7, 5, 3, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)),
}
OTHER = Encoder(("no", "yes"), "ngram", 12, 16, (), ())
TRAIN: dict[str, dict[str, Any]] = {
    "reviews": {"embedding": 4, "units": 6, "filters": 5, "epochs": 2, "batch_size": 16},
    "digits": {"units": 6, "filters": [4, 5], "epochs": 2, "batch_size": 16},
}
MODEL = {"text": "reviews", "image": "digits"}  # the model of params.yaml whose block is used
Rows = Mapping[str, tuple[Sequence[Any], Sequence[int]]]
"""Items and labels of each split."""
Side = tuple[dict[str, ModelPaths], subprocess.CompletedProcess[str]]
BAGS = ["reviews-mlp", "reviews-ngram"]
SOME = ["reviews-cnn_lstm", "digits-resnet"]
ALL = [f"{MODEL[one.modality]}-{one.name}" for one in catalogue.ARCHITECTURES if one.name not in catalogue.NO_NETWORK]
NAMES = [*SOME, *(name for name in ALL if name not in SOME)]

RUN = """
import sys
from pathlib import Path
from luodi import config
from luodi.project.paths import ModelPaths
from luodi.stages import train
for root in map(Path, sys.argv[1:]):
    name = root.name.split("-")[0]
    train.run(config.load(root / "params.yaml").models[name], ModelPaths(root, name))
"""


pytestmark = pytest.mark.slow


def checkout(root: Path, name: str = "reviews", **changes: Any) -> Any:
    """A folder with params.yaml and the outputs of preprocess and baseline: 60 train rows, 20 of validation.

    The linear model has no validation row right, so that the network is chosen.
    """
    params = yaml.safe_load(full_params())
    params["models"][name]["train"] |= TRAIN[name] | changes
    if name == "reviews":
        params["models"][name]["preprocess"]["tokenizer"] = ENCODERS[name].tokenizer  # every architecture reads it
    paths, encoder = ModelPaths(root, name), ENCODERS[name]
    paths.encoder.parent.mkdir(parents=True)
    paths.params.write_text(yaml.safe_dump(params), encoding="utf-8")
    write_json(paths.encoder, encoder.as_json())
    rng = np.random.default_rng(1)
    rows = {split: drawn(name, count, rng) for split, count in (("train", 60), ("validation", 20))}
    write_rows(paths, rows)
    give_baseline(paths, np.eye(2, dtype=np.float32)[1 - np.array(rows["validation"][1])])
    return paths


def drawn(name: str, count: int, rng: np.random.Generator) -> tuple[list[Any], list[int]]:
    """Texts or images whose first character or pixel tells their label."""
    if name == "reviews":
        places = rng.integers(0, len(KNOWN) + 1, (count, 12))
        return ["".join((KNOWN + "生")[place] for place in row) for row in places], (places[:, 0] % 2).tolist()
    pixels = rng.integers(0, 256, (count, *ENCODERS[name].shape), np.uint8)
    return [image.png(Image.fromarray(one)) for one in pixels], (pixels[:, 0, 0, 0] % 2).tolist()


def write_rows(paths: ModelPaths, rows: Rows) -> None:
    """What preprocess writes of each row."""
    modality = ENCODERS[paths.model].modality
    kind = pa.string() if modality == "text" else pa.binary()
    whole = [(item, label, split) for split, part in rows.items() for item, label in zip(*part, strict=True)]
    items, labels, names = zip(*whole, strict=True)
    columns = {modality: pa.array(items, kind), "label": pa.array(labels, pa.int32()), "source": ["s"] * len(whole)}
    pq.write_table(pa.table(columns | {"split": names}), paths.rows)


def read_rows(paths: ModelPaths) -> Rows:
    """Inverse of `write_rows`."""
    table = pq.read_table(paths.rows).to_pylist()
    modality = ENCODERS[paths.model].modality
    return {
        split: ([row[modality] for row in table if row["split"] == split], labels_of(paths, split))
        for split in ("train", "validation")
    }


def labels_of(paths: ModelPaths, split: str) -> list[int]:
    return [row["label"] for row in pq.read_table(paths.rows).to_pylist() if row["split"] == split]


def encoded(paths: ModelPaths, split: str) -> Any:
    """The rows of a split as a network reads them."""
    x, _ = arrays.load(split, config.load(paths.params).models[paths.model], paths, ENCODERS[paths.model])
    return x


def give_baseline(paths: Any, scores: Any, encoder: Any = OTHER) -> None:
    """What baseline writes for train: a linear model, here one that knows nothing, and its `scores`."""
    nothing = fitting.Linear(np.zeros((1, 2), np.float32), np.zeros(2, np.float32), 1.0)
    weighing = linear.Weighing(np.zeros(encoder.size, np.int32), *np.zeros((2, 1), np.float32))
    paths.baseline_export.mkdir(parents=True, exist_ok=True)
    onnx.save(linear.graph(nothing, weighing, encoder), paths.baseline_export / inference.MODEL)
    write_json(paths.baseline_export / inference.ENCODER, encoder.as_json())
    np.save(paths.baseline_validation, scores)
    folds.write(paths.baseline_out_of_fold, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2), np.float32))


def checkout_of(folder: Path, title: str) -> Any:
    """A checkout in `folder` / "MODEL-ARCHITECTURE"."""
    name, architecture = title.split("-")
    return checkout(folder / title, name, architecture=architecture)


def run(paths: ModelPaths) -> None:
    train.run(config.load(paths.params).models[paths.model], paths)


def outputs(paths: ModelPaths) -> dict[str, str]:
    files = sorted(path for path in (paths.artifacts / "train").rglob("*") if path.is_file() and path != paths.cost)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where temporary files of the processes that train are made."""
    return tmp_path_factory.mktemp("temporary")


def train_by_process(folder: Path, temporary: Path, titles: Sequence[str], seed: str) -> Side:
    """Train architectures in a process of its own, with its own seed of Python's hashes."""
    side = {title: checkout_of(folder, title) for title in titles}
    command = [sys.executable, "-c", RUN, *(str(paths.root) for paths in side.values())]
    environment = os.environ | {"PYTHONHASHSEED": seed, "TMPDIR": str(temporary)}
    return side, subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Side:
    """Every architecture, trained by one process, and what it printed."""
    return train_by_process(tmp_path_factory.mktemp("trained"), temporary, NAMES, "1")


@pytest.fixture(params=NAMES)
def trained(request: pytest.FixtureRequest, side: Side) -> ModelPaths:
    return side[0][request.param]


def test_leaves_no_temporary_file(trained: ModelPaths, temporary: Path) -> None:
    assert list(temporary.iterdir()) == []


def test_writes_these_files_and_no_other(trained: ModelPaths) -> None:
    assert set(outputs(trained)) == {
        "model.keras",
        "model.onnx",
        "encoder.json",
        "events.out.tfevents.0.luodi",
        "history.csv",
        "choice.json",
        "out_of_fold.parquet",
    }
    assert read_json(trained.choice)["chosen"] == "net"
    assert (trained.export / "encoder.json").read_bytes() == trained.encoder.read_bytes()
    assert len(trained.history.read_text().splitlines()) == 3


def test_onnx_equals_the_saved_keras_model(trained: ModelPaths) -> None:
    model = keras.models.load_model(trained.keras_model, safe_mode=True)
    x = encoded(trained, "validation")
    session = inference.open_session(trained.export / "model.onnx")
    for rows in (x, x[:1], np.zeros_like(x[:2])):
        expected = model.predict(rows, verbose=0)
        np.testing.assert_allclose(inference.run_session(session, rows), expected, atol=1e-6)


def test_the_onnx_model_has_the_agreed_ports(trained: Any) -> None:
    model, encoder = onnx.load(trained.export / "model.onnx"), ENCODERS[trained.model]
    sides = [inference.ANY_WIDTH] if trained.root.name in BAGS else encoder.shape
    ports = [
        (
            port.name,
            port.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim],
        )
        for port in (*model.graph.input, *model.graph.output)
    ]
    assert ports == [
        ("x", getattr(onnx.TensorProto, encoder.dtype.upper()), ["batch", *sides]),
        ("probabilities", onnx.TensorProto.FLOAT, ["batch", 2]),
    ]


@pytest.mark.parametrize("title", BAGS)
def test_a_bag_says_the_same_of_a_row_however_far_it_is_padded(title: str, side: Side) -> None:
    session = inference.open_session(side[0][title].export / "model.onnx")
    rows, long = ENCODERS["reviews"].encode(["好书", "好", "坏买一"]), np.zeros((3, 50), np.int32)
    long[:, : rows.shape[1]] = rows
    found = [inference.run_session(session, x) for x in (rows[:, :3], rows, long)]
    np.testing.assert_allclose(found, [found[1]] * 3, atol=1e-6)


def test_the_export_predicts_raw_items(trained: ModelPaths) -> None:
    items = ["好书", "好", "坏" * 50] if trained.model == "reviews" else [png(1)] * 3
    found = inference.Classifier.load(trained.export).probabilities(items)
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["reviews", "digits"])
def test_mixed_precision_is_exported_in_float32(tmp_path: Path, name: str) -> None:
    paths = checkout(tmp_path, name, precision="mixed_float16")
    run(paths)
    model = onnx.load(paths.export / "model.onnx")
    kinds = {weight.data_type for weight in model.graph.initializer}
    assert onnx.TensorProto.FLOAT in kinds
    assert onnx.TensorProto.FLOAT16 not in kinds


@pytest.mark.parametrize(
    "titles", [pytest.param(SOME, id="some"), pytest.param(NAMES, id="all", marks=pytest.mark.proof)]
)
def test_two_processes_write_the_same_bytes(titles: list[str], side: Side, temporary: Path, tmp_path: Path) -> None:
    other, _ = train_by_process(tmp_path, temporary, titles, "2")
    assert {title: outputs(other[title]) for title in titles} == {title: outputs(side[0][title]) for title in titles}


def test_training_says_nothing_on_standard_error(side: Side) -> None:
    _, done = side
    assert done.stderr == ""
    said = [line.split()[1] for line in done.stdout.splitlines()]
    remarks = {"the", "val_loss"}  # of a network that learned nothing, or nothing more
    assert [word for word in said if word not in remarks] == ["on", "epoch", "epoch", "kept", "exported"] * len(NAMES)


def test_batch_norm_is_exported_as_it_predicts_one_row_at_a_time(side: Side) -> None:
    paths = side[0]["digits-resnet"]
    session, x = inference.open_session(paths.export / "model.onnx"), encoded(paths, "validation")
    alone = np.concatenate([inference.run_session(session, row[None]) for row in x])
    np.testing.assert_allclose(alone, inference.run_session(session, x), atol=1e-6)


def test_the_augmentation_of_params_changes_what_is_learned(tmp_path: Path) -> None:
    still, turned = (checkout(tmp_path / side, "digits", architecture="mlp") for side in ("still", "turned"))
    params = yaml.safe_load(still.params.read_text())
    params["models"]["digits"]["preprocess"]["augment"] = {"flip": "none", "rotation": 0, "zoom": 0, "shift": 0}
    still.params.write_text(yaml.safe_dump(params))
    run(still)
    run(turned)
    assert still.history.read_text() != turned.history.read_text()


def test_an_export_that_differs_is_refused_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = checkout(tmp_path)
    run(paths)
    before = outputs(paths)
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ArtifactError, match="differs from the trained one"):
        run(paths)
    assert outputs(paths) == before


def test_without_preprocess_the_stage_to_run_is_named(tmp_path: Path) -> None:
    paths = checkout(tmp_path)
    paths.rows.unlink()
    with pytest.raises(ArtifactError, match=r"rows.parquet does not exist: run `(luodi preprocess \w+|dvc repro)`"):
        run(paths)


def test_a_network_that_is_not_better_leaves_the_linear_model_to_land(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = checkout(tmp_path)
    give_baseline(paths, np.eye(2, dtype=np.float32)[labels_of(paths, "validation")])
    run(paths)
    for name in (inference.MODEL, inference.ENCODER):
        assert (paths.export / name).read_bytes() == (paths.baseline_export / name).read_bytes()
    found = read_json(paths.choice)
    assert found["chosen"] == "linear"
    assert found["validation"]["linear"]["accuracy"] == 1
    assert "net" in found["validation"]
    assert paths.keras_model.exists()
    assert (
        "train: exported the linear model; accuracy on validation rows: linear 1.0000, net" in capsys.readouterr().out
    )


def test_the_metric_of_the_gate_decides() -> None:
    better = {"accuracy": 0.9, "macro_f1": 0.5, "log_loss": 0.3}
    other = {"accuracy": 0.8, "macro_f1": 0.6, "log_loss": 0.2}
    assert choice.choose({"linear": better, "net": other}, "accuracy") == "linear"
    assert choice.choose({"linear": better, "net": other}, "macro_f1") == "net"
    surer = better | {"log_loss": 0.2}
    assert choice.choose({"net": surer, "linear": better}, "accuracy") == "linear", "a network has to be proven first"
    assert choice.choose({"linear": other, "net": better, "both": surer}, "accuracy") == "both"
    assert choice.choose({"linear": other, "net": better, "both": better}, "accuracy") == "net"


def test_without_a_network_keras_is_not_imported(tmp_path: Path) -> None:
    paths = checkout(tmp_path / "reviews", architecture="linear")
    code = RUN + "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(paths.root)], check=True)
    (said,) = paths.net.iterdir()  # of an empty folder DVC warns
    assert said.read_text() == "no network was trained\n"
    assert paths.history.read_text().splitlines() == ["epoch,loss,accuracy,recall,val_loss,val_accuracy,val_recall"]
    assert list(read_json(paths.choice)["validation"]) == ["linear"]
    assert read_json(paths.cost)["epochs"] == 0


def test_both_are_exported_as_one_model(tmp_path: Path) -> None:
    """Half of the validation rows are right by one, half by the other."""
    paths = checkout(tmp_path, architecture="mlp", epochs=40)
    encoder = ENCODERS["reviews"]
    give_baseline(paths, np.full((20, 2), 0.5, np.float32), encoder)
    settings = config.load(paths.params).models["reviews"]
    net = train.fit(settings, paths, encoder)
    train._save("both", net, settings, encoder, paths)
    found = inference.run_session(inference.open_session(paths.export / "model.onnx"), net.sample)
    np.testing.assert_allclose(found, (net.scores + 0.5) / 2, atol=1e-6)
    inference.Classifier.load(paths.export)


def test_probabilities_are_as_sure_as_the_validation_rows_warrant(tmp_path: Path) -> None:
    """Labels at random: a network that learned the train rows by heart must not be sure of the others."""
    paths = checkout(tmp_path, architecture="mlp", epochs=60, patience=60, learning_rate=0.05)
    shuffled = {
        split: (items, np.random.default_rng(len(items)).integers(0, 2, len(items)).tolist())
        for split, (items, _) in read_rows(paths).items()
    }
    write_rows(paths, shuffled)
    net = train.fit(config.load(paths.params).models["reviews"], paths, ENCODERS["reviews"])
    truth = labels_of(paths, "validation")
    loss = -np.log(net.scores[np.arange(20), truth]).mean()
    assert loss < np.log(2) + 0.02
    model = keras.models.clone_model(net.model)
    model.set_weights(net.model.get_weights())
    np.testing.assert_allclose(model.predict(net.sample, verbose=0), net.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("limits", "says", "scored"),
    [((80, 1e6), "auto", 80), ((10, 1e6), "auto", 0), ((80, 1e3), "auto", 0), ((10, 1e3), "always", 80),
     ((80, 1e6), "never", 0)],
)  # fmt: skip
def test_networks_score_the_rows_that_they_were_not_fitted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, float], says: str, scored: int
) -> None:
    """All rows, or none where they, or their pixels, are too many or settings say so."""
    for name, limit in zip(("MOST", "WORK"), limits, strict=True):
        monkeypatch.setattr(train, name, limit)
    paths = few_of_a_class(tmp_path, [10, 10], says)
    run(paths)
    places, _, found = folds.read(paths.out_of_fold, 2)
    assert places.tolist() == list(range(scored))
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert not (found == 0.5).any()


def test_the_linear_model_is_chosen_where_networks_have_no_rows_to_be_judged_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a class with 9 test rows, and too many rows for networks to be scored out of fold: those of the linear one."""
    monkeypatch.setattr(train, "MOST", 10)
    paths = few_of_a_class(tmp_path, [10, 9], "auto")
    run(paths)
    assert json.loads(paths.choice.read_text())["unjudged"] == {"yes": 9}
    assert "the linear model: too few test rows of yes (9) to judge a network by" in capsys.readouterr().out
    assert not paths.keras_model.exists()
    assert (folds.read(paths.out_of_fold, 2)[2] == 0.5).all()


def few_of_a_class(root: Path, test: list[int], says: str) -> ModelPaths:
    """A checkout whose baseline scored all 80 rows out of fold, and which has so many test rows of each class."""
    paths: ModelPaths = checkout(root, "digits", architecture="mlp", out_of_fold=says)
    folds.write(paths.baseline_out_of_fold, np.arange(80), np.arange(80), np.full((80, 2), 0.5, np.float32))
    blank = [image.png(Image.new("RGB", (5, 7)))] * sum(test)
    write_rows(paths, {**read_rows(paths), "test": (blank, np.repeat([0, 1], test).tolist())})
    return paths


def test_networks_score_no_row_of_a_group_that_they_learned_from(tmp_path: Path) -> None:
    """Rows of a group look alike and say nothing of others: three groups, whose labels differ from fold to fold."""
    paths = checkout(tmp_path, "digits", architecture="mlp", epochs=15, patience=15, units=32, learning_rate=0.01)
    group = np.random.default_rng(0).integers(0, 6, 80)
    settings, encoder = config.load(paths.params).models["digits"], ENCODERS["digits"]
    pixels = np.zeros((len(group), *encoder.shape), np.uint8)
    pixels[np.arange(len(group)), group] = 255  # a line of the picture
    items, labels = [image.png(Image.fromarray(one)) for one in pixels], (group % 2).tolist()
    write_rows(paths, {"train": (items[:60], labels[:60]), "validation": (items[60:], labels[60:])})
    alone, together = (train.out_of_fold(settings, paths, encoder, one) for one in (np.arange(80), group))
    assert (alone.argmax(1) == group % 2).mean() > 0.95
    assert (together.argmax(1) == group % 2).mean() < 0.7
