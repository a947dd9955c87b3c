"""The training loop: compile, fit with early stopping, tell each epoch, refuse a loss that is not finite."""

import math
import os
import sys
import time
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from luodi import terminal
from luodi.config import Training
from luodi.errors import LuodiError
from luodi.nets.batches import Batches
from luodi.nets.history import COLUMNS
from luodi.nets.metrics import MacroRecall
from luodi.scoring import temperature

MOMENTUM = 0.9
SAFE = 0.001  # a learning rate that few diverge at
SECONDS_BETWEEN_UPDATES = 0.2


def make_deterministic(seed: int) -> None:
    """Seed Python, NumPy and the backend, and forbid the backend's operations whose result varies between runs."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        tf.get_logger().setLevel("ERROR")  # it warns of many networks in one process, which is meant
    elif keras.backend.backend() == "torch":
        import torch  # type: ignore[import-not-found, unused-ignore]

        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA's products need for it
        torch.use_deterministic_algorithms(True, warn_only=True)


def device() -> str:
    """Return "gpu" if the backend sees one, else "cpu"."""
    if keras.backend.backend() == "torch":  # for which Keras cannot list devices
        import torch  # type: ignore[import-not-found, unused-ignore]

        return "gpu" if torch.cuda.is_available() else "cpu"
    return "gpu" if keras.distribution.list_devices("gpu") else "cpu"


def compile_model(model: keras.Model, settings: Training, classes: int, steps: int) -> None:
    """Give `model` the optimizer and loss of `settings`; accuracy and macro recall as metrics.

    `sgd` runs with momentum 0.9. With mixed_float16 the loss is scaled, so that small gradients do not vanish.

    Args:
        steps: Batches of an epoch.
    """
    rate = settings.learning_rate
    if settings.decay == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps * settings.epochs)
    if settings.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=MOMENTUM)
    if settings.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    model.compile(optimizer, settings.loss, metrics=[accuracy, MacroRecall(classes)], auto_scale_loss=False)


def fit(model: keras.Model, settings: Training, train: Batches, validation: Batches) -> list[dict[str, float]]:
    """Train a compiled model; it ends with the weights of the epoch of least validation loss.

    Returns:
        A row an epoch with the keys `COLUMNS`; losses as `config.loss`, accuracy and macro recall in [0, 1].

    Raises:
        LuodiError: The loss is not finite.
    """
    stop = keras.callbacks.EarlyStopping("val_loss", patience=settings.patience, mode="min", restore_best_weights=True)
    callbacks = [RequireFinite(settings), Progress(settings.epochs, len(train)), stop]
    # Batches shuffles rows; shuffle=True would only reorder the batches, by the global random state.
    history = model.fit(
        train,
        validation_data=validation,
        epochs=settings.epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        class_weight=balanced(train.y) if settings.class_weight == "balanced" else None,
    ).history
    values = zip(*(history[column] for column in COLUMNS[1:]), strict=True)
    return [dict(zip(COLUMNS, (epoch, *row), strict=True)) for epoch, row in enumerate(values, 1)]


def balanced(label: NDArray[np.int32]) -> dict[int, float]:
    """Return what a row of each class counts, so that all classes that have rows count alike, and 1 on average."""
    classes, counts = np.unique(label, return_counts=True)
    weights = len(label) / (len(classes) * counts)
    return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def calibrate(model: keras.Model, validation: Batches) -> tuple[keras.Model, NDArray[np.float32]]:
    """Return `model`, float32, as sure as the validation rows warrant, and what it says of them [rows, classes].

    The temperature comes behind the last layer, which in a network of a user's own may be any.
    """
    least = float(np.finfo(np.float32).tiny)
    logits = np.log(np.maximum(model.predict(validation, verbose=0), least))
    factor = temperature.scale(logits, validation.y)
    scaled = ops.multiply(ops.log(ops.maximum(model.outputs[0], least)), factor)
    calibrated = keras.Model(model.inputs[0], keras.layers.Softmax(dtype="float32", name="calibrated")(scaled))
    return calibrated, calibrated.predict(validation, verbose=0)


class RequireFinite(keras.callbacks.Callback):
    """Raise LuodiError after an epoch whose losses are not finite."""

    def __init__(self, settings: Training) -> None:
        super().__init__()
        self.config = settings

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for name in ("loss", "val_loss"):
            value = (logs or {})[name]
            if not math.isfinite(value):
                raise LuodiError(
                    f"training diverged: {name} is {value} after epoch {epoch + 1} at learning rate "
                    f"{self.config.learning_rate}; lower train.learning_rate in params.yaml, "
                    f"for example to {min(self.config.learning_rate / 10, SAFE):g}"
                )


class Progress(keras.callbacks.Callback):
    """Print a line an epoch; on a terminal also the batch, on a line that is overwritten."""

    def __init__(self, epochs: int, batches: int) -> None:
        super().__init__()
        self.epochs, self.batches, self.epoch = epochs, batches, 0
        self.live = sys.stdout.isatty()
        self.started = self.told = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.started = epoch + 1, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        if self.live and now - self.told > SECONDS_BETWEEN_UPDATES:
            self.told = now
            self._print(f"\r{self._head()}: batch {batch + 1}/{self.batches}", end="")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = ", ".join(f"{name} {(logs or {})[name]:.4f}" for name in COLUMNS[1:])
        start = "\r\x1b[K" if self.live else ""
        self._print(f"{start}{self._head()}: {values} ({time.monotonic() - self.started:.1f} s)")

    def _print(self, text: str, end: str = "\n") -> None:
        print(text, end=end, flush=True, file=terminal.bare(sys.stdout))  # it moves the cursor

    def _head(self) -> str:
        return f"train: epoch {self.epoch}/{self.epochs}"
