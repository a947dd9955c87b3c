"""Temperature scaling: make a classifier as sure as it is right, by rows that it was not fitted on.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017). No answer changes, only how sure it
is.
"""

import numpy as np
from numpy.typing import NDArray

STEPS = 40  # of bisection: far below what float32 tells apart
WIDEST = 7.0  # the logarithm of the scale stays within this


def scale(logits: NDArray[np.float32], truth: NDArray[np.int32]) -> float:
    """Return the factor of logits [rows, classes] that makes the loss of these rows least.

    The targets are smoothed as if half of one more row had been wrong, by Jeffreys' prior (Platt 1999 takes two rows):
    few rows that are all right do not make a model certain.
    """
    values = logits.astype(np.float64)
    wrong = 0.5 / (len(truth) + 1)
    aim = (1 - wrong) * values[np.arange(len(truth)), truth] + wrong * values.mean(1)
    low, high = -WIDEST, WIDEST
    for _ in range(STEPS):  # the loss is convex in the factor: its slope rises
        middle = (low + high) / 2
        slope = (probabilities(values, np.exp(middle)) * values).sum(1).mean() - aim.mean()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return float(np.exp(low))


def probabilities(logits: NDArray[np.float64], factor: float = 1.0) -> NDArray[np.float64]:
    """Return the softmax of `factor` x logits [rows, classes]."""
    scaled = factor * (logits - logits.max(1, keepdims=True))
    shares = np.exp(scaled)
    result: NDArray[np.float64] = shares / shares.sum(1, keepdims=True)
    return result


def loss(logits: NDArray[np.float32], truth: NDArray[np.int32], factor: float) -> float:
    """Return the mean of -ln(probability of the true class) at this factor, in nats."""
    chosen = probabilities(logits.astype(np.float64), factor)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).eps)).mean())
