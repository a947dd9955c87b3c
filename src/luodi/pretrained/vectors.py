"""Vectors of texts, computed once: what a training found is kept for the next one, by the content of text and encoder.

They lie where a host keeps its DVC cache (LUODI_HOME), else in the embedded origin of the checkout, and memory holds
those that are asked for. A vector depends on its text alone, to the last bit, or what was kept would change what is
trained: a batch of texts, padded to the same multiple of so many tokens, has always the same number of rows.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luodi.config.encoders import Recorded
from luodi.data.subwords import Encoder, padded
from luodi.pretrained.kept import KEY, Kept
from luodi.project.origin import EMBEDDED
from luodi.project.paths import ModelPaths
from luodi.scoring import inference
from luodi.system.threads import in_threads

STEP = 8  # tokens
ROWS, TOKENS = 32, 4096  # of a batch, at most
TOLD = 30  # seconds between lines of progress


def of(
    texts: Sequence[str], encoder: Encoder, graph: Path, recorded: Recorded, paths: ModelPaths
) -> NDArray[np.float32]:
    """Return the vectors of clean texts, float32 [texts, width].

    Args:
        graph: The encoder, an ONNX model.
        recorded: What is known of it.
        paths: Those of the model that is trained.
    """
    keys = [hashlib.blake2b(text.encode(), digest_size=KEY).digest() for text in texts]
    found = np.empty((len(texts), recorded.width), np.float32)
    with Kept(folder(paths), recorded.md5, recorded.width) as kept:
        there = kept.read(keys, found)
        places = {key: place for place, key in enumerate(keys) if not there[place]}  # of equal texts one
        new = list(places.values())
        print(f"train: {len(new):,} of {len(texts):,} texts go through the encoder, the others went before", flush=True)
        done, told = 0, time.monotonic()
        for batch, computed in _computed(encoder.ids([texts[place] for place in new]), encoder, graph):
            of_batch = [new[row] for row in batch]
            found[of_batch] = computed
            kept.append([keys[place] for place in of_batch], computed)
            done += len(batch)
            if time.monotonic() - told > TOLD:
                print(f"train: {done:,} of {len(new):,} texts", flush=True)
                told = time.monotonic()
        for place in np.flatnonzero(~there):
            found[place] = found[places[keys[place]]]
        kept.only(keys, found)
    return found


def folder(paths: ModelPaths) -> Path:
    """Return the folder in which vectors of a model's rows are kept."""
    return Path(os.environ.get("LUODI_HOME") or paths.root / EMBEDDED) / "vectors" / paths.model


def _computed(
    rows: Sequence[Sequence[int]], encoder: Encoder, graph: Path
) -> Iterator[tuple[Sequence[int], NDArray[np.float32]]]:
    """Which rows of ids were computed together, and their vectors; of rows of like lengths."""
    session = inference.session(graph)  # of one thread: the batches are shared out among the cores

    def batch(places: Sequence[int]) -> tuple[Sequence[int], NDArray[np.float32]]:
        x = padded([rows[place] for place in places], encoder.pad, STEP)[:, : encoder.length]
        x = np.pad(x, ((0, _size(x.shape[1]) - len(x)), (0, 0)), "edge")
        return places, session.run(["vectors"], {"x": x})[0][: len(places)]

    return in_threads(batch, _batches([-(-max(len(row), 1) // STEP) * STEP for row in rows]))


def _size(tokens: int) -> int:
    """Rows of a batch of that many tokens each."""
    return max(1, min(ROWS, TOKENS // tokens))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of equal lengths, as many as go together."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == _size(lengths[place]) or lengths[place] != lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
