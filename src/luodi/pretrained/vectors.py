"""Vectors of texts, computed once: what a training found is kept for the next one, by the content of text and encoder.

They lie where a host keeps its DVC cache (LUODI_HOME), else in the embedded origin of the checkout: a file a model, of
the rows that it was last trained on. A vector depends on its text alone, to the last bit, or what was kept would change
what is trained: a batch of texts, padded to the same multiple of so many tokens, has always the same number of rows.
"""

import hashlib
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luodi.config.encoders import Recorded
from luodi.data.subwords import Encoder, padded
from luodi.files import private, replacing
from luodi.project.origin import EMBEDDED
from luodi.project.paths import ModelPaths
from luodi.scoring import inference
from luodi.system.threads import in_threads

STEP = 8  # tokens
ROWS, TOKENS = 32, 4096  # of a batch, at most
TOLD = 30  # seconds between lines of progress, each of which keeps what there is too
Keys = list[bytes]


def of(
    texts: Sequence[str], encoder: Encoder, graph: Path, recorded: Recorded, paths: ModelPaths
) -> NDArray[np.float32]:
    """Return the vectors of clean texts, float32 [texts, width].

    Args:
        graph: The encoder, an ONNX model.
        recorded: What is known of it.
        paths: Those of the model that is trained.
    """
    path = kept(paths)
    keys = [hashlib.blake2b(f"{recorded.md5} {text}".encode(), digest_size=16).digest() for text in texts]
    known = _read(path, recorded.width)
    places = {key: place for place, key in enumerate(keys) if key not in known}  # of equal texts one
    new = list(places.values())
    print(f"train: {len(new):,} of {len(texts):,} texts go through the encoder, the others went before", flush=True)
    rows, told = encoder.ids([texts[place] for place in new]), time.monotonic()
    done = 0
    for batch, found in _computed(rows, encoder, graph):
        known |= {keys[new[row]]: vector for row, vector in zip(batch, found, strict=True)}
        done += len(batch)
        if time.monotonic() - told > TOLD:
            _write(path, {key: known[key] for key in keys if key in known})
            print(f"train: {done:,} of {len(new):,} texts", flush=True)
            told = time.monotonic()
    _write(path, {key: known[key] for key in keys})
    return np.stack([known[key] for key in keys])


def kept(paths: ModelPaths) -> Path:
    """Return the file in which vectors of a model's rows are kept."""
    return Path(os.environ.get("LUODI_HOME") or paths.root / EMBEDDED) / "vectors" / f"{paths.model}.npz"


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


def _read(path: Path, width: int) -> dict[bytes, NDArray[np.float32]]:
    """What is kept; nothing of what cannot be read: it is computed again."""
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile), np.load(path) as file:
        keys, found = file["keys"], file["vectors"]
        if found.dtype == np.float32 and found.shape == (len(keys), width):
            return dict(zip(map(bytes, keys), found, strict=True))
    return {}


def _write(path: Path, known: dict[bytes, NDArray[np.float32]]) -> None:
    """A file that cannot be written costs a line and nothing else."""
    try:
        with private(), replacing(path) as temporary, temporary.open("wb") as file:
            keys = np.frombuffer(b"".join(known), np.uint8).reshape(-1, 16)
            np.savez(file, keys=keys, vectors=np.stack(list(known.values())))
    except OSError as error:
        print(f"train: the vectors cannot be kept ({error}): they will be computed again", flush=True)
