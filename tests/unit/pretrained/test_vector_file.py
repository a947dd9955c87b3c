"""Vectors of more rows than memory holds: they lie in a file, and memory sees some at a time."""

import errno
import os
import tracemalloc
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from luodi import config
from luodi.config.encoders import TextEncoder
from luodi.pretrained import frozen, store, vector_file
from luodi.pretrained.vectors import Parts
from luodi.project.paths import ModelPaths

ROWS, WIDTH = 4000, 1024


def graph(path: Path) -> None:
    """From a number to one of two vectors."""
    table = np.random.default_rng(1).normal(0, 1, (2, WIDTH)).astype(np.float32)
    ports = (
        helper.make_tensor_value_info("x", TensorProto.INT32, ["batch"]),
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", WIDTH]),
    )
    nodes = [helper.make_node("Gather", ["table", "x"], ["vectors"])]
    made = helper.make_graph(nodes, "two", [ports[0]], [ports[1]], [numpy_helper.from_array(table, "table")])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def together(items: Sequence[str]) -> Parts:
    def encode(places: range) -> Any:
        return np.array([int(items[place]) % 2 for place in places], np.int32)

    for start in range(0, len(items), 32):
        places = range(start, min(start + 32, len(items)))
        yield places, 32, partial(encode, places)


@pytest.mark.slow
def test_memory_holds_some_of_the_vectors(home: Path, tmp_path: Path) -> None:
    graph(tmp_path / store.GRAPH)
    known = TextEncoder(
        md5="0" * 32 + ".dir", licence="mit", family="bert", size_bytes=1, weights=1, width=WIDTH, length=9, pad=0,
        pooling="mean",
    )  # fmt: skip
    block = {"modality": "text", "labels": ["a", "b"], "train": {"architecture": "pretrained", "encoder": "two"}}
    settings = config.parse({"models": {"m": block}}, "params.yaml").models["m"]
    assert isinstance(settings, config.TextSettings)
    rows = [str(place) for place in range(ROWS)], np.arange(ROWS, dtype=np.int32) % 2
    train, validation = ((rows[0][part], rows[1][part]) for part in (slice(0, -400), slice(-400, None)))
    paths: Any = ModelPaths(tmp_path, "m")
    encoder: Any = None
    fit = partial(frozen.fit, settings, encoder, tmp_path, known, paths, together=together)
    fit(train=validation, validation=validation).out_of_fold(np.arange(800))  # what is imported at first use
    tracemalloc.start()
    found: Any = fit(train=train, validation=validation)
    scores = found.out_of_fold(np.arange(ROWS))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.scores.argmax(1) == validation[1]).all() and (scores.argmax(1) == rows[1]).all()
    assert found.both.features.nbytes == 4 * ROWS * WIDTH
    assert peak < found.both.features.nbytes


def test_a_disk_without_room_leaves_them_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    found = vector_file.empty(tmp_path, 3, 2)
    found[:] = 1
    assert (found.shape, found.dtype.name, found.base) == ((3, 2), "float32", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [0, 1, vector_file.PART, 2 * vector_file.PART + 1])
def test_what_is_written_is_read(rows: int, tmp_path: Path) -> None:
    found = vector_file.empty(tmp_path, rows, 3)
    assert list(tmp_path.iterdir()) == []
    for start, part in enumerate(vector_file.parts(found)):
        part[:] = start
    assert np.array_equal(found[:, 0], np.arange(rows) // vector_file.PART)
