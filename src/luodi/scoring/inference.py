"""Load an exported model and predict: the one path that evaluate, gate, predict and serve share.

Needs ONNX Runtime and NumPy alone, neither TensorFlow nor Keras: it starts in a second and predicts in well
under a millisecond.
"""

import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from luodi.data import encoders
from luodi.data.modality import Encoder
from luodi.errors import ArtifactError
from luodi.project.paths import maker

MODEL, ENCODER = "model.onnx", "encoder.json"
BATCH = 256
TOKENS = 2**13  # of a batch of a pretrained encoder, whose layers hold thousands of values a token
VALUES = 2**20  # of a batch: what a network makes of large images fills the memory
ANY_WIDTH = "ids"
"""What a graph names the length of its rows by where it may be any: what pads a row makes no difference there."""
FACTS = ("size", "length", "height", "width", "channels")
FATAL = 4

# ONNX Runtime's errors have no base class of their own.
BROKEN = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NotImplemented,
    state.RuntimeException,
)


@dataclass(frozen=True)
class Classifier:
    """An exported model and its encoder."""

    encoder: Encoder
    session: onnxruntime.InferenceSession

    @classmethod
    def load(cls, folder: Path, threads: int = 1, *, plain: bool = False) -> Self:
        """Load `folder`, which holds model.onnx and encoder.json.

        Args:
            threads: Threads within an operation. One thread gives the same bytes on any number of cores.
            plain: Run the graph as it stands, without what ONNX Runtime makes of it to be quicker.

        Raises:
            ArtifactError: A file is missing or broken, or the two do not belong together.
        """
        encoder = encoders.load(folder / ENCODER)
        session = open_session(folder / MODEL, threads, plain=plain)
        _require_match(session, encoder, folder)
        return cls(encoder, session)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `probabilities`."""
        return self.encoder.labels

    def probabilities(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """Predict raw texts (str) or image files (bytes): float32 [n, classes], rows sum to 1.

        Raises:
            Unfit: An image cannot be used.
            Nothing: A text holds nothing to classify: it is empty, or tags and blanks alone.
        """
        ready, count = self.encoder.ready(items), batch_rows(self.encoder)
        if 0 < len(ready) <= count:
            return run_session(self.session, self.encoder.encode_ready(ready, narrow=self.narrow))
        found = np.zeros((len(items), len(self.labels)), np.float32)
        for places in _together(ready, count, by_length=self.narrow or not self.encoder.fixed):
            x = self.encoder.encode_ready([ready[place] for place in places], narrow=self.narrow)
            found[places] = run_session(self.session, x)
        return found

    @cached_property
    def narrow(self) -> bool:
        """Whether rows need no more padding than those of their batch: graphs of before are of one width."""
        return bool(self.session.get_inputs()[0].shape[1:] == [ANY_WIDTH])


def batch_rows(encoder: Encoder) -> int:
    """Return how many rows to predict at a time."""
    if not encoder.fixed:
        return max(1, min(BATCH // 8, TOKENS // math.prod(encoder.shape)))
    return max(1, min(BATCH, VALUES // math.prod(encoder.shape)))


def _together(items: Sequence[Any], count: int, *, by_length: bool) -> Iterator[list[int]]:
    """Places of what is predicted at a time: of texts that are padded to the longest of them those of like lengths."""
    order = list(range(len(items)))
    if by_length:
        order.sort(key=lambda place: len(items[place]))
    return (order[start : start + count] for start in range(0, len(order), count))


def latency(classifier: Classifier, item: str | bytes, repeats: int) -> float:
    """Return the median wall-clock time of predicting one raw text or image, in milliseconds, after one warm-up."""
    classifier.probabilities([item])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        classifier.probabilities([item])
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def typical(items: Sequence[Any]) -> Any:
    """Return the item of median length: characters of a text, bytes of an image."""
    return sorted(items, key=len)[len(items) // 2]


def open_session(path: Path, threads: int = 1, *, plain: bool = False) -> onnxruntime.InferenceSession:
    """Open an ONNX model on the CPU.

    Raises:
        ArtifactError: The file is missing, or is not a model that ONNX Runtime can run.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first")
    try:
        return session(path, threads, plain=plain)
    except BROKEN as error:
        raise ArtifactError(f"{path} is not a readable ONNX model ({error}): run `{maker(path)}` again") from None


def session(model: Path | bytes, threads: int = 1, *, plain: bool = False) -> onnxruntime.InferenceSession:
    """Open an ONNX model, a file or its content, on the CPU; raise one of `BROKEN` if it is none."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = FATAL  # what goes wrong is raised; the log would repeat it
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, x: NDArray[Any]) -> NDArray[np.float32]:
    """Return the model's "probabilities" float32 [n, classes] for `x` [n, ...], as its encoder gives it."""
    result: NDArray[np.float32] = session.run(["probabilities"], {"x": x})[0]
    return result


def facts(encoder: Encoder) -> dict[str, int]:
    """What the model records of its encoder, so that a strange encoder is noticed."""
    known = encoder.as_json()
    return {name: known[name] for name in FACTS if name in known} | {"classes": len(encoder.labels)}


def _require_match(session: onnxruntime.InferenceSession, encoder: Encoder, folder: Path) -> None:
    recorded = session.get_modelmeta().custom_metadata_map.get("luodi", "{}")
    expected = facts(encoder)
    if json.loads(recorded) != expected:
        raise ArtifactError(
            f"{MODEL} and {ENCODER} in {folder} do not belong together: the encoder is "
            f"{json.dumps(expected)}, the model was made for {recorded}; run `{maker(folder / MODEL)}` again"
        )
