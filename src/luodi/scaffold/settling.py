"""Write settings into params.yaml as a person would: comments, quotes and order stay."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luodi import config, yaml12
from luodi.errors import ParamsError
from luodi.files import write_text
from luodi.scaffold import pipeline


def settle(path: Path, model: str, values: Mapping[str, Any]) -> None:
    """Write values, nested by block, into the block of a model.

    Raises:
        ParamsError: params.yaml cannot be used, or could not with these values; it is as it was then.
    """
    try:
        document = pipeline.load(yaml12.read(path), path.name)
    except yaml12.Unfit as error:
        raise ParamsError(f"{path} {error}") from None
    _merge(document["models"][model], values)
    text = pipeline.dump(document)
    config.parse(yaml12.parse(text), path.name)
    if values:
        write_text(path, text)


def _merge(block: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            if not isinstance(block.get(name), dict):
                block[name] = {}
            _merge(block[name], value)
        else:
            block[name] = value
