"""Pretrained encoders: from a checkpoint on disk to a classifier.

Used as they are ONNX Runtime computes; Keras is imported where one is trained on.
"""

from importlib import import_module
from typing import Any

import luodi.nets  # noqa: F401  # it says how Keras starts


def of(modality: str) -> Any:
    """Return the module of a modality, with `fit`, `tuned` and `tune`."""
    return import_module(f"luodi.pretrained.{modality}")
