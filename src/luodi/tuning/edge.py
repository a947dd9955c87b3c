"""What the winner of a search is worth: its edge over the settings as they stand, corrected for having been picked."""

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.scoring.figures import draws
from luodi.scoring.metrics import beside
from luodi.scoring.scored import Floats, scored

CONFIDENCE = 0.95
DRAWS = 1000


def edge(  # noqa: PLR0917, the last has a default
    truth: NDArray[np.int32],
    default: list[NDArray[Any]],
    winner: list[NDArray[Any]],
    metric: str,
    candidates: int,
    group: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Return by how much the winner is better on validation rows, with its interval.

    Both are trained anew with the same fresh seeds, so that no seed was picked. That the winner was picked on these
    rows among `candidates` is what the interval allows for: of each candidate's difference an interval so wide that
    all of them hold at once (Bonferroni). Its error has two sources, which are added: the rows, by the paired bootstrap
    of the mean over seeds, and the seeds.

    Args:
        truth: Classes of the validation rows.
        default: Probabilities [rows, classes] by the settings as they stand, of each seed.
        winner: The same of the winner.
        group: A number that rows share which stand together, and are drawn together.
    """
    better, function = beside(metric)[metric].better, beside(metric)[metric].function
    pairs = [
        [scored(truth, one, "a repeat", one.shape[-1]) for one in pair] for pair in zip(default, winner, strict=True)
    ]

    def differences(weights: Floats) -> Floats:
        """[seeds, draws]"""
        return np.stack([better * (function(second, weights) - function(first, weights)) for first, second in pairs])

    seeds = differences(np.ones((1, len(truth))))[:, 0]
    drawn = np.concatenate([differences(weights).mean(0) for weights in draws(len(truth), DRAWS, group=group)])
    error = float(np.sqrt(np.nanvar(drawn) + seeds.var(ddof=1) / len(seeds)))
    wide = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / max(candidates, 1)) * error
    value = float(seeds.mean())
    return {
        "value": value,
        "low": value - wide,
        "high": value + wide,
        "seeds": seeds.tolist(),
        "rows": len(truth),
        "candidates": candidates,
        "confidence": CONFIDENCE,
    }


def sentence(found: dict[str, Any] | None) -> str:
    """Say what an edge is worth; None is that of the settings as they stand, which won."""
    if found is None:
        return "no better than the default: no trial beat the settings of params.yaml"
    interval = f"{found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
    how = f"over {len(found['seeds'])} seeds, corrected for the best of {found['candidates']}"
    if found["value"] <= 0:
        return f"no better than the default: {interval} {how}; the settings of params.yaml stay"
    if found["low"] <= 0:
        return f"better than the default, not proven: {interval} {how}"
    return f"proven better than the default: {interval} {how}"
