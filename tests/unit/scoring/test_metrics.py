"""The figures against scikit-learn, the intervals against simulation, and the inputs that break naive code."""

import csv
import io
import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luodi.errors import ArtifactError
from luodi.scoring import figures, metrics, plots
from luodi.scoring.scored import Scored, bin_of
from luodi.scoring.scored import scored as pair


@st.composite
def scored(draw: Callable[..., Any], most: int = 5) -> Scored | None:
    """Rows whose scores tie often: small integers, made to sum to 1."""
    k, n = draw(st.integers(2, most)), draw(st.integers(1, 60))
    cells = draw(st.lists(st.integers(0, 4), min_size=n * k, max_size=n * k))
    raw = np.array(cells, float).reshape(n, k) + 0.01
    truth = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    scores = (raw / raw.sum(1, keepdims=True)).astype(np.float32)
    return pair(truth, scores, "model", k)


def one(figure: Callable[..., Any], data: Scored) -> float:
    return float(figure(data, np.ones((1, data.rows)))[0])


def noisy(rows: int, classes: int, seed: int, skill: float = 1.0) -> Scored:
    """A classifier that sees the truth through noise; its scores are calibrated by no one."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=rows)
    logits = rng.normal(size=(rows, classes)) + skill * np.eye(classes)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return pair(truth, scores, "model", classes)


def test_the_most_probable_class_is_predicted_of_equal_ones_the_first() -> None:
    scores = np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7], [0.3, 0.5, 0.2]])
    data = pair(np.array([1, 2, 1]), scores, "model", 3)
    assert data.predicted.tolist() == [0, 2, 1]
    assert data.confidence.tolist() == [0.4, 0.7, 0.5]
    assert data.correct.tolist() == [False, True, True]


@given(scored())
def test_accuracies_and_f1_equal_sklearn(data: Scored) -> None:
    from sklearn import metrics as reference

    assert one(metrics.accuracy, data) == pytest.approx(reference.accuracy_score(data.truth, data.predicted))
    expected = reference.f1_score(data.truth, data.predicted, average="macro", zero_division=0)
    assert one(metrics.macro_f1, data) == pytest.approx(expected)
    with warnings.catch_warnings(action="ignore"):  # a class that is predicted and has no row
        expected = reference.balanced_accuracy_score(data.truth, data.predicted)
    assert one(metrics.balanced_accuracy, data) == pytest.approx(expected)


@given(scored())
def test_average_precision_equals_sklearn(data: Scored) -> None:
    from sklearn import metrics as reference

    areas = [
        reference.average_precision_score(data.truth == index, data.scores[:, index]) for index in np.unique(data.truth)
    ]
    assert one(metrics.average_precision, data) == pytest.approx(np.mean(areas))


@given(scored())
def test_roc_auc_equals_sklearn_and_is_nan_where_it_has_none(data: Scored) -> None:
    from sklearn import metrics as reference

    areas = [
        reference.roc_auc_score(data.truth == index, data.scores[:, index])
        for index in ([1] if data.classes == 2 else range(data.classes))
        if 0 < (data.truth == index).sum() < data.rows
    ]
    assert one(metrics.roc_auc, data) == pytest.approx(np.mean(areas) if areas else np.nan, nan_ok=True)


def test_of_two_classes_the_second_alone_has_a_curve() -> None:
    """The other one's need not mirror it: rows sum to 1 but for rounding."""
    data = pair(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5005]]), "model", 2)
    assert one(metrics.roc_auc, data) == 1


def test_no_probability_is_above_one() -> None:
    """Rows sum to 1 but for rounding: what is surer than sure is sure."""
    data = pair(np.array([0]), np.array([[1.0005, 0]]), "model", 2)
    assert one(metrics.log_loss, data) == 0
    assert one(metrics.calibration_error, data) == pytest.approx(0.0005)


def test_bins_hold_their_upper_edge() -> None:
    """Bin b is (b / 15, (b + 1) / 15]; the first holds 0, the last what is above 1 by rounding."""
    edges = np.arange(16) / 15
    assert bin_of(edges).tolist() == [0, *range(15)]
    assert bin_of(edges + 1e-6).tolist() == [*range(15), 14]
    assert bin_of(np.array([1.08])).tolist() == [14]


@given(scored())
def test_log_loss_equals_sklearn(data: Scored) -> None:
    from sklearn import metrics as reference

    scores = data.scores / data.scores.sum(1, keepdims=True)
    expected = reference.log_loss(data.truth, scores, labels=range(data.classes))
    assert one(metrics.log_loss, data) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(scored())
def test_classes_and_confusion_equal_sklearn(data: Scored) -> None:
    from sklearn import metrics as reference

    labels = list(range(data.classes))
    expected = reference.precision_recall_fscore_support(data.truth, data.predicted, labels=labels, zero_division=0)
    got = [[part[name] or 0 for part in figures.per_class(data)] for name in ("precision", "recall", "f1", "support")]
    assert np.allclose(got, np.array(expected, float))
    assert (figures.confusion(data) == reference.confusion_matrix(data.truth, data.predicted, labels=labels)).all()


@given(scored())
def test_calibration_error_equals_the_definition(data: Scored) -> None:
    """Guo et al. 2017, equation 3, bin by bin; and the bins of the plot give the same sum."""
    total = 0.0
    for index in range(15):
        inside = (data.confidence > index / 15) & (data.confidence <= (index + 1) / 15)
        if inside.any():
            total += inside.sum() / data.rows * abs(data.correct[inside].mean() - data.confidence[inside].mean())
    assert one(metrics.calibration_error, data) == pytest.approx(total)
    bins = plots.calibration(data)
    drawn = sum(part["rows"] * abs(part["accuracy"] - part["confidence"]) for part in bins) / data.rows
    assert drawn == pytest.approx(total)
    assert sum(part["rows"] for part in bins) == data.rows


@pytest.mark.parametrize("rows", [60, 276, pytest.param(2000, marks=pytest.mark.slow)])
def test_chance_gives_a_calibrated_classifier_the_error_that_is_told(rows: int) -> None:
    rng = np.random.default_rng(rows)
    errors, told = [], []
    for _ in range(300):
        sure = rng.uniform(0.5, 1, rows)
        data = Scored((rng.random(rows) > sure).astype(int), np.stack([sure, 1 - sure], axis=1))
        errors.append(one(metrics.calibration_error, data))
        told.append(figures.calibration_by_chance(data, 0.95, 100))
    assert np.mean(told) == pytest.approx(np.mean(errors), rel=0.05)


def test_rows_of_a_group_give_a_calibrated_classifier_the_error_of_so_few_rows() -> None:
    """Paragraphs of a page are right or wrong together: 40 pages of 10 had an error of 40 rows, and 400 was told."""
    rng = np.random.default_rng(0)
    group, errors, told = np.arange(40).repeat(10), [], []
    for _ in range(100):
        sure = rng.uniform(0.5, 1, 40)
        wrong = (rng.random(40) > sure).astype(int)
        data = Scored(wrong[group], np.stack([sure, 1 - sure], axis=1)[group], group)
        errors.append(one(metrics.calibration_error, data))
        told.append(figures.calibration_by_chance(data, 0.95, 100))
    assert np.mean(errors) == pytest.approx(np.mean(told), rel=0.2)


@given(scored(), st.randoms(use_true_random=False))
def test_weights_mean_repeated_rows(data: Scored, random: Any) -> None:
    """A figure under weights is the figure of the rows written out that often."""
    weights = np.array([[random.randint(0, 3) for _ in range(data.rows)] for _ in range(3)], float)
    weights[:, 0] = weights[:, 0].clip(1)
    for metric in metrics.METRICS.values():
        expected = []
        for draw in weights:
            picked = np.repeat(np.arange(data.rows), draw.astype(int))
            expected.append(one(metric.function, Scored(data.truth[picked], data.scores[picked])))
        assert metric.function(data, weights) == pytest.approx(expected, nan_ok=True)


@given(scored(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(data: Scored, random: Any) -> None:
    order = list(range(data.rows))
    random.shuffle(order)
    shuffled = Scored(data.truth[order], data.scores[order])
    assert figures.point(shuffled) == pytest.approx(figures.point(data))


@given(scored(most=2))
def test_roc_and_precision_recall_lie_on_sklearn_curves(data: Scored) -> None:
    from sklearn import metrics as reference

    positive, scores = data.truth == 1, data.scores[:, 1]
    if positive.any() and not positive.all():
        x, y, _ = reference.roc_curve(positive, scores, drop_intermediate=False)
        assert np.allclose(plots.roc(data), np.stack([x, y], 1))
        area = reference.auc(*np.array(plots.roc(data)).T)
        assert area == pytest.approx(one(metrics.roc_auc, data))
    else:
        assert plots.roc(data) == []
    if positive.any():
        precision, recall, _ = reference.precision_recall_curve(positive, scores)
        assert np.allclose(plots.precision_recall(data)[1:], np.stack([recall, precision], 1)[:-1][::-1])
    else:
        assert plots.precision_recall(data) == []


def test_pooled_roc_equals_sklearn_micro_average() -> None:
    from sklearn import metrics as reference

    data = noisy(300, 4, 1)
    area = reference.auc(*np.array(plots.roc(data)).T)
    hot = np.eye(4)[data.truth]
    assert area == pytest.approx(reference.roc_auc_score(hot, data.scores, average="micro"), abs=1e-3)


def test_curves_are_bounded_and_keep_their_ends() -> None:
    data = noisy(5000, 2, 2)
    for points in (plots.roc(data), plots.precision_recall(data)):
        assert len(points) == plots.POINTS
    assert plots.roc(data)[0] == (0, 0)
    assert plots.roc(data)[-1] == (1, 1)
    assert plots.precision_recall(data)[-1][0] == 1


@pytest.fixture(scope="module")
def compared() -> list[Any]:
    """The figures of 60 samples, with their 95% intervals."""
    samples = [noisy(250, 3, seed) for seed in range(1, 61)]
    return [figures.compare(sample, sample, 200, 0.95)["model"] for sample in samples]


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "roc_auc", "log_loss"])
@pytest.mark.slow
def test_intervals_cover_the_true_value(name: str, compared: list[Any]) -> None:
    """Of 60 samples, at least 85% have a 95% interval that holds the value of the population."""
    truth = figures.point(noisy(200_000, 3, 0))[name]
    found = [of_sample[name] for of_sample in compared]
    assert np.mean([figure["low"] <= truth <= figure["high"] for figure in found]) >= 0.85
    assert all(figure["low"] <= figure["value"] <= figure["high"] for figure in found)


def test_an_interval_leaves_half_of_the_rest_out_at_either_end() -> None:
    drawn = np.array([*range(101), np.nan, np.nan])
    assert figures.interval(7.0, drawn, 0.9) == pytest.approx({"value": 7, "low": 5, "high": 95})
    assert figures.interval(40.0, drawn, 0.5) == pytest.approx({"value": 40, "low": 25, "high": 75})
    assert figures.interval(7.0, drawn, 0.5) == pytest.approx({"value": 7, "low": 7, "high": 75})
    assert figures.interval(7.0, drawn[-2:], 0.9) == {"value": 7, "low": 7, "high": 7}


def test_difference_is_paired() -> None:
    """Two classifiers that err on the same rows differ by less than their own intervals are wide."""
    model = noisy(1000, 2, 3, skill=2)
    worse = model.scores.copy()
    flipped = np.flatnonzero(model.correct)[:30]
    worse[flipped] = worse[flipped][:, ::-1]
    found = figures.compare(model, Scored(model.truth, worse), 500, 0.95)
    gap = found["difference"]["accuracy"]
    assert gap["value"] == pytest.approx(0.03)
    assert 0 < gap["low"] < gap["high"] < 0.05
    assert found["model"]["accuracy"]["high"] - found["model"]["accuracy"]["low"] > gap["high"] - gap["low"]


def test_equal_classifiers_differ_by_nothing() -> None:
    found = figures.compare(noisy(50, 3, 4), noisy(50, 3, 4), 50, 0.95)
    for figure in found["difference"].values():
        assert figure == {"value": 0, "low": 0, "high": 0}


def test_compare_repeats_to_the_bit_and_widens_with_confidence() -> None:
    data, other = noisy(300, 3, 5), noisy(300, 3, 6)
    assert figures.compare(data, other, 100, 0.9) == figures.compare(data, other, 100, 0.9)
    narrow = figures.compare(data, other, 300, 0.8)["model"]["accuracy"]
    wide = figures.compare(data, other, 300, 0.99)["model"]["accuracy"]
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


def repeated(data: Scored, times: int) -> Scored:
    """Each row so many times, as a group."""
    place = np.arange(data.rows).repeat(times)
    return replace(data.of(place), group=place)


def test_rows_of_a_group_that_say_the_same_count_as_one() -> None:
    """Every interval is as wide as that of one row of each group, and of rows for themselves half as wide."""
    single, other = noisy(400, 3, 8), noisy(400, 3, 9)
    of_one = figures.compare(single, other, 300, 0.95)
    grouped = figures.compare(repeated(single, 4), repeated(other, 4), 300, 0.95)
    bare = figures.compare(single.of(np.arange(1600) // 4), other.of(np.arange(1600) // 4), 300, 0.95)
    for who, name in itertools.product(("model", "difference"), ("accuracy", "macro_f1", "roc_auc", "log_loss")):
        width = [found[who][name]["high"] - found[who][name]["low"] for found in (of_one, grouped, bare)]
        assert width[1] == pytest.approx(width[0], rel=0.05), (who, name)
        assert width[2] < 0.65 * width[0], (who, name)


@pytest.mark.slow
@given(scored())
@settings(max_examples=30)
def test_groups_of_one_row_change_no_figure(data: Scored) -> None:
    alone = replace(data, group=np.arange(data.rows)[::-1])
    for figure in (figures.share, figures.predictions):
        assert figure(alone, 0.95) == figure(data, 0.95)
    assert figures.judged(alone, data, 0.95) == figures.judged(data, data, 0.95)
    in_order = replace(data, group=np.arange(data.rows) + 7)
    found, expected = (figures.compare(one, data, 20, 0.95) for one in (in_order, data))
    assert figures.rounded(found) == figures.rounded(expected)


@pytest.mark.parametrize(("groups", "alike"), [(5, 1.0), (10, 0.2), (30, 0.2), (30, 1.0), (200, 0.5)])
def test_the_interval_of_a_share_covers_it_where_rows_stand_in_groups(groups: int, alike: float) -> None:
    """Of 400 samples 95% are to cover it, by chance 370 at the least. Rows are right together by a beta-binomial."""
    rng, found, share = np.random.default_rng(groups), {"groups": 0, "rows": 0}, 0.8
    group = np.repeat(np.arange(groups), 5)
    for _ in range(400):
        spread = (1 - alike) / alike
        of_each = rng.beta(share * spread, (1 - share) * spread, groups) if spread else rng.random(groups) < share
        right = rng.random(len(group)) < of_each[group]
        sample = Scored(np.zeros(len(group), int), np.eye(2)[(~right).astype(int)], group)
        for name, data in (("groups", sample), ("rows", replace(sample, group=None))):
            figure = figures.share(data, 0.95)
            found[name] += figure["low"] <= share <= figure["high"]
    assert found["groups"] >= 370
    assert found["rows"] < found["groups"] - 20


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "share"), [(30, 0.95), (50, 0.95), (200, 0.99)])
def test_few_errors_do_not_prove_that_rows_in_groups_err_each_for_itself(groups: int, share: float) -> None:
    """The lower end lies above the true share in 2.5% of samples, of 1,000 at most 40."""
    rng, high, group = np.random.default_rng(groups), 0, np.repeat(np.arange(groups), 5)
    for _ in range(1000):
        wrong = rng.random(len(group)) < rng.beta(1 - share, share, groups)[group]
        sample = Scored(np.zeros(len(group), int), np.eye(2)[wrong.astype(int)], group)
        high += figures.share(sample, 0.95)["low"] > share
    assert high <= 40


@pytest.mark.parametrize(("groups", "size"), [(2, 3), (20, 5), (50, 5), (400, 2)])
def test_no_error_proves_the_most_and_no_hit_the_least(groups: int, size: int) -> None:
    group = np.repeat(np.arange(groups), size)

    def interval(wrong: int) -> dict[str, float]:
        says = np.isin(np.arange(len(group)), size * np.arange(wrong)).astype(int)  # each in another group
        return figures.share(Scored(np.zeros(len(group), int), np.eye(2)[says], group), 0.95)

    assert max(interval(wrong)["low"] for wrong in range(groups)) == interval(0)["low"]
    turned = Scored(np.ones(len(group), int), np.eye(2)[(np.arange(len(group)) == 0).astype(int)], group)
    none = figures.share(replace(turned, scores=np.eye(2)[np.zeros(len(group), int)]), 0.95)
    assert figures.share(turned, 0.95)["high"] >= none["high"]


def test_where_all_rows_are_right_groups_are_taken_for_alike() -> None:
    data = Scored(np.zeros(100, int), np.eye(2)[np.zeros(100, int)], np.repeat(np.arange(20), 5))
    assert figures.share(data, 0.95) == pytest.approx(figures.wilson(20, 20, 0.95))
    one_group = replace(data, group=np.zeros(100, int))
    assert figures.share(one_group, 0.95) == pytest.approx(figures.wilson(1, 1, 0.95))


def test_draws_fill_the_number_asked_for_in_bounded_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "CELLS", 70)
    chunks = list(figures.draws(10, 25))
    assert [len(chunk) for chunk in chunks] == [7, 7, 7, 4]
    assert all((chunk.sum(1) == 10).all() for chunk in chunks)
    assert [len(chunk) for chunk in figures.draws(1000, 3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("truth", "scores", "expected"),
    [
        ([0], [[0.6, 0.4]], (1, 1, 1, 1, None, 0.5108, 0.4)),
        ([1], [[0.6, 0.4]], (0, 0, 0, 1, None, 0.9163, 0.6)),
        (
            [0, 1],
            [[1, 0], [0, 1]],
            (1, 1, 1, 1, 1, 0, 0),
        ),
        (
            [1, 0],
            [[1, 0], [0, 1]],
            (0, 0, 0, 0.5, 0, 15.9424, 1),
        ),
        (
            [0, 1],
            [[0.5, 0.5], [0.5, 0.5]],
            (0.5, 1 / 3, 0.5, 0.5, 0.5, 0.6931, 0),
        ),
    ],
    ids=["one row right", "one row wrong", "perfect", "all wrong", "undecided"],
)
def test_degenerate_rows(truth: Any, scores: Any, expected: Any) -> None:
    expected = {name: value for name, value in zip(metrics.METRICS, expected, strict=True) if value is not None}
    data = pair(np.array(truth), np.array(scores), "model", 2)
    assert figures.point(data) == pytest.approx(expected, abs=1e-4)
    found = figures.compare(data, data, 20, 0.95)
    assert set(found["model"]) == set(expected)
    assert np.isfinite([end for who in found.values() for part in who.values() for end in part.values()]).all()


def test_the_precision_of_each_class_has_wilsons_interval_over_its_predictions() -> None:
    scores = np.eye(3)[[0, 0, 0, 0, 1]]
    found = figures.predictions(pair(np.array([0, 0, 0, 1, 1]), scores, "model", 3), 0.95)
    assert found[0] == {**figures.wilson(3, 4, 0.95), "rows": 4}
    assert found[1] == {**figures.wilson(1, 1, 0.95), "rows": 1}
    low = found[1]["low"]
    assert low is not None and low < 0.3  # one prediction that is right proves little
    assert found[2] == {"value": None, "low": None, "high": None, "rows": 0}


def test_a_class_absent_from_the_test_rows_has_no_figures_and_no_nan() -> None:
    data = pair(np.array([0, 0, 1]), np.full((3, 3), 1 / 3), "model", 3)
    assert figures.per_class(data)[2] == {"precision": None, "recall": None, "f1": None, "support": 0}
    with warnings.catch_warnings(action="error"):
        assert np.isfinite(list(figures.point(data).values())).all()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[np.nan, np.nan], [0.5, 0.5]], "1 of 2 rows"),
        ([[np.inf, 0], [0.5, 0.5]], "1 of 2 rows"),
        ([[0.9, 0.9], [2, -1]], "2 of 2 rows"),
        ([[0.5, 0.5]], r"expected shape \(2, 2\)"),
        ([[1.0], [1.0]], r"found \(2, 1\)"),
        ([0.5, 0.5], r"found \(2,\)"),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(scores: list[Any], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        pair(np.array([0, 1]), np.array(scores), "model", 2)


def test_the_first_row_that_is_no_distribution_is_shown_to_five_places() -> None:
    scores = np.full((3, 7), 1 / 7)
    scores[1:] = [2, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ArtifactError) as caught:
        pair(np.zeros(3, int), scores, "baseline", 7)
    assert str(caught.value) == (
        "scores of the baseline: expected probabilities that sum to 1, found 2 of 3 rows that do not, first row 1: "
        "[2.0, 0.0, 0.0, 0.0, 0.0]; a model that gives NaN has diverged: lower train.learning_rate in params.yaml and "
        "train again"
    )
    with pytest.raises(ArtifactError) as caught:
        pair(np.zeros(2, int), scores, "baseline", 7)
    assert str(caught.value) == (
        "scores of the baseline: expected shape (2, 7) (test rows, classes), found (3, 7): run the stage of the "
        "baseline again"
    )


@given(st.integers(1, 2000), st.data())
def test_wilson_holds_its_value_and_stays_in_range(rows: int, data: Any) -> None:
    hits = data.draw(st.integers(0, rows))
    figure = figures.wilson(hits, rows, 0.95)
    assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1


def test_wilson_equals_the_published_example() -> None:
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert figures.wilson(81, 263, 0.95) == pytest.approx({"value": 81 / 263, "low": 0.2553, "high": 0.3662}, abs=1e-4)
    assert figures.wilson(0, 20, 0.95) == pytest.approx({"value": 0, "low": 0, "high": 0.1611}, abs=1e-4)


def test_digits_read_as_wilson_has_them() -> None:
    """274 of 276 rows: 0.9928 [0.9819, 1.0000] by a bootstrap."""
    data = noisy(276, 3, 1, skill=9)
    right = np.eye(3)[data.truth]
    right[:2] = np.roll(right[:2], 1, axis=1)
    model = pair(data.truth, right, "model", 3)
    found = figures.compare(model, model, 50, 0.95)["model"]
    assert found["accuracy"] == pytest.approx({"value": 0.9928, "low": 0.9740, "high": 0.9980}, abs=1e-4)
    assert found["macro_f1"]["low"] < 0.975


def test_the_mean_of_shares_reaches_as_its_parts_do() -> None:
    """20 of 20 and 0 of 20: Wilson's reach 0.1611 each (Newcombe 1998), so their mean 0.1611 / sqrt(2) / 2."""
    found = figures.mean_share([figures.wilson(hits, 20, 0.95) for hits in (20, 0)])
    assert found == pytest.approx({"value": 0.5, "low": 0.5 - 0.0806, "high": 0.5 + 0.0806}, abs=1e-4)


@given(scored(), st.data())
def test_quartile_slices_share_out_all_rows(data: Scored, draw: Any) -> None:
    lengths = np.array(draw.draw(st.lists(st.integers(1, 9), min_size=data.rows, max_size=data.rows)))
    parts = figures.quartile_slices(lengths, data, 0.95)
    assert sum(part["rows"] for part in parts.values()) == data.rows
    ranges = [(part["from"], part["to"]) for part in parts.values()]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
    right = sum(part["value"] * part["rows"] for part in parts.values())
    assert right == pytest.approx(data.correct.sum())


def test_quartiles_are_named_from_the_lowest() -> None:
    parts = figures.quartiles(np.array([8, 1, 2, 7, 3, 6, 5, 4]))
    assert {name: np.flatnonzero(part).tolist() for name, part in parts.items()} == {
        "q1": [1, 2], "q2": [4, 7], "q3": [5, 6], "q4": [0, 3]
    }  # fmt: skip
    assert list(figures.quartiles(np.array([3, 3, 3, 9]))) == ["q1", "q4"]


def test_of_equally_large_sources_the_first_by_name_are_shown() -> None:
    names = [f"s{number:02}" for number in range(60)]
    assert list(figures.largest([*reversed(names), *names[::2]])) == names[:40:2]


def test_sources_are_told_apart_to_the_last_byte() -> None:
    parts = figures.largest(["a", "a\0", "a", "b"])
    assert {name: part.sum() for name, part in parts.items()} == {"a": 2, "a\0": 1, "b": 1}


def test_source_slices_are_bounded_and_ordered_by_rows() -> None:
    data = noisy(465, 2, 7)
    sources = [f"s{index}" for index in range(30) for _ in range(index + 1)]
    parts = figures.source_slices(sources, data, 0.95)
    assert list(parts) == [f"s{index}" for index in range(29, 9, -1)]
    assert parts["s29"]["rows"] == 30


@given(st.recursive(st.floats(-1e3, 1e3) | st.integers(), lambda part: st.dictionaries(st.text(max_size=3), part)))
def test_rounding_is_idempotent(value: dict[str, Any] | float) -> None:
    assert figures.rounded(figures.rounded(value)) == figures.rounded(value)


def test_six_digits_are_kept_of_floats_and_all_else_as_it_is() -> None:
    value = {
        "deep": {"x": 0.12345649},
        "up": 0.1234565001,
        "count": 3,
        "name": "a",
        "none": None,
        "list": [0.123456789],
    }
    expected = {"deep": {"x": 0.123456}, "up": 0.123457, "count": 3, "name": "a", "none": None, "list": [0.123456789]}
    assert repr(figures.rounded(value)) == repr(expected)


def test_rounding_leaves_no_negative_zero() -> None:
    assert str(figures.rounded({"a": -1e-9})) == "{'a': 0.0}"


@settings(max_examples=30)
@given(scored(), st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00")), min_size=5, max_size=5))
def test_csv_can_be_read_back(data: Scored, labels: list[str]) -> None:
    files = plots.tables(data, labels)
    lines = list(csv.DictReader(io.StringIO(files["confusion.csv"], newline="")))
    assert [line["actual"] for line in lines] == [labels[index] for index in data.truth]
    assert set(files) == {"confusion.csv", "calibration.csv", "roc.csv", "precision_recall.csv"}


def test_pages_name_metrics_without_numpy() -> None:
    """The server of Airflow shows cards and comparisons; none of the stages' libraries is installed there."""
    code = "import sys; sys.modules['numpy'] = None; from luodi.registry import card; card.comparison('m', {})"
    subprocess.run([sys.executable, "-c", code], check=True)
