"""Pretrained encoders, used as they are: from a checkpoint on disk to a classifier. ONNX Runtime computes; no Keras."""

from importlib import import_module
from typing import Any


def of(modality: str) -> Any:
    """Return the module of a modality, with `Frozen`."""
    return import_module(f"luodi.pretrained.{modality}")
