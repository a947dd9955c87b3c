"""Load the encoder of a model, whatever its modality; only that modality's module is imported."""

import json
from pathlib import Path
from typing import Any

from luodi.config import MODALITIES
from luodi.data import modality
from luodi.data.modality import Encoder
from luodi.errors import ArtifactError
from luodi.project.paths import maker


def load(path: Path) -> Encoder:
    """Read an encoder that preprocess saved.

    Raises:
        ArtifactError: The file is missing or is not an encoder.
    """
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        name = raw.pop("modality")
        if name not in MODALITIES:
            raise ValueError(f"unknown modality {name!r}")
        return modality.of(name).read_encoder(raw, path.parent)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{path} is not an encoder ({error}): run `{maker(path)}` again") from None
