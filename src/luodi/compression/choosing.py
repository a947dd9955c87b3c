"""Which of several smaller models is taken: the smallest that the gate's own test finds no worse, if it is as quick.

A candidate is no worse where the lower end of the gate's interval of its difference from the uncompressed model lies
above minus the margin. One of several may seem so by chance: each gets its part of the error that `gate.confidence`
allows (Bonferroni), so that any that is worse by the margin is taken at most (1 - confidence) / 2 of the time.

**Time belongs to the machine, and what a stage writes must not.** What decides is therefore whether a candidate takes
more than `max_slowdown` times the processor time of the uncompressed model, the two measured in turns in one thread, so
that load and clock speed meet both, and only of those that are the smallest so far. This one bit is all of a clock that
is written; the milliseconds themselves stand in a file that DVC does not track. A limit of 1.25 lies between what there
is: 0.9 to 1.1 of tables, products and convolutions with known scales, 1.4 and more of others. Measurements
of one candidate differ by 0.03, and by 0.1 where the machine has five times as much to do as it has cores.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luodi import config
from luodi.registry import evidence
from luodi.scoring import figures, metrics
from luodi.scoring.inference import Classifier
from luodi.scoring.scored import Scored

CHOSEN, PROVEN, UNPROVEN, LARGE, SLOW, UNSUITED = "chosen", "proven", "not proven", "not smaller", "slower", "unsuited"
ROUNDS, REPEATS = 15, 20


@dataclass(frozen=True)
class Judge:
    """What a candidate is compared with, and by what.

    Attributes:
        whole: The validation rows as the uncompressed model scores them.
        size: Of the uncompressed model, bytes.
        margin: How much worse a candidate may be.
        gate: Metric, confidence and resamples.
        candidates: How many may be taken for no worse by chance.
    """

    whole: Scored
    size: int
    margin: float
    gate: config.Gate
    candidates: int

    @property
    def confidence(self) -> float:
        """Of the interval that decides of each candidate."""
        return 1 - evidence.error_of(self.gate.confidence) / self.candidates

    def facts(self, found: Scored, size: int) -> dict[str, Any]:
        """Return what is known of a candidate by the validation rows and its size, and the verdict so far."""
        metric = metrics.beside(self.gate.metric)[self.gate.metric]
        proof = evidence.proof(found, self.whole, metric, self.confidence, self.gate.resamples)
        return described(found, size) | {
            "agreement": round(float((found.predicted == self.whole.predicted).mean()), 6),
            "difference": proof.difference.to_json(),
            "verdict": self._verdict(proof.difference.low, size),
        }

    def _verdict(self, low: float, size: int) -> str:
        if size >= self.size:
            return LARGE
        return PROVEN if low > -self.margin else UNPROVEN


def described(found: Scored, size: int) -> dict[str, Any]:
    """Return size and figures of a model on the validation rows."""
    return {"size_bytes": size, "figures": figures.rounded(figures.point(found))}


def in_order(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of what is proven, the smallest first."""
    return sorted(
        (name for name in facts if facts[name]["verdict"] == PROVEN), key=lambda name: facts[name]["size_bytes"]
    )


def times(one: Classifier, other: Classifier, item: Any) -> tuple[float, float]:
    """Return milliseconds of processor time that each takes to answer one raw item: the least of rounds in turns."""
    least = [float("inf")] * 2
    for model in (one, other):
        model.probabilities([item])
    for _ in range(ROUNDS):
        for place, model in enumerate((one, other)):
            least[place] = min(least[place], _time(model, [item]))
    return least[0], least[1]


def _time(model: Classifier, items: Sequence[Any]) -> float:
    start = time.thread_time()
    for _ in range(REPEATS):
        model.probabilities(items)
    return 1000 * (time.thread_time() - start) / REPEATS
