"""The stage baseline: what it writes, and what it says of rows that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linear_rows import Size, make, make_images

from luodi import config
from luodi.data import image, split_rows, text
from luodi.errors import ArtifactError
from luodi.files import write_json
from luodi.project.paths import ModelPaths, find_root
from luodi.scoring import folds, inference
from luodi.stages import baseline


def write(paths: Any, parts: Any, modality: str = "text") -> None:
    """`parts` maps a split to Rows."""
    columns: dict[str, list[Any]] = {modality: [], "label": [], "source": [], "split": []}
    for split, part in parts.items():
        columns[modality] += part.items
        columns["label"] += part.label.tolist()
        columns["source"] += part.source
        columns["split"] += [split] * len(part)
    paths.rows.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns | {"label": pa.array(columns["label"], pa.int32())}), paths.rows)


def run(tmp_path: Path, name: str, parts: Any, encoder: Any, all_rows: bool = False, **train: Any) -> Any:
    """The stage on `parts`; the folder's paths."""
    block = config.load(find_root() / "params.yaml").models[name]
    own = block.baseline.model_copy(update={"all_rows": all_rows})
    block = block.model_copy(update={"train": block.train.model_copy(update=train), "baseline": own})
    paths = ModelPaths(tmp_path, name)
    write(paths, parts, block.modality)
    write_json(paths.encoder, encoder.as_json())
    baseline.run(block, paths)
    return paths


@pytest.mark.parametrize("tokenizer", ["ngram", "char"])
def test_the_stage_writes_the_model_and_its_scores_in_the_order_of_the_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tokenizer: str
) -> None:
    encoder = text.Encoder(("negative", "positive"), tokenizer, 20, 1000, (), ())
    parts = {"test": make(40, 2, seed=1), "train": make(120, 2), "validation": make(30, 2, seed=2)}
    paths = run(tmp_path, "reviews", parts, encoder)
    classifier = inference.Classifier.load(paths.baseline_export)
    assert isinstance(classifier.encoder, text.Encoder)
    assert classifier.encoder.tokenizer == "ngram"
    for split, path in (("validation", paths.baseline_validation), ("test", paths.baseline_scores)):
        scores = np.load(path, allow_pickle=False)
        assert (scores == classifier.probabilities(parts[split].items)).all()
        assert (scores.argmax(1) == parts[split].label).mean() > 0.9
    figures = json.loads(paths.baseline_metrics.read_text())
    assert figures["accuracy"] == pytest.approx((scores.argmax(1) == parts["test"].label).mean(), abs=1e-6)
    assert set(figures["validation"]) >= {"accuracy", "log_loss"}
    assert [figures[f"{split}_rows"] for split in ("train", "validation", "test")] == [120, 30, 40]
    assert "accuracy" in capsys.readouterr().out
    written = sorted(path.name for path in paths.baseline_scores.parent.iterdir())
    assert written == ["export", "metrics.json", "out_of_fold.parquet", "scores.npy", "validation.npy"]
    places, _, found = folds.read(paths.baseline_out_of_fold, 2)  # 20 test rows of each class are few
    assert places.tolist() == list(range(40, 190))
    truth = np.concatenate([parts["train"].label, parts["validation"].label])
    assert (found.argmax(1) == truth).mean() > 0.9


def test_validation_rows_are_scored_by_a_model_that_did_not_see_them(tmp_path: Path) -> None:
    """Every second of them says of itself what it is: the exported model has learned that, the one before had not."""
    encoder = text.Encoder(("negative", "positive"), "ngram", 20, 1000, (), ())
    told = make(40, 2, seed=2)
    own = split_rows.Rows(["".join(map(chr, range(one, one + 9))) for one in range(0x3400, 0x3400 + 360, 9)],
                          np.random.default_rng(0).permutation(told.label), told.source)  # fmt: skip
    parts = {"test": make(40, 2, seed=1), "train": make(120, 2), "validation": own}
    paths = run(tmp_path, "reviews", parts, encoder, all_rows=True)
    scores = np.load(paths.baseline_validation, allow_pickle=False)
    assert (scores.argmax(1) == own.label).mean() < 0.8
    exported = inference.Classifier.load(paths.baseline_export).probabilities(own.items)
    assert (exported.argmax(1) == own.label).mean() > 0.9


@pytest.mark.parametrize("together", [False, True])
def test_rows_that_stand_together_do_not_vouch_for_each_other(tmp_path: Path, together: bool) -> None:
    """Every author writes of a thing of his own and is of one class: of new authors nobody knows which."""
    rng = np.random.default_rng(0)
    things = ["".join(map(chr, rng.integers(0x4E00, 0x9000, 6))) for _ in range(60)]
    author = np.concatenate([np.arange(50).repeat(6), np.arange(50, 60).repeat(4)])
    label = rng.permutation(60)[author].astype(np.int32) % 2
    items = [f"{things[one]}{row}" for row, one in enumerate(author)]
    parts = {
        split: split_rows.Rows(items[start:end], label[start:end], ["here"] * (end - start))
        for split, start, end in (("train", 0, 270), ("validation", 270, 300), ("test", 300, 340))
    }
    encoder = text.Encoder(("negative", "positive"), "ngram", 20, 1000, (), ())
    paths = run(tmp_path, "reviews", parts, encoder)
    if together:
        pq.write_table(pq.read_table(paths.rows).append_column("group", pa.array(author)), paths.rows)
        baseline.run(config.load(find_root() / "params.yaml").models["reviews"], paths)
    row, group, found = folds.read(paths.baseline_out_of_fold, 2)
    assert group.tolist() == (author[:300].tolist() if together else row.tolist())
    right = (found.argmax(1) == label[:300]).mean()
    assert right < 0.65 if together else right > 0.95


def test_folds_are_fitted_with_the_strength_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To search it again in each of them is three times the work, or more: the largest take longest."""
    fit, asked = baseline.fit, []

    def watched(settings: Any, *given: Any) -> Any:
        asked.append((settings.baseline.regularization, found := fit(settings, *given)))
        return found

    monkeypatch.setattr(baseline, "fit", watched)
    parts = {"test": make(40, 2, seed=1), "train": make(120, 2), "validation": make(30, 2, seed=2)}
    run(tmp_path, "reviews", parts, text.Encoder(("negative", "positive"), "ngram", 20, 1000, (), ()))
    (grid, (chosen, _)), *others = asked  # the last of them has the temperature that the folds tell
    assert len(grid) > 1
    assert [strengths for strengths, _ in others] == [(chosen.strength,)] * (folds.FOLDS + 1)


@pytest.mark.parametrize("all_rows", [False, True])
def test_few_validation_rows_do_not_say_how_sure_it_is_alone(tmp_path: Path, all_rows: bool) -> None:
    """A quarter of the labels is wrong, by chance none of the eight that are of validation."""
    test, train, rest = make(50, 2, seed=1), make(240, 2), make(8, 2, seed=2)
    for part in (test, train):
        part.label[::8] = 1 - part.label[::8]
        part.label[1::8] = 1 - part.label[1::8]
    parts = {"test": test, "train": train, "validation": rest}
    paths = run(tmp_path, "reviews", parts, text.Encoder(("no", "yes"), "ngram", 20, 1000, (), ()), all_rows)
    for found, label in (
        (np.load(paths.baseline_scores), test.label),
        (folds.read(paths.baseline_out_of_fold, 2)[2], np.concatenate([train.label, rest.label])),
    ):
        right = found.argmax(1) == label
        assert 0.6 < right.mean() < 0.85
        assert abs(found.max(1).mean() - right.mean()) < 0.05


def test_the_stage_scores_images(tmp_path: Path) -> None:
    splits = {"test": 40, "train": 120, "validation": 20}
    parts = {split: make_images(rows, 10, seed, (10, 8)) for seed, (split, rows) in enumerate(splits.items())}
    encoder = image.Encoder.fit([pa.array(parts["train"].items)], Size(10, 8, 1), tuple("0123456789"))
    paths = run(tmp_path, "digits", parts, encoder)
    scores = np.load(paths.baseline_scores, allow_pickle=False)
    assert (scores == inference.Classifier.load(paths.baseline_export).probabilities(parts["test"].items)).all()
    assert (scores.argmax(1) == parts["test"].label).mean() > 0.5


@pytest.mark.parametrize("weight", ["none", "balanced"])
def test_the_baseline_weighs_classes_as_the_network_does(tmp_path: Path, weight: Any) -> None:
    """A fifth of the dark images are of the second class, and none of the others."""
    dark, light = (make_images(100, 2, shape=(8, 8)).items[place] for place in (0, 1))
    rows = split_rows.Rows([dark] * 50 + [light] * 50, (np.arange(100) < 10).astype(np.int32), ["here"] * 100)
    encoder = image.Encoder.fit([pa.array(rows.items)], Size(8, 8, 1), tuple("0123456789"))
    paths = run(tmp_path, "digits", dict.fromkeys(("train", "validation", "test"), rows), encoder, class_weight=weight)
    assert np.load(paths.baseline_scores, allow_pickle=False)[0].argmax() == (weight == "balanced")


def test_rows_are_read_in_order(tmp_path: Path) -> None:
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
def test_rows_that_cannot_be_used_say_why(tmp_path: Path, make_file: Callable[..., Any], message: str) -> None:
    path = ModelPaths(tmp_path, "m").rows
    path.parent.mkdir(parents=True)
    make_file(path)
    with pytest.raises(ArtifactError, match=message):
        split_rows.read(path, "text", "test", 2)


def test_rows_of_another_modality_are_refused(tmp_path: Path) -> None:
    paths = ModelPaths(tmp_path, "m")
    write(paths, {"test": make(5, 2)})
    with pytest.raises(ArtifactError, match="run `luodi preprocess m` again"):
        split_rows.read(paths.rows, "image", "test", 2)
