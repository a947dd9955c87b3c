"""Vectors of items, computed once: what a training found is kept for the next one, by the content of item and encoder.

They lie where a host keeps its DVC cache (LUODI_HOME), else in the embedded origin of the checkout. A vector depends on
its item alone, to the last bit, or what was kept would change what is trained: a batch of texts, padded to the same
multiple of so many tokens, has always the same number of rows, and so has one of images.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from luodi.config.encoders import Recorded
from luodi.pretrained import vector_file
from luodi.pretrained.vector_cache import KEY, Kept
from luodi.project.origin import EMBEDDED
from luodi.project.paths import ModelPaths
from luodi.scoring import inference
from luodi.system.threads import in_threads

ROWS = 32  # of a batch, at most
TOLD = 30  # seconds between lines of progress


def of(
    items: Sequence[Any], together: "Together", graph: Path, recorded: Recorded, paths: ModelPaths
) -> NDArray[np.float32]:
    """Return the vectors of clean items, float32 [items, width], see `spilled`.

    Args:
        together: Says which go through the encoder together.
        graph: The encoder, an ONNX model.
        recorded: What is known of it.
        paths: Those of the model that is trained.
    """
    contents = (one if isinstance(one, bytes) else one.encode() for one in items)
    keys = [hashlib.blake2b(one, digest_size=KEY).digest() for one in contents]
    what = f"{recorded.modality}s"
    with Kept(folder(paths), recorded.md5, recorded.width) as kept:
        found = vector_file.empty(folder(paths), len(items), recorded.width)
        there = kept.read(keys, found)
        places = {key: place for place, key in enumerate(keys) if not there[place]}  # of equal items one
        new = list(places.values())
        print(
            f"train: {len(new):,} of {len(items):,} {what} go through the encoder, the others went before", flush=True
        )
        done, told = 0, time.monotonic()
        for batch, computed in _computed(together([items[place] for place in new]), graph):
            of_batch = [new[row] for row in batch]
            found[of_batch] = computed
            kept.append([keys[place] for place in of_batch], computed)
            done += len(batch)
            if time.monotonic() - told > TOLD:
                print(f"train: {done:,} of {len(new):,} {what}", flush=True)
                told = time.monotonic()
        for place in np.flatnonzero(~there):
            found[place] = found[places[keys[place]]]
        kept.only(keys, found)
    return found


def folder(paths: ModelPaths) -> Path:
    """Return the folder in which vectors of a model's rows are kept."""
    return Path(os.environ.get("LUODI_HOME") or paths.root / EMBEDDED) / "vectors" / paths.model


def _computed(parts: "Parts", graph: Path) -> Iterator[tuple[Sequence[int], NDArray[np.float32]]]:
    """Places of items that were computed together, and their vectors."""
    session = inference.session(graph)  # of one thread: the batches are shared out among the cores

    def batch(part: tuple[Sequence[int], int, Callable[[], NDArray[Any]]]) -> tuple[Sequence[int], Any]:
        places, rows, encode = part
        x = encode()
        x = np.pad(x, ((0, rows - len(x)), *[(0, 0)] * (x.ndim - 1)), "edge")
        return places, session.run(["vectors"], {"x": x})[0][: len(places)]

    return in_threads(batch, parts)


Parts: TypeAlias = Iterator[tuple[Sequence[int], int, Callable[[], NDArray[Any]]]]
"""Places of items that go together, how many rows they are filled up to, and what encodes them."""
Together: TypeAlias = Callable[[Sequence[Any]], Parts]
"""From clean items to which go through an encoder together."""
