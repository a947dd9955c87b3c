"""The linear model of each modality: the baseline of every evaluation, and architecture `linear`. No Keras."""

from importlib import import_module
from typing import Any


def of(modality: str) -> Any:
    """Return the module of a modality, with `encoder_for` and `fit`."""
    return import_module(f"luodi.linear.{modality}")
