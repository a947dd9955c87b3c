"""Load an exported model and predict: the one path that evaluate, gate, predict and serve share.

Needs ONNX Runtime and NumPy alone, neither TensorFlow nor Keras: it starts in a second and predicts in well
under a millisecond.
"""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from luodi.data.text import Encoder
from luodi.errors import ArtifactError

MODEL, ENCODER = "model.onnx", "encoder.json"
BATCH = 256
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
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load `folder`, which holds model.onnx and encoder.json.

        Args:
            threads: Threads within an operation. One thread gives the same bytes on any number of cores.

        Raises:
            ArtifactError: A file is missing or broken, or the two do not belong together.
        """
        encoder = Encoder.load(folder / ENCODER)
        session = open_session(folder / MODEL, threads)
        _require_match(session, encoder, folder)
        return cls(encoder, session)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `probabilities`."""
        return self.encoder.labels

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Predict raw texts: float32 [n, classes], rows sum to 1."""
        parts = [
            run_session(self.session, self.encoder.encode(texts[start : start + BATCH]))
            for start in range(0, len(texts), BATCH)
        ]
        return np.concatenate([np.zeros((0, len(self.labels)), np.float32), *parts])


def latency(classifier: Classifier, text: str, repeats: int) -> float:
    """Return the median wall-clock time of predicting one raw text, in milliseconds, after one warm-up."""
    classifier.probabilities([text])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        classifier.probabilities([text])
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def open_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an ONNX model on the CPU.

    Raises:
        ArtifactError: The file is missing, or is not a model that ONNX Runtime can run.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist: run `luodi train` first, or `dvc pull`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = FATAL  # what goes wrong is raised; the log would repeat it
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except BROKEN as error:
        raise ArtifactError(f"{path} is not a readable ONNX model ({error}): run `luodi train` again") from None


def run_session(session: onnxruntime.InferenceSession, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the model's "probabilities" float32 [n, classes] for "x", `ids` int32 [n, length]."""
    result: NDArray[np.float32] = session.run(["probabilities"], {"x": ids})[0]
    return result


def facts(size: int, length: int, classes: int) -> dict[str, int]:
    """What the model records of its encoder, so that a strange encoder is noticed."""
    return {"size": size, "length": length, "classes": classes}


def _require_match(session: onnxruntime.InferenceSession, encoder: Encoder, folder: Path) -> None:
    recorded = session.get_modelmeta().custom_metadata_map.get("luodi", "{}")
    expected = facts(encoder.size, encoder.length, len(encoder.labels))
    if json.loads(recorded) != expected:
        raise ArtifactError(
            f"{MODEL} and {ENCODER} in {folder} do not belong together: the encoder is "
            f"{json.dumps(expected)}, the model was made for {recorded}; run `luodi train` again"
        )
