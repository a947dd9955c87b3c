"""Rows a second of luodi's training loop, beside bare `model.fit` of the same network on the same arrays.

    dvc repro preprocess
    python benchmarks/training.py reviews --precision float32 mixed_bfloat16
    KERAS_BACKEND=jax python benchmarks/training.py digits --set batch_size=256

The first epoch compiles and is left out; an epoch counts with its validation. Both run in this process, one after the
other, the pair twice: the better of each counts. Needs what `dvc repro preprocess` left, and on a GPU nothing more
than a backend of Keras that sees it.
"""

import argparse
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from luodi import config
from luodi.config import ModelSettings
from luodi.data import encoders, modality
from luodi.nets import batches, catalogue, training
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent


class Clocked(batches.Batches):
    """Batches that notice when an epoch ends."""

    def __init__(self, *arguments: Any, **changes: Any) -> None:
        super().__init__(*arguments, **changes)
        self.ends = [time.perf_counter()]

    def on_epoch_end(self) -> None:
        self.ends.append(time.perf_counter())
        super().on_epoch_end()


class Clock(keras.callbacks.Callback):
    """The same of a bare `fit`."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = [time.perf_counter()]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append(time.perf_counter())


def speed(rows: int, ends: list[float]) -> float:
    """Rows a second of the quickest epoch after the first."""
    return rows / float(np.diff(ends)[1:].min())


def ours(settings: ModelSettings, paths: ModelPaths) -> tuple[float, float]:
    """Rows a second by luodi's loop, and the best validation accuracy."""
    encoder = encoders.load(paths.encoder)
    model = prepared(settings, paths)
    train, held = (batches.load(paths.array(split, "x"), paths.array(split, "y"), encoder) for split in NAMES)
    size, classes = settings.train.batch_size, len(encoder.labels)
    change = modality.of(settings.modality).augmenter(settings.preprocess)
    rows = Clocked(*train, classes, size, seed=settings.train.seed, augment=change)
    history = training.fit(model, settings.train, rows, batches.Batches(*held, classes, size))
    return speed(len(train[1]), rows.ends), max(row["val_accuracy"] for row in history)


def bare(settings: ModelSettings, paths: ModelPaths) -> float:
    """Rows a second by `model.fit` on the arrays in memory, which shuffles and does not augment."""
    encoder = encoders.load(paths.encoder)
    model = prepared(settings, paths)
    (x, y), (held_x, held_y) = (
        [np.array(one) for one in batches.load(paths.array(split, "x"), paths.array(split, "y"), encoder)]
        for split in NAMES
    )
    classes, clock = np.eye(len(encoder.labels), dtype=np.float32), Clock()
    model.fit(
        x, classes[y], settings.train.batch_size, settings.train.epochs, verbose=0, callbacks=[clock],
        validation_data=(held_x, classes[held_y]),
    )  # fmt: skip
    return speed(len(y), clock.ends)


def prepared(settings: ModelSettings, paths: ModelPaths) -> keras.Model:
    encoder = encoders.load(paths.encoder)
    rows = len(np.load(paths.array("train", "y")))
    training.make_deterministic(settings.train.seed)
    model = catalogue.build(settings, encoder)
    training.compile_model(model, settings.train, len(encoder.labels), -(-rows // settings.train.batch_size))
    return model


NAMES = ("train", "validation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of train")
    options = parser.parse_args()
    paths = ModelPaths(options.root, options.model)
    block = config.settings_of(config.load(paths.params), options.model)
    raw = block.model_dump(mode="json", by_alias=True)
    for one in options.set:
        key, value = one.split("=")
        raw["train"][key] = int(value) if value.isdigit() else value
    print(f"{keras.backend.backend()} on {training.device()}, {platform.processor() or platform.machine()}")
    print(f"{'precision':16}{'luodi, rows/s':>16}{'bare, rows/s':>16}{'ratio':>8}{'val. accuracy':>16}")
    for precision in options.precision:
        raw["train"] |= {"precision": precision, "patience": raw["train"]["epochs"]}
        settings = config.parse({"models": {options.model: raw}}, "here").models[options.model]
        pairs = [(*ours(settings, paths), bare(settings, paths)) for _ in range(2)]
        mine, plain = max(one[0] for one in pairs), max(one[2] for one in pairs)
        print(f"{precision:16}{mine:16,.0f}{plain:16,.0f}{mine / plain:8.2f}{pairs[0][1]:16.4f}", flush=True)


if __name__ == "__main__":
    main()
