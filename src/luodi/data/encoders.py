"""Load the encoder of a model, whatever its modality; only that modality's module is imported."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from luodi.errors import ArtifactError
from luodi.project.paths import maker

if TYPE_CHECKING:
    from luodi.data import image, text

Encoder: TypeAlias = "text.Encoder | image.Encoder"


def load(path: Path) -> Encoder:
    """Read an encoder that preprocess saved.

    Raises:
        ArtifactError: The file is missing or is not an encoder.
    """
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return _kind(raw.pop("modality")).from_json(raw)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{path} is not an encoder ({error}): run `{maker(path)}` again") from None


def _kind(modality: str) -> "type[text.Encoder | image.Encoder]":
    if modality == "text":
        from luodi.data import text

        return text.Encoder
    if modality == "image":
        from luodi.data import image

        return image.Encoder
    raise ValueError(f"unknown modality {modality!r}")
