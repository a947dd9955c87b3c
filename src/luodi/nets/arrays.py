"""The rows of a split as a network reads them: encoded when it is trained, for nobody else reads them.

They lie in a file without a name, on the disk of the artifacts, and are mapped from there: memory holds of them what
there is room for, and the file goes with the process, however that ends.
"""

import math
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi import config
from luodi.data import modality, split_rows
from luodi.data.modality import Encoder
from luodi.errors import ArtifactError
from luodi.nets.fitting import Rows
from luodi.project.paths import ModelPaths, maker
from luodi.system import progress
from luodi.system.threads import in_threads

CACHE = 2**18  # bytes of rows encoded at a time: what is larger comes fresh from the system each time, page by page


def load(split: str, settings: config.ModelSettings, paths: ModelPaths, encoder: Encoder) -> Rows:
    """Encode the rows of a split of rows.parquet: rows [rows, ...] and their labels int32 [rows].

    Raises:
        ArtifactError: The file is missing or broken, holds no row of the split, a label that is none, or rows that
            the encoder is not for.
    """
    label = split_rows.labels(paths.rows, split, len(encoder.labels))
    items = partial(split_rows.columns, paths.rows, settings.modality, split)
    return encoded(split, items, label, settings, encoder, paths.rows)


def encoded(  # noqa: PLR0917, what rows are and how they are encoded
    split: str,
    items: Callable[[], Iterable[pa.Array]],
    label: NDArray[np.int32],
    settings: config.ModelSettings,
    encoder: Encoder,
    path: Path,
) -> Rows:
    """Encode columns of clean items, those of train with their augmented copies behind them.

    Args:
        label: Of each item, int32 [n].
        path: Where the items are from; the rows lie on the same disk.

    Raises:
        ArtifactError: The encoder is not for these items.
    """
    kind = modality.of(settings.modality)
    copies = kind.copies(items, settings.preprocess) if split == "train" else []
    label = np.tile(label, 1 + len(copies))
    columns = progress.steps(f"encoding {split}", chain(items(), *copies), len(label), len)
    return _written(columns, len(label), encoder, kind.CHUNK, path), label


def _written(columns: Iterable[pa.Array], rows: int, encoder: Encoder, chunk: int, path: Path) -> NDArray[Any]:
    """Encode and write chunk by chunk; not through the map: there a full disk is the end of the process."""
    size = math.prod(encoder.shape) * np.dtype(encoder.dtype).itemsize
    chunk = min(chunk, max(1, CACHE // size))
    chunks = (column.slice(start, chunk) for column in columns for start in range(0, len(column), chunk))
    with tempfile.TemporaryFile(dir=path.parent) as file:
        for some in in_threads(encoder.encode_clean, chunks):
            if some.shape[1:] != encoder.shape:
                raise ArtifactError(
                    f"{path} does not fit the encoder: expected rows of {list(encoder.shape)}, found "
                    f"{list(some.shape[1:])}: run `{maker(path)}` again"
                )
            file.write(np.ascontiguousarray(some).data)
        file.flush()
        return np.memmap(file, encoder.dtype, "r", shape=(rows, *encoder.shape))
