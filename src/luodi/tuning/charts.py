"""What the page of a search draws, as places from 0 to 1: of NumPy and Optuna it needs none."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Point: TypeAlias = tuple[float, float]
Facts: TypeAlias = Mapping[str, Any]
FEW = 5  # values of a setting that stand side by side


def charts(facts: Facts) -> dict[str, Any]:
    """Return the history, a slice of each setting, parallel coordinates, and the share of trials that were pruned."""
    trials = facts["trials"]
    complete = [one for one in trials if one["value"] is not None]
    up = _scale([one["value"] for one in complete], log=False)
    names = sorted({name for one in trials for name in one["values"]})
    across = {
        name: _scale([one["values"][name] for one in trials if name in one["values"]], log=True) for name in names
    }
    return {
        "up": up,
        "history": _history(trials, up, facts["better"]),
        "slices": [{"name": name, "scale": across[name], "points": _slice(name, complete, across[name], up)}
                   for name in names],
        "parallel": _parallel(complete, names, across, up, facts["best"]),
        "costs": [_against(name, complete, up, facts["front"]) for name in facts["beside"]],
        "pruned": sum(one["state"] == "pruned" for one in trials),
        "failed": sum(one["state"] == "failed" for one in trials),
    }  # fmt: skip


def _scale(values: Sequence[Any], *, log: bool) -> dict[str, Any]:
    """Where values stand: few of them in turn, many numbers by size, by their logarithm where they span much."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    kinds = [str(one) for one in sorted(set(values))] if numbers else sorted({str(one) for one in values})
    if not numbers or (log and len(kinds) <= FEW and not any(isinstance(one, float) for one in values)):
        places = {one: (place + 0.5) / len(kinds) for place, one in enumerate(kinds)}
        return {"places": places, "ticks": [(at, _short(one)) for one, at in places.items()]}
    if not values:
        return {"low": 0.0, "high": 1.0, "log": False, "ticks": []}
    low, high = min(values), max(values)
    logarithmic = log and low > 0 and high / low >= 20
    ends = (math.log(low), math.log(high)) if logarithmic else (low, high)
    found = {"low": ends[0], "high": ends[1], "log": logarithmic}
    marks = (low, math.sqrt(low * high) if logarithmic else (low + high) / 2, high) if low < high else (low,)
    return found | {"ticks": [(place(found, one), f"{one:.4g}") for one in marks]}


def _short(value: str) -> str:
    return value if len(value) <= 12 else f"{value[:11]}…"


def place(scale: Facts, value: Any) -> float:
    """Return where a value stands on a scale, 0.04 to 0.96."""
    if "places" in scale:
        return float(scale["places"][str(value)])
    at = math.log(value) if scale["log"] else value
    span = scale["high"] - scale["low"]
    return 0.04 + 0.92 * ((at - scale["low"]) / span if span else 0.5)


def _history(trials: Sequence[Facts], up: Facts, better: int) -> dict[str, Any]:
    points, best, line = [], None, []
    for number, one in enumerate(trials):
        x = (number + 0.5) / len(trials)
        if one["value"] is None:
            points.append((x, 0.0, one))
            continue
        points.append((x, place(up, one["value"]), one))
        best = one["value"] if best is None or better * one["value"] > better * best else best
        line.append((x, place(up, best)))
    return {"points": points, "line": line}


def _slice(name: str, trials: Sequence[Facts], across: Facts, up: Facts) -> list[tuple[float, float, Facts]]:
    return [
        (place(across, one["values"][name]), place(up, one["value"]), one) for one in trials if name in one["values"]
    ]


def _against(name: str, trials: Sequence[Facts], up: Facts, front: Sequence[int]) -> dict[str, Any]:
    """What decides beside another metric, those of the Pareto front joined by a line."""
    across = _scale([one["beside"][name] for one in trials], log=False)
    points = [(place(across, one["beside"][name]), place(up, one["value"]), one) for one in trials]
    line = sorted((x, y) for x, y, one in points if one["trial"] in front)
    return {"name": name, "scale": across, "points": points, "line": line}


def _parallel(
    trials: Sequence[Facts], names: Sequence[str], across: Mapping[str, Facts], up: Facts, best: int
) -> dict[str, Any]:
    """A line a trial through its values and what came of it, the best last, so that it lies above the others."""
    columns = [*names, "value"]
    step = 1 / max(len(columns) - 1, 1)
    lines = []
    for one in sorted(trials, key=lambda one: one["trial"] == best):
        where = [(step * at, place(across[name], one["values"][name])) for at, name in enumerate(names)
                 if name in one["values"]]  # fmt: skip
        lines.append({"points": [*where, (step * len(names), place(up, one["value"]))], "trial": one})
    return {"columns": [(step * at, name) for at, name in enumerate(columns)], "lines": lines}
