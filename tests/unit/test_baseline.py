"""The linear baseline: it learns, repeats to the bit, and says what is wrong with its rows."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luodi import config
from luodi.data import rows
from luodi.errors import ArtifactError
from luodi.paths import ModelPaths, find_root
from luodi.stages import baseline

SMALL = config.Baseline(ngrams=(1, 2), max_features=500, regularization=4.0)
WORDS = {0: ["差", "不好", "失望"], 1: ["好", "喜欢", "满意"], 2: ["一般", "还行", "普通"]}


def make(count, classes, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(count) % classes
    text = [f"{rng.choice(WORDS[index])}{rng.integers(1000)}" for index in label]
    return rows.Rows(text, label.astype(np.int32), ["here"] * count)


def write(paths, parts):
    """`parts` maps a split to Rows."""
    columns = {"text": [], "label": [], "source": [], "split": []}
    for split, part in parts.items():
        columns["text"] += part.text
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
    scores = baseline.fit_and_score(train, test.text, SMALL, classes)
    assert scores.dtype == np.float32
    assert scores.shape == (60, classes)
    assert np.allclose(scores.sum(1), 1, atol=1e-5)
    assert (scores.argmax(1) == test.label).mean() > 0.9


def test_it_repeats_to_the_bit():
    train, test = make(200, 3), make(50, 3, seed=1)
    first, second = (baseline.fit_and_score(train, test.text, SMALL, 3) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_a_class_without_train_rows_scores_zero():
    train = make(60, 2)
    scores = baseline.fit_and_score(rows.Rows(train.text, train.label * 2, train.source), ["好"], SMALL, 3)
    assert scores[0, 1] == 0
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_one_class_is_refused():
    with pytest.raises(ArtifactError, match="one class"):
        baseline.fit_and_score(make(20, 1), ["好"], SMALL, 2)


def test_no_ngram_is_refused():
    train = rows.Rows(["a", "b"], np.array([0, 1], np.int32), ["here"] * 2)
    config_ = config.Baseline(ngrams=(5, 6), max_features=10, regularization=1.0)
    with pytest.raises(ArtifactError, match=r"lower baseline\.ngrams"):
        baseline.fit_and_score(train, ["c"], config_, 2)


def test_the_stage_writes_scores_of_the_test_rows_in_their_order(tmp_path, block, capsys):
    paths = ModelPaths(tmp_path, "reviews")
    train, test = make(120, 2), make(40, 2, seed=1)
    write(paths, {"test": test, "train": train, "validation": make(4, 2)})
    baseline.run(block, paths)
    scores = np.load(paths.baseline_scores, allow_pickle=False)
    assert (scores == baseline.fit_and_score(train, test.text, block.baseline, 2)).all()
    figures = json.loads(paths.baseline_metrics.read_text())
    assert figures["accuracy"] == pytest.approx((scores.argmax(1) == test.label).mean(), abs=1e-6)
    assert (figures["train_rows"], figures["test_rows"]) == (120, 40)
    assert "accuracy" in capsys.readouterr().out
    assert sorted(path.name for path in paths.baseline_scores.parent.iterdir()) == ["metrics.json", "scores.npy"]


def test_rows_are_read_in_order(tmp_path):
    paths = ModelPaths(tmp_path, "reviews")
    test = make(9, 3)
    write(paths, {"train": make(5, 2), "test": test})
    read = rows.read(paths.rows, "test", 3)
    assert read.text == test.text
    assert read.label.tolist() == test.label.tolist()
    assert read.label.dtype == np.int32


@pytest.mark.parametrize(
    ("make_file", "message"),
    [
        (lambda path: None, "does not exist: run `luodi preprocess`"),
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
        rows.read(path, "test", 2)
