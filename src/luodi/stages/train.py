"""train: fit the architecture of params.yaml, save it, export it to ONNX with its encoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luodi import config
from luodi.data import encoders, modality
from luodi.data.modality import Encoder
from luodi.files import folder_checksum, replacing, replacing_folder, write_json, write_text
from luodi.nets import cost
from luodi.nets.stderr import quiet
from luodi.project.paths import ModelPaths

if TYPE_CHECKING:
    from luodi.nets.batches import Batches


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Turn the arrays into model.keras, the export folder and history.csv; note what it cost.

    Raises:
        ArtifactError: preprocess has not run, its outputs do not fit together, or the exported model differs
            from the trained one.
        LuodiError: Training diverged.
    """
    encoder = encoders.load(paths.encoder)
    with quiet():  # imported here, not above: Keras starts TensorFlow, which takes seconds and writes notices
        from luodi.nets import catalogue, training
        from luodi.nets.batches import Batches, load

    def batches(split: str, **changes: Any) -> Batches:
        x, y = load(paths.array(split, "x"), paths.array(split, "y"), encoder)
        return Batches(x, y, len(encoder.labels), settings.train.batch_size, **changes)

    train = batches(
        "train", seed=settings.train.seed, augment=modality.of(settings.modality).augmenter(settings.preprocess)
    )
    validation = batches("validation")
    training.make_deterministic(settings.train.seed)
    model = catalogue.build(settings, encoder)
    training.compile_model(model, settings.train, len(encoder.labels), len(train))
    with cost.measured() as spent:
        history = training.fit(model, settings.train, train, validation)
    final = catalogue.as_float32(model, settings, encoder)
    _save(final, encoder, validation, paths)
    write_text(paths.history, training.as_csv(history))
    device = training.device()
    energy = {"joules": None} if device == "gpu" else {}  # what is counted is the processor's
    facts = {"device": device, "epochs": len(history), "export": folder_checksum(paths.export)}
    write_json(paths.cost, spent | energy | facts)
    best = min(history, key=lambda row: row["val_loss"])
    print(f"train: kept epoch {best['epoch']} of {len(history)}, val_accuracy {best['val_accuracy']:.4f}", flush=True)


def _save(model: Any, encoder: Encoder, validation: "Batches", paths: ModelPaths) -> None:
    from luodi.nets import export, saving
    from luodi.scoring import inference

    sample = np.asarray(validation.x[: inference.batch_rows(encoder)])
    with replacing_folder(paths.export) as folder:
        export.export(model, inference.facts(encoder), sample, folder / inference.MODEL)
        _copy(paths.encoder, folder / inference.ENCODER)
    with replacing(paths.keras_model) as temporary:
        saving.save(model, temporary)


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
