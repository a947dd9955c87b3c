"""The rows of one split, from rows.parquet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi.errors import ArtifactError
from luodi.project.paths import maker


@dataclass(frozen=True)
class Rows:
    """The rows of one split, in the order of the file."""

    items: list[Any]
    """Texts (str) or images (bytes of a PNG)."""
    label: NDArray[np.int32]
    """Index into the labels of the model, int32 [rows]."""
    source: list[str]

    def __len__(self) -> int:
        return len(self.items)


def read(path: Path, modality: str, split: str, classes: int) -> Rows:
    """Read the rows of `modality` ("text" or "image") that belong to `split` ("train", "validation" or "test").

    Raises:
        ArtifactError: The file is missing or broken, lacks a column, holds no row of the split, or holds a
            label outside 0 to `classes` - 1.
    """
    table = _load(path, [modality, "label", "source", "split"])
    # Filtered here and not by Arrow: pyarrow.compute imports pandas, which costs a second.
    picked = [row for row, name in enumerate(table["split"].to_pylist()) if name == split]
    if not picked:
        raise ArtifactError(
            f"{path} holds no row of split {split!r}: add data, or raise preprocess.shares.{split} in "
            f"params.yaml, and run `{maker(path)}` again"
        )
    items, labels, sources = ([table[name][row].as_py() for row in picked] for name in (modality, "label", "source"))
    label = np.array(labels, np.int32)
    if label.min() < 0 or label.max() >= classes:
        raise ArtifactError(
            f"{path}: expected labels from 0 to {classes - 1}, found {label.min()} to {label.max()}: "
            f"run `{maker(path)}` again"
        )
    return Rows(items, label, sources)


def _load(path: Path, columns: list[str]) -> pa.Table:
    try:
        return pq.ParquetFile(path).read(columns=columns).select(columns)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None
    except (pa.ArrowInvalid, KeyError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `{maker(path)}` again") from None
