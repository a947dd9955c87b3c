"""Rows a second of luodi's training loop, beside bare `model.fit` of the same network on the same arrays.

    dvc repro preprocess
    python benchmarks/training.py reviews --precision float32 mixed_bfloat16
    KERAS_BACKEND=jax python benchmarks/training.py digits --set batch_size=256

luodi's keeps checkpoints, as stage train does, shuffles, and augments unless --plain. The first epoch compiles and is
left out; an epoch counts with its validation, and ends behind it. Both run in this process, in turn, `--pairs` times;
the better of each counts, first by the quickest epoch, then by seconds of the processor of the middle one, which what
others do on the machine disturbs less. Needs what `dvc repro preprocess` left, and on a GPU nothing more than a backend
of Keras that sees it.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from luodi import config
from luodi.config import ModelSettings
from luodi.data import encoders, modality
from luodi.data.modality import Encoder
from luodi.nets import arrays, batches, catalogue, hardware, training
from luodi.nets.checkpoints import Checkpoint, Store
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent


class Clock(keras.callbacks.Callback):
    """When epochs of a bare `fit` end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = [clocks()]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append(clocks())


def clocks() -> tuple[float, float]:
    """Seconds that passed, and seconds of the processor."""
    return time.perf_counter(), time.process_time()


Speed = tuple[float, float]
"""Rows a second of the quickest epoch after the first, and rows a second of the processor, of the middle one."""


def speed(rows: int, ends: list[tuple[float, float]]) -> Speed:
    taken = np.diff(np.array(ends), axis=0)[1:]
    return rows / float(taken[:, 0].min()), rows / float(np.median(taken[:, 1]))


def ours(settings: ModelSettings, paths: ModelPaths, plain: bool) -> tuple[Speed, float, float]:
    """The speed of luodi's loop, the best validation accuracy, and the seconds that a checkpoint takes."""
    encoder = encoders.load(paths.encoder)
    train, held = (arrays.load(split, settings, paths, encoder) for split in NAMES)
    model = prepared(settings, encoder, len(train[1]))
    size, classes = settings.train.batch_size, len(encoder.labels)
    change = None if plain else modality.of(settings.modality).augmenter(settings.preprocess)
    rows, ends = batches.Batches(*train, classes, size, seed=settings.train.seed, augment=change), [clocks()]
    with tempfile.TemporaryDirectory() as folder:
        kept = Timed(Store(folder), "0" * 32)
        held_rows = batches.Batches(*held, classes, size)
        found = training.fit(model, settings.train, rows, held_rows, kept, watch=lambda _: ends.append(clocks()))
    return speed(len(train[1]), ends), max(row["val_accuracy"] for row in found.history), max(kept.took)


class Timed(Checkpoint):
    """A checkpoint that notices how long it is written."""

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store, name)
        self.took: list[float] = []

    def write(self, state: Any) -> None:
        begun = time.perf_counter()
        super().write(state)
        self.took.append(time.perf_counter() - begun)


def bare(settings: ModelSettings, paths: ModelPaths) -> Speed:
    """The speed of `model.fit` on the arrays in memory, which shuffles and does not augment."""
    encoder = encoders.load(paths.encoder)
    (x, y), (held_x, held_y) = (
        [np.array(one) for one in arrays.load(split, settings, paths, encoder)] for split in NAMES
    )
    model = prepared(settings, encoder, len(y))
    classes, clock = np.eye(len(encoder.labels), dtype=np.float32), Clock()
    model.fit(
        x, classes[y], settings.train.batch_size, settings.train.epochs, verbose=0, callbacks=[clock],
        validation_data=(held_x, classes[held_y]),
    )  # fmt: skip
    return speed(len(y), clock.ends)


def prepared(settings: ModelSettings, encoder: Encoder, rows: int) -> keras.Model:
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
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="the loop alone, without augmentation")
    options = parser.parse_args()
    paths = ModelPaths(options.root, options.model)
    block = config.settings_of(config.load(paths.params), options.model)
    raw = block.model_dump(mode="json", by_alias=True)
    for one in options.set:
        key, value = one.split("=")
        raw["train"][key] = int(value) if value.isdigit() else value
    for precision in options.precision:
        raw["train"] |= {"precision": precision, "patience": raw["train"]["epochs"]}
        settings = config.parse({"models": {options.model: raw}}, "here").models[options.model]
        print(hardware.use(settings.train, catalogue.any_threads(settings)))
        mine, plain, kept = [], [], []
        for _ in range(options.pairs):
            found, accuracy, took = ours(settings, paths, options.plain)
            mine.append(found)
            kept.append(took)
            plain.append(bare(settings, paths))
        (quick, cpu), (bare_quick, bare_cpu) = (np.max(side, axis=0) for side in (mine, plain))
        print(f"  luodi {quick:,.0f} rows/s, bare {bare_quick:,.0f}, ratio {quick / bare_quick:.3f}")
        print(f"  luodi {cpu:,.0f} rows/s of the processor, bare {bare_cpu:,.0f}, ratio {cpu / bare_cpu:.3f}")
        print(f"  a checkpoint {1000 * max(kept):.0f} ms; validation accuracy {accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
