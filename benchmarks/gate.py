"""How often the gate promotes a challenger whose true difference from the champion is known.

    OPENBLAS_NUM_THREADS=1 python benchmarks/gate.py --challengers 2000 --rows 1751 10000 --processes 2

The test rows keep their true classes; for each challenger it is drawn who is right on which row. A line of the table
is one rule and one true difference. Where that is the rule's margin, every promotion is false, and
(1 - confidence) / 2 of them are allowed. Where it is two margins, the share promoted is the power; a quarter of the
challengers tells it well enough. `computed` is the normal approximation of either: the chance of z > z_confidence at
a mean of (difference - margin) sqrt(rows) / sd, where sd^2 = share of rows that differ - difference^2.

The last lines have a rare class, of 3% of the rows, and each metric that weighs the classes alike. "otherwise": the
challenger often misses the rare class and the champion often sees it where it is not, so that both have one value of
the metric; "reversed" they change places. "alike": both say the same of nearly all rows, but the challenger loses so
much of the rare class that it is worse by exactly the margin. The classes of the test rows are drawn too. Average
precision is judged by probabilities, which are drawn, with 1,000 resamples. costs:cost_saved is the metric of a user's
own: a mistake on the rare class costs five times that on another. Each line has a seed of its own, so that the number
of processes changes no figure.

Drawn apart from each other, 2,000 challengers would tell a rate of 2.5% to 0.7% only. So in the first lines the
numbers of rows that one of the two alone gets right are a Latin hypercube sample (McKay, Beckman & Conover 1979):
distributed as drawn row by row, but spread evenly. Wilson's 95% interval, which takes them as drawn apart, is too wide
for them.
"""

import argparse
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import costs
import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from luodi import config
from luodi.registry import evidence, gate
from luodi.registry.records import Comparison, Verdict
from luodi.scoring import figures
from luodi.scoring.scored import Floats, Ints, Scored

ROOT = Path(__file__).resolve().parent.parent
REVIEWS = (889, 860)  # test rows of each class
DIGITS = (34, 21, 23, 18, 28, 41, 32, 26, 28, 25)
HEAD = (
    f"{'metric':28}{'test rows':>11}{'differ':>8}{'margin':>8}{'truth':>8}{'computed':>10}{'promoted':>10}"
    f"{'hold':>27}{'insufficient':>14}{'seconds':>9}"
)
METRICS_OF_GATE = ("accuracy", "macro_f1", "balanced_accuracy", "average_precision", "costs:cost_saved")
SETTLED = {
    "model": {name: {"value": 1.0} for name in METRICS_OF_GATE} | {"calibration_error": {"value": 0.0}},
    "size_bytes": 0,
}
"""A metrics.json that keeps every rule but those of the comparison."""
SAME = {
    "rows": 1, "p": 1, "difference": {"value": 0, "low": 0, "high": 0},
    "mcnemar": {"both": 1, "challenger": 0, "champion": 0, "neither": 0, "p": 1},
}  # fmt: skip
"""Nothing lost to the baseline."""


@dataclass(frozen=True)
class Case:
    """`sizes` are the test rows of each class, `differ` the share of rows that one of the two alone gets right."""

    sizes: tuple[int, ...]
    margin: float
    truth: float
    metric: str = "accuracy"
    kind: str = ""
    accuracy: float = 0.856
    differ: float = 0.1

    @property
    def rows(self) -> int:
        return sum(self.sizes)

    def computed(self, confidence: float) -> float:
        normal = NormalDist()
        mean = (self.truth - self.margin) * (self.rows / (self.differ - self.truth**2)) ** 0.5
        return normal.cdf(mean - normal.inv_cdf((1 + confidence) / 2))


def cases(sizes: list[int]) -> list[Case]:
    small, large = (of(REVIEWS, rows) for rows in sizes)
    return [
        Case(small, 0, 0),
        Case(large, 0, 0),
        Case(small, -0.01, -0.01),
        Case(large, -0.01, -0.01),
        Case(small, 0.01, 0.01),
        Case(small, 0.01, 0.02),
        Case(large, 0.01, 0.02),
        Case(small, 0.02, 0.04),
        Case(large, 0.02, 0.04),
        Case(DIGITS, 0, 0, accuracy=0.95, differ=0.06),
        Case(DIGITS, -0.01, -0.01, accuracy=0.985, differ=0.02),
        Case(small, 0, 0, metric="macro_f1"),
    ]


def rare_cases() -> list[Case]:
    large, small = (600, 370, 30), (240, 148, 12)
    return [
        Case(sizes, truth, truth, metric=metric, kind=kind, differ=float("nan"))
        for metric in METRICS_OF_GATE[1:]
        for sizes, kind, truth in (
            (large, "otherwise", 0), (large, "reversed", 0), (small, "otherwise", 0), (small, "reversed", 0),
            (large, "alike", -0.01), (small, "alike", -0.01),
        )
    ]  # fmt: skip


def of(sizes: tuple[int, ...], rows: int) -> tuple[int, ...]:
    """Return the sizes of classes in the same proportions for `rows` rows."""
    ends = np.round(np.cumsum(sizes) * rows / sum(sizes)).astype(int)
    return tuple(np.diff(ends, prepend=0).tolist())


def simulate(case: Case, challengers: int, rng: np.random.Generator) -> Iterator[tuple[Scored, Scored]]:
    """Yield challengers, each with the champion as they score the same rows."""
    one, other, third = ((rng.permutation(challengers) + rng.random(challengers)) / challengers for _ in range(3))
    differ = binom.ppf(one, case.rows, case.differ).astype(int)
    wins = binom.ppf(other, differ, (1 + case.truth / case.differ) / 2).astype(int)
    wrong = (1 - case.accuracy - (case.differ + case.truth) / 2) / (1 - case.differ)
    neither = binom.ppf(third, case.rows - differ, wrong).astype(int)
    for counts in np.stack([case.rows - differ - neither, differ - wins, wins, neither], axis=1):
        yield pair(case, rng.permutation(np.repeat(np.arange(4), counts)), rng)


def pair(case: Case, right: Ints, rng: np.random.Generator) -> tuple[Scored, Scored]:
    """Return challenger and champion; `right` says for each row who is: 0 both, 1 champion, 2 challenger, 3 neither."""
    classes = len(case.sizes)
    truth = np.repeat(np.arange(classes), case.sizes)
    wrong = (truth + rng.integers(1, classes, case.rows)) % classes
    challenger, champion = np.where(right % 2 == 0, truth, wrong), np.where(right <= 1, truth, wrong)
    return said(truth, challenger, classes), said(truth, champion, classes)


SHARES = np.array([0.6, 0.37, 0.03])


def confusion(found: float, invented: float) -> Floats:
    """Shares [true, said]: how much of the rare class is found, and how much of the others taken for it."""
    rest = (1 - found) / 2
    return np.array([[0.95 - invented, 0.05, invented], [0.05, 0.95 - invented, invented], [rest, rest, found]])


def valued(metric: str, confused: Floats) -> float:
    """A metric of answers, of a classifier that confuses so."""
    joint = SHARES[:, None] * confused
    if metric == "costs:cost_saved":
        return 1 - float((joint * costs.COST).sum()) / costs.COST.max()
    below = joint.sum(1) if metric == "balanced_accuracy" else (joint.sum(0) + joint.sum(1)) / 2
    return float(np.mean(np.diag(joint) / below))


def answers(kind: str, case: Case, challengers: int, rng: np.random.Generator) -> Iterator[tuple[Scored, Scored]]:
    """Yield challengers with a rare class, judged by their answers."""
    shy, alike = confusion(0.6, 0.0005), kind == "alike"
    invented = 0.0005 if alike else 0.02
    aim = valued(case.metric, shy) + case.truth
    found = brentq(lambda found: valued(case.metric, confusion(found, invented)) - aim, 0, 1)
    one, other = (confusion(found, invented), shy) if alike else (shy, confusion(found, invented))
    for _ in range(challengers):
        truth = np.sort(rng.choice(3, case.rows, p=SHARES))
        first = rng.random((case.rows, 1))
        second = first if alike else rng.random((case.rows, 1))
        two = [
            said(truth, (draw > of[truth].cumsum(1)[:, :2]).sum(1), 3) for draw, of in ((first, one), (second, other))
        ]
        yield (two[1], two[0]) if kind == "reversed" else (two[0], two[1])


def probabilities(truth: Ints, skills: Floats, rng: np.random.Generator) -> Scored:
    """Rows scored by one who sees a class the better, the higher its skill."""
    logits = rng.normal(size=(len(truth), 3)) + (np.eye(3) * skills)[truth] + np.log(SHARES)
    scores = np.exp(logits)
    return Scored(truth, scores / scores.sum(1, keepdims=True))


def ranked(kind: str, case: Case, challengers: int, rng: np.random.Generator) -> Iterator[tuple[Scored, Scored]]:
    """Yield challengers with a rare class, judged by average precision: that of the champion, on other classes."""
    many = np.repeat(np.arange(3), (SHARES * 200_000).astype(int))

    def precision(skills: Floats) -> float:
        return figures.point(probabilities(many, skills, np.random.default_rng(1)))["average_precision"]

    champion, aim = np.array([2.0, 2.0, 2.0]), precision(np.array([2.0, 2.0, 2.0])) + case.truth
    common = 2.0 if kind == "alike" else 2.5
    rare = brentq(lambda skill: precision(np.array([common, common, skill])) - aim, 0, 4)
    for _ in range(challengers):
        truth = np.sort(rng.choice(3, case.rows, p=SHARES))
        seed = int(rng.integers(2**32))
        one = probabilities(truth, np.array([common, common, rare]), np.random.default_rng(seed))
        other = probabilities(truth, champion, np.random.default_rng(seed + (kind != "alike")))
        yield (other, one) if kind == "reversed" else (one, other)


def said(truth: Ints, predicted: Ints, classes: int) -> Scored:
    """Return rows scored 0.9 for the predicted class, the rest spread evenly."""
    rest = 0.1 / (classes - 1)
    return Scored(truth, (rest + (0.9 - rest) * np.eye(classes))[predicted])


def verdict(challenger: Scored, champion: Scored, rule: config.Gate) -> Verdict:
    comparison = Comparison(**dict(evidence.decisive(challenger, champion, rule)))
    settled = SETTLED | {"proof": SAME | {"metric": rule.metric}}
    return gate.judge(settled, 0, rule, "champion", comparison).verdict


def line(case: Case, pairs: Iterable[tuple[Scored, Scored]], block: config.Gate) -> str:
    """Return a line of the table."""
    start = time.perf_counter()
    changes = {"metric": case.metric, "margin": case.margin, "minimum": 0.0, "min_class_rows": 0}
    rule = block.model_copy(update=changes)
    found = Counter(verdict(*two, rule) for two in pairs)
    drawn = found.total()
    share = figures.wilson(found[Verdict.PROMOTE], drawn, 0.95)
    return (
        f"{case.metric:18}{case.kind:10}{case.rows:>7,} x{len(case.sizes):2}{case.differ:>8.0%}{case.margin:>+8.2f}"
        f"{case.truth:>+8.2f}{case.computed(rule.confidence):>10.2%}"
        f"{share['value']:>10.2%} [{share['low']:7.2%}, {share['high']:7.2%}]"
        f"{found[Verdict.HOLD] / drawn:>8.1%}{found[Verdict.INSUFFICIENT] / drawn:>14.1%}"
        f"{time.perf_counter() - start:>9.1f}"
    )


def common(number: int, case: Case, challengers: int, block: config.Gate) -> str:
    """Return the line of one of `cases`; a quarter of the challengers tells the power."""
    drawn = challengers if case.truth == case.margin else max(1, challengers // 4)
    return line(case, simulate(case, drawn, np.random.default_rng(number)), block)


def rare(number: int, case: Case, challengers: int, block: config.Gate) -> str:
    """Return the line of one of `rare_cases`."""
    ranks = case.metric == "average_precision"
    pairs = (ranked if ranks else answers)(case.kind, case, challengers, np.random.default_rng(100 + number))
    return line(case, pairs, block.model_copy(update={"resamples": 1000}) if ranks else block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--challengers", type=int, default=2000)
    parser.add_argument("--rare", action="store_true", help="the lines with a rare class alone")
    parser.add_argument("--rows", type=int, nargs=2, default=[1751, 10_000], help="test rows, few and many")
    parser.add_argument("--processes", type=int, default=1, help="lines worked at once")
    arguments = parser.parse_args()
    block = config.load(ROOT / "params.yaml").models["reviews"].gate
    print(
        f"confidence {block.confidence}, {block.resamples:,} resamples, {arguments.challengers:,} challengers\n{HEAD}",
        flush=True,
    )
    work = [(common, number, case) for number, case in enumerate([] if arguments.rare else cases(arguments.rows))]
    work += [(rare, number, case) for number, case in enumerate(rare_cases())]
    with multiprocessing.Pool(arguments.processes) as pool:
        lines = [pool.apply_async(make, (number, case, arguments.challengers, block)) for make, number, case in work]
        for one in lines:
            print(one.get(), flush=True)
    start, case = time.perf_counter(), Case(of(DIGITS, arguments.rows[1]), 0, 0)
    labels = [str(label) for label in range(len(case.sizes))]
    evidence.compare(*next(simulate(case, 1, np.random.default_rng(0))), labels, {}, block)
    print(f"all figures of two classifiers, {case.rows:,} rows, 10 classes: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
