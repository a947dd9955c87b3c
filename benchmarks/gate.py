"""How often the gate promotes a challenger whose true difference from the champion is known.

    python benchmarks/gate.py --challengers 2000 --rows 1751 10000

The test rows keep their true classes; for each challenger it is drawn who is right on which row. A line of the table
is one rule and one true difference. Where that is the rule's margin, every promotion is false, and
(1 - confidence) / 2 of them are allowed. Where it is two margins, the share promoted is the power; a quarter of the
challengers tells it well enough. `computed` is the normal approximation of either: the chance of z > z_confidence at
a mean of (difference - margin) sqrt(rows) / sd, where sd^2 = share of rows that differ - difference^2.

The last line is the hardest case for macro F1 that was found: a class of 3% of the rows, which the challenger often
misses and the champion often sees where it is not, so that both have one macro F1. The classes of its test rows are
drawn too, and `differ` is not set but comes out. It takes four times as many challengers to tell it from 2.5%.

Drawn apart from each other, 2,000 challengers would tell a rate of 2.5% to 0.7% only. So their numbers of rows that
one of the two alone gets right are a Latin hypercube sample (McKay, Beckman & Conover 1979): distributed as drawn row
by row, but spread evenly. Wilson's 95% interval, which takes them as drawn apart, is too wide for them.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

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
    f"{'metric':9}{'test rows':>11}{'differ':>8}{'margin':>8}{'truth':>8}{'computed':>10}{'promoted':>10}"
    f"{'hold':>27}{'insufficient':>14}{'seconds':>9}"
)
SETTLED = {
    "model": {name: {"value": 1.0} for name in ("accuracy", "macro_f1")} | {"calibration_error": {"value": 0.0}},
    "baseline": {name: {"low": 0.0} for name in ("accuracy", "macro_f1")},
    "size_bytes": 0,
}
"""A metrics.json that keeps every rule but those of the comparison."""


@dataclass(frozen=True)
class Case:
    """`sizes` are the test rows of each class, `differ` the share of rows that one of the two alone gets right."""

    sizes: tuple[int, ...]
    margin: float
    truth: float
    metric: str = "accuracy"
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


def uneven(rows: int, challengers: int, rng: np.random.Generator) -> Iterator[tuple[Scored, Scored]]:
    """Yield challengers of the last line: of three classes they miss the third, and the champion overdoes it."""
    shares = np.array([0.6, 0.37, 0.03])

    def confusion(found: float, invented: float) -> Floats:
        """Shares [true, said]: how much of the rare class is found, and how much of the others taken for it."""
        rest = (1 - found) / 2
        return np.array([[0.95 - invented, 0.05, invented], [0.05, 0.95 - invented, invented], [rest, rest, found]])

    def macro_f1(confused: Floats) -> float:
        joint = shares[:, None] * confused
        return float(np.mean(2 * np.diag(joint) / (joint.sum(0) + joint.sum(1))))

    shy = confusion(0.6, 0.0005)
    eager = confusion(brentq(lambda found: macro_f1(confusion(found, 0.02)) - macro_f1(shy), 0, 1), 0.02)
    for _ in range(challengers):
        truth = np.sort(rng.choice(3, rows, p=shares))
        one, other = ((rng.random((rows, 1)) > of[truth].cumsum(1)[:, :2]).sum(1) for of in (shy, eager))
        yield said(truth, one, 3), said(truth, other, 3)


def said(truth: Ints, predicted: Ints, classes: int) -> Scored:
    """Return rows scored 0.9 for the predicted class, the rest spread evenly."""
    rest = 0.1 / (classes - 1)
    return Scored(truth, (rest + (0.9 - rest) * np.eye(classes))[predicted])


def verdict(challenger: Scored, champion: Scored, rule: config.Gate) -> Verdict:
    comparison = Comparison(**dict(evidence.decisive(challenger, champion, rule)))
    return gate.judge(SETTLED, 0, rule, "champion", comparison).verdict


def line(case: Case, pairs: Iterable[tuple[Scored, Scored]], block: config.Gate) -> str:
    """Return a line of the table."""
    start = time.perf_counter()
    rule = block.model_copy(update={"metric": case.metric, "margin": case.margin, "minimum": 0.0})
    found = Counter(verdict(*two, rule) for two in pairs)
    drawn = found.total()
    share = figures.wilson(found[Verdict.PROMOTE], drawn, 0.95)
    return (
        f"{case.metric:9}{case.rows:>7,} x{len(case.sizes):2}{case.differ:>8.0%}{case.margin:>+8.2f}{case.truth:>+8.2f}"
        f"{case.computed(rule.confidence):>10.2%}{share['value']:>10.2%} [{share['low']:7.2%}, {share['high']:7.2%}]"
        f"{found[Verdict.HOLD] / drawn:>8.1%}{found[Verdict.INSUFFICIENT] / drawn:>14.1%}"
        f"{time.perf_counter() - start:>9.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--challengers", type=int, default=2000)
    parser.add_argument("--rows", type=int, nargs=2, default=[1751, 10_000], help="test rows, few and many")
    arguments = parser.parse_args()
    block = config.load(ROOT / "params.yaml").models["reviews"].gate
    print(
        f"confidence {block.confidence}, {block.resamples:,} resamples, {arguments.challengers:,} challengers\n{HEAD}",
        flush=True,
    )
    for number, case in enumerate(cases(arguments.rows)):
        drawn = arguments.challengers if case.truth == case.margin else max(1, arguments.challengers // 4)
        print(line(case, simulate(case, drawn, np.random.default_rng(number)), block), flush=True)
    hard = Case((600, 370, 30), 0, 0, metric="macro_f1")
    print(line(hard, uneven(hard.rows, 4 * arguments.challengers, np.random.default_rng(0)), block), flush=True)
    start, case = time.perf_counter(), Case(of(DIGITS, arguments.rows[1]), 0, 0)
    evidence.compare(*next(simulate(case, 1, np.random.default_rng(0))), {}, block)
    print(f"all figures of two classifiers, {case.rows:,} rows, 10 classes: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
