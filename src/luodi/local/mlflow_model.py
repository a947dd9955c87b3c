"""A version as a Python function of MLflow, with nothing of luodi: `luodi export` puts this file beside example.py."""

import io
import json
from pathlib import Path
from typing import Any

import example
import numpy as np
import onnxruntime
import pandas as pd


class Model:
    """What MLflow calls, with a table that has a column "text", or a column "image" of files' bytes."""

    def __init__(self, folder: Path) -> None:
        """Open model.onnx and encoder.json in `folder`."""
        self._encoder = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the likeliest label of each row, and its probability; `params` is MLflow's, and unused."""
        items = [io.BytesIO(one) if isinstance(one, bytes) else one for one in table[self._encoder["modality"]]]
        if not items:
            return pd.DataFrame({"label": [], "probability": []})
        (found,) = self._session.run(["probabilities"], {"x": example.encode(self._encoder, items)})
        labels = np.array(self._encoder["labels"], dtype=object)[found.argmax(axis=1)]
        return pd.DataFrame({"label": labels, "probability": found.max(axis=1).astype(float)})


def _load_pyfunc(path: str) -> Model:
    """Open what lies in the folder `path`; MLflow finds this function by its name."""
    return Model(Path(path))
