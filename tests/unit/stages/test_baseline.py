"""The linear baseline: it learns, repeats to the bit, and says what is wrong with its rows."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from luodi import config
from luodi.data import image, split_rows
from luodi.errors import ArtifactError
from luodi.project.paths import ModelPaths, find_root
from luodi.stages import baseline

SMALL = config.TextBaseline(ngrams=(1, 2), max_features=500, regularization=4.0)
PIXELS = config.ImageBaseline(regularization=1.0)
WORDS = {0: ["差", "不好", "失望"], 1: ["好", "喜欢", "满意"], 2: ["一般", "还行", "普通"]}


def make(count, classes, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(count) % classes
    text = [f"{rng.choice(WORDS[index])}{rng.integers(1000)}" for index in label]
    return split_rows.Rows(text, label.astype(np.int32), ["here"] * count)


def make_images(count, classes, seed=0, shape=(8, 8), channels=1):
    """Noise, brighter in the part of the picture that is the class's."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % classes
    pixels = rng.integers(0, 120, (count, *shape, channels))
    bands = np.arange(shape[0]) * classes // shape[0]
    pixels[label[:, None] == bands] += 100
    mode = "L" if channels == 1 else "RGB"
    squeezed = (pixels[..., 0] if channels == 1 else pixels).astype(np.uint8)
    items = [image.png(Image.fromarray(one, mode)) for one in squeezed]
    return split_rows.Rows(items, label.astype(np.int32), ["here"] * count)


def write(paths, parts, modality="text"):
    """`parts` maps a split to Rows."""
    columns = {modality: [], "label": [], "source": [], "split": []}
    for split, part in parts.items():
        columns[modality] += part.items
        columns["label"] += part.label.tolist()
        columns["source"] += part.source
        columns["split"] += [split] * len(part)
    paths.rows.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns | {"label": pa.array(columns["label"], pa.int32())}), paths.rows)


@pytest.fixture
def block():
    return config.load(find_root() / "params.yaml").models["reviews"]


@pytest.mark.parametrize("classes", [2, 3])
def test_it_learns_and_gives_probabilities(classes):
    train, test = make(120, classes), make(60, classes, seed=1)
    scores = baseline.score_texts(train, test.items, SMALL, classes)
    assert scores.dtype == np.float32
    assert scores.shape == (60, classes)
    assert np.allclose(scores.sum(1), 1, atol=1e-5)
    assert (scores.argmax(1) == test.label).mean() > 0.9


def test_it_repeats_to_the_bit():
    train, test = make(200, 3), make(50, 3, seed=1)
    first, second = (baseline.score_texts(train, test.items, SMALL, 3) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_a_class_without_train_rows_scores_zero():
    train = make(60, 2)
    scores = baseline.score_texts(split_rows.Rows(train.items, train.label * 2, train.source), ["好"], SMALL, 3)
    assert scores[0, 1] == 0
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_one_class_is_refused():
    with pytest.raises(ArtifactError, match="one class"):
        baseline.score_texts(make(20, 1), ["好"], SMALL, 2)


def test_no_ngram_is_refused():
    train = split_rows.Rows(["a", "b"], np.array([0, 1], np.int32), ["here"] * 2)
    config_ = config.TextBaseline(ngrams=(5, 6), max_features=10, regularization=1.0)
    with pytest.raises(ArtifactError, match=r"lower baseline\.ngrams"):
        baseline.score_texts(train, ["c"], config_, 2)


def test_the_stage_writes_scores_of_the_test_rows_in_their_order(tmp_path, block, capsys):
    paths = ModelPaths(tmp_path, "reviews")
    train, test = make(120, 2), make(40, 2, seed=1)
    write(paths, {"test": test, "train": train, "validation": make(4, 2)})
    baseline.run(block, paths)
    scores = np.load(paths.baseline_scores, allow_pickle=False)
    assert (scores == baseline.score_texts(train, test.items, block.baseline, 2)).all()
    figures = json.loads(paths.baseline_metrics.read_text())
    assert figures["accuracy"] == pytest.approx((scores.argmax(1) == test.label).mean(), abs=1e-6)
    assert (figures["train_rows"], figures["test_rows"]) == (120, 40)
    assert "accuracy" in capsys.readouterr().out
    assert sorted(path.name for path in paths.baseline_scores.parent.iterdir()) == ["metrics.json", "scores.npy"]


def test_rows_are_read_in_order(tmp_path):
    paths = ModelPaths(tmp_path, "reviews")
    test = make(9, 3)
    write(paths, {"train": make(5, 2), "test": test})
    read = split_rows.read(paths.rows, "text", "test", 3)
    assert read.items == test.items
    assert read.label.tolist() == test.label.tolist()
    assert read.label.dtype == np.int32


@pytest.mark.parametrize(
    ("make_file", "message"),
    [
        (lambda path: None, "does not exist: run `(luodi preprocess \\w+|dvc repro)`"),
        (lambda path: path.write_bytes(b"PAR1 but not really"), "cannot be read"),
        (lambda path: pq.write_table(pa.table({"text": ["a"]}), path), "cannot be read"),
        (lambda path: write(ModelPaths(path.parents[3], "m"), {"train": make(5, 2)}), "no row of split 'test'"),
        (
            lambda path: write(ModelPaths(path.parents[3], "m"), {"test": make(5, 3)}),
            "labels from 0 to 1, found 0 to 2",
        ),
    ],
    ids=["missing", "broken", "column", "empty split", "label"],
)
def test_rows_that_cannot_be_used_say_why(tmp_path, make_file, message):
    path = ModelPaths(tmp_path, "m").rows
    path.parent.mkdir(parents=True)
    make_file(path)
    with pytest.raises(ArtifactError, match=message):
        split_rows.read(path, "text", "test", 2)


@pytest.mark.parametrize(
    ("classes", "shape", "channels"),
    [(2, (8, 8), 1), (3, (9, 5), 3), (2, (70, 40), 1), (2, (33, 100), 3), (2, (90, 2), 1)],
)
def test_it_learns_images_of_any_size(classes, shape, channels):
    train, test = (make_images(rows, classes, seed, shape, channels) for seed, rows in enumerate((120, 60)))
    scores = baseline.score_images(train, test.items, PIXELS, classes)
    assert scores.dtype == np.float32
    assert scores.shape == (60, classes)
    assert np.allclose(scores.sum(1), 1, atol=1e-5)
    assert (scores.argmax(1) == test.label).mean() > 0.9


def test_images_repeat_to_the_bit_whatever_the_number_of_threads():
    from threadpoolctl import threadpool_limits

    train, test = make_images(200, 3), make_images(50, 3, seed=1)
    found = set()
    for threads in (1, 2, 2):
        with threadpool_limits(threads):
            found.add(baseline.score_images(train, test.items, PIXELS, 3).tobytes())
    assert len(found) == 1


def test_every_image_is_decoded_once(monkeypatch):
    decoded, pixels = [], image.pixels
    monkeypatch.setattr(image, "pixels", lambda images: decoded.extend(images) or pixels(images))
    train, test = make_images(30, 2), make_images(10, 2, seed=1)
    baseline.score_images(train, test.items, PIXELS, 2)
    assert decoded == train.items + test.items


def test_large_images_are_averaged_down():
    pixels = np.arange(2 * 64 * 96 * 3, dtype=np.uint8).reshape(2, 64, 96, 3)
    small = baseline._shrink(pixels)
    assert small.shape == (2, 21, 32, 3)
    assert np.allclose(small[1, 2, 3], pixels[1, 6:9, 9:12].mean((0, 1)))
    assert (baseline._shrink(pixels[:, :32, :32]) == pixels[:, :32, :32]).all()


def test_images_of_one_class_are_refused():
    with pytest.raises(ArtifactError, match="one class"):
        baseline.score_images(make_images(20, 1), [], PIXELS, 2)


def test_images_without_contrast_still_score():
    flat = make_images(20, 2).items[:1] * 20
    train = split_rows.Rows(flat, np.arange(20, dtype=np.int32) % 2, ["here"] * 20)
    assert np.allclose(baseline.score_images(train, flat[:3], PIXELS, 2), 0.5, atol=1e-3)


def test_the_stage_scores_images(tmp_path, capsys):
    block = config.load(find_root() / "params.yaml").models["digits"]
    paths = ModelPaths(tmp_path, "digits")
    train, test = make_images(120, 10, shape=(10, 8)), make_images(40, 10, seed=1, shape=(10, 8))
    write(paths, {"test": test, "train": train}, "image")
    baseline.run(block, paths)
    scores = np.load(paths.baseline_scores, allow_pickle=False)
    assert (scores == baseline.score_images(train, test.items, block.baseline, 10)).all()
    assert "accuracy" in capsys.readouterr().out


def test_rows_of_another_modality_are_refused(tmp_path):
    paths = ModelPaths(tmp_path, "m")
    write(paths, {"test": make(5, 2)})
    with pytest.raises(ArtifactError, match="run `luodi preprocess m` again"):
        split_rows.read(paths.rows, "image", "test", 2)
