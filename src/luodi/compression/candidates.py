"""Smaller models of an exported one: made of its graph by ONNX Runtime's own tools, or taught by its answers."""

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.float16 import convert_float_to_float16

from luodi import config
from luodi.compression import distilling, pruning
from luodi.data import split_rows
from luodi.errors import LuodiError
from luodi.nets import onnx_file
from luodi.nets.canonical import canonical
from luodi.project.paths import ModelPaths
from luodi.scoring import graphs, inference
from luodi.scoring.inference import Classifier

PRODUCTS = ["Conv", "MatMul", "Gemm", "Gather", "Relu", "MaxPool"]
"""What is computed with 8 bits in `int8_static`: where the work is, and what may stand between two of these."""

HALVINGS = 4  # of the share of units that are left out, at most


class Unsuited(Exception):
    """The model can have no such candidate; it says why."""


@dataclass(frozen=True)
class Whole:
    """The uncompressed model, and what its candidates are made by.

    Attributes:
        settings: Of the model, with what a search found; `rule` is its block `compress`.
        classifier: What `train` exported.
    """

    settings: config.ModelSettings
    rule: config.Compress
    paths: ModelPaths
    classifier: Classifier

    def graph(self) -> onnx.ModelProto:
        """A graph to change."""
        return onnx.load(self.paths.trained / inference.MODEL)

    @cached_property
    def train(self) -> split_rows.Rows:
        """The train rows."""
        return split_rows.read(self.paths.rows, self.settings.modality, "train", len(self.settings.labels))

    def sampled(self) -> list[Any]:
        """Texts or images of some train rows, spread over all of them."""
        items = self.train.items
        count = min(self.rule.sampled_rows, len(items))
        return [items[place] for place in np.linspace(0, len(items) - 1, count).astype(int)]


def write(name: str, whole: Whole, folder: Path) -> None:
    """Write the candidate `name` of a model, a folder as that of the model is.

    Raises:
        Unsuited: The model can have none.
        LuodiError: Memory ran out, or a network of the user's own fails.
    """
    folder.mkdir()
    try:
        MAKERS[name](whole, folder)
    except (Unsuited, LuodiError):
        raise
    except Exception as error:  # the tools raise anything where a network of one's own has what they do not know
        raise Unsuited(f"it cannot be made: {type(error).__name__}: {str(error).strip()}") from None


def _write(model: onnx.ModelProto, whole: Whole, folder: Path) -> None:
    """Write a graph that reads the same rows."""
    made = canonical(model, inference.facts(whole.classifier.encoder))
    onnx_file.write(made, folder / inference.MODEL)
    for path in whole.paths.trained.iterdir():  # the encoder, and what it reads
        if not path.name.startswith(inference.MODEL):
            shutil.copyfile(path, folder / path.name)


def _int8_dynamic(whole: Whole, folder: Path) -> None:
    """Weights of 8 bits. What they are multiplied with gets its scale from the batch that it is of.

    Seven of the eight bits are used: two products of more overflow the 16 bits in which processors without VNNI add
    them, and the same model would answer worse there than here (ONNX Runtime's documentation of quantization).
    """
    with _quantizing(whole) as (graph, target):
        quantize_dynamic(graph, target, weight_type=QuantType.QInt8, reduce_range=True)
        _write(_quantized(target), whole, folder)


def _int8_static(whole: Whole, folder: Path) -> None:
    """Weights of 8 bits, and of what they are multiplied with as well, by the least and greatest of train rows.

    What scales the logits stays as it is: probabilities would come in steps.
    """
    with _quantizing(whole) as (graph, target):
        logits = {name for node in graph.graph.node if node.op_type == "Log" for name in node.output}
        kept = [node.name for node in graph.graph.node if node.op_type == "Log" or logits & set(node.input)]
        quantize_static(
            graph, target, _Calibration(whole), op_types_to_quantize=PRODUCTS, nodes_to_exclude=kept, per_channel=True,
            reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        _write(_quantized(target), whole, folder)


class _Calibration(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
    """Train rows, spread over all of them, by batches as they are predicted in."""

    def __init__(self, whole: Whole) -> None:
        items, encoder = whole.sampled(), whole.classifier.encoder
        size = inference.batch_rows(encoder)
        self.batches = (encoder.encode(items[start : start + size]) for start in range(0, len(items), size))

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch, as the calibrator asks for it."""
        found = next(self.batches, None)
        return None if found is None else {"x": found}


@contextmanager
def _quantizing(whole: Whole) -> Iterator[tuple[onnx.ModelProto, Path]]:
    """A graph that the quantizer may change, and where it is to write."""
    graph = graphs.with_rows(whole.graph())
    add_pre_process_metadata(graph)  # it advises to optimise the graph first, which differs from host to host
    with tempfile.TemporaryDirectory() as folder, _silent():
        yield graph, Path(folder) / inference.MODEL


def _quantized(path: Path) -> onnx.ModelProto:
    model = onnx.load(path)
    if not any("Quant" in node.op_type for node in model.graph.node):
        raise Unsuited("no product of matrices, convolution or table of it has weights of 32 bits")
    return model


def _float16(whole: Whole, folder: Path) -> None:
    """Weights of 16 bits; a processor without arithmetic for them widens them as it loads the model."""
    with _silent():
        _write(convert_float_to_float16(whole.graph(), keep_io_types=True), whole, folder)


def _pruned(whole: Whole, folder: Path) -> None:
    """Without the units whose weights are least: see `luodi.compression.pruning`.

    As many are left out as leave the answers for some train rows nearly what they were; validation rows judge.
    """
    items = whole.sampled()
    before = whole.classifier.probabilities(items).argmax(1)
    for halvings in range(HALVINGS):
        graph = whole.graph()
        if not pruning.prune(graph.graph, whole.rule.pruned_share / 2**halvings):
            break
        _write(graph, whole, folder)
        found = Classifier(whole.classifier.encoder, inference.session(folder / inference.MODEL))
        if (found.probabilities(items).argmax(1) == before).mean() >= 1 - whole.rule.margin:
            return
    else:
        return  # the least that was tried: what it is worth is measured
    if not halvings:
        raise Unsuited(
            "no layer of it has units that can be left out: a bag of n-grams and a linear model have no hidden layer, "
            "and weights that are zero alone make no file smaller and no answer quicker"
        )


def _distilled(whole: Whole, folder: Path) -> None:
    """A smaller network, which learns what the model says of the train rows: see `luodi.compression.distilling`."""
    distilling.write(whole.settings, whole.rule, whole.paths, whole.classifier, whole.train, folder)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep to itself what the tools advise: what comes of them is measured."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


MAKERS: Mapping[str, Callable[[Whole, Path], None]] = {
    "int8_dynamic": _int8_dynamic,
    "int8_static": _int8_static,
    "float16": _float16,
    "pruned": _pruned,
    "distilled": _distilled,
}
