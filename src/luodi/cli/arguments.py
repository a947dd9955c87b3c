"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

VersionArgument = Annotated[
    str, typer.Argument(metavar="MODEL@V", help="A version, such as reviews@v1.0.0; MODEL alone is that in production.")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A key of `models:` in params.yaml.")]


def parts(version: str) -> tuple[str, str]:
    """Split MODEL[@V] into model and number; without V, and with @production, the stage."""
    from luodi.registry.tags import PRODUCTION

    model, _, number = version.partition("@")
    return model, number or PRODUCTION


def known_model(root: Path, name: str) -> None:
    """Raise UnknownKey, with the near name, if params.yaml has no such model."""
    from luodi import config
    from luodi.project.paths import PARAMS

    config.settings_of(config.load(root / PARAMS), name)
