"""train: fit the architecture of params.yaml, save it, export it to ONNX with its encoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luodi import config
from luodi.data.text import Encoder
from luodi.files import replacing, replacing_folder, write_text
from luodi.nets.quiet import quiet
from luodi.paths import ModelPaths

if TYPE_CHECKING:
    from luodi.nets.batches import Batches

SAMPLE = 256


def run(config: config.Model, paths: ModelPaths) -> None:
    """Turn the arrays into model.keras, the export folder and history.csv.

    Raises:
        ArtifactError: preprocess has not run, its outputs do not fit together, or the exported model differs
            from the trained one.
        LuodiError: Training diverged.
    """
    encoder = Encoder.load(paths.encoder)
    with quiet():  # imported here, not above: Keras starts TensorFlow, which takes seconds and writes notices
        from luodi.nets import catalogue, training

    shape = (encoder.size, encoder.length, len(encoder.labels))
    train = _batches(paths, "train", shape, config.train, config.train.seed)
    validation = _batches(paths, "validation", shape, config.train)
    training.make_deterministic(config.train.seed)
    model = catalogue.build(config.train, *shape)
    training.compile_model(model, config.train, shape[2])
    history = training.fit(model, config.train, train, validation)
    final = catalogue.as_float32(model, config.train, *shape)
    _save(final, encoder, validation, paths)
    write_text(paths.history, training.as_csv(history))
    best = min(history, key=lambda row: row["val_loss"])
    print(f"train: kept epoch {best['epoch']} of {len(history)}, val_accuracy {best['val_accuracy']:.4f}", flush=True)


def _batches(
    paths: ModelPaths, split: str, shape: tuple[int, int, int], config: config.Train, seed: int | None = None
) -> "Batches":
    from luodi.nets import batches

    size, length, classes = shape
    x, y = batches.load(paths.array(split, "x"), paths.array(split, "y"), length, size, classes)
    return batches.Batches(x, y, classes, config.batch_size, seed)


def _save(model: Any, encoder: Encoder, validation: "Batches", paths: ModelPaths) -> None:
    from luodi import inference
    from luodi.nets import export, saving

    facts = inference.facts(encoder.size, encoder.length, len(encoder.labels))
    sample = np.asarray(validation.x[:SAMPLE])
    with replacing_folder(paths.export) as folder:
        export.export(model, facts, sample, folder / inference.MODEL)
        _copy(paths.encoder, folder / inference.ENCODER)
    with replacing(paths.keras_model) as temporary:
        saving.save(model, temporary)


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
