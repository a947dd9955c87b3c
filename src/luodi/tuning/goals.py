"""What a search is for: metrics of the validation rows, and what a prediction costs, which the gate's budgets bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from luodi.config import ModelSettings, Tune
from luodi.config.tuning import BUDGETS
from luodi.scoring.metrics import Metric, beside


@dataclass(frozen=True)
class Goals:
    """What is measured of each trial.

    Attributes:
        names: The first decides.
        most: The gate's budgets of those that cost.
    """

    names: tuple[str, ...]
    most: Mapping[str, float]

    @property
    def metric(self) -> Metric:
        """The one that decides."""
        return beside(self.names[0])[self.names[0]]

    @property
    def several(self) -> bool:
        return len(self.names) > 1

    @property
    def better(self) -> tuple[int, ...]:
        """Of each 1 where more is better, -1 where less is."""
        return tuple(-1 if name in BUDGETS else beside(name)[name].better for name in self.names)

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        return ["maximize" if one > 0 else "minimize" for one in self.better]

    def broken(self, values: Sequence[float]) -> str:
        """Say which budgets these values break; nothing if none."""
        found = zip(self.names, values, strict=True)
        over = [(name, value) for name, value in found if value > self.most.get(name, value)]
        return ", ".join(f"gate.{BUDGETS[name]} {self.most[name]:g} ({value:.4g})" for name, value in over)

    def dominates(self, first: Sequence[float], second: Sequence[float]) -> bool:
        """Whether the first values are as good as the second in all, and better in one."""
        gains = [sign * (a - b) for sign, a, b in zip(self.better, first, second, strict=True)]
        return min(gains) >= 0 and max(gains) > 0


def of(settings: ModelSettings, tune: Tune) -> Goals:
    """Return what `tune` asks for; without that the metric of the gate."""
    names = tune.metric or (settings.gate.metric,)
    return Goals(names, {name: getattr(settings.gate, key) for name, key in BUDGETS.items() if name in names})
