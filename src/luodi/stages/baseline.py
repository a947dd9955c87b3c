"""baseline: the linear model, exported: what a network has to beat, and what lands where none does."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from threadpoolctl import threadpool_limits

from luodi import config
from luodi.data import encoders, split_rows
from luodi.data.modality import Encoder
from luodi.data.split_rows import Rows
from luodi.files import replacing, replacing_folder, write_array, write_facts, write_json
from luodi.linear import of
from luodi.linear.fitting import Fitted
from luodi.project.paths import ModelPaths
from luodi.scoring import figures, folds, inference, temperature
from luodi.scoring.scored import scored

SPLITS = ("train", "validation", "test")
FEW = 300  # validation rows; fewer make a model too sure or not sure enough by chance (benchmarks/temperature.md)
LEAST = float(np.finfo(np.float32).tiny)  # probability of which a logarithm is taken


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Fit on the train rows, choose, calibrate and judge by those of validation; with `baseline.all_rows` fit on both.

    Where few rows are of validation, those calibrate that are scored out of fold, if they are, nine times as many.

    Writes the model, and scores of the rows of validation and test.

    Raises:
        ArtifactError: preprocess has not run, a split is empty, or the train rows cannot be learned from.
    """
    classes = len(settings.labels)
    rows = {split: split_rows.read(paths.rows, settings.modality, split, classes) for split in SPLITS}
    with threadpool_limits(1):  # the same bytes on any number of cores
        fitted, encoder = fit(settings, encoders.load(paths.encoder), rows["train"], rows["validation"])
        chosen = settings.baseline.model_copy(update={"regularization": (fitted.strength,)})
        settings = settings.model_copy(update={"baseline": chosen})
        factor = write_out_of_fold(settings, encoder, rows, paths)
        if factor is not None:
            fitted, _ = fit(settings, encoder, rows["train"], rows["validation"], factor)
    with replacing_folder(paths.baseline_export) as folder:
        (folder / inference.MODEL).write_bytes(fitted.final.SerializeToString(deterministic=True))
        write_json(folder / inference.ENCODER, encoder.as_json())
    found = {}
    for split, model, path in (
        ("validation", fitted.judged, paths.baseline_validation),
        ("test", fitted.final, paths.baseline_scores),
    ):
        scores = classifier(model, encoder).probabilities(rows[split].items)
        with replacing(path) as temporary:
            write_array(temporary, scores)
        found[split] = figures.point(scored(rows[split].label, scores, "baseline", classes))
    counts = {f"{split}_rows": len(part) for split, part in rows.items()}
    write_facts(paths.baseline_metrics, figures.rounded(found["test"] | {"validation": found["validation"]} | counts))
    print("baseline: " + ", ".join(f"{name} {value:.4f}" for name, value in found["test"].items()), flush=True)


def write_out_of_fold(
    settings: config.ModelSettings, encoder: Encoder, rows: dict[str, Rows], paths: ModelPaths
) -> float | None:
    """Score train and validation rows by models that were not fitted on them, where a class has few test rows.

    These have the C of `settings`, the chosen one: to search it again in every fold took longer than all the rest.

    Returns:
        The factor of logits that calibrates; None where validation rows are enough, or nothing is scored so.
    """
    known = [rows[split] for split in ("train", "validation")]
    items = [item for part in known for item in part.items]
    label, classes = np.concatenate([part.label for part in known]), len(settings.labels)
    row = np.concatenate([split_rows.positions(paths.rows, split) for split in ("train", "validation")])
    group = split_rows.groups(paths.rows)[row]

    def pick(places: folds.Rows) -> Rows:
        return Rows([items[place] for place in places], label[places], [])

    few = len(rows["validation"]) < FEW

    def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
        models, own = fit(settings, encoder, pick(fitted), pick(judged), 1.0 if few else None)
        return classifier(models.final, own).probabilities(pick(held).items)

    found, factor = np.zeros((0, classes), np.float32), None
    if folds.wanted(label, group, rows["test"].label, classes):
        found = folds.scores(label, group, classes, score)
        learned = folds.learned(label, group)
        if few and learned.any():
            logits = np.log(np.maximum(found, LEAST))
            factor = temperature.scale(logits[learned], label[learned])
            found = temperature.probabilities(logits.astype(np.float64), factor).astype(np.float32)
    folds.write(paths.baseline_out_of_fold, row[: len(found)], group[: len(found)], found)
    return factor


def classifier(model: ModelProto, encoder: Encoder) -> inference.Classifier:
    return inference.Classifier(encoder, inference.session(model.SerializeToString()))


def fit(
    settings: config.ModelSettings, encoder: Encoder, train: Rows, validation: Rows, factor: float | None = None
) -> tuple[Fitted, Encoder]:
    """Return the linear models of the modality, and the encoder whose rows they read.

    `factor` is that of their logits, where it is known; else validation rows calibrate.

    Raises:
        ArtifactError: The train rows hold one class only, or nothing to learn from.
    """
    linear = of(settings.modality)
    own = linear.encoder_for(encoder, train)
    weight = None if settings.train.class_weight == "none" else settings.train.class_weight
    return linear.fit(own, train, validation, settings.baseline, weight, factor=factor), own
