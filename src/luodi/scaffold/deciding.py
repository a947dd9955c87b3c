"""What decides of a new model: the metric, and what can be proven of it with the rows that there are."""

import math
from collections.abc import Mapping
from typing import Any

UNEVEN = 5  # times the rows of the smallest class that the largest has: above it accuracy hardly sees the smallest
DIFFER = 0.05  # of the test rows, that a good model and the linear baseline answer differently
WIDEST = 0.1


def settings(
    counts: Mapping[str, int], test_rows: Mapping[str, float], *, linear: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Return block gate of a model with so many rows, and test rows, of each class, and why, a sentence each.

    The metric is accuracy or, where the largest class has more than 5 times the rows of the smallest, macro F1: it
    weighs the classes alike, and counts what is taken for a rare class too. `minimum` is what always answering the
    largest class scores. `baseline_margin` is 0.01 or, where the test rows cannot tell so little apart, about two
    standard errors of the difference between two models that differ on 5% of them, at most 0.1. A `linear` model is the
    baseline itself, and needs none.
    """
    rows, largest = sum(counts.values()), max(counts.values())
    uneven = largest > UNEVEN * min(counts.values())
    share = largest / rows
    of_largest = 2 * share / (1 + share) / len(counts)  # F1 of the largest class, 0 of the others
    tests = [max(1.0, test_rows.get(label, 0)) for label in counts]
    effective = len(tests) ** 2 / sum(1 / count for count in tests) if uneven else sum(tests)
    effective = max(1.0, min(effective, sum(test_rows.values())))
    margin = min(WIDEST, max(0.01, _up(2 * math.sqrt(DIFFER / effective))))
    found: dict[str, Any] = {"minimum": _up(of_largest if uneven else share)}
    found |= {} if linear else {"baseline_margin": margin}
    why = []
    if uneven:
        found = {"metric": "macro_f1", **found}
        why.append(
            f"gate.metric is macro_f1, for the largest class has more than {UNEVEN} times the rows of the smallest: "
            "accuracy would not notice if that one were missed"
        )
    if margin > 0.01 and not linear:
        why.append(
            f"gate.baseline_margin is {margin:g}, for so few test rows cannot tell less from chance: more data will"
        )
    return found, why


def _up(share: float) -> float:
    return min(1.0, math.ceil(1000 * share - 1e-9) / 1000)
