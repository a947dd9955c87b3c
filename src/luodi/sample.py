"""Some inputs and what a model says of them, kept with each version: it is proven again before it takes over."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from luodi.errors import RegistryError
from luodi.files import replacing
from luodi.inference import Classifier

ROWS = 32
DIGITS = 4  # of the probabilities kept: other processors round the rest differently
TOLERANCE = 10.0**-DIGITS


def write(path: Path, classifier: Classifier, items: list[Any]) -> None:
    """Write up to `ROWS` texts or images, spread over `items`, and the probabilities that `classifier` gives them."""
    chosen = [items[place] for place in np.linspace(0, len(items) - 1, min(ROWS, len(items))).astype(int)]
    given = classifier.probabilities(chosen).astype(np.float64).round(DIGITS)
    table = pa.table({"item": chosen, "probabilities": pa.array(given.tolist(), pa.list_(pa.float64()))})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)


def check(path: Path, classifier: Classifier, name: str) -> int:
    """Let the classifier of version `name` predict the sample again; return its number of rows.

    Raises:
        RegistryError: The sample cannot be read, or an answer is not what it was.
    """
    try:
        table = pq.ParquetFile(path).read()
        items, kept = table["item"].to_pylist(), np.array(table["probabilities"].to_pylist(), np.float64)
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise RegistryError(f"the sample of {name} cannot be read ({error}): its files were changed") from None
    given = classifier.probabilities(items)
    if kept.shape != given.shape or not np.allclose(given, kept, rtol=0, atol=TOLERANCE):
        raise RegistryError(
            f"{name} does not predict its sample as it did when it was registered: expected equal probabilities on "
            f"{len(items)} rows; its files, or ONNX Runtime, have changed"
        )
    return len(items)
