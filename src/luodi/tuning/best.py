"""best_params.yaml: what a search found, and the settings of a model with it."""

from collections.abc import Iterator, Mapping
from typing import Any

from luodi import yaml12
from luodi.config import ModelSettings, tuning
from luodi.config.tuning import Values
from luodi.errors import ArtifactError
from luodi.files import write_text
from luodi.project.paths import ModelPaths

HEAD = "# What `luodi tune` found to be better than params.yaml; preprocess and train take it.\n"


def write(paths: ModelPaths, values: Values) -> None:
    """Write the values of settings, by names with dots."""
    write_text(paths.best_params, HEAD + yaml12.dump(nested(values)))


def read(paths: ModelPaths) -> dict[str, Any]:
    """Return the values of settings, by names with dots.

    Raises:
        ArtifactError: tune has not run, or the file is not what it wrote.
    """
    path = paths.best_params
    if not path.exists():
        raise ArtifactError(f"{path} does not exist: run `luodi tune run {paths.model}` first")
    try:
        found = yaml12.parse(yaml12.read(path))
    except yaml12.Unfit as error:
        raise ArtifactError(f"{path} {error}: run `luodi tune run {paths.model}` again") from None
    return dict(flat(found if isinstance(found, dict) else {}))


def applied(settings: ModelSettings, paths: ModelPaths) -> ModelSettings:
    """Return the settings with what was found; as they are where nothing is searched.

    Raises:
        ArtifactError: tune has not run.
        WrongValue: What was found does not fit these settings.
    """
    if settings.tune is None:
        return settings
    return tuning.changed(settings, read(paths), f"{paths.best_params}: run `luodi tune run {paths.model}` again")


def told(values: Values) -> str:
    """Return the values on a line."""
    return ", ".join(f"{name} {short(value)}" for name, value in values.items())


def short(value: Any) -> str:
    """Return a value with the digits that people read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what nested mappings hold, by names with dots."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def nested(values: Values) -> dict[str, Any]:
    """Return values by names with dots as nested mappings: the inverse of `flat`."""
    found: dict[str, Any] = {}
    for name, value in sorted(values.items()):
        *above, last = name.split(".")
        block = found
        for part in above:
            block = block.setdefault(part, {})
        block[last] = value
    return found
