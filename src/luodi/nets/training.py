"""The training loop: compile, fit with early stopping, tell each epoch, refuse a loss that is not finite."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from luodi import terminal
from luodi.config import Training
from luodi.errors import LuodiError
from luodi.nets import feeding
from luodi.nets.batches import Batches
from luodi.nets.checkpoints import Checkpoint, State
from luodi.nets.history import COLUMNS
from luodi.nets.metrics import MacroRecall
from luodi.scoring import temperature
from luodi.system import progress

MOMENTUM = 0.9
SAFE = 0.001  # a learning rate that few diverge at
SECONDS_BETWEEN_UPDATES = 0.2
DEAR = 100  # a checkpoint that takes a second is written every 100 seconds at most
SELDOM = 60.0  # seconds between two checkpoints that are told of, by which a time limit counts anew
Watch: TypeAlias = Callable[[list[dict[str, float]]], None]
"""Takes the rows of the history, after each epoch."""


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


def compile_model(model: keras.Model, settings: Training, classes: int, steps: int, parts: int = 1) -> None:
    """Give `model` the optimizer and loss of `settings`; accuracy and macro recall as metrics.

    `adam` moves of a table of embeddings what a batch looked up, see `LazyAdam`; `sgd` runs with momentum 0.9. With
    mixed_float16 the loss is scaled, so that small gradients do not vanish.

    Args:
        steps: Batches of an epoch, or parts of them.
        parts: In which a batch comes: the weights move once by the mean of their gradients.
    """
    rate, more = _rate(settings, steps * settings.epochs), _more(settings, parts)
    adam = settings.optimizer == "adam"
    optimizer = _adam(rate, more) if adam else keras.optimizers.SGD(rate, momentum=MOMENTUM, **more)
    if settings.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    model.compile(optimizer, settings.loss, metrics=[accuracy, MacroRecall(classes)], auto_scale_loss=False)


def _rate(settings: Training, steps: int) -> Any:
    """The learning rate over all steps: it rises along a line, and falls along half a cosine, or stays."""
    rate, rising = settings.learning_rate, round(settings.warmup * steps)
    schedules = keras.optimizers.schedules
    if settings.decay == "cosine":
        rise: dict[str, Any] = {"warmup_target": rate, "warmup_steps": rising} if rising else {}
        return schedules.CosineDecay(0.0 if rising else rate, max(steps - rising, 1), **rise)
    return schedules.PolynomialDecay(0.0, rising, rate) if rising else rate


def _more(settings: Training, parts: int) -> dict[str, Any]:
    """What else an optimizer is told."""
    several = {"gradient_accumulation_steps": parts} if parts > 1 else {}
    return several | ({"global_clipnorm": settings.clip_norm} if settings.clip_norm else {})


def _adam(rate: Any, more: Mapping[str, Any]) -> Any:
    if keras.backend.backend() != "tensorflow":
        return keras.optimizers.Adam(rate, **more)
    from luodi.nets.lazy_adam import LazyAdam

    return LazyAdam(rate, **more)


@dataclass(frozen=True)
class Fit:
    """What came of training.

    Attributes:
        history: A row an epoch with the keys `COLUMNS`; losses as `config.loss`, accuracy and macro recall in [0, 1].
        seconds: How long it took, all tries together.
        before: Seconds, and seconds of processors, of the tries before this one.
        remarks: What a person should know of it: a sentence each.
        times: Seconds after which each epoch ended, all tries together.
    """

    history: list[dict[str, float]]
    times: list[float]
    seconds: float
    before: tuple[float, float]
    remarks: list[str]


def fit(
    model: keras.Model,
    settings: Training,
    train: Batches,
    validation: Batches,
    checkpoint: Checkpoint | None = None,
    *,
    watch: Watch | None = None,
) -> Fit:
    """Train a compiled model; it ends with the weights of the epoch of least validation loss.

    With a checkpoint it goes on where an earlier try stood, to the same weights. `watch` is told of each epoch, and
    what it raises ends the training.

    Raises:
        LuodiError: The loss is not finite after the first epoch.
    """
    stopping = Stopping(settings)
    standing = Standing(settings, stopping, len(train), checkpoint)
    watching = [keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: watch(standing.rows))] if watch else []
    standing.begin()
    held = feeding.of(validation)
    if standing.found:
        _make_variables(model, *train[0])
    # Batches shuffles rows; shuffle=True would only reorder the batches, by the global random state.
    for part, first, last in _parts(train, standing, settings.epochs):
        shuffling = keras.callbacks.LambdaCallback(on_epoch_begin=partial(_shuffle, part))
        model.fit(
            feeding.of(part),
            validation_data=held,
            initial_epoch=first,
            epochs=last,
            shuffle=False,
            verbose=0,
            callbacks=[shuffling, stopping, standing, Progress(standing), *watching],
            class_weight=balanced(train.y) if settings.class_weight == "balanced" else None,
        )
    model.set_weights(stopping.weights)
    standing.end()
    for remark in (remarks := stopping.remarks(standing.rows, len(np.unique(train.y)))):
        print(f"train: {remark}", flush=True)
    return Fit(standing.rows, standing.times, standing.spent()[0], standing.before, remarks)


def _shuffle(train: Batches, epoch: int, logs: Any = None) -> None:
    """Give each epoch its own order of the rows, and augmentation, wherever training goes on."""
    train.begin(epoch + 1)


def _parts(train: Batches, standing: "Standing", epochs: int) -> Iterator[tuple[Batches, int, int]]:
    """What is left to train on, and from which epoch to which: the rest of one that was begun, then whole ones."""
    first = standing.epoch
    if standing.batch:
        yield train.rest(standing.batch), first, first + 1
        first += 1
    if not standing.over() and first < epochs:
        yield train, first, epochs


def balanced(label: NDArray[np.int32]) -> dict[int, float]:
    """Return what a row of each class counts, so that all classes that have rows count alike, and 1 on average."""
    classes, counts = np.unique(label, return_counts=True)
    weights = len(label) / (len(classes) * counts)
    return dict(zip(classes.tolist(), weights.tolist(), strict=True))


LEAST = float(np.finfo(np.float32).tiny)  # probability of which a logarithm is taken


def calibrate(model: keras.Model, validation: Batches) -> float:
    """Return the factor of the logits of `model` by which it is as sure as the validation rows warrant."""
    logits = np.log(np.maximum(model.predict(validation, verbose=0), LEAST))
    return temperature.scale(logits, validation.y)


def scaled(model: keras.Model, factor: float) -> keras.Model:
    """Return `model`, float32, its logits times `factor`.

    That comes behind the last layer, which in a network of a user's own may be any.
    """
    logits = ops.multiply(ops.log(ops.maximum(model.outputs[0], LEAST)), factor)
    return keras.Model(model.inputs[0], keras.layers.Softmax(dtype="float32", name="calibrated")(logits))


class Stopping(keras.callbacks.Callback):
    """Stops where the validation loss has not fallen for `patience` epochs, or is no number; keeps the best weights.

    Raises:
        LuodiError: A loss is not finite, and no epoch before it was.
    """

    def __init__(self, settings: Training) -> None:
        super().__init__()
        self.config = settings
        self.best, self.waited = math.inf, 0
        self.weights: list[NDArray[Any]] = []
        self.diverged = ""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.require_finite(epoch, logs or {})
        if self.diverged:
            return
        loss = (logs or {})["val_loss"]
        if loss < self.best:
            self.best, self.waited, self.weights = loss, 0, self.model.get_weights()
        else:
            self.waited += 1
        self.model.stop_training = self.waited >= self.config.patience

    def require_finite(self, epoch: int, logs: Mapping[str, float]) -> None:
        """End training where a loss is not finite, with the best weights so far."""
        name = next((name for name in ("loss", "val_loss") if not math.isfinite(logs.get(name, 0.0))), None)
        if name is None:
            return
        rate = self.config.learning_rate
        what = f"{name} is {logs[name]} after epoch {epoch + 1} at learning rate {rate}"
        remedy = f"lower train.learning_rate in params.yaml, for example to {min(rate / 10, SAFE):g}"
        if not self.weights:
            raise LuodiError(f"training diverged: {what}; {remedy}")
        self.diverged = f"training diverged: {what}; the best epoch before it is kept; {remedy}"
        self.model.stop_training = True

    def remarks(self, rows: list[dict[str, float]], classes: int) -> list[str]:
        """What to tell of a training that ended: it diverged, or learned nothing."""
        if self.diverged:
            return [self.diverged]
        guess = math.log(classes) if self.config.loss == "categorical_crossentropy" else math.inf
        if self.best >= guess:
            return [
                f"the network learned nothing: its least val_loss, {self.best:.4f}, is not below {guess:.4f}, which "
                "guessing has; see that labels belong to their rows, and try another train.learning_rate"
            ]
        if len(rows) > 1 and self.best == rows[0]["val_loss"]:
            return [
                "val_loss was least after the first epoch and never fell again; a lower train.learning_rate, or more "
                "train.dropout, may learn more"
            ]
        return []


class Standing(keras.callbacks.Callback):
    """Where training stands: brought back from a checkpoint, and kept in one after an epoch and every so often.

    Each of these costs at most one part in `DEAR` of the time: where epochs are short, several pass between two.

    Attributes:
        epoch: That goes on, from 0; `batch` of it are done.
        rows: What was measured after each epoch, and `times`, when: seconds, all tries together.
    """

    def __init__(self, settings: Training, stopping: Stopping, batches: int, checkpoint: Checkpoint | None) -> None:
        super().__init__()
        self.stopping, self.batches, self.checkpoint = stopping, batches, checkpoint
        self.epochs, self.every = settings.epochs, 60 * settings.checkpoint_minutes
        self.epoch = self.batch = self.first = 0
        self.rows: list[dict[str, float]] = []
        self.times: list[float] = []
        self.before = (0.0, 0.0)
        self.begun = _clocks()
        self.written = self.told = time.monotonic()
        self.took = 0.0
        self.found: State | None = None
        self.random: list[NDArray[Any]] = []

    def begin(self) -> None:
        """Go on from the checkpoint, if there is one; the variables come as the epoch begins, for Keras resets some."""
        found = self.checkpoint.begin() if self.checkpoint else None
        if found is None:
            return
        facts = found.facts
        self.epoch, self.batch = facts["epoch"], facts["batch"]
        self.rows, self.times = facts["rows"], facts["times"]
        self.before = (facts["seconds"], facts["cpu_seconds"])
        self.stopping.best, self.stopping.waited = facts["best"] or math.inf, facts["waited"]
        self.stopping.diverged, self.stopping.weights = facts["diverged"], _listed(found.arrays, "best")
        self.found = found
        batch = f", batch {self.batch + 1}/{self.batches}" if self.batch else ""
        where = "is finished already" if self.over() else f"goes on from epoch {self.epoch + 1}/{self.epochs}{batch}"
        print(f"train: {where}, by the checkpoint of an earlier try", flush=True)

    def over(self) -> bool:
        """Whether no epoch is to follow."""
        stop = self.stopping
        return bool(stop.diverged) or stop.waited >= stop.config.patience or len(self.rows) == self.epochs

    def end(self) -> None:
        """Keep what came of it, until the stage has written it."""
        self._write({f"best/{index}": array for index, array in enumerate(self.stopping.weights)})

    def spent(self) -> tuple[float, float]:
        """Seconds, and seconds of processors, of all tries."""
        now = _clocks()
        return self.before[0] + now[0] - self.begun[0], self.before[1] + now[1] - self.begun[1]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.found:
            _restore(self.model, self.found.arrays, within=self.batch > 0)
            self.random = _listed(self.found.arrays, "random") if self.batch else []
            self.found = None
        self.epoch, self.first = epoch, self.batch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.batch = self.first + batch
        _set_random_states(self.random)  # again, for PyTorch draws one where it begins to read batches
        self.random = []
        if self.batch and self._due(self.every):
            if keras.backend.backend() == "jax":
                self.model.jax_state_sync()  # within an epoch the variables are empty
            self.stopping.require_finite(self.epoch, {"loss": float(self.model.get_metrics_result()["loss"])})
            self._write(_variables(self.model, self.stopping.weights))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch, self.batch = epoch + 1, 0
        if not self.stopping.diverged:
            self.rows.append({"epoch": epoch + 1, **{name: (logs or {})[name] for name in COLUMNS[1:]}})
            self.times.append(round(self.spent()[0], 3))
        if not self.over() and self._due(0):
            self._write(_variables(self.model, self.stopping.weights))

    def _due(self, seconds: float) -> bool:
        if self.checkpoint is None:
            return False
        return time.monotonic() - self.written >= max(seconds, DEAR * self.took)

    def _write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        if self.checkpoint is None:
            return
        started, (seconds, cpu_seconds) = time.monotonic(), self.spent()
        facts = {
            "epoch": self.epoch, "batch": self.batch, "rows": self.rows, "times": self.times,
            "seconds": seconds, "cpu_seconds": cpu_seconds,
            "best": self.stopping.best if self.stopping.weights else None, "waited": self.stopping.waited,
            "diverged": self.stopping.diverged,
        }  # fmt: skip
        kept = self.checkpoint.write(State(arrays, facts))
        self.written = time.monotonic()
        self.took = self.written - started
        if kept and self.written - self.told >= SELDOM:
            self.told = self.written
            print(f"{progress.KEPT} in epoch {self.epoch + 1}/{self.epochs}", flush=True)


def _make_variables(model: keras.Model, x: NDArray[Any], y: NDArray[np.float32]) -> None:
    """Have all variables of optimizer and metrics, which Keras makes at the first step."""
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(x, y, model(x))


def _groups(model: keras.Model) -> dict[str, list[Any]]:
    """All that changes while it trains: the states of random layers stand among the model's variables."""
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _variables(model: keras.Model, best: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    groups = {name: [ops.convert_to_numpy(one) for one in group] for name, group in _groups(model).items()}
    named = {**groups, "best": best, "random": _random_states()}
    return {f"{name}/{index}": array for name, group in named.items() for index, array in enumerate(group)}


def _restore(model: keras.Model, arrays: Mapping[str, NDArray[Any]], within: bool) -> None:
    """Give all variables their values; those of the metrics stand for the part of an epoch, if it was `within` one."""
    for name, group in _groups(model).items():
        for variable, array in zip(group, _listed(arrays, name), strict=True):
            variable.assign(array)
    _set_random_states(_listed(arrays, "random"))
    if not within:
        model.reset_metrics()


def _random_states() -> list[NDArray[Any]]:
    """PyTorch's own, processor's first: on it Keras' dropout draws by them, not by a variable of the model."""
    if keras.backend.backend() != "torch":
        return []
    import torch  # type: ignore[import-not-found, unused-ignore]

    return [one.numpy() for one in (torch.get_rng_state(), *torch.cuda.get_rng_state_all())]


def _set_random_states(states: list[NDArray[Any]]) -> None:
    if states:
        import torch  # type: ignore[import-not-found, unused-ignore]

        first, *others = map(torch.from_numpy, states)
        torch.set_rng_state(first)
        torch.cuda.set_rng_state_all(others)


def _listed(arrays: Mapping[str, NDArray[Any]], name: str) -> list[NDArray[Any]]:
    count = sum(one.startswith(f"{name}/") for one in arrays)
    return [arrays[f"{name}/{index}"] for index in range(count)]


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


class Progress(keras.callbacks.Callback):
    """Print a line an epoch; on a terminal also the batch, on a line that is overwritten."""

    def __init__(self, standing: Standing) -> None:
        super().__init__()
        self.standing, self.epoch = standing, 0
        self.live = sys.stdout.isatty()
        self.started = self.told = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.started = epoch + 1, time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        if self.live and now - self.told > SECONDS_BETWEEN_UPDATES:
            self.told = now
            self._print(f"\r{self._head()}: batch {self.standing.batch + 1}/{self.standing.batches}", end="")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = ", ".join(f"{name} {(logs or {})[name]:.4f}" for name in COLUMNS[1:])
        start = "\r\x1b[K" if self.live else ""
        took, left = time.monotonic() - self.started, self.standing.epochs - self.epoch
        more = f", at most {left * took:.0f} s left" if left else ""
        self._print(f"{start}{self._head()}: {values} ({took:.1f} s{more})")

    def _print(self, text: str, end: str = "\n") -> None:
        print(text, end=end, flush=True, file=terminal.bare(sys.stdout))  # it moves the cursor

    def _head(self) -> str:
        return f"train: epoch {self.epoch}/{self.standing.epochs}"
