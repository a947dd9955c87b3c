"""A metric of a user's own, as README shows one, for the three classes of benchmarks/gate.py; the last is rare."""

import numpy as np

from luodi.scoring.scored import Floats, Ints

COST = np.array([[0, 1, 1], [1, 0, 1], [5, 5, 0]])


def cost_saved(truth: Ints, predicted: Ints, weights: Floats) -> Floats:
    """Share of the cost of the dearest mistakes alone that is saved."""
    saved: Floats = 1 - weights @ COST[truth, predicted] / weights.sum(1) / COST.max()
    return saved
