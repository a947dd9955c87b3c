"""The statistics against hand computation, scipy, published values and simulation; the rules one by one."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from luodi import config
from luodi.config.landing import Gate
from luodi.registry import evidence, gate, rules
from luodi.registry.records import Comparison, Decision, Estimate, Look, Verdict
from luodi.scoring import figures, metrics
from luodi.scoring.scored import Scored, joined

RULE = config.Gate(
    metric="accuracy", margin=0.0, confidence=0.95, resamples=1000, minimum=0.8, min_slice_rows=100,
    max_slice_loss=0.05, max_latency_ms=50, max_size_mb=50, max_calibration_error=0.1,
)  # fmt: skip
F1 = RULE.model_copy(update={"metric": "macro_f1"})
BALANCED, PRECISION = (RULE.model_copy(update={"metric": name}) for name in ("balanced_accuracy", "average_precision"))
ACCURACY, MACRO_F1 = metrics.METRICS["accuracy"], metrics.METRICS["macro_f1"]
CHAMPION = "reviews@v1.0.0"


def rule(**changes: Any) -> Any:
    return RULE.model_copy(update=changes)


# JSON in and out: it is what tags, tasks and pages hold.


def decisive(one: Any, other: Any, block: Any) -> Any:
    return evidence.decisive(one, other, block).to_json()


def compare(
    one: Scored, other: Scored, slices: dict[str, dict[str, np.ndarray]], block: Gate, *more: Any, **named: Any
) -> dict[str, Any]:
    return evidence.compare(one, other, ["a", "b", "none"], slices, block, *more, **named).to_json()


def judge(
    figures: Any,
    latency: Any,
    block: Any,
    champion: Any,
    comparison: Any,
    **more: Any,
) -> Any:
    found = comparison and Comparison.model_validate(comparison)
    decision = gate.judge(figures, latency, block, champion, found, **more)
    assert isinstance(decision.verdict, Verdict)
    assert repr(Decision.from_json(decision.to_json())) == repr(decision)  # not ==, NaN is not itself
    found = decision.to_json()
    for check in found["checks"]:
        # What is below its limit does not pass; a rule that something else keeps has no room.
        room = float((check.pop("room") or "0").replace("−", "-").replace(",", "").split()[0])
        assert room == 0 or math.isnan(room) or (room > 0) == check["passed"], (room, check)
    return found


def more_rows(gap: Any, rows: int, block: Any) -> int | None:
    return evidence.more_rows(Estimate(**gap), rows, block.margin, block.confidence)


def said(truth: Any, predicted: Any, classes: int) -> Scored:
    """Rows scored 0.9 for the predicted class, the rest spread evenly."""
    rest = 0.1 / (classes - 1)
    return Scored(np.array(truth), (rest + (0.9 - rest) * np.eye(classes))[np.array(predicted)])


def counted(both: int, wins: int, losses: int, neither: int) -> tuple[Scored, Scored]:
    """Two classes, the first having the odd row; how many rows both, one alone or neither gets right."""
    truth = np.arange(both + wins + losses + neither) % 2
    right = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [both, wins, losses, neither], axis=0).T
    one, other = (said(truth, np.where(side, truth, 1 - truth), 2) for side in right)
    return one, other


@st.composite
def two(draw: Callable[..., Any]) -> tuple[Scored, Scored]:
    k, n = draw(st.integers(2, 4)), draw(st.integers(1, 60))
    rows = st.lists(st.integers(0, k - 1), min_size=n, max_size=n)
    truth = draw(rows)
    return said(truth, draw(rows), k), said(truth, draw(rows), k)


# Statistics


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        (0, 0, 1),
        (1, 0, 1),
        (1, 1, 1),
        (5, 0, 2 / 32),
        (6, 0, 2 / 64),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (2, 8, 0.109375),
    ],
)
def test_mcnemar_by_hand(wins: int, losses: int, p: float) -> None:
    assert evidence.mcnemar(wins, losses) == p


@given(st.integers(0, 20_000), st.integers(0, 20_000))
@example(15, 1060)
@settings(max_examples=50)
def test_mcnemar_is_the_binomial_test_of_a_fair_coin(wins: int, losses: int) -> None:
    from scipy import stats

    assume(wins + losses)
    expected = stats.binomtest(wins, wins + losses, 0.5).pvalue
    assert evidence.mcnemar(wins, losses) == pytest.approx(
        expected, rel=1e-5, abs=1e-280
    )  # where logarithms lose digits, and where scipy underflows to 0 before a float does


@pytest.mark.parametrize(
    ("wins", "losses", "rows", "confidence", "interval"),
    [
        (1, 7, 21, 0.95, (-0.517, -0.026)),  # Fagerland, Lydersen & Laake 2014: airway hyper-responsiveness
        (28, 25, 618, 0.9, (-0.0148, 0.0247)),  # R, PropCIs: scoreci.mp(25, 28, 618)
    ],
)
def test_the_score_interval_equals_published_ones(
    wins: int, losses: int, rows: int, confidence: float, interval: tuple[float, ...]
) -> None:
    digits = 3 if confidence == 0.95 else 4
    assert tuple(round(end, digits) for end in evidence.tango(wins, losses, rows, confidence)) == interval


def score_statistic(wins: int, losses: int, rows: int, gap: float) -> Any:
    """That of Tango 1998, equation 4, its nuisance parameter found by maximising the likelihood itself."""
    from scipy import optimize

    def unlikely(share: Any) -> Any:
        parts = (wins, share + gap), (losses, share), (rows - wins - losses, 1 - 2 * share - gap)
        return -sum(count * np.log(part) for count, part in parts if count)

    ends = max(0, -gap), (1 - gap) / 2
    share = optimize.minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    return (wins - losses - rows * gap) / (rows * (2 * share + gap * (1 - gap))) ** 0.5


@pytest.mark.parametrize(
    ("wins", "losses", "rows"),
    [(1, 1, 2), (1, 1, 3), (2, 1, 3), (1, 2, 4), (3, 1, 9), (5, 8, 40), (20, 4, 300), (14, 0, 31)],
)
def test_the_score_interval_follows_from_the_likelihood(wins: int, losses: int, rows: int) -> None:
    from scipy import stats

    low, high = evidence.tango(wins, losses, rows, 0.95)
    z = stats.norm.ppf(0.975)
    assert score_statistic(wins, losses, rows, low) == pytest.approx(z, abs=1e-3)
    assert score_statistic(wins, losses, rows, high) == pytest.approx(-z, abs=1e-3)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 500))
def test_the_score_interval_ends_where_its_statistic_is_z(wins: int, losses: int, agreed: int) -> None:
    """At 0 that is McNemar's; without rows that differ it is z^2 / (n + z^2); and it is mirrored."""

    from scipy import stats

    rows, z = wins + losses + agreed, stats.norm.ppf(0.975)
    low, high = evidence.tango(wins, losses, rows, 0.95)
    assert -1 <= low <= (wins - losses) / rows <= high <= 1
    assert evidence.tango(losses, wins, rows, 0.95) == (-high, -low)
    if wins + losses:
        statistic = (wins - losses) / (wins + losses) ** 0.5
        assume(abs(abs(statistic) - z) > 1e-3)
        assert (low > 0, high < 0) == (statistic > z, statistic < -z)
    else:
        assert high == pytest.approx(z * z / (rows + z * z), abs=1e-6)


@pytest.mark.parametrize("freedom", [4, 7, 11, 29, 100, 1e6])
@pytest.mark.parametrize("probability", [0.95, 0.975, 0.995])
def test_students_quantiles_are_those_of_scipy(freedom: float, probability: float) -> None:
    from scipy import stats

    assert figures.student(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), abs=0.025)
    assert figures.student(probability, 1e6) == pytest.approx(stats.norm.ppf(probability), abs=1e-4)


def test_intervals_of_classes_are_joined_by_their_squares() -> None:
    """Of one stratum it is Tango's. Of 600, 370 and 30 rows without a difference each reaches z^2 / (n + z^2)."""

    from scipy import stats

    one = np.array([7]), np.array([2]), np.array([90])
    low, high = evidence.tango(7, 2, 90, 0.95)
    assert evidence.score_interval(*one, 0.95) == pytest.approx((low, 5 / 90, high))
    rows, none, z2 = np.array([600, 370, 30]), np.zeros(3, int), stats.norm.ppf(0.975) ** 2
    reach = np.sqrt(np.square(z2 / (rows + z2)).sum()) / 3
    assert evidence.score_interval(none, none, rows, 0.95) == pytest.approx((-reach, 0, reach), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy", "average_precision"])
def test_a_rare_class_on_which_none_differs_is_no_proof(metric: str) -> None:
    """A bootstrap has no width here, Tango's interval of the accuracy is -0.004 to 0.004: both forget the 30 rows."""
    truth = np.repeat([0, 1, 2], [600, 370, 30])
    model = said(truth, truth, 3)
    gap = decisive(model, model, rule(metric=metric))["difference"]
    assert gap["low"] == pytest.approx(-0.038, abs=0.001)
    assert evidence.tango(0, 0, 1000, 0.95)[0] > -0.004


def test_the_interval_is_the_bca_of_scipy() -> None:
    """300 rows, few of which differ, nearly all one way: skewed. Student's t of so many rows is the normal one."""

    from scipy import stats

    wins, losses = 12, 2
    pairs = evidence.Pairs.of(*counted(220, wins, losses, 66), ACCURACY)
    value = (wins - losses) / 300
    drawn = np.concatenate([pairs.difference(ACCURACY, weights) for weights in evidence._draws(pairs, 20_000)])
    found = evidence._corrected(value, drawn, pairs, ACCURACY, 0.95)
    rows = np.repeat([1, -1, 0], [wins, losses, 300 - wins - losses])
    expected = stats.bootstrap(
        (rows,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0), vectorized=True
    ).confidence_interval
    assert found == pytest.approx(tuple(expected), abs=0.0025)
    plain = np.quantile(drawn, [0.025, 0.975])
    assert found[0] > plain[0] + 1e-4, "the plain interval is another"


@given(two())
def test_kinds_of_rows_stand_for_the_rows(pair: tuple[Scored, Scored]) -> None:
    """Differences computed from the counts of kinds are those computed from rows."""
    for metric in metrics.METRICS.values():
        pairs = evidence.Pairs.of(*pair, metric)
        assert pairs.counts.sum() == pair[0].rows
        one, other = (figures.point(data).get(metric.name, np.nan) for data in pair)
        found = pairs.difference(metric, pairs.counts[None].astype(float))[0]
        assert found == pytest.approx(one - other, nan_ok=True)


def test_draws_are_those_of_rows() -> None:
    """The interval is that of drawing rows one by one."""
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], [150, 60, 30])
    one, other = (said(truth, np.where(rng.random(240) < 0.7, truth, rng.integers(3, size=240)), 3) for _ in range(2))
    weights = np.stack([np.bincount(rng.choice(240, 240), minlength=240) for _ in range(4000)]).astype(float)
    expected = np.quantile(metrics.macro_f1(one, weights) - metrics.macro_f1(other, weights), [0.025, 0.5, 0.975])
    pairs = evidence.Pairs.of(one, other, MACRO_F1)
    drawn = np.concatenate([pairs.difference(MACRO_F1, part) for part in evidence._draws(pairs, 4000)])
    assert np.quantile(drawn, [0.025, 0.5, 0.975]) == pytest.approx(expected, abs=0.006)


@given(two())
@settings(max_examples=25)
def test_draws_keep_the_number_of_rows_and_swaps_those_of_each_kind(pair: tuple[Scored, Scored]) -> None:
    pairs = evidence.Pairs.of(*pair, ACCURACY)
    for weights in evidence._draws(pairs, 20):
        assert (weights.sum(1) == pair[0].rows).all() and (weights >= 0).all()
    same = pairs.challenger.predicted == pairs.champion.predicted
    for weights in evidence._swaps(pairs, 20):
        stayed, swapped = np.hsplit(weights, 2)
        assert (stayed + swapped == pairs.counts).all() and (weights >= 0).all()
        assert not swapped[:, same].any(), "two that say the same have nothing to change"


def alike(seed: int, groups: int, size: int) -> tuple[Scored, Scored]:
    """Two equally good classifiers, each right on all rows of a group or on none."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(2, size=groups), size)
    right = [np.repeat(rng.random(groups) < 0.8, size) for _ in range(2)]
    one, other = (said(truth, np.where(of, truth, 1 - truth), 2) for of in right)
    group = np.repeat(np.arange(groups), size)
    return replace(one, group=group), replace(other, group=group)


def apart(data: Scored) -> Scored:
    """The same rows, each for itself."""
    return replace(data, group=None)


@pytest.mark.slow
@pytest.mark.parametrize("block", [RULE, F1, BALANCED, PRECISION])
def test_rows_that_are_right_or_wrong_together_prove_what_one_of_each_would(block: Any) -> None:
    one, other = alike(1, 300, 4)
    grouped = evidence.decisive(one, other, block)
    some = np.arange(0, 1200, 4)
    single = evidence.decisive(apart(one.of(some)), other.of(some), block)
    bare = evidence.decisive(apart(one), other, block)
    width = {name: found.difference.high - found.difference.low
             for name, found in (("grouped", grouped), ("single", single), ("bare", bare))}  # fmt: skip
    assert width["grouped"] == pytest.approx(width["single"], rel=0.15)
    assert width["bare"] < 0.65 * width["single"], "as if each row were for itself"
    assert grouped.p == pytest.approx(single.p, abs=0.05)
    assert grouped.difference.value == bare.difference.value


@pytest.mark.parametrize("block", [RULE, F1])
def test_groups_of_one_row_prove_what_rows_do(block: Any) -> None:
    one, other = alike(2, 400, 1)
    found, bare = (evidence.decisive(data, other, block) for data in (one, apart(one)))
    assert found.difference.low == pytest.approx(bare.difference.low, abs=0.004)
    assert found.p == pytest.approx(bare.p, abs=0.05)


@given(two(), st.data())
@settings(max_examples=40)
def test_rows_of_a_group_are_drawn_and_change_places_together(pair: tuple[Scored, Scored], data: Any) -> None:
    rows = pair[0].rows
    group = np.array(data.draw(st.lists(st.integers(0, rows // 2), min_size=rows, max_size=rows)))
    for metric in (ACCURACY, metrics.METRICS["average_precision"]):
        pairs = evidence.Pairs.of(*pair, metric, group)
        assert pairs.place is not None and pairs.units is not None
        assert pairs.counts.sum() == rows
        assert pairs.units.sum() == len(np.unique(group))
        for weights in (*evidence._draws(pairs, 9), *(np.hsplit(one, 2)[1] for one in evidence._swaps(pairs, 9))):
            for place in range(len(pairs.units)):
                told = weights[:, (pairs.place == place) & pairs.differ]
                assert (told == told[:, :1]).all(), "all of a group, or none"


def test_where_no_row_differs_groups_are_taken_for_alike() -> None:
    one, _ = alike(3, 200, 5)
    found, single = (evidence.decisive(data, data, RULE) for data in (one, apart(one)))
    assert -found.difference.low == pytest.approx(5**0.5 * -single.difference.low, rel=1e-3)


@pytest.mark.parametrize("block", [RULE, F1, BALANCED])
def test_no_interval_reaches_beyond_the_largest_difference_there_is(block: Any) -> None:
    """Few large groups of rows that hardly differ reach far: of 824 rows to 4.3 of macro F1, where 1 is the most."""
    truth = np.repeat([0, 1], [188, 12])
    alike = Scored(truth, np.eye(2)[truth], truth)
    found = evidence.compare(alike, replace(alike, group=None), ["a", "b"], {}, block)
    gaps: list[Any] = [found.difference, found.metrics[block.metric].difference, *found.slices]
    assert all(-1 <= gap.low < gap.high <= 1 for gap in gaps)


@pytest.mark.parametrize("groups", [20, 200])
def test_a_row_that_is_lost_does_not_show_that_rows_in_groups_are_lost_each_for_itself(groups: int) -> None:
    truth = np.zeros(5 * groups, int)
    right, group = Scored(truth, np.eye(2)[truth], np.repeat(np.arange(groups), 5)), np.arange(len(truth)) == 0
    lost = replace(right, scores=np.eye(2)[group.astype(int)])
    none, one = (evidence.decisive(data, right, RULE).difference.low for data in (right, lost))
    assert one < none


@pytest.mark.slow
def test_what_a_class_may_have_gained_reaches_further_where_its_rows_stand_in_groups() -> None:
    """As far as one row of each group reaches; a class is lost by chance more easily, the fewer say so."""
    one, other = alike(4, 300, 4)
    some = np.arange(0, 1200, 4)
    found = [
        {part.name: part for part in evidence.compare(*pair, ["a", "b"], {}, RULE).slices}
        for pair in ((one, other), (apart(one), other), (apart(one.of(some)), other.of(some)))
    ]
    for name in ("a", "b"):
        grouped, bare, single = ((parts[name].high or 0) - parts[name].difference for parts in found)
        assert grouped == pytest.approx(single, rel=0.05)
        assert bare < 0.6 * grouped


def test_of_rows_in_groups_the_test_that_judges_is_named() -> None:
    one, other = alike(5, 100, 3)
    for data, name in ((one, "exact swap test"), (apart(one), "exact McNemar test")):
        found = evidence.compare(data, other, ["a", "b"], {}, RULE)
        assert [ruling.name for ruling in rules.proofs(found, RULE, CHAMPION)][-1] == name


@pytest.mark.slow
@pytest.mark.parametrize(("pairs", "most", "bare"), [(100, 8, 8), pytest.param(400, 19, 40, marks=pytest.mark.proof)])
def test_of_equal_models_few_are_proven_better_on_rows_in_groups(pairs: int, most: int, bare: int) -> None:
    """2.5% of the pairs may be, and some more by chance; taken for rows of their own it is more than a tenth."""
    found = {"grouped": 0, "bare": 0}
    for seed in range(pairs):
        one, other = alike(1000 + seed, 150, 3)
        found["grouped"] += evidence.decisive(one, other, RULE).difference.low > 0
        found["bare"] += evidence.decisive(apart(one), other, RULE).difference.low > 0
    assert found["grouped"] <= most
    assert found["bare"] > bare


def test_draws_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "CELLS", 30)
    pairs = evidence.Pairs.of(*counted(5, 2, 1, 1), ACCURACY)
    for drawn in (list(evidence._draws(pairs, 25)), list(evidence._swaps(pairs, 25))):
        assert len(drawn) > 1 and all(weights.size <= 30 for weights in drawn)
        assert sum(len(weights) for weights in drawn) == 25
    assert list(evidence._portions(3, 31)) == [1, 1, 1]  # one that does not fit is drawn alone


@pytest.mark.slow
@given(two(), st.sampled_from([RULE, F1, BALANCED, PRECISION]))
@settings(max_examples=50)
def test_swapping_the_two_mirrors_the_evidence(pair: tuple[Scored, Scored], block: Any) -> None:
    there, back = decisive(*pair, block), decisive(*pair[::-1], block)
    assert back["difference"]["value"] == -there["difference"]["value"]
    width = there["difference"]["high"] - there["difference"]["low"]
    assert back["difference"]["low"] == pytest.approx(-there["difference"]["high"], abs=0.25 * width)
    assert back["mcnemar"]["p"] == there["mcnemar"]["p"]
    assert (back["mcnemar"]["challenger"], back["mcnemar"]["both"]) == (
        there["mcnemar"]["champion"],
        there["mcnemar"]["both"],
    )
    assert back["p"] == pytest.approx(there["p"], abs=0.1)


@pytest.mark.slow
@given(two(), st.sampled_from([RULE, F1, BALANCED, PRECISION]), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_rows_changes_nothing(pair: tuple[Scored, Scored], block: Any, random: Any) -> None:
    order = list(range(pair[0].rows))
    random.shuffle(order)
    one, other = (Scored(data.truth[order], data.scores[order]) for data in pair)
    assert decisive(one, other, block) == decisive(*pair, block)


@given(two(), st.integers(1, 30), st.booleans())
@settings(max_examples=50)
def test_rows_that_both_treat_alike_dilute_the_difference_and_no_more(
    pair: tuple[Scored, Scored], count: int, right: bool
) -> None:
    before = decisive(*pair, RULE)
    truth, same = np.zeros(count, int), np.full(count, 0 if right else 1)
    more = said(truth, same, pair[0].classes)
    one, other = (joined(data, more) for data in pair)
    after = decisive(one, other, RULE)
    rows = pair[0].rows
    assert after["difference"]["value"] == pytest.approx(
        before["difference"]["value"] * rows / (rows + count), abs=2e-6
    )
    assert after["p"] == before["p"]


@pytest.mark.slow
@given(two(), st.sampled_from([RULE, F1, BALANCED, PRECISION]))
@settings(max_examples=50)
def test_intervals_hold_their_value_and_are_never_without_width(pair: tuple[Scored, Scored], block: Any) -> None:
    gap = decisive(*pair, block)["difference"]
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert gap["low"] < gap["high"]


def test_few_rows_prove_nothing_even_if_all_are_equal() -> None:
    """A bootstrap would give 0 to 0 here, and call 50 rows proof of no loss of 0.01; 1,000 are proof."""

    from scipy import stats

    few, many = (decisive(*counted(rows - 5, 0, 0, 5), RULE) for rows in (50, 1000))
    z2 = stats.norm.ppf(0.975) ** 2
    assert few["difference"] == pytest.approx({"value": 0, "low": -z2 / (50 + z2), "high": z2 / (50 + z2)}, abs=1e-6)
    assert many["difference"]["low"] > -0.01
    assert few["mcnemar"] == {"both": 45, "challenger": 0, "champion": 0, "neither": 5, "p": 1}


def test_the_swap_test_is_mcnemars_for_accuracy() -> None:
    for wins, losses in ((8, 2), (30, 12), (4, 4)):
        pairs = evidence.Pairs.of(*counted(100, wins, losses, 10), ACCURACY)
        assert evidence.swap_test(pairs, ACCURACY, 20_000) == pytest.approx(evidence.mcnemar(wins, losses), abs=0.01)
        proof = decisive(*counted(100, wins, losses, 10), RULE)
        assert proof["p"] == evidence.mcnemar(wins, losses), "where one can be computed none is drawn"
        counts = {"both": 100, "challenger": wins, "champion": losses, "neither": 10}
        assert proof["mcnemar"] == counts | {"p": proof["p"]}


def test_the_swap_test_never_finds_an_impossible_p() -> None:
    pairs = evidence.Pairs.of(*counted(0, 200, 0, 0), MACRO_F1)
    assert evidence.swap_test(pairs, MACRO_F1, 1000) == pytest.approx(1 / 1001, rel=1e-5)


def test_macro_f1_has_an_exact_test_of_its_own() -> None:
    """Ten rows won of the small class, ten lost of the large one: as accurate, but better by F1."""
    truth = np.repeat([0, 1], [180, 20])
    one, other = truth.copy(), truth.copy()
    one[:10], other[-10:] = 1, 0
    proof = decisive(said(truth, one, 2), said(truth, other, 2), F1)
    assert proof["mcnemar"]["p"] == 1
    assert proof["p"] == evidence.swap_test(
        evidence.Pairs.of(said(truth, one, 2), said(truth, other, 2), MACRO_F1), MACRO_F1, 1000
    )
    assert proof["p"] < 0.9


def test_classifiers_of_other_rows_are_not_compared() -> None:
    one, other = said([0, 1], [0, 1], 2), said([1, 0], [0, 1], 2)
    with pytest.raises(
        ValueError, match=r"^expected challenger and champion scored on the same rows, .* align them first$"
    ):
        decisive(one, other, RULE)


# The comparison


def test_a_comparison_is_json_and_repeats_to_the_bit() -> None:
    one, other = counted(150, 30, 10, 20)
    slices = {"by": {"few": one.truth < 0}}
    slices["by"]["few"][-99:] = True
    slices["by"]["enough"] = one.truth >= 0
    slices["by"]["enough"][:110] = False
    found = compare(one, other, slices, RULE, ["note"], 7)
    assert found == compare(one, other, slices, RULE, ["note"], 7)
    assert json.loads(json.dumps(found)) == found
    assert (found["rows"], found["excluded"], found["notes"], found["more_rows"]) == (210, 7, ["note"], None)
    assert set(found["metrics"]) == set(metrics.METRICS)
    assert found["metrics"]["accuracy"]["difference"] == found["difference"]
    accuracy = {who: found["metrics"]["accuracy"][who]["value"] for who in ("challenger", "champion", "difference")}
    assert accuracy == pytest.approx({"challenger": 180 / 210, "champion": 160 / 210, "difference": 20 / 210}, abs=1e-6)
    assert [(part["by"], part["name"], part["rows"], part["judged"]) for part in found["slices"]] == [
        ("by", "few", 99, False), ("by", "enough", 100, True), ("class", "a", 105, True), ("class", "b", 105, True)
    ]  # fmt: skip
    assert found["slices"][0]["high"] is None
    wins, losses = (
        int((side & (one.truth == 0)).sum()) for side in (one.correct & ~other.correct, other.correct & ~one.correct)
    )
    assert found["slices"][2]["high"] == round(evidence.tango(wins, losses, 105, 0.975)[1], 6), "5% for two classes"
    enough = {who: found["slices"][1][who] for who in ("challenger", "champion", "difference")}
    assert enough == {"challenger": 0.7, "champion": 0.5, "difference": 0.2}  # of rows 110 to 210
    for name, sides in found["metrics"].items():
        values = [sides.pop(who)["value"] for who in ("challenger", "champion", "difference")]
        assert not sides
        assert values == pytest.approx(
            [
                figures.point(one)[name],
                figures.point(other)[name],
                figures.point(one)[name] - figures.point(other)[name],
            ],
            abs=2e-6,
        )
    bare = compare(one, other, {}, RULE)
    assert (bare["excluded"], bare["notes"], len(bare["slices"])) == (0, [], 2)


def test_ten_thousand_draws_of_ten_thousand_rows_take_no_memory_to_speak_of() -> None:
    import tracemalloc

    one, other = counted(8000, 700, 600, 700)
    tracemalloc.start()
    decisive(one, other, rule(resamples=10_000, metric="macro_f1"))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


# The level


def promotions(challengers: int, sizes: tuple[int, ...], differ: float, truth: float, block: Gate) -> float:
    """Share of challengers, of a true difference, that the gate promotes; who is right is drawn row by row."""
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(len(sizes)), sizes)
    wrong, found = (labels + 1) % len(sizes), 0
    for _ in range(challengers):
        draw = rng.random(len(labels))
        wins, losses = draw < (differ + truth) / 2, draw > 1 - (differ - truth) / 2
        both = ~wins & ~losses & (rng.random(len(labels)) < 0.9)
        one, other = (np.where(right, labels, wrong) for right in (both | wins, both | losses))
        proof = evidence.decisive(said(labels, one, len(sizes)), said(labels, other, len(sizes)), block)
        settled = METRICS | {"proof": PROOF | {"metric": block.metric}}
        decision = gate.judge(settled, 1, block, CHAMPION, Comparison(**dict(proof)))
        found += decision.verdict is Verdict.PROMOTE
    return found / challengers


@pytest.mark.parametrize(
    ("sizes", "differ", "margin", "metric", "alone"),
    [
        ((25, 25), 0.2, 0.0, "accuracy", "2.6%"),
        ((138, 138), 0.02, -0.01, "accuracy", "4.8%"),
        ((25, 25), 0.05, -0.01, "accuracy", "22%"),
        ((30, 6, 6), 0.25, 0.0, "macro_f1", "4.3%"),
    ],
)
@pytest.mark.slow
def test_false_promotions_stay_below_the_level(
    sizes: tuple[int, ...], differ: float, margin: float, metric: str, alone: str
) -> None:
    """Few rows that differ: here a bootstrap alone promotes the share `alone`, where 2.5% are allowed."""
    assert promotions(600, sizes, differ, margin, rule(margin=margin, metric=metric)) <= 0.025


def test_power_is_what_the_formula_says() -> None:
    """A true difference of two margins: z = 0.02 sqrt(1750 / (0.1 - 0.04^2)) = 2.667, power 0.76."""

    from scipy import stats

    found = promotions(200, (889, 861), 0.1, 0.04, rule(margin=0.02))
    assert found == pytest.approx(stats.norm.sf(1.96 - 0.02 * (1750 / (0.1 - 0.0016)) ** 0.5), abs=0.09)


# The rules

GAP = {"value": 0.01, "low": 0.001, "high": 0.019}
PROOF: dict[str, Any] = {
    "metric": "accuracy", "rows": 1751, "difference": GAP, "p": 0.03,
    "mcnemar": {"both": 1400, "challenger": 95, "champion": 80, "neither": 176, "p": 0.29},
}  # fmt: skip
METRICS: dict[str, Any] = {
    "model": {
        "accuracy": {"value": 0.85, "low": 0.83, "high": 0.87},
        "macro_f1": {"value": 0.84, "low": 0.82, "high": 0.86},
        "calibration_error": {"value": 0.03, "low": 0.02, "high": 0.05},
    },
    "proof": PROOF,
    "classes": {
        "negative": {
            "support": 889,
            "judged": {"value": 0.9, "low": 0.88, "high": 0.92, "rows": 889, "out_of_fold": 0},
        },
        "positive": {
            "support": 862,
            "judged": {"value": 0.8, "low": 0.78, "high": 0.82, "rows": 862, "out_of_fold": 0},
        },
    },
    "test_share": 0.1,
    "size_bytes": 5_000_000,
}


def measured(**changes: Any) -> Any:
    """METRICS with other values of the model."""
    model = {
        name: {"value": changes[name]} for name in ("accuracy", "macro_f1", "calibration_error") if name in changes
    }
    return METRICS | {"model": METRICS["model"] | model, "size_bytes": changes.get("size_bytes", 5_000_000)}


def beside(value: Any, low: Any, high: Any, lost: int = 80, metric: str = "accuracy") -> Any:
    """METRICS with another difference from the baseline, which gets `lost` rows right that the model does not."""
    gap = {"value": value, "low": low, "high": high}
    return METRICS | {"proof": PROOF | {
        "metric": metric, "difference": gap, "mcnemar": PROOF["mcnemar"] | {"champion": lost}
    }}  # fmt: skip


def of_classes(*, out_of_fold: int = 0, **recalls: Any) -> Any:
    """METRICS of other classes, each given as (rows, recall)."""
    classes = {
        label: {"judged": {"value": recall, "rows": rows, "out_of_fold": out_of_fold}}
        for label, (rows, recall) in recalls.items()
    }
    return METRICS | {"classes": classes}


def compared(
    value: Any = 0.02,
    low: Any = 0.01,
    high: Any = 0.03,
    p: Any = 0.001,
    slices: Any = (),
) -> Any:
    gap = {"value": value, "low": low, "high": high}
    agreement = {"both": 1400, "challenger": 95, "champion": 80, "neither": 176, "p": p}
    return {
        "rows": 1751, "difference": gap, "mcnemar": agreement, "p": p, "excluded": 0, "notes": [], "metrics": {},
        "slices": list(slices), "more_rows": None,
    }  # fmt: skip


def part(difference: float, judged: bool = True, name: str = "q1") -> dict[str, Any]:
    shares = {"challenger": 0.8, "champion": 0.8 - difference, "difference": difference}
    return {"by": "length", "name": name, "rows": 400, **shares, "judged": judged}


def failed(decision: Any) -> Any:
    return [check["name"] for check in decision["checks"] if not check["passed"]]


def check(name: str, expected: str, found: str, passed: bool = True, undecided: bool = False) -> dict[str, Any]:
    return {"name": name, "expected": expected, "found": found, "passed": passed, "undecided": undecided}


BESIDE = "accuracy: difference not proven worse, interval above -0.0100 or no row lost"
FOUND = "+0.0100, interval +0.0010 to +0.0190, 80 rows lost"


ABSOLUTE = [
    check("minimum accuracy", "at least 0.8000", "0.8500"),
    check("linear baseline", BESIDE, FOUND),
    check("rows of each class", "each class judged by 10 rows or more", "fewest: class positive, 862 rows"),
    check(
        "classes found", "recall above 0 of each class with rows enough", "lowest: class positive, 0.8000 of 862 rows"
    ),
    check("guessing", "mean recall of the classes: interval above 0.5000", "0.8500, interval 0.8359 to 0.8641"),
    check("calibration error", "at most 0.1000", "0.0300"),
    check("size", "at most 50 MB", "5.00 MB"),
    check("latency", "at most 50 ms", "1.50 ms"),
]
SLICES = "no slice of 100 rows or more loses more than 0.0500 of its accuracy"
LOSSES = check(
    "recall of classes", "no class is proven to lose more than 0.0500 of its recall", "no class has rows enough"
)
LAST = f"difference from {CHAMPION}"


def test_checks_say_what_was_expected_and_what_was_found() -> None:
    decision = judge(METRICS, 1.5, RULE, CHAMPION, compared())
    assert decision["checks"] == [
        *ABSOLUTE,
        check("slices", SLICES, "no slice has as many rows"),
        LOSSES,
        check(LAST, "accuracy: whole interval above +0.0000", "+0.0200, interval +0.0100 to +0.0300"),
        check("exact McNemar test", "p below 0.05, the challenger ahead", "p 0.001, difference +0.0200"),
    ]
    block = F1.model_copy(update={"margin": 0.005, "confidence": 0.9})
    found = beside(0.01, 0.001, 0.019, metric="macro_f1")
    decision = judge(found, 1.5, block, CHAMPION, compared(p=0.1, slices=[part(0.1), part(0.02)]))
    assert decision["checks"][8:] == [
        check("slices", SLICES, "length q1: +0.0200"),
        LOSSES,
        check(LAST, "macro_f1: whole interval above +0.0050", "+0.0200, interval +0.0100 to +0.0300"),
        check("exact swap test", "p below 0.1, the challenger ahead", "p 0.1, difference +0.0200", False, True),
    ]
    assert judge(METRICS, 1.5, RULE, CHAMPION, None)["checks"] == [
        *ABSOLUTE, check(LAST, "accuracy: whole interval above +0.0000", "not compared", False, True)
    ]  # fmt: skip


LOOK = {"period": "2026", "number": 3, "taken": True, "total": 7, "confidence": 0.99904, "low": -0.002, "left": 0.94}


def test_a_look_has_to_prove_more_than_the_interval_that_is_shown() -> None:
    """At the confidence of the look: the lower end there, and the exact test."""
    comparison = compared(p=0.0005) | {"look": LOOK | {"low": 0.002}}
    assert judge(METRICS, 1.5, RULE, CHAMPION, comparison)["verdict"] == "promote"
    decision = judge(METRICS, 1.5, RULE, CHAMPION, compared(p=0.0005) | {"look": LOOK})
    assert decision["verdict"] == "insufficient evidence"
    assert decision["checks"][-2:] == [
        check(LAST, "accuracy: the interval at 99.904% above +0.0000",
              "+0.0200, interval +0.0100 to +0.0300, at 99.904% from -0.0020", False, True),
        check("exact McNemar test", "p below 0.00096, the challenger ahead", "p 0.0005, difference +0.0200"),
    ]  # fmt: skip
    assert decision["reasons"][0] == (
        f"the difference in accuracy from {CHAMPION}, +0.0200, interval +0.0100 to +0.0300, at 99.904% from -0.0020, "
        "does not lie above the margin +0.0000 at confidence 99.904%, as look 3 in 2026 at these test rows has to"
    )
    assert failed(judge(METRICS, 1.5, RULE, CHAMPION, compared(p=0.001) | {"look": LOOK | {"low": 0.002}})) == [
        "exact McNemar test"
    ]


def test_what_is_proven_worse_is_held_whatever_the_look() -> None:
    for look in (None, LOOK | {"low": -0.05}):
        decision = judge(METRICS, 1.5, RULE, CHAMPION, compared(-0.02, -0.03, -0.01, 0.01) | {"look": look})
        assert decision["verdict"] == "hold"
        assert "lies below the margin +0.0000" in decision["reasons"][0]
        assert "as look" not in decision["reasons"][0]


def test_a_later_look_needs_more_rows() -> None:
    from scipy import stats

    gap = Estimate(value=0.01, low=-0.004, high=0.024)
    single, look = (evidence.more_rows(gap, 1751, 0.0, 0.95, asked) for asked in (None, 0.99904))
    assert single and look
    z = [stats.norm.ppf((1 + asked) / 2) + stats.norm.ppf(0.8) for asked in (0.95, 0.99904)]
    assert (1751 + look) / (1751 + single) == pytest.approx((z[1] / z[0]) ** 2, rel=0.05)


@pytest.mark.parametrize(("name", "title"), [("fresh", "rows since the champion"), ("newest", "newest rows")])
@pytest.mark.parametrize("high", [-0.001, 0.001, float("nan")])
def test_rows_that_came_late_may_not_prove_it_worse(name: str, title: str, high: float) -> None:
    side = {"value": 0.8, "low": 0.7, "high": 0.9}
    gap = {"value": -0.03, "low": -0.06, "high": high}
    fresh = {"rows": 412, "challenger": side, "champion": side, "difference": gap}
    decision = judge(METRICS, 1.5, RULE, CHAMPION, compared() | {name: fresh})
    assert decision["verdict"] == ("hold" if high < 0 else "promote")
    assert failed(decision) == ([title] if high < 0 else [])


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@given(pair=two(), asked=st.floats(0.951, 0.989))  # beyond it there would be more draws than asked for
@settings(max_examples=10, deadline=None)
def test_a_look_reaches_further_than_the_interval_shown(metric: str, pair: Any, asked: float) -> None:
    block, look = rule(metric=metric), LOOK | {"confidence": asked}
    found = compare(*pair, {}, block, look=Look.model_validate(look))
    assert found["difference"] == compare(*pair, {}, block)["difference"]
    assert found["look"]["low"] <= found["difference"]["low"]
    assert found["look"] == look | {"low": found["look"]["low"], "approved": 0}
    sharper = compare(*pair, {}, block.model_copy(update={"confidence": asked}))
    assert found["look"]["low"] == sharper["difference"]["low"]


def test_rows_since_the_champion_are_measured_apart_where_there_are_enough() -> None:
    one, other = counted(60, 30, 5, 5)
    since = np.arange(100) >= 40
    found = compare(one, other, {}, rule(min_slice_rows=60), since=since)["fresh"]
    mine, theirs = (Scored(data.truth[since], data.scores[since]) for data in (one, other))
    alone = compare(mine, theirs, {}, rule())
    assert found["rows"] == 60
    assert found["champion"]["value"] == alone["metrics"]["accuracy"]["champion"]["value"]
    assert found["difference"]["value"] == alone["difference"]["value"]
    assert compare(one, other, {}, rule(min_slice_rows=61), since=since)["fresh"] is None


def test_a_decision_is_whole() -> None:
    """Pages, tags and tasks read it by these names."""
    comparison = compared(0.004, -0.004, 0.012, 0.34)
    for decision in (judge(METRICS, 1, RULE, CHAMPION, comparison), judge(METRICS, 1, RULE, None, None)):
        assert set(decision) == {
            "verdict", "reasons", "champion", "rule", "checks", "comparison", "metrics", "latency_ms", "changes",
            "turned", "approval", "dry", "doubts",
        }  # fmt: skip
    decision = judge(METRICS, 1, RULE, CHAMPION, comparison)
    assert decision["champion"] == CHAMPION
    unlooked: dict[str, Any] = {"look": None, "fresh": None, "newest": None, "honest": {}, "turned": None}
    assert decision["comparison"] == comparison | unlooked | {"more_rows": 13_000, "out_of_fold": 0}
    assert (decision["metrics"], decision["latency_ms"]) == (METRICS, 1)
    given = Comparison.model_validate(comparison)
    gate.judge(METRICS, 1, RULE, CHAMPION, given)
    assert given.more_rows is None, "what was given is not changed"


def test_a_first_version_lands_by_the_absolute_rules() -> None:
    decision = judge(METRICS, 1.0, RULE, None, None)
    assert (decision["verdict"], decision["reasons"], decision["comparison"]) == ("promote", [], None)
    assert [check["name"] for check in decision["checks"]] == [
        "minimum accuracy", "linear baseline", "rows of each class", "classes found", "guessing", "calibration error",
        "size", "latency",
    ]  # fmt: skip
    assert decision["checks"] == [*ABSOLUTE[:-1], check("latency", "at most 50 ms", "1.00 ms")]
    assert decision["rule"] == json.loads(RULE.model_dump_json())
    assert json.loads(json.dumps(decision)) == decision


@pytest.mark.parametrize("champion", [None, CHAMPION])
@pytest.mark.parametrize(
    ("changes", "latency", "name", "reason"),
    [
        ({"accuracy": 0.79}, 1, "minimum accuracy", "accuracy 0.7900 is below the minimum 0.8000"),
        ({"calibration_error": 0.11}, 1, "calibration error",
         "calibration error 0.1100 is above the maximum 0.1000"),
        ({"size_bytes": 50_010_000}, 1, "size", "size 50.01 MB is above the maximum 50 MB"),
        ({"size_bytes": 50_000_001}, 1, "size", "size 50.00 MB is above the maximum 50 MB"),
        ({}, 50.5, "latency", "latency 50.50 ms is above the maximum 50 ms"),
        ({"accuracy": float("nan")}, 1, "minimum accuracy", "accuracy nan is below the minimum 0.8000"),
    ],
)  # fmt: skip
def test_a_broken_rule_holds_even_a_better_challenger(
    champion: str | None, changes: dict[str, Any], latency: float, name: str, reason: str
) -> None:
    decision = judge(measured(**changes), latency, RULE, champion, compared() if champion else None)
    assert decision["verdict"] == "hold"
    assert (decision["reasons"][0], failed(decision)[0]) == (reason, name)
    if changes.get("accuracy") == changes.get("accuracy"):
        assert (len(decision["reasons"]), len(failed(decision))) == (2, 1)
        assert decision["reasons"][1].startswith("what to do: ")


def test_what_chance_adds_to_a_calibration_error_on_few_rows_does_not_count() -> None:
    by_chance = measured(calibration_error=0.12) | {"calibration_by_chance": 0.03}
    decision = judge(by_chance, 1, RULE, None, None)
    assert decision["verdict"] == "promote"
    assert (
        check("calibration error", "at most 0.1000 beyond the 0.0300 that chance gives on these rows", "0.1200")
        in (decision["checks"])
    )
    assert judge(by_chance | {"calibration_by_chance": 0.019}, 1, RULE, None, None)["verdict"] == "hold"


@pytest.mark.parametrize(("recall", "verdict"), [(0.57, "promote"), (0.56, "insufficient evidence"), (0.43, "hold")])
def test_what_is_no_better_than_guessing_does_not_land(recall: float, verdict: str) -> None:
    """Labels by the toss of a coin: the linear model learns nothing, and nothing beats it."""
    one = {"support": 50, "judged": {"value": recall, "low": recall - 0.09, "high": recall + 0.09, "rows": 50}}
    found = METRICS | {"classes": {"a": one, "b": one}, "choice": {"chosen": "linear"}}
    decision = judge(found, 1, rule(minimum=0), None, None)
    assert decision["verdict"] == verdict
    assert check("linear baseline", BESIDE, "it is the linear model itself") in decision["checks"]
    if verdict != "promote":
        assert "does not lie above 0.5000, that of guessing" in decision["reasons"][0]


def test_limits_themselves_are_kept() -> None:
    at = measured(accuracy=0.8, calibration_error=0.1, size_bytes=50_000_000)
    assert judge(at, 50.0, RULE, None, None)["verdict"] == "promote"


def test_the_metric_of_the_rule_is_the_one_judged() -> None:
    found = beside(0.01, 0.001, 0.019, metric="macro_f1")
    low = {"model": METRICS["model"] | {"accuracy": {"value": 0.5}}}
    assert judge(found | low, 1, F1, None, None)["verdict"] == "promote"
    low = {"model": METRICS["model"] | {"macro_f1": {"value": 0.5}}}
    assert failed(judge(found | low, 1, F1, None, None)) == ["minimum macro_f1"]
    decision = judge(METRICS, 1, F1, None, None)
    assert (decision["verdict"], failed(decision)) == ("insufficient evidence", ["linear baseline"])
    assert decision["reasons"][0] == "the linear baseline was not compared in macro_f1"


# The baseline


@pytest.mark.parametrize("champion", [None, CHAMPION])
@pytest.mark.parametrize(
    ("gap", "lost", "verdict"),
    [
        ((0.02, 0.01, 0.03), 80, "promote"),
        ((0.0, -0.009, 0.009), 80, "promote"),  # not worse by the margin
        ((-0.005, -0.0099, -0.001), 80, "hold"),  # worse, be it by less than the margin
        ((0.0, -0.01, 0.01), 80, "insufficient evidence"),  # the margin itself is not above it
        ((-0.01, -0.03, 0.0), 80, "insufficient evidence"),
        ((-0.02, -0.03, -0.001), 80, "hold"),
        ((0.0, -0.07, 0.07), 0, "promote"),  # 51 rows, both right on all: nothing speaks for the baseline
        ((0.02, -0.05, 0.1), 0, "promote"),
        ((0.0, -0.07, 0.07), 1, "insufficient evidence"),
        ((-0.001, -0.07, 0.07), 0, "insufficient evidence"),  # no answer lost, but it ranks worse
    ],
)
def test_every_version_is_shown_not_to_be_worse_than_the_baseline_by_the_margin(
    champion: Any, gap: tuple[float, float, float], lost: int, verdict: str
) -> None:
    decision = judge(beside(*gap, lost), 1, RULE, champion, compared() if champion else None)
    assert decision["verdict"] == verdict
    assert failed(decision) == ([] if verdict == "promote" else ["linear baseline"])
    assert decision["checks"][1]["undecided"] == (verdict == "insufficient evidence")


def test_a_rule_that_holds_reads_as_true() -> None:
    """It said `accuracy above 1.0000 | 1.0000 | holds`."""
    (found,) = (
        one for one in judge(beside(0.0, -0.07, 0.07, 0), 1, RULE, None, None)["checks"] if "base" in one["name"]
    )
    assert found == check("linear baseline", BESIDE, "+0.0000, interval -0.0700 to +0.0700, 0 rows lost")


def test_what_cannot_be_told_of_the_baseline_is_said_with_what_to_do() -> None:
    assert judge(beside(0.004, -0.012, 0.02), 1, RULE, None, None)["reasons"] == [
        "the difference in accuracy from the linear baseline, +0.0040, interval -0.0120 to +0.0200, 80 rows lost, does "
        "not lie above -0.0100",
        "about 3,000 more test rows would prove it, 4 times in 5, if the difference stays",
        "what to do: add data, take train.architecture: linear, which needs no such proof, raise "
        "preprocess.shares.test or gate.baseline_margin, or let a person decide (register.approval: human)",
    ]
    assert judge(beside(-0.02, -0.03, -0.011), 1, RULE, None, None)["reasons"] == [
        "the difference in accuracy from the linear baseline, -0.0200, interval -0.0300 to -0.0110, 80 rows lost, "
        "proves it worse",
        "what to do: a linear model does better on these data: take train.architecture: linear, or try another, more "
        "epochs or more data",
    ]


def test_the_margin_of_the_baseline_is_a_setting() -> None:
    assert judge(beside(-0.01, -0.04, 0.02), 1, rule(baseline_margin=0.05), None, None)["verdict"] == "promote"
    assert (
        judge(beside(0.01, -0.001, 0.02), 1, rule(baseline_margin=0.0), None, None)["verdict"]
        == "insufficient evidence"
    )


# Classes


@pytest.mark.parametrize("champion", [None, CHAMPION])
def test_a_class_that_nobody_tested_does_not_land(champion: str | None) -> None:
    """5,000 rows `ok` and 5 `fraud`: all test rows right, none of them of `fraud`."""
    found = of_classes(ok=(500, 1.0), fraud=(0, None))
    decision = judge(found, 1, RULE, champion, compared() if champion else None)
    assert decision["verdict"] == "insufficient evidence"
    assert decision["reasons"] == [
        "class fraud is judged by 0 rows, expected 10: about 100 more of its rows in the data would do",
        "what to do: add rows of the classes named, set train.out_of_fold to always, which has every class judged by "
        "all of its rows, or accept them as they are: list them in gate.unproven",
    ]
    linear = judge(found | {"choice": {"chosen": "linear"}}, 1, RULE, champion, compared() if champion else None)
    assert "train.architecture" not in linear["reasons"][1]
    assert decision["checks"][2] == check(
        "rows of each class", "each class judged by 10 rows or more", "fewest: class fraud, 0 rows", False, True
    )
    assert decision["comparison"] is None or decision["comparison"]["more_rows"] is None


def test_rows_judged_out_of_fold_are_rows() -> None:
    assert (
        judge(of_classes(ok=(5000, 1.0), fraud=(10, 0.4), out_of_fold=9), 1, RULE, None, None)["verdict"] == "promote"
    )
    reasons = judge(of_classes(ok=(5000, 1.0), fraud=(5, 0.4), out_of_fold=5), 1, RULE, None, None)["reasons"]
    assert reasons[0] == "class fraud is judged by 5 rows, expected 10: about 5 more of its rows in the data would do"
    one = judge(of_classes(ok=(5000, 1.0), fraud=(1, 1.0)), 1, RULE, None, None)["reasons"]
    assert one[0].startswith("class fraud is judged by 1 row, expected 10: about 90 more")


def test_rows_that_no_model_can_judge_a_class_by_are_told_of() -> None:
    one = of_classes(ok=(5000, 1.0), fraud=(0, None))
    one["classes"]["fraud"]["unlearned"] = {"rows": 1, "groups": 1}
    reasons = judge(one, 1, RULE, None, None)["reasons"]
    assert reasons[0] == "class fraud is judged by 0 rows, expected 10: about 90 more of its rows in the data would do"
    one["classes"]["fraud"]["unlearned"] = {"rows": 34, "groups": 34}
    reasons = judge(one, 1, RULE, None, None)["reasons"]
    assert reasons == [
        "class fraud is judged by 0 rows, expected 10: 34 more, with no other of it to learn from, judge nothing, for "
        "what was fitted without them does not know the class",
        "what to do: add rows of the classes named, of other groups, or accept them as they are: list them in "
        "gate.unproven",
    ]
    one["classes"]["other"] = {"judged": {"value": None, "rows": 0, "out_of_fold": 0}}
    assert judge(one, 1, RULE, None, None)["reasons"][-1] == (
        "what to do: add rows of the classes named, of other groups, set train.out_of_fold to always, which has every "
        "class judged by all of its rows, or accept them as they are: list them in gate.unproven"
    )


def test_a_person_may_accept_a_class_unproven() -> None:
    block = rule(unproven=("fraud",))
    decision = judge(of_classes(ok=(500, 1.0), fraud=(5, 0.0)), 1, block, None, None)
    assert decision["verdict"] == "promote", "what is not judged is not missed either"
    assert decision["checks"][2] == check(
        "rows of each class", "each class judged by 10 rows or more, but for unproven ones",
        "fewest: class fraud, 5 rows; accepted unproven: fraud (5)",
    )  # fmt: skip
    assert judge(of_classes(ok=(500, 1.0), fraud=(5, 0.0), other=(5, 0.0)), 1, block, None, None)["reasons"][
        0
    ].startswith("class other is judged by 5 rows")
    assert (
        judge(of_classes(ok=(500, 1.0), fraud=(0, None)), 1, rule(min_class_rows=0), None, None)["verdict"] == "promote"
    )


@pytest.mark.parametrize("block", [RULE, RULE.model_copy(update={"unproven": ("fraud",)})])
def test_no_class_that_is_judged_may_be_missed_altogether(block: Gate) -> None:
    found = of_classes(ok=(500, 1.0), fraud=(10, 0.0))
    decision = judge(found, 1, block, None, None)
    assert (decision["verdict"], failed(decision)) == ("hold", ["classes found"])
    assert decision["reasons"] == [
        "none of the 10 rows of class fraud is recognised",
        "what to do: add rows of the class; or, if it means what another does, add the data again with one label for "
        "both (`luodi add --label-map`); or without the class",
    ]
    found["classes"]["fraud"]["taken_for"] = "ok"
    reasons = judge(found, 1, block, None, None)["reasons"]
    assert reasons[0] == "none of the 10 rows of class fraud is recognised, most are taken for ok"
    assert judge(of_classes(ok=(500, 1.0), fraud=(10, 0.1)), 1, block, None, None)["verdict"] == "promote"


def test_of_many_classes_with_few_rows_some_are_named() -> None:
    many: dict[str, Any] = {f"c{index}": (1, 1.0) for index in range(400)}
    reasons = judge(of_classes(**many), 1, RULE, None, None)["reasons"]
    assert len(reasons) == rules.NAMED + 2
    assert reasons[-2] == "so are 380 more classes: the table of classes has them"


def class_slices(wins: int, losses: int, rows: int, classes: int) -> Any:
    """Slices of classes of which the first has `wins` and `losses`; the others agree."""
    truth = np.repeat(np.arange(classes), rows)
    one, other = truth.copy(), truth.copy()
    one[:losses], other[losses : losses + wins] = classes - 1, classes - 1
    labels = [str(index) for index in range(classes)]
    return compare_all(said(truth, one, classes), said(truth, other, classes), labels)["slices"]


def compare_all(one: Any, other: Any, labels: Any) -> Any:
    return evidence.compare(one, other, labels, {}, RULE).to_json()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("losses", "rows", "classes", "held"),
    [
        (2, 30, 2, False),  # 0.067 of 30 rows is chance
        (9, 30, 2, True),
        (60, 1000, 2, False),  # 0.06: below the limit by no more than chance
        (100, 1000, 2, True),
        (9, 60, 2, True),
        pytest.param(9, 60, 40, False, marks=pytest.mark.slow),  # of 40 classes one loses so many by chance
    ],
)
def test_a_class_may_not_be_proven_to_lose_more_recall_than_allowed(
    losses: int, rows: int, classes: int, held: bool
) -> None:
    slices = class_slices(0, losses, rows, classes)
    decision = judge(METRICS, 1, RULE, CHAMPION, compared(slices=slices))
    assert failed(decision) == (["recall of classes"] if held else [])
    assert decision["verdict"] == ("hold" if held else "promote")
    high = evidence.tango(0, losses, rows, 1 - 0.05 / classes)[1]
    assert decision["checks"][9]["found"] == f"0: {-losses / rows:+.4f}, at most {high:+.4f}"


def test_classes_lose_too_much_by_chance_no_more_often_than_said() -> None:
    """20 classes of 40 rows, none truly worse by more than the limit, which each is: 2.5% of challengers are held."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        losses = rng.binomial(40, 0.1, 20)
        wins = rng.binomial(40 - losses, 0.05 / 0.9)
        highs = [
            evidence.tango(int(won), int(lost), 40, 1 - 0.05 / 20)[1] for won, lost in zip(wins, losses, strict=True)
        ]
        held += min(highs) < -RULE.max_slice_loss
    assert held / 400 <= 0.04


@pytest.mark.parametrize(
    ("margin", "gap", "p", "verdict"),
    [
        (0.0, (0.02, 0.01, 0.03), 0.001, "promote"),
        (0.0, (0.02, 0.0, 0.04), 0.04, "insufficient evidence"),  # the margin itself is not above it
        (0.0, (0.02, 0.001, 0.03), 0.05, "insufficient evidence"),  # the exact test is not sure
        (0.0, (0.0, -0.01, 0.01), 1.0, "insufficient evidence"),
        (0.0, (-0.02, -0.04, 0.0), 0.04, "insufficient evidence"),
        (0.0, (-0.02, -0.03, -0.01), 0.001, "hold"),
        (0.01, (0.02, 0.01, 0.03), 0.001, "insufficient evidence"),
        (0.01, (0.03, 0.011, 0.05), 0.001, "promote"),
        (0.01, (0.004, 0.001, 0.007), 0.001, "hold"),  # better, but proven not by the margin
        (-0.01, (0.0, -0.009, 0.009), 1.0, "promote"),  # proven no worse than the margin allows
        (-0.01, (-0.005, -0.009, -0.001), 0.04, "promote"),
        (-0.01, (0.0, -0.011, 0.011), 1.0, "insufficient evidence"),
        (-0.01, (-0.02, -0.03, -0.011), 0.001, "hold"),
    ],
)
def test_the_interval_decides_and_the_exact_test_agrees(
    margin: float, gap: tuple[float, float, float], p: float, verdict: str
) -> None:
    decision = judge(METRICS, 1, rule(margin=margin), CHAMPION, compared(*gap, p))
    assert decision["verdict"] == verdict
    assert (not decision["reasons"]) == (not failed(decision)) == (verdict == "promote")
    assert [check["name"] for check in decision["checks"][10:]] == [
        f"difference from {CHAMPION}", *(["exact McNemar test"] if margin >= 0 else [])
    ]  # fmt: skip
    assert (decision["comparison"]["more_rows"] is None) or verdict == "insufficient evidence"


def test_the_exact_test_must_find_the_challenger_ahead() -> None:
    decision = judge(METRICS, 1, RULE, CHAMPION, compared(-0.02, -0.03, 0.001, 0.001))
    assert "exact McNemar test" in failed(decision)
    assert failed(judge(METRICS, 1, RULE, CHAMPION, compared(0.0, 0.001, 0.002, 0.001))) == ["exact McNemar test"]


def test_an_interval_that_ends_at_the_margin_is_not_said_to_lie_below_it() -> None:
    reasons = judge(METRICS, 1, RULE, CHAMPION, compared(-0.02, -0.04, 0.0, 0.04))["reasons"]
    assert reasons[0].endswith("interval -0.0400 to +0.0000, does not lie above the margin +0.0000")


def test_reasons_are_sentences() -> None:
    reasons = judge(METRICS, 1, RULE, CHAMPION, compared(0.004, -0.004, 0.012, 0.34))["reasons"]
    assert reasons == [
        "the difference in accuracy from reviews@v1.0.0, +0.0040, interval -0.0040 to +0.0120, does not lie above the "
        "margin +0.0000",
        "the exact McNemar test does not find it better: expected p below 0.05, the challenger ahead, found p 0.34 at "
        "a difference of +0.0040",
        "about 13,000 more test rows would prove it, 4 times in 5, if the difference stays",
        "what to do: wait for more data, or let a person decide (register.approval: human)",
    ]
    found = beside(0.01, 0.001, 0.019, metric="macro_f1")
    reasons = judge(found, 1, rule(metric="macro_f1", margin=-0.01), CHAMPION, compared(-0.03, -0.04, -0.02))
    assert reasons["reasons"] == [
        "the difference in macro_f1 from reviews@v1.0.0, -0.0300, interval -0.0400 to -0.0200, lies below the margin "
        "-0.0100",
        "what to do: reviews@v1.0.0 stays: train on more data or with other settings",
    ]


def test_a_slice_that_loses_too_much_holds() -> None:
    slices = [part(-0.06), part(-0.05, name="q2"), part(-0.5, judged=False, name="q3")]
    decision = judge(METRICS, 1, RULE, CHAMPION, compared(slices=slices))
    assert (decision["verdict"], failed(decision)) == ("hold", ["slices"])
    assert decision["reasons"] == [
        "on length q1, 400 rows, accuracy is 0.0600 below that of reviews@v1.0.0: at most 0.0500 is allowed",
        "what to do: add data like that slice, or raise gate.max_slice_loss",
    ]
    assert decision["checks"][8]["found"] == "length q1: -0.0600"
    assert judge(METRICS, 1, RULE, CHAMPION, compared(slices=slices[1:]))["verdict"] == "promote"


def test_a_champion_that_cannot_be_compared_leaves_evidence_wanting() -> None:
    why = "reviews@v1.0.0 cannot be compared: it was trained on every test row"
    decision = judge(METRICS, 1, RULE, CHAMPION, None, notes=[why])
    person = "what to do: let a person decide (register.approval: human)"
    assert (decision["verdict"], decision["reasons"]) == ("insufficient evidence", [why, person])
    assert failed(decision) == ["difference from reviews@v1.0.0"]
    assert judge(METRICS, 1, RULE, CHAMPION, None)["reasons"][0] == "it was not compared with reviews@v1.0.0"
    assert judge(METRICS, 99, RULE, CHAMPION, None, notes=[why])["verdict"] == "hold"


# More rows


def test_more_rows_by_hand() -> None:
    """half 0.008 at 0.95: sd = 0.008 / 1.95996 sqrt(1751) = 0.17080; n = (2.80159 * 0.17080 / 0.004)^2 = 14,311."""
    assert more_rows({"value": 0.004, "low": -0.004, "high": 0.012}, 1751, RULE) == 13_000
    below = more_rows({"value": -0.004, "low": -0.012, "high": 0.004}, 1751, RULE)
    assert below is None, "more rows would speak against it"
    assert more_rows({"value": 0.024, "low": 0.016, "high": 0.032}, 1751, rule(margin=0.02)) == 13_000
    few = {"value": 0.1, "low": 0.0, "high": 0.2}  # n = 10 (2.80159 / 1.95996)^2 = 20.4
    assert more_rows(few, 10, RULE) == 11
    assert more_rows({"value": 0.5, "low": 0.49, "high": 0.51}, 1751, RULE) == 1  # so clear that one will do


@pytest.mark.parametrize("value", [0.0, 5e-10, 1e-5])
def test_no_number_of_rows_decides_what_lies_at_the_margin(value: Any) -> None:
    decision = judge(METRICS, 1, RULE, CHAMPION, compared(value, -0.01, 0.01, p=1.0))
    assert decision["comparison"]["more_rows"] is None
    assert decision["reasons"][-2] == (
        "more test rows would not prove it, if the difference stays: it lies below the margin, or too near to it"
    )


@given(st.integers(1, 100_000), st.floats(0.001, 0.2), st.floats(0.1, 10))
def test_more_rows_are_more_and_have_two_digits(rows: int, half: float, ratio: float) -> None:
    more = more_rows({"value": half / ratio, "low": half / ratio - half, "high": half / ratio + half}, rows, RULE)
    assert more is None or (more > 0 and len(str(more).rstrip("0")) <= 2)


def test_so_many_more_rows_do_decide() -> None:
    """A challenger measured on 1,751 rows, insufficient; on the rows asked for, 4 of 5 like it are promoted."""
    one, other = counted(1400, 95, 80, 176)
    proof = decisive(one, other, RULE)
    more = more_rows(proof["difference"], 1751, RULE)
    assert more is not None
    total = 1751 + more
    assert 9_000 < total < 25_000
    found = promotions(150, (total // 2, total // 2), 175 / 1751, 15 / 1751, RULE)
    assert found == pytest.approx(0.8, abs=0.1)
