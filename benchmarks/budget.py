"""How many years land a version that is not better than the champion: the gate's error budget, by simulation.

    OPENBLAS_NUM_THREADS=1 nice -n 10 python benchmarks/budget.py --processes 2 > benchmarks/budget.txt

A year has 52 challengers, each judged beside the champion of that week on the same 1,749 test rows. A row has a
difficulty that all models share and a luck of its own with each model, so that two models as good as reviews' differ
on some 9% of the rows. What a model is truly worth follows from its skill, so it is known whether what lands is better.

- none better: all are as good as the champion.
- retrained: so too, but each shares nine tenths of its luck with the one before it.
- slightly worse: by 0.2 points.
- rarely better: one of 26 is better than the first champion by 3 points, the others are as good as that.
- drifting data: every four weeks 100 new test rows, on which a model loses 2 points for each four weeks of its age;
  half of the challengers are trained on data as old as the champion's, and half a point worse.
- growing data: 600 test rows at first, 22 more a week; none better.
- changing champion: challengers' worth scatters by half a point; in one week of ten somebody puts another of the
  versions that landed into production. In one of ten a person approves what is undecided, which is counted apart.

`not better` is the share of years that land at least one that is not better than the champion of its week, with
Wilson's 95% interval; `better` the share that land one that is; `approved` the share in which a person let one land
that is not better. `too high` is by how many points the figure that the last one landed with is above its true one: as
measured, and as corrected; of ten years at least.

The rules are of one gate, `luodi.registry.evidence` and `rules`, at other levels: `look` is 2.5% for each look,
`equal` a 52nd of 2.5% for each of 52, `budget` what luodi.registry.budget says, and `e-value` the same as a threshold
for the mixture martingale of the rows that one of the two alone gets right (uniform over shares above a half), which is
valid at every look of one pair however many rows come. Metrics of answers and of probabilities are judged as the gate
does it, with its bootstrap and its swap test, wherever the score interval alone does not refuse already. How sure a
model is has eight degrees, so that rows of one kind are drawn together: that makes average precision cheap.

With --rare: how often one challenger lands that is truly as good as the champion, at the first look, where the metric
weighs the classes alike and one of them is rare, as in benchmarks/gate.py: whether the tests keep so small a level.

With --together SIZE ALIKE the rows of every year stand in groups (an author's, copies) of SIZE rows, whose difficulty
and luck with each model correlate by ALIKE; judged as the gate judges them, and by `rows`, the levels of the budget
with each row taken for one of its own.

With --grouped: how often one lands whose test rows are of groups that are right and wrong together (an author's, a
patient's, copies): were each row for itself, at a single look and at the first of a year; and as the gate judges them.

With --power: how often a challenger of a given true difference lands, at a single look of 2.5% and at the first, tenth
and fiftieth look of a year; `needed` is the difference that luodi.registry.budget says lands 4 times in 5.
"""

import argparse
import math
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import NormalDist

import gate
import numpy as np
from scipy.special import betaln
from scipy.stats import beta

from luodi import config
from luodi.registry import budget, evidence, selection_bias
from luodi.scoring import figures, metrics
from luodi.scoring.scored import Floats, Ints, Scored, divide, mean_ratio, one_hot

ROWS, LOOKS, ACCURACY, SHARED = 1749, 52, 0.856, 0.85
RULE = config.Gate()
BUDGET = RULE.false_landings
METHODS = ("look", "equal", "budget", "e-value")
SHARES = (
    0.6,
    0.3,
    0.1,
)  # of the classes; a model knows them equally well, so that worth in any metric follows its skill
SCREENS = (300, 3000)  # of the draws of a swap test in groups: as soon as too many are as far off, it refuses
LEAST = 1000  # draws of average precision
DEGREE = 0.75  # of a margin
SURE = 1 / (
    1 + np.exp(-2 * DEGREE * (np.arange(8) - 3.5))
)  # of the true class, by degree: above a half from the fifth on
SCENARIOS = (
    "none better", "retrained", "slightly worse", "rarely better", "drifting data", "growing data", "changing champion",
)  # fmt: skip
HEAD = f"{'metric':20}{'scenario':20}{'rule':10}{'not better':>28}{'better':>9}{'approved':>10}{'too high':>18}"
POWER_LOOKS = (1, 10, 50)
NAMES = ("single", *(f"look {look}" for look in POWER_LOOKS))
POWER_HEAD = f"{'rows':>9}{'difference':>12}{''.join(f'{name:>10}' for name in NAMES)}   needed by each, points"
NORMAL = NormalDist()


@dataclass(frozen=True, eq=False)
class Model:
    """`skills` and `luck` of a model on all rows of the year, float64 [rows], and what it says where it is `wrong`."""

    skills: Floats
    luck: Floats
    wrong: Ints


class Seen(Scored):
    """Rows as a model scores them, known by what they are and not by what they hold: their figures are kept."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


@lru_cache(maxsize=8)
def value_of(metric: metrics.Metric, data: Seen) -> float:
    return float(fast(metric).function(data, np.ones((1, data.rows)))[0])


@dataclass
class Rows:
    """The test rows of a year: true class and difficulty, in the order in which they arrive."""

    truth: Ints
    difficulty: Floats
    group: Ints | None = None
    known: dict[tuple[Model, int], Seen] = field(default_factory=dict)

    def scored(self, model: Model, rows: int) -> Seen:
        if (model, rows) not in self.known:
            self.known[model, rows] = self._scored(model, rows)
        return self.known[model, rows]

    def _scored(self, model: Model, rows: int) -> Seen:
        margin = model.skills[:rows] + SHARED**0.5 * self.difficulty[:rows] + (1 - SHARED) ** 0.5 * model.luck[:rows]
        sure = SURE[(margin / DEGREE + len(SURE) / 2).clip(0, len(SURE) - 1).astype(np.int64)]
        scores = np.zeros((rows, len(SHARES)))
        scores[np.arange(rows), self.truth[:rows]] = sure
        scores[np.arange(rows), model.wrong[:rows]] = 1 - sure
        return Seen(self.truth[:rows], scores, None if self.group is None else self.group[:rows])


@lru_cache(maxsize=512)
def worth(model: Model, rows: int) -> float:
    """True accuracy on rows of the kinds that there are."""
    values, counts = np.unique(model.skills[:rows], return_counts=True)
    return sum(NORMAL.cdf(float(value)) * count for value, count in zip(values, counts, strict=True)) / rows


def skill(points: float) -> float:
    """That of a model which is better than the first champion by so many points of accuracy."""
    return NORMAL.inv_cdf(ACCURACY + points / 100)


@dataclass
class Year:
    """What one rule has done in a year."""

    champion: Model
    landed: list[tuple[Model, float, float]] = field(default_factory=list)
    """Versions, by how much the accuracy that each landed with is above the true one, and the guess of that by
    `luodi.registry.selection_bias`."""
    wrong: int = 0
    right: int = 0
    approved: int = 0


@dataclass(frozen=True)
class Together:
    """Groups of `size` rows, which correlate by `alike`."""

    size: int = 1
    alike: float = 0.0

    def normal(self, rows: int, rng: np.random.Generator) -> Floats:
        """Of each row, float64 [rows]."""
        own = rng.normal(size=rows)
        if self.size == 1:
            return own
        shared = rng.normal(size=-(-rows // self.size)).repeat(self.size)[:rows]
        return self.alike**0.5 * shared + (1 - self.alike) ** 0.5 * own


def challengers(scenario: str, rows: Rows, rng: np.random.Generator, together: Together) -> Iterator[tuple[int, Model]]:
    """Yield the number of test rows that there are, and the model of that week; first the champion to begin with."""
    most = len(rows.truth)
    luck = together.normal(most, rng)
    for week in range(-1, LOOKS):
        batch = max(0, week) // 4
        seen, points = most, 0.0
        age: Floats = np.zeros(most)
        if week >= 0 and scenario == "slightly worse":
            points = -0.2
        if week >= 0 and scenario == "rarely better" and rng.random() < 1 / 26:
            points = 3.0
        if week >= 0 and scenario == "changing champion":
            points = rng.normal(0, 0.5)
        if scenario == "growing data":
            seen = 600 + 22 * max(0, week)
        if scenario == "drifting data":
            seen = most - 100 * (12 - batch)
            old = week < 0 or rng.random() < 0.5
            points = -0.5 if old and week >= 0 else 0.0
            age = np.maximum(0, np.arange(most) - (most - 1200)) // 100 + 1.0
            age[: most - 1200] = 0
            age = np.maximum(0, age - (0 if old else batch))
        kept = 0.9 if scenario == "retrained" else 0.0
        luck = kept**0.5 * luck + (1 - kept) ** 0.5 * together.normal(most, rng)
        skills = np.full(most, skill(points)) - 2 * age * (skill(0) - skill(-1))
        wrong = (rows.truth + rng.integers(1, len(SHARES), most)) % len(SHARES)
        yield seen, Model(skills, luck, wrong)


def refused(one: Seen, other: Seen, metric: metrics.Metric, confidence: float) -> bool:
    """Whether the cheap ones of the gate's tests refuse: it asks that each of them agrees."""
    value = value_of(metric, one) - value_of(metric, other)
    wins, losses = one.correct & ~other.correct, other.correct & ~one.correct
    stratum = np.zeros_like(one.truth) if metric.name == "accuracy" else one.truth
    won, lost, rows = (np.bincount(stratum, part, one.classes).astype(np.int64) for part in (wins, losses, wins | True))
    won, lost, rows = won[rows > 0], lost[rows > 0], rows[rows > 0]
    if value <= 1.5 * float(((won + lost) / rows**2).sum() ** 0.5) / len(rows):  # all ask for 1.96 deviations or more
        return True
    if (
        metric.name == "accuracy"
        and one.group is None
        and evidence.mcnemar(int(won[0]), int(lost[0])) >= evidence.error_of(confidence)
    ):
        return True
    low, lead, _ = evidence.score_interval(won, lost, rows, confidence)
    return value - (lead - low) <= 0 or (one.group is not None and swapped(one, other, metric, confidence))


def swapped(one: Seen, other: Seen, metric: metrics.Metric, confidence: float) -> bool:
    """Whether the exact test of whole groups refuses, as few of its draws tell already."""
    error = evidence.error_of(confidence)
    draws = max(RULE.resamples, min(evidence.MOST_DRAWS, math.ceil(evidence.IN_TAIL / error)))
    pairs = evidence.Pairs.of(one, other, fast(metric), one.group)
    most = error * (1 + draws)
    return any(evidence.swap_test(pairs, fast(metric), some) * (1 + some) >= most for some in SCREENS if some < draws)


def lands(one: Seen, other: Seen, metric: metrics.Metric, confidence: float, *, quick: bool = False) -> float | None:
    """By how much the figure of a challenger that lands is too high; None if it does not land."""
    if refused(one, other, metric, confidence):
        return None
    whole = bounds if metric.answers or one.group is not None else probable
    value, low = (stretched if quick and one.group is None else whole)(one, other, metric, confidence)
    return None if low <= 0 else (value - selection_bias.unpicked(value, low, confidence, 0.0)) / 2


def bounds(one: Seen, other: Seen, metric: metrics.Metric, confidence: float) -> tuple[float, float]:
    """The difference and its lower end, as the gate has them."""
    gap = evidence.proof(one, other, fast(metric), confidence, RULE.resamples).difference
    return gap.value, gap.low


def stretched(one: Seen, other: Seen, metric: metrics.Metric, confidence: float) -> tuple[float, float]:
    """The same by few draws: the lower end at 0.95, moved away by as much as the confidence asked is greater."""
    pairs = evidence.Pairs.of(one, other, metric) if metric.answers else alike(one, other)
    gap = evidence.difference(pairs, fast(metric), 0.95, LEAST)
    reach = (gap["value"] - gap["low"]) * budget.quantile(confidence) / budget.quantile(0.95)
    return gap["value"], gap["value"] - reach


def by_degrees(data: Scored, weights: Floats) -> Floats:
    """Average precision, as luodi.scoring.metrics has it, of scores that take few values."""
    found = []
    for index in range(data.classes):
        degrees, place = np.unique(-data.scores[:, index], return_inverse=True)
        of_each = one_hot(place, len(degrees))
        hits, called = weights @ (of_each * (data.truth == index)[:, None]), (weights @ of_each).cumsum(1)
        found.append((hits * np.nan_to_num(divide(hits.cumsum(1), called))).sum(1))
    return mean_ratio(np.stack(found, axis=1), data.support(weights))


def fast(metric: metrics.Metric) -> metrics.Metric:
    return metric if metric.answers else replace(metric, function=by_degrees)


def alike(one: Scored, other: Scored) -> evidence.Pairs:
    """Rows that both score alike are of one kind."""
    rows = np.column_stack([one.truth, one.scores, other.scores])
    _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
    kinds = [Scored(data.truth[first], data.scores[first]) for data in (one, other)]
    return evidence.Pairs(*kinds, counts, (kinds[0].scores != kinds[1].scores).any(1))


def probable(one: Seen, other: Seen, metric: metrics.Metric, confidence: float) -> tuple[float, float]:
    """The same of a metric of probabilities; 0, 0 where the swap test refuses."""
    pairs, known = alike(one, other), fast(metric)
    error = evidence.error_of(confidence)
    draws = max(LEAST, min(evidence.MOST_DRAWS, math.ceil(evidence.IN_TAIL / error)))
    # Swapped alike, the first draws often show as many as far off as all of them may.
    soon = evidence.swap_test(pairs, known, LEAST // 2) * (1 + LEAST // 2) >= error * (1 + draws)
    if soon or evidence.swap_test(pairs, known, draws) >= error:
        return 0.0, 0.0
    found = evidence.difference(pairs, known, confidence, draws)
    known_to_all = [float(metric.function(data, np.ones((1, data.rows)))[0]) for data in (one, other)]
    assert abs(found["value"] - (known_to_all[0] - known_to_all[1])) < 1e-9
    return found["value"], found["low"]


def betting(one: Seen, other: Seen, level: float) -> float | None:
    """The same by the mixture martingale of the rows that one of the two alone gets right."""
    wins, losses = int((one.correct & ~other.correct).sum()), int((other.correct & ~one.correct).sum())
    if wins <= losses:
        return None
    upper = float(beta.logsf(0.5, wins + 1, losses + 1))
    e = (wins + losses + 1) * math.log(2) + float(betaln(wins + 1, losses + 1)) + upper
    return 0.0 if e >= -math.log(level) else None


def judge(  # noqa: PLR0917, each is another thing
    method: str, look: int, one: Seen, other: Seen, metric: metrics.Metric, quick: bool
) -> float | None:
    level = budget.level(BUDGET, look)
    if method == "e-value":
        return betting(one, other, level)
    if method == "rows":
        one, other = (Seen(data.truth, data.scores) for data in (one, other))
    error = {"look": 0.025, "equal": BUDGET.rate / LOOKS}.get(method, level)
    return lands(one, other, metric, 1 - 2 * error, quick=quick)


def simulate(
    scenario: str, metric: metrics.Metric, methods: tuple[str, ...], seed: int, together: Together
) -> dict[str, Year]:
    """Return what each rule makes of one year."""
    rng = np.random.default_rng([SCENARIOS.index(scenario), seed])
    most = {"growing data": 600 + 22 * (LOOKS - 1)}.get(scenario, ROWS)
    group = None if together.size == 1 else np.arange(most) // together.size
    rows = Rows(rng.choice(len(SHARES), most, p=SHARES), together.normal(most, rng), group)
    weeks = challengers(scenario, rows, rng, together)
    _, first = next(weeks)
    years = {method: Year(first) for method in methods}
    for look, (seen, model) in enumerate(weeks):
        mine, moved, asked = rows.scored(model, seen), rng.random(), rng.random()
        for method, year in years.items():
            _week(method, look, year, model, mine, rows.scored(year.champion, seen), metric)
            if scenario == "changing champion":
                _people(year, model, moved, asked)
    return years


def _week(  # noqa: PLR0917, each is another thing
    method: str, look: int, year: Year, model: Model, mine: Seen, theirs: Seen, metric: metrics.Metric
) -> None:
    better = worth(model, mine.rows) > worth(year.champion, mine.rows) + 1e-9
    found = judge(method, look, mine, theirs, metric, better and metric.name != "accuracy")
    if found is None:
        return
    year.right += better
    year.wrong += not better
    year.landed.append((model, float(mine.correct.mean()) - worth(model, mine.rows), found))
    year.champion = model


def _people(year: Year, model: Model, moved: float, asked: float) -> None:
    """In one week of ten somebody approves what is undecided, in one of ten goes back to a version of before."""
    if year.champion is not model and asked < 0.1:
        year.approved += worth(model, ROWS) <= worth(year.champion, ROWS)
        year.champion = model
    elif moved < 0.1 and year.landed:
        year.champion = year.landed[int(moved * 10 * len(year.landed))][0]


def table(  # noqa: PLR0917, what a process is given
    scenario: str, name: str, methods: tuple[str, ...], years: int, seed: int, together: Together
) -> list[tuple[str, Year]]:
    metric = metrics.METRICS[name]
    years_of = (simulate(scenario, metric, methods, number, together) for number in range(seed, seed + years))
    return [one for year in years_of for one in year.items()]


def lines(name: str, scenario: str, found: list[tuple[str, Year]]) -> Iterator[str]:
    for method in dict.fromkeys(method for method, _ in found):
        years = [year for one, year in found if one == method]
        share = figures.wilson(sum(year.wrong > 0 for year in years), len(years), 0.95)
        over = [
            (high, high - guess)
            for year in years if name == "accuracy" and method != "e-value"
            for model, high, guess in year.landed if model is year.champion
        ]  # fmt: skip
        high = "{:+.2f}, {:+.2f}".format(*(100 * np.mean(over, axis=0))) if len(over) >= 10 else "-"
        approved = np.mean([year.approved > 0 for year in years])
        yield (
            f"{name:20}{scenario:20}{method:10}{share['value']:>10.2%} [{share['low']:6.2%}, {share['high']:6.2%}]"
            f"{np.mean([year.right > 0 for year in years]):>9.1%}{approved:>10.1%}{high:>18}"
        )


def power(points: float, rows: int, pairs: int) -> str:
    """Return a line of the curves of power."""
    rng, metric = np.random.default_rng([rows, int(10 * points)]), metrics.METRICS["accuracy"]
    asked = [0.95, *(budget.confidence(RULE, look - 1) for look in POWER_LOOKS)]
    found: Counter[float] = Counter()
    half = 0.0
    for _ in range(pairs):
        test = Rows(rng.choice(len(SHARES), rows, p=SHARES), rng.normal(size=rows))
        one, other = (
            test.scored(Model(np.full(rows, skill(gain)), rng.normal(size=rows), (test.truth + 1) % len(SHARES)), rows)
            for gain in (points, 0.0)
        )
        wins, losses = int((one.correct & ~other.correct).sum()), int((other.correct & ~one.correct).sum())
        low, high = evidence.tango(wins, losses, rows, 0.95)
        half += (high - low) / 2 / pairs
        found.update(confidence for confidence in asked if lands(one, other, metric, confidence) is not None)
    shares = "".join(f"{found[confidence] / pairs:>10.1%}" for confidence in asked)
    needs = "".join(f"{100 * budget.needed(half, confidence, 0.95, 0.0):>8.2f}" for confidence in asked)
    return f"{rows:>9,}{points:>+12.1f}{shares}{needs}"


def rare(number: int, case: gate.Case, challengers: int) -> str:
    """Return a line of the challengers with a rare class, at the level of the first look."""
    metric, confidence = metrics.beside(case.metric)[case.metric], budget.confidence(RULE, 0)
    pairs = gate.answers(case.kind, case, challengers, np.random.default_rng(200 + number))
    scored = (tuple(Seen(data.truth, data.scores) for data in pair) for pair in pairs)
    landed = sum(lands(one, other, metric, confidence) is not None for one, other in scored)
    share = figures.wilson(landed, challengers, 0.95)
    return (
        f"{case.metric:20}{case.kind:12}{case.rows:>7,}{budget.level(BUDGET, 0):>10.3%}"
        f"{share['value']:>10.3%} [{share['low']:7.3%}, {share['high']:7.3%}]"
    )


def grouped(size: int, alike: float, pairs: int) -> str:
    """Return a line of challengers as good as the champion; what tells them apart correlates by `alike` in a group."""
    rng, groups = np.random.default_rng([size, int(10 * alike)]), ROWS // size
    asked, found = [0.95, budget.confidence(RULE, 0)], Counter[tuple[bool, float]]()
    group, truth = np.repeat(np.arange(groups), size), np.zeros(groups * size, np.int32)
    for _ in range(pairs):
        edge = alike**0.5 * rng.normal(size=(groups, 1)) + (1 - alike) ** 0.5 * rng.normal(size=(groups, size))
        won, lost = (edge.ravel() > NORMAL.inv_cdf(0.95)), (edge.ravel() < NORMAL.inv_cdf(0.05))
        if won.sum() <= lost.sum():
            continue
        scores, other = np.eye(2)[lost.astype(int)], Scored(truth, np.eye(2)[won.astype(int)])
        for known, wanted in ((None, asked), (group, asked[:1])):
            one = Scored(truth, scores, known)
            proofs = evidence.proofs(one, other, metrics.METRICS["accuracy"], wanted, LEAST)
            landed = zip(wanted, proofs, strict=True)
            found.update((known is None, confidence) for confidence, one_of in landed if one_of.difference.low > 0)
    shares = (found[case] / pairs for case in ((True, asked[0]), (True, asked[1]), (False, asked[0])))
    return f"{groups:>7,}{size:>6}{alike:>7.1f}{''.join(f'{share:>13.2%}' for share in shares)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=2000)
    parser.add_argument("--metrics", nargs="*", default=["accuracy"])
    parser.add_argument("--scenarios", nargs="*", default=list(SCENARIOS))
    parser.add_argument("--rules", nargs="*", default=list(METHODS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--power", action="store_true", help="the curves of power alone")
    parser.add_argument("--pairs", type=int, default=400, help="challengers behind each of their points")
    parser.add_argument("--rare", type=int, default=0, metavar="N", help="N challengers with a rare class alone")
    parser.add_argument("--grouped", type=int, default=0, metavar="N", help="N challengers on grouped rows alone")
    parser.add_argument("--together", nargs=2, type=float, default=[1, 0], metavar=("SIZE", "ALIKE"), help="of groups")
    arguments = parser.parse_args()
    together = Together(int(arguments.together[0]), arguments.together[1])
    if arguments.grouped:
        print(f"{'groups':>7}{'rows':>6}{'alike':>7}{'rows, single':>13}{'rows, look 1':>13}{'groups':>13}")
        for size, alike in ((5, 0.2), (5, 0.5), (3, 1.0), (5, 1.0)):
            print(grouped(size, alike, arguments.grouped), flush=True)
        return
    if arguments.rare:
        print(f"{'metric':20}{'errs':12}{'rows':>7}{'allowed':>10}{'landed [95% interval]':>29}")
        for number, case in enumerate(gate.rare_cases()):
            if case.kind != "alike" and case.metric in ("macro_f1", "balanced_accuracy"):
                print(rare(number, case, arguments.rare), flush=True)
        return
    if arguments.power:
        print(POWER_HEAD)
        for rows in (ROWS, 10_000):
            for points in (0.5, 1, 1.5, 2, 3, 4, 5):
                print(power(points, rows, arguments.pairs), flush=True)
        return
    print(HEAD, flush=True)
    with multiprocessing.Pool(arguments.processes) as pool:
        for name in arguments.metrics:
            known = METHODS if name == "accuracy" else ("look", "budget")
            known = (*known, "rows") if together.size > 1 else known
            methods = tuple(method for method in known if method in arguments.rules)
            for scenario in arguments.scenarios:
                step = 20
                starts = range(0, arguments.years, step)
                tasks = [
                    (scenario, name, methods, min(step, arguments.years - start), start, together) for start in starts
                ]
                parts = [pool.apply_async(table, task) for task in tasks]
                found = [one for part in parts for one in part.get()]
                for line in lines(name, scenario, found):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
