"""Rows as `luodi.checks.drift` compares them: labels, the measures of their kind, and texts."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi.checks import modality, quarantine
from luodi.checks.drift import Rows
from luodi.config import ModelSettings

MEASURES = {"text": ("characters",), "image": ("intensity", "contrast")}


def measured(rows: pa.Table, settings: ModelSettings) -> quarantine.Checked:
    """Measure rows: item, label, source, shard, row."""
    return modality.measures(settings.modality).measure([rows], settings)


def as_rows(
    rows: pa.Table,
    settings: ModelSettings,
    right: NDArray[np.bool_] | None = None,
    sure: NDArray[np.float64] | None = None,
) -> Rows:
    """Return rows, as `measured` takes them, with what a model makes of them."""
    table = measured(rows, settings).table
    measures = {name: table[name].to_numpy().astype(np.float64) for name in MEASURES[settings.modality]}
    items = rows[settings.modality]
    texts = items.to_pylist() if pa.types.is_string(items.type) else None
    return Rows(rows["label"].to_pylist(), measures, texts, right, sure)


def table(settings: ModelSettings, items: Any, labels: Any) -> pa.Table:
    """Return items and their labels [n] as rows that came from nowhere."""
    nowhere = pa.array([""] * len(labels), pa.string())
    columns = {"label": pa.array(labels, pa.string()), "source": nowhere, "shard": nowhere}
    return pa.table({settings.modality: items, **columns, "row": pa.array(range(len(labels)), pa.int64())})
