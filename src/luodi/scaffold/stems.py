"""Make of a network of images what a project keeps of it: its stem, for Keras to train on, and that as a graph."""

import os
from pathlib import Path

import numpy as np
from onnx.checker import ValidationError

from luodi.config.encoders import ImageEncoder
from luodi.errors import BrokenData
from luodi.files import folder_checksum
from luodi.nets.stderr import quiet
from luodi.pretrained import checkpoint, store
from luodi.scoring import inference
from luodi.terminal import shown

SIDE = 64  # pixels of the images that a stem of any size is tried on


def prepared(source: Path, folder: Path, licence: str | None) -> ImageEncoder:
    """Write the stem of a file, or of a preset's folder, and its graph into `folder`, and prove that they give vectors.

    Raises:
        DataError: See `luodi.pretrained.stem_file.read`.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # by which alone Keras exports without further libraries
    with quiet():
        from luodi.nets import saving
        from luodi.pretrained import stem, stem_file, stem_preset

        found, kind = (stem_preset if source.is_dir() else stem_file).read(source)
        height, width, channels = found.inputs[0].shape[1:]
        images = _tried(height or SIDE, width or SIDE, channels)
        expected = found.predict(images, verbose=0)
        folder.mkdir(parents=True)
        saving.save(found, folder / store.STEM)
        try:
            model = stem.graph(found)
        except (ValidationError, NotImplementedError, RuntimeError) as error:  # what it knows not it may leave in
            raise BrokenData(
                f"{source} has layers that TensorFlow's converter cannot turn into ONNX "
                f"({shown(str(error).splitlines()[0], 200)}): choose another network"
            ) from None
    graph = folder / store.GRAPH
    graph.write_bytes(model.SerializeToString(deterministic=True))
    _require_vectors(source, inference.session(graph).run(["vectors"], {"x": images})[0], expected)
    return ImageEncoder(
        md5=folder_checksum(folder),
        licence=licence or (checkpoint.licence(source) if source.is_dir() else checkpoint.UNSTATED),
        family=kind,
        size_bytes=graph.stat().st_size,
        weights=found.count_params(),
        width=expected.shape[1],
        channels=channels,
        size=(height, width) if height and width else None,
    )


def _tried(height: int, width: int, channels: int) -> np.ndarray:
    """Two images: grey, and noise."""
    grey = np.full((height, width, channels), 128, np.uint8)
    return np.stack([grey, np.random.default_rng(0).integers(0, 256, grey.shape).astype(np.uint8)])


def _require_vectors(source: Path, given: np.ndarray, expected: np.ndarray) -> None:
    largest = float(np.abs(expected).max())
    if not np.isfinite(given).all() or np.abs(given - expected).max() > 1e-3 * max(largest, 1e-6):
        raise BrokenData(f"{source} gives other vectors as an ONNX graph than by Keras: choose another network")
    if np.abs(given[0] - given[1]).max() <= 1e-6 * largest:
        raise BrokenData(
            f"{source} gives the same vector to two different images: its weights are not those of a trained network; "
            "get it again"
        )
