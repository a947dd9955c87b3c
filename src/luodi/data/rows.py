"""Read the rows of one split from rows.parquet."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi.errors import ArtifactError

COLUMNS = ("text", "label", "source", "split")


@dataclass(frozen=True)
class Rows:
    """The rows of one split, in the order of the file."""

    text: list[str]
    label: NDArray[np.int32]
    """Index into the labels of the model, int32 [rows]."""
    source: list[str]

    def __len__(self) -> int:
        return len(self.text)


def read(path: Path, split: str, classes: int) -> Rows:
    """Read the rows that belong to `split` ("train", "validation" or "test").

    Raises:
        ArtifactError: The file is missing or broken, lacks a column, holds no row of the split, or holds a
            label outside 0 to `classes` - 1.
    """
    # Filtered here and not by Arrow: pyarrow.compute imports pandas, which costs a second.
    columns = {name: column.to_pylist() for name, column in zip(COLUMNS, _load(path).columns, strict=True)}
    picked = [row for row, name in enumerate(columns["split"]) if name == split]
    if not picked:
        raise ArtifactError(
            f"{path} holds no row of split {split!r}: add data, or raise preprocess.shares.{split} in "
            "params.yaml, and run `luodi preprocess` again"
        )
    label = np.array([columns["label"][row] for row in picked], np.int32)
    if label.min() < 0 or label.max() >= classes:
        raise ArtifactError(
            f"{path}: expected labels from 0 to {classes - 1}, found {label.min()} to {label.max()}: "
            "run `luodi preprocess` again"
        )
    return Rows([columns["text"][row] for row in picked], label, [columns["source"][row] for row in picked])


def _load(path: Path) -> pa.Table:
    try:
        return pq.ParquetFile(path).read(columns=list(COLUMNS)).select(COLUMNS)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `luodi preprocess` first") from None
    except (pa.ArrowInvalid, KeyError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): run `luodi preprocess` again") from None
