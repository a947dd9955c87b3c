"""The linear model of texts: equal to scikit-learn's own TF-IDF, to the bit from run to run, and as it is exported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_rows import make

from luodi import config
from luodi.data import split_rows, text
from luodi.data.text import Encoder
from luodi.errors import ArtifactError
from luodi.linear import fitting
from luodi.linear import text as linear
from luodi.scoring import graphs, inference, temperature

SETTINGS = config.TextBaseline(max_features=5000, regularization=(0.5, 2.0))


def encoder(classes: int, **changes: Any) -> Any:
    labels = tuple(map(str, range(classes)))
    fields: dict[str, Any] = {"labels": labels, "tokenizer": "ngram", "max_length": 20, "buckets": 2**20}
    return Encoder(**fields | {"stop_words": (), "vocabulary": ()} | changes)


def scores(model: Any, encoder: Encoder, items: list[str], folder: Path) -> np.ndarray:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    rows = encoder.encode_clean(text.column(items))
    return inference.run_session(inference.open_session(folder / "model.onnx"), rows)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_learns_and_gives_probabilities(tmp_path: Path, classes: int) -> None:
    train, test = make(120, classes), make(60, classes, seed=1)
    model = linear.fit(encoder(classes), train, test, SETTINGS).judged
    found = scores(model, encoder(classes), test.items, tmp_path)
    assert found.dtype == np.float32
    assert found.shape == (60, classes)
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert (found.argmax(1) == test.label).mean() > 0.9


def test_it_repeats_to_the_bit() -> None:
    train, test = make(200, 3), make(50, 3, seed=1)
    assert len({linear.fit(encoder(3), train, test, SETTINGS).final.SerializeToString() for _ in range(2)}) == 1


def test_what_validation_rows_alone_tell_only_the_final_model_knows(tmp_path: Path) -> None:
    """The third class has rows of validation and none of train."""
    rows = make(180, 3)

    def pick(where: Any) -> split_rows.Rows:
        return split_rows.Rows([rows.items[one] for one in where], rows.label[where], ["here"] * len(where))

    train, validation = pick(np.flatnonzero(rows.label < 2)), pick(np.flatnonzero(rows.label == 2))
    settings = SETTINGS.model_copy(update={"all_rows": True})
    judged, final, _ = linear.fit(encoder(3), train, validation, settings)
    assert (scores(judged, encoder(3), validation.items, tmp_path)[:, 2] == 0).all()
    found = scores(final, encoder(3), rows.items, tmp_path)
    assert (found.argmax(1) == rows.label).mean() > 0.9


def test_balanced_rows_of_a_rare_class_count_for_more(tmp_path: Path) -> None:
    """One row in ten is of the second class, two in ten of those that say so much."""
    label = (np.arange(300) % 10 == 0).astype(np.int32)
    train = split_rows.Rows(["好" if row % 2 else "坏" for row in range(300)], label, ["here"] * 300)
    plain, weighed = (
        scores(linear.fit(encoder(2), train, train, SETTINGS, weight).judged, encoder(2), ["坏"], tmp_path)[0]
        for weight in (None, "balanced")
    )
    assert plain.argmax() == 0
    assert weighed.argmax() == 1


def test_features_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    train, other = make(200, 3), make(50, 3, seed=1)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, binary=True, lowercase=False)
    expected = vectorizer.fit_transform(train.items)
    found = linear.occurrences(encoder(3), train.items)
    weighing = linear.weigh(found, train.label, 10**6)
    weighing = replace(weighing, scale=np.ones_like(weighing.scale))
    assert weighing.idf[1:].sum() == pytest.approx(vectorizer.idf_.sum(), rel=1e-5)
    for items, wanted in ((train.items, expected), (other.items, vectorizer.transform(other.items))):
        mine = linear.features(linear.occurrences(encoder(3), items), weighing)
        np.testing.assert_allclose((mine @ mine.T).toarray(), (wanted @ wanted.T).toarray(), atol=1e-5)


def test_features_that_tell_classes_apart_are_scaled_up() -> None:
    """As a plain reading of the formula has it; two classes of four rows, three features."""

    from scipy import sparse

    rows = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]], np.float32)
    label = np.array([0, 0, 1, 1], np.int32)
    first, second = rows[label == 0].sum(0) + 1, rows[label == 1].sum(0) + 1
    ratio = np.log(first / first.sum()) - np.log(second / second.sum())
    expected = 0.5 + np.abs(ratio) / np.sqrt(np.mean(ratio**2))
    np.testing.assert_allclose(linear.scales(sparse.csr_matrix(rows), label), expected, rtol=1e-6)
    assert expected[1] > expected[2] > expected[0]
    assert (linear.scales(sparse.csr_matrix(np.ones((4, 2), np.float32)), label) == 0.5).all()


@pytest.mark.parametrize("classes", [2, 3, 9])
def test_the_export_says_what_was_fitted(tmp_path: Path, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Float16 weights, an empty text and one of unseen n-grams included; and the same, copied by rows or by numbers."""
    (train, other), label = (make(200, 3), make(50, 3, seed=1)), (np.arange(200) % classes).astype(np.int32)
    train = split_rows.Rows([f"{one}{place}" for one, place in zip(train.items, label, strict=True)], label, [])
    occurring = linear.occurrences(encoder(classes), train.items)
    weighing = linear.weigh(occurring, train.label, 10**6)
    rows = fitting.Rows(linear.features(occurring, weighing), train.label)
    from sklearn.svm import LinearSVC

    model = fitting.fit(rows, rows, classes, (1.0,), lambda C: LinearSVC(C=C, random_state=0))
    items = [*other.items, "", "ωψ"]
    logits = model.logits(linear.features(linear.occurrences(encoder(classes), items), weighing))
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    exported = linear.graph(model, weighing, encoder(classes))
    assert ("GatherElements" in {node.op_type for node in exported.graph.node}) == (classes < graphs.FEW)
    found = scores(exported, encoder(classes), items, tmp_path)
    np.testing.assert_allclose(found, expected, atol=2e-3, equal_nan=False)
    monkeypatch.setattr(graphs, "FEW", 1 + classes if classes >= graphs.FEW else 0)
    other_form = linear.graph(model, weighing, encoder(classes))
    assert [node.op_type for node in other_form.graph.node] != [node.op_type for node in exported.graph.node]
    np.testing.assert_allclose(scores(other_form, encoder(classes), items, tmp_path), found, rtol=0, atol=1e-6)


def test_a_table_that_is_too_large_for_all_ids_is_read_by_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make(120, 3)
    by_ids = linear.fit(encoder(3), rows, rows, SETTINGS).judged
    monkeypatch.setattr(linear, "VALUES", 2**20)  # values of a table, of 2^20 ids and of 5,000 features
    by_features = linear.fit(encoder(3), rows, rows, SETTINGS).judged
    assert [node.input[0] for node in by_ids.graph.node if node.op_type == "Gather"] == ["table"]
    assert [node.input[0] for node in by_features.graph.node if node.op_type == "Gather"] == ["feature"]
    found = [scores(model, encoder(3), rows.items, tmp_path) for model in (by_ids, by_features)]
    assert (found[0] == found[1]).all()


def test_strengths_are_tried_until_the_validation_loss_rises() -> Any:
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400).astype(np.int32)
    noise = rng.normal(size=(400, 50)) + 0.3 * label[:, None]
    seen, judged = (fitting.Rows(noise[part], label[part]) for part in (slice(80), slice(80, 400)))
    tried = []

    def estimator(C: Any) -> Any:
        tried.append(C)
        return LinearSVC(C=C, random_state=0)

    strengths = (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001)
    loss = {}
    for C in strengths:
        alone = fitting.fit(seen, judged, 2, (C,), estimator)
        loss[C] = temperature.loss(alone.logits(judged.features), judged.label, 1)
    tried.clear()
    chosen = fitting.fit(seen, judged, 2, strengths, estimator).strength
    assert chosen == min(strengths, key=loss.__getitem__)
    assert tried == sorted(strengths)[: sorted(strengths).index(chosen) + 2]
    assert len(tried) < len(strengths)


def test_features_leave_the_occurrences_as_they_were() -> None:
    """They share no array: n-grams that are no feature are dropped."""
    rows = make(200, 3)
    found = linear.occurrences(encoder(3), rows.items)
    few = linear.weigh(found, rows.label, 10)
    before = found.indptr.copy()
    linear.features(found, few)
    assert (found.indptr == before).all()


def test_a_class_without_train_rows_scores_zero(tmp_path: Path) -> None:
    rows = make(60, 2)
    train = split_rows.Rows(rows.items, rows.label * 2, rows.source)
    strange = split_rows.Rows([*rows.items, "好"], np.append(train.label, 1).astype(np.int32), [*rows.source, "here"])
    found = scores(linear.fit(encoder(3), train, strange, SETTINGS).judged, encoder(3), ["好"], tmp_path)
    assert found[0, 1] == 0
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_one_class_is_refused() -> None:
    with pytest.raises(ArtifactError, match="one class"):
        linear.fit(encoder(2), make(20, 1), make(5, 1), SETTINGS)


def test_texts_without_a_character_are_refused() -> None:
    train = split_rows.Rows(["", ""], np.array([0, 1], np.int32), ["here"] * 2)
    with pytest.raises(ArtifactError, match="no n-gram in the train rows"):
        linear.fit(encoder(2), train, train, SETTINGS)


def test_the_most_frequent_features_are_kept_within_the_limit() -> None:
    found = linear.occurrences(encoder(2), ["ab", "ab", "ab", "c", "c", "d"])
    label = np.arange(6, dtype=np.int32) % 2
    assert len(linear.weigh(found, label, 10**6).idf) == 1 + 4, "a, b, ab and c; d is in one row alone"
    assert len(linear.weigh(found, label, 3).idf) == 1 + 3
    single = linear.weigh(linear.occurrences(encoder(2), ["x", "y"]), label[:2], 10**6)
    assert len(single.idf) == 1 + 2, "where no n-gram is in two rows, those of one row are kept"


@pytest.mark.parametrize("tokenizer", ["char", "word", "ngram"])
def test_it_reads_ngrams_whatever_the_network_reads(tokenizer: str) -> None:
    rows = make(60, 2)
    reads = encoder(2, tokenizer=tokenizer, vocabulary=() if tokenizer == "ngram" else ("好",))
    own = linear.encoder_for(reads, rows)
    expected = reads if tokenizer == "ngram" else encoder(2, kept="").keeping([text.column(rows.items)])
    assert own == expected
    assert own.size > 10
