"""Fit the network that settings name on encoded rows, and calibrate it. Keras is imported when it is called."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from luodi import config
from luodi.data import modality
from luodi.data.modality import Encoder
from luodi.errors import MemoryExhausted
from luodi.nets.checkpoints import Checkpoint, Checkpoints
from luodi.nets.stderr import quiet
from luodi.scoring import inference
from luodi.system import resources

if TYPE_CHECKING:
    from luodi.nets import training
    from luodi.nets.sharing import Sharing

NEARLY = 0.99  # of the best accuracy
Rows: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
"""Encoded rows [rows, ...] and their labels, int32 [rows], or what is to be said of them, float32 [rows, classes]."""
Watch: TypeAlias = Callable[[list[dict[str, float]]], None]
"""Told the history after each epoch; what it raises ends the training."""


@dataclass(frozen=True)
class Net:
    """A network, fitted and calibrated.

    Attributes:
        model: A keras.Model, float32, not compiled, its logits times `factor`.
        scores: Its probabilities on the validation rows, float32 [rows, classes].
        history: A row an epoch, see `luodi.nets.training.Fit`.
        sample: Some encoded validation rows.
        facts: JSON: what else the cost of training says.
        before: Seconds, and seconds of processors, that earlier tries spent on it.
    """

    model: Any
    factor: float
    scores: NDArray[np.float32]
    history: list[dict[str, float]]
    sample: NDArray[Any]
    facts: dict[str, Any]
    before: tuple[float, float]


class Built(Protocol):
    """What builds a network, as `luodi.nets.catalogue` does, which says what is asked of both."""

    def build(self, settings: config.ModelSettings, encoder: Encoder, /) -> Any:
        """Return a network for the rows that `encoder` gives."""

    def as_float32(self, weights: list[NDArray[Any]], settings: config.ModelSettings, encoder: Encoder, /) -> Any:
        """Return it in float32, with these weights."""


def fit_rows(
    settings: config.ModelSettings,
    encoder: Encoder,
    train: Rows,
    validation: Rows,
    kept: Checkpoints | None = None,
    *,
    watch: Watch | None = None,
    built: "Built | None" = None,
    lengths: NDArray[np.int64] | None = None,
) -> Net:
    """Fit the architecture of `settings`, or what is `built` otherwise, on encoded rows and their labels.

    With `lengths` of the train rows those of a batch are of like lengths.

    With checkpoints it goes on where an earlier try stood.

    Raises:
        LuodiError: Training diverged in its first epoch, or memory ran out.
        UserCodeFailed: The network is a user's own, and fails.
    """
    with quiet():  # imported here, not above: Keras starts TensorFlow, which takes seconds and writes notices
        from luodi.nets import catalogue, hardware

    used = hardware.use(settings.train, catalogue.any_threads(settings))
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"precision": used.precision})})
    print(f"train: on {used}", flush=True)
    parts, exhausted = 1, ""
    while True:
        where = used.decides if parts == 1 else f"{used.decides} in {parts} parts"
        # Several hosts would have to go on from the same step, each of which keeps its own.
        checkpoint = kept.of(where, *train, *validation) if kept and used.sharing.hosts == 1 else None
        try:
            with hardware.enough_memory():
                net = _fit_rows(
                    settings,
                    encoder,
                    train,
                    validation,
                    sharing=used.sharing,
                    parts=parts,
                    checkpoint=checkpoint,
                    watch=watch,
                    built=built or catalogue,
                    lengths=lengths,
                )
            break
        except MemoryExhausted:
            halved = settings.train.halve_batch and used.sharing.hosts == 1  # the others know nothing of it
            if not halved or 2 * parts > min(settings.train.batch_size, len(train[1])):
                raise
        parts *= 2
        exhausted = (
            f"memory of the {used.device} ran out: each batch of {settings.train.batch_size} comes in {parts} parts, "
            f"and their gradients are averaged; {resources.MORE_MEMORY}"
        )
        print(f"train: {exhausted}", flush=True)
        hardware.free_memory()
    remarks = [*filter(None, [exhausted]), *net.facts["remarks"]]
    return replace(net, facts=used.facts() | net.facts | {"batch_parts": parts, "remarks": remarks})


def _fit_rows(
    settings: config.ModelSettings,
    encoder: Encoder,
    train: Rows,
    validation: Rows,
    *,
    sharing: "Sharing",
    parts: int,
    checkpoint: Checkpoint | None,
    watch: Watch | None,
    built: "Built",
    lengths: NDArray[np.int64] | None,
) -> Net:
    """Fit with each batch in so many parts; all anew, for what runs out at one step runs out at the first."""
    from luodi.nets import export, hardware, training
    from luodi.nets.batches import Batches

    classes, size = len(encoder.labels), settings.train.batch_size
    augment = modality.of(settings.modality).augmenter(settings.preprocess)
    shared = (len(sharing.devices), sharing.hosts, sharing.host)
    seen = Batches(*train, classes, size, seed=settings.train.seed, augment=augment, parts=parts, lengths=lengths)
    judged = Batches(*validation, classes, max(size // parts, 1))
    with quiet():  # Keras seeds TensorFlow, and imports it, whatever trains
        training.make_deterministic(settings.train.seed)
    with sharing.scope():
        model = built.build(settings, encoder)
        export.require_small(model)
        training.compile_model(model, settings.train, classes, len(seen), parts)
        if short := hardware.shortage(model, settings.train):
            print(f"train: {short}", flush=True)
        found = training.fit(model, settings.train, seen.among(*shared), judged.among(*shared), checkpoint, watch=watch)
    fitted = built.as_float32(model.get_weights(), settings, encoder)
    factor = training.calibrate(fitted, judged)
    calibrated = training.scaled(fitted, factor)
    scores = calibrated.predict(judged, verbose=0)
    facts = {
        "epochs": len(found.history),
        "gflops": round(3e-9 * hardware.flops(model) * len(train[1]) * len(found.history), 3),
        "seconds_to_accuracy": _seconds_to_accuracy(found),
        "rows_per_second": round(len(train[1]) * len(found.history) / found.seconds),
        "peak_memory": hardware.peak_memory(),
        "peak_device_memory": hardware.peak_device_memory(),
        "remarks": found.remarks + ([short] if short else []),
        "tries": checkpoint.tries if checkpoint else [],
    }
    sample = np.asarray(judged.x[: inference.batch_rows(encoder)])
    return Net(calibrated, factor, scores, found.history, sample, facts, found.before)


def _seconds_to_accuracy(found: "training.Fit") -> float:
    """When the first epoch ended that was nearly as right on validation rows as any."""
    accuracy = [row["val_accuracy"] for row in found.history]
    return next(at for at, one in zip(found.times, accuracy, strict=True) if one >= NEARLY * max(accuracy))
