"""Lazy Adam beside Keras' Adam: the same network, rows, seeds and loop, in one process, one after the other.

    dvc repro preprocess
    python benchmarks/lazy.py reviews

A row a seed: rows that a second of the processor (user and system, all threads) trains, of the quickest epoch after the
first, validation left out; and the least validation loss, with the accuracy of that epoch.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from luodi import config
from luodi.data import encoders
from luodi.nets import arrays, batches, catalogue, training
from luodi.nets.lazy_adam import LazyAdam
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent
OPTIMIZERS = {"lazy": LazyAdam, "Keras' Adam": keras.optimizers.Adam}


class Clock(keras.callbacks.Callback):
    """Processor seconds of each epoch, from its first batch to its last."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.started = time.process_time()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.last = time.process_time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(self.last - self.started)


def fit(settings: config.ModelSettings, paths: ModelPaths, seed: int, optimizer: type[Any]) -> tuple[float, ...]:
    """Rows a processor second, least validation loss, the accuracy of that epoch."""
    encoder = encoders.load(paths.encoder)
    (x, y), held = (arrays.load(split, settings, paths, encoder) for split in SPLITS)
    size, classes, clock = settings.train.batch_size, len(encoder.labels), Clock()
    training.make_deterministic(seed)
    model = catalogue.build(settings, encoder)
    training.compile_model(model, settings.train, classes, -(-len(y) // size))
    model.optimizer = optimizer.from_config(model.optimizer.get_config())
    rows = batches.Batches(x, y, classes, size, seed=seed)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=settings.train.patience)
    shuffling = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: rows.begin(epoch + 1))
    found = model.fit(
        rows,
        validation_data=batches.Batches(*held, classes, size),
        epochs=settings.train.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[stop, clock, shuffling],
    ).history
    best = int(np.argmin(found["val_loss"]))
    return len(y) / min(clock.seconds[1:]), found["val_loss"][best], found["val_accuracy"][best]


SPLITS = ("train", "validation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9, 10, 11])
    options = parser.parse_args()
    paths = ModelPaths(options.root, options.model)
    settings = config.settings_of(config.load(paths.params), options.model)
    print(
        "| seed | optimizer | rows a processor second | validation loss | validation accuracy |\n|---|---|---|---|---|"
    )
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in OPTIMIZERS}
    for seed in options.seeds:
        for name, optimizer in OPTIMIZERS.items():
            found[name].append(fit(settings, paths, seed, optimizer))
            speed, loss, accuracy = found[name][-1]
            print(f"| {seed} | {name} | {speed:,.0f} | {loss:.4f} | {accuracy:.4f} |", flush=True)
    lazy, plain = (np.array(found[name]) for name in OPTIMIZERS)
    ratio = lazy[:, 0] / plain[:, 0]
    print(f"\nrows a second: {ratio.mean():.2f} times (of a seed {ratio.min():.2f} to {ratio.max():.2f}); ", end="")
    print(f"mean accuracy {lazy[:, 2].mean():.4f} and {plain[:, 2].mean():.4f}")


if __name__ == "__main__":
    main()
