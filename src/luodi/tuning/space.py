"""Which values a trial tries: the space of a model, and one draw of it by Optuna."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from luodi.config import ModelSettings, Tune, tuning
from luodi.config.tuning import Dimension, Space, Values
from luodi.errors import WrongValue
from luodi.nets import catalogue

TEXT_BAG = {"embedding": [2, 4, 8, 16, 32], "learning_rate": (0.0005, 0.05), "batch_size": [32, 64, 128, 256]}
TEXT = {"embedding": [16, 32, 64, 128], "learning_rate": (0.0001, 0.01), "batch_size": [32, 64, 128]}
FULL = {
    "learning_rate": (0.00002, 0.0005),
    "batch_size": [16, 32, 64],
    "epochs": [2, 3, 4],
    "layer_decay": [0.8, 0.9, 1.0],
}
LORA = {"learning_rate": (0.0002, 0.005), "batch_size": [16, 32, 64], "epochs": [3, 6, 10], "lora_rank": [4, 8, 16, 32]}
IMAGE = {"learning_rate": (0.0003, 0.03), "batch_size": [32, 64, 128], "filters": [[16, 32], [32, 64], [64, 128]]}
ANY = {
    "filters": [32, 64, 128],
    "kernel": [3, 5, 7],
    "layers": [1, 2, 4],
    "units": [32, 64, 128, 256],
    "dropout": (0.0, 0.6),
}
"""What `space: auto` tries of the settings that shape a network, and of those that train any."""
KNOWN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {"text": (TEXT, TEXT_BAG), "image": (IMAGE, IMAGE)}
"""The second of either is for networks that do not look at the order of what comes in."""
STEM = {"learning_rate": (0.00003, 0.001), "batch_size": [16, 32, 64], "epochs": [3, 5, 10]}
ENCODER: dict[str, dict[str, dict[str, Any]]] = {"text": {"full": FULL, "lora": LORA}, "image": {"full": STEM}}
"""The same where an encoder is trained on."""
POPULATION = 10  # trials of a generation of nsga2: of a search are tens
DIGITS = 4  # of a number that is drawn: what is tried is what people read


def of(settings: ModelSettings, tune: Tune) -> Space:
    """Return the space that `tune` gives; for auto that of the architecture.

    Raises:
        WrongValue: There is nothing to search, or the sampler needs what is not installed.
    """
    if tune.sampler == "gp" and find_spec("torch") is None:
        raise WrongValue(
            "tune.sampler is gp, which needs PyTorch, and there is none here: `pip install 'luodi[gp]'` brings it; or "
            "set tune.sampler to tpe"
        )
    architecture = settings.train.architecture
    if architecture == catalogue.PRETRAINED and settings.train.tuning not in ENCODER[settings.modality]:
        tunings = " or ".join(sorted(ENCODER[settings.modality], reverse=True))
        raise WrongValue(
            "train.tuning is frozen: there is nothing to tune, for the linear model on an encoder tries every "
            f"regularization of its own; set train.tuning to {tunings}, or remove the block tune"
        )
    if architecture == catalogue.LINEAR and "train.architecture" not in tune.space:
        raise WrongValue(
            "train.architecture is linear: there is no network to tune, and a linear model chooses its own "
            "regularization; name a network, see `luodi architectures`, or remove the block tune where there is one"
        )
    if tune.sampler == "grid" and not tune.space:
        raise WrongValue(
            "tune.sampler is grid, which tries every value, and space auto has ranges: name settings in tune.space, "
            "each with choices or a step, or set tune.sampler to tpe"
        )
    found = tune.space or {f"train.{name}": _dimension(known) for name, known in _auto(settings).items()}
    if len(idle(settings, found)) == len(found):
        raise WrongValue(f"tune.space: there is nothing to try: {'; '.join(idle(settings, found))}")
    return found


def idle(settings: ModelSettings, space: Space) -> list[str]:
    """Say of each setting that no trial changes, or that shapes no network which is tried, why that is."""
    found = ((name, _unmet(settings, space, name) or _unread(settings, space, name)) for name in space)
    return [f"{name} {why}" for name, why in found if why]


def _unmet(settings: ModelSettings, space: Space, name: str) -> str:
    for asked, value in space[name].when.items():
        if not _may_be(settings, space, asked, value):
            return f"is tried only where {asked} is {value}, and it never is"
    return ""


def _may_be(settings: ModelSettings, space: Space, name: str, value: Any) -> bool:
    if name not in space:
        return bool(tuning.value_of(settings, name) == value)
    return _contains(_distribution(space[name], tuning.kind_of(settings, name)), _category(value))


def _unread(settings: ModelSettings, space: Space, name: str) -> str:
    """Say that a setting shapes none of the networks that are tried."""
    known = [one for one in catalogue.ARCHITECTURES if one.modality == settings.modality]
    shaping = {one.name for one in known if name.removeprefix("train.") in one.parameters}
    tried = {*_architectures(settings, space, name)}
    if not shaping or tried & shaping or any(":" in one for one in tried):
        return ""
    return f"shapes {', '.join(sorted(shaping))}, and no {' or '.join(sorted(tried))}"


def _architectures(settings: ModelSettings, space: Space, name: str) -> list[Any]:
    """Those that a trial may have which tries the setting."""
    key = "train.architecture"
    if key in space[name].when:
        return [space[name].when[key]]
    return (space[key].choices or []) if key in space else [settings.train.architecture]


def _auto(settings: ModelSettings) -> Mapping[str, Any]:
    name = settings.train.architecture
    if name == catalogue.PRETRAINED:
        return ENCODER[settings.modality][settings.train.tuning]
    known: dict[str, Any] = ANY | KNOWN[settings.modality][catalogue.any_threads(settings)]
    shaped = ("dropout",) if ":" in name else catalogue.find(settings.modality, name).parameters
    return {one: known[one] for one in ("learning_rate", "batch_size", *shaped) if one in known}


def _dimension(known: Any) -> Dimension:
    if isinstance(known, tuple):
        return Dimension(low=known[0], high=known[1], log=known[0] > 0)
    return Dimension(choices=known)


def draw(trial: optuna.Trial, settings: ModelSettings, space: Space) -> dict[str, Any]:
    """Return the values that a trial tries, by the names of their settings; without those whose `when` is not met."""
    found: dict[str, Any] = {}
    for name in tuning.ordered(space):
        if _met(space[name], found, settings):
            category = _suggested(trial, name, _distribution(space[name], tuning.kind_of(settings, name)))
            found[name] = _value(space[name], category)
    return found


def _suggested(trial: optuna.Trial, name: str, values: BaseDistribution) -> Any:
    if isinstance(values, CategoricalDistribution):
        return trial.suggest_categorical(name, values.choices)
    if isinstance(values, IntDistribution):
        return trial.suggest_int(name, values.low, values.high, step=values.step, log=values.log)
    assert isinstance(values, FloatDistribution)
    exact = trial.suggest_float(name, values.low, values.high, step=values.step, log=values.log)
    return min(max(float(f"{exact:.{DIGITS}g}"), values.low), values.high)


def fixed(settings: ModelSettings, tune: Tune, space: Space, slot: int) -> dict[str, Any] | None:
    """Return the values that a slot has to have, None where they are drawn.

    Slot 0 has the values of the settings, as far as they lie in the space; in a grid the next ones have each its own.
    """
    if slot and tune.sampler != "grid":
        return None
    return next(itertools.islice(grid(settings, space), slot - 1, None)) if slot else defaults(settings, space)


def sampler(settings: ModelSettings, tune: Tune, values: Values | None, slot: int) -> BaseSampler:
    """Return what draws the values of a slot, seeded by it: whoever runs it, after the same trials, draws the same."""
    if values is not None:
        return Given(values)
    seed = settings.train.seed + slot
    if tune.sampler == "nsga2":
        return NSGAIISampler(seed=seed, population_size=POPULATION)
    if tune.sampler == "gp":
        return GPSampler(seed=seed)
    return TPESampler(seed=seed) if tune.sampler == "tpe" else RandomSampler(seed=seed)


class Given(BaseSampler):
    """Draws what it is given."""

    def __init__(self, values: Values) -> None:
        self.values = {name: _category(value) for name, value in values.items()}

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        return self.values[param_name]


def defaults(settings: ModelSettings, space: Space) -> dict[str, Any]:
    """Return the values that the settings have, of those in the space that it allows."""
    found = {name: tuning.value_of(settings, name) for name in space}
    return {
        name: value
        for name, value in found.items()
        if _contains(_distribution(space[name], tuning.kind_of(settings, name)), _category(value))
    }


def grid(settings: ModelSettings, space: Space) -> Iterator[dict[str, Any]]:
    """Yield every combination of a space of choices and steps, each once."""

    def below(met: dict[str, Any], names: Sequence[str]) -> Iterator[dict[str, Any]]:
        if not names:
            yield met
            return
        name, rest = names[0], names[1:]
        tried = _met(space[name], met, settings)
        for one in _steps(space[name], tuning.kind_of(settings, name)) if tried else [None]:
            yield from below({**met, name: one} if tried else met, rest)

    return below({}, tuning.ordered(space))


def _steps(dimension: Dimension, kind: Any) -> Iterator[Any]:
    ends, step = tuning.values(dimension, kind), dimension.step
    if dimension.choices is not None or step is None:
        return iter(ends)
    return (kind(ends[0] + place * step) for place in range(round((ends[1] - ends[0]) / step) + 1))


def _met(dimension: Dimension, drawn: Values, settings: ModelSettings) -> bool:
    return all(drawn.get(name, tuning.value_of(settings, name)) == value for name, value in dimension.when.items())


def _distribution(dimension: Dimension, kind: Any) -> BaseDistribution:
    ends = tuning.values(dimension, kind)
    if dimension.choices is not None:
        return CategoricalDistribution([*map(_category, ends)])
    if kind is int:
        return IntDistribution(ends[0], ends[1], log=dimension.log, step=int(dimension.step or 1))
    return FloatDistribution(ends[0], ends[1], log=dimension.log, step=dimension.step)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return bool(distribution._contains(distribution.to_internal_repr(value)))


def _category(value: Any) -> Any:
    """A value as Optuna stores it: a list as JSON."""
    return json.dumps(value) if isinstance(value, list) else value


def _value(dimension: Dimension, category: Any) -> Any:
    return next((one for one in dimension.choices or () if _category(one) == category), category)
