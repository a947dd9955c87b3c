"""A metric of a user's own: the gate decides by it as by one of luodi's, and what it gives wrong is told."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from luodi import config
from luodi.config import user_code
from luodi.errors import UserCodeFailed
from luodi.registry import evidence
from luodi.scoring import choice, metrics
from luodi.scoring.scored import Scored

OURS = """\
import numpy as np
from sklearn.metrics import fbeta_score


def right(truth, predicted, weights):
    return weights @ (truth == predicted) / weights.sum(1)


def sure(truth, probabilities, weights):
    return weights @ probabilities[np.arange(len(truth)), truth] / weights.sum(1)


def f2(truth, predicted, weights):
    return [fbeta_score(truth, predicted, beta=2, sample_weight=one) for one in weights]


def found(truth, predicted, weights):  # 0 / 0 where no row is of class 2
    return weights @ ((truth == 2) & (predicted == 2)) / (weights @ (truth == 2))


def careless(truth, predicted, weights):
    return np.full(len(weights), (truth == predicted).mean())


def one(truth, weights):
    return 0.5


def euros(truth, predicted, weights):
    return weights @ (2.5 * (truth != predicted)) / weights.sum(1)


def words(truth, weights):
    return ["good"] * len(weights)


def recalls(truth, predicted, weights):
    each = [weights @ ((truth == one) & (predicted == one)) / (weights @ (truth == one)) for one in (0, 1)]
    return np.mean(each, axis=0)


def cheap(truth, predicted, weights):  # a mistake costs a tenth of what it may
    return 1 - weights @ (truth != predicted) / weights.sum(1) / 10


def broken(truth, weights):
    raise KeyError("no such thing")


def labels(truth, labels, weights):
    return truth


def fixed(truth, predicted):
    return 0.5


NUMBER = 3
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "ours.py").write_text(OURS)
    with user_code.importable(tmp_path):
        yield


def two(rows: int = 300, classes: int = 2) -> tuple[Scored, Scored]:
    """Two classifiers, the first better."""
    rng = np.random.default_rng(3)
    truth = rng.integers(classes, size=rows)
    scores = [rng.dirichlet(np.ones(classes), rows) + skill * np.eye(classes)[truth] for skill in (0.6, 0.3)]
    one, other = (Scored(truth, found / found.sum(1, keepdims=True)) for found in scores)
    return one, other


def rule(metric: str, resamples: int = 1000) -> config.Gate:
    return config.Gate(metric=metric).model_copy(update={"resamples": resamples})


def test_it_decides_as_the_same_metric_of_luodi_does() -> None:
    """But for the exact test: McNemar's is that of accuracy alone, and the swap test comes close to it."""
    ours, theirs = evidence.decisive(*two(), rule("ours:right")), evidence.decisive(*two(), rule("accuracy"))
    assert ours.difference.value == theirs.difference.value
    assert ours.p == pytest.approx(theirs.p, abs=0.02)
    assert 0 < ours.difference.low <= theirs.difference.low + 0.01


@pytest.mark.parametrize(("name", "expected"), [("recalls", [0.5, 0.5]), ("cheap", [0.08, 0.02])])
def test_what_is_at_stake_in_each_class_is_what_the_metric_says(name: str, expected: list[float]) -> None:
    metric = metrics.beside(f"ours:{name}")[f"ours:{name}"]
    truth = np.repeat([0, 1], [800, 200])
    data = Scored(truth, np.eye(2)[truth])
    assert evidence.stakes(evidence.Pairs.of(data, data, metric), metric) == pytest.approx(expected, abs=1e-3)


def test_a_metric_of_small_differences_is_proven_as_soon_as_a_metric_of_large_ones() -> None:
    ours, theirs = evidence.decisive(*two(), rule("ours:cheap")), evidence.decisive(*two(), rule("accuracy"))
    assert ours.difference.low == pytest.approx(theirs.difference.low / 10, rel=0.2)
    assert ours.difference.low > 0


@pytest.mark.parametrize(("name", "answers"), [("right", True), ("sure", False)])
def test_what_it_takes_says_what_it_sees(name: str, answers: bool) -> None:
    metric = metrics.beside(f"ours:{name}")[f"ours:{name}"]
    assert (metric.answers, metric.better, metric.title) == (answers, 1, name.capitalize())
    found = evidence.decisive(*two(), rule(metric.name))
    assert found.difference.low > 0


@pytest.mark.slow
def test_a_metric_of_scikit_learn_takes_the_weights() -> None:
    from sklearn.metrics import fbeta_score

    one, other = two()
    found = evidence.decisive(one, other, rule("ours:f2", 100)).difference
    expected = [fbeta_score(data.truth, data.predicted, beta=2) for data in (one, other)]
    assert found.value == pytest.approx(expected[0] - expected[1], abs=1e-6)
    assert found.low < found.value < found.high


def test_it_is_among_the_figures_of_a_comparison_and_of_the_choice() -> None:
    one, other = two(classes=3)
    compared = evidence.compare(one, other, ["a", "b", "c"], {}, rule("ours:found"))
    assert list(compared.metrics) == [*metrics.METRICS, "ours:found"]
    assert compared.metrics["ours:found"].difference == compared.difference
    scores = {"linear": other.scores, "net": one.scores}
    found = choice.figures(scores, one.truth, "ours:sure")  # type: ignore[arg-type]  # float64 does as well
    assert choice.choose(found, "ours:sure") == "net"
    told = choice.sentence({"chosen": "net", "metric": "ours:sure", "validation": found})
    assert told.startswith("the network; sure on validation rows: linear 0.")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "careless",
            r"returns 0\.\d{4} where half of the rows have weight 0, and 0\.\d{4} without them: expected the same",
        ),
        ("one", r"returns shape \(\): expected \(1,\), a figure for each row of weights"),
        ("euros", r"returns \S+: expected figures from -1 to 1, where more is better"),
        ("words", r"fails: ValueError: could not convert string to float: 'good'"),
        ("broken", r"fails \(ours\.py, line \d+\): KeyError: 'no such thing'"),
        ("labels", r"takes truth, labels, weights: expected weights, and any of truth, predicted, probabilities"),
        ("fixed", "takes truth, predicted: expected weights, and any of"),
        ("NUMBER", "fails: TypeError: 3 is not a callable object"),
        ("nothing", "has no attribute 'nothing'"),
        ("found", "returns nan for all 300 rows: expected a figure where every row counts once"),
    ],
)
def test_what_is_no_figure_is_told(name: str, message: str) -> None:
    with pytest.raises(UserCodeFailed, match=f"ours:{name}, which params.yaml names, .*{message}"):
        evidence.decisive(*two(), rule(f"ours:{name}"))


def test_pages_name_one_that_is_not_there() -> None:
    """A version is shown where its code is not."""
    assert metrics.described("of.us:cost_saved") == ("Cost saved", 1, "cost_saved of of.us, of your own")
    assert metrics.described("specificity") == ("specificity", 0, "")
    assert metrics.in_order(["x:b", "log_loss", "a", "accuracy"]) == ["accuracy", "log_loss", "a", "x:b"]
