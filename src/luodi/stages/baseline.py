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
from luodi.scoring import figures, folds, inference
from luodi.scoring.scored import scored

SPLITS = ("train", "validation", "test")


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Fit on the train rows, choose, calibrate and judge by those of validation; with `baseline.all_rows` fit on both.

    Writes the model, and scores of the rows of validation and test.

    Raises:
        ArtifactError: preprocess has not run, a split is empty, or the train rows cannot be learned from.
    """
    classes = len(settings.labels)
    rows = {split: split_rows.read(paths.rows, settings.modality, split, classes) for split in SPLITS}
    with threadpool_limits(1):  # the same bytes on any number of cores
        fitted, encoder = fit(settings, encoders.load(paths.encoder), rows["train"], rows["validation"])
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
    write_out_of_fold(settings, fitted.strength, encoder, rows, paths)
    counts = {f"{split}_rows": len(part) for split, part in rows.items()}
    write_facts(paths.baseline_metrics, figures.rounded(found["test"] | {"validation": found["validation"]} | counts))
    print("baseline: " + ", ".join(f"{name} {value:.4f}" for name, value in found["test"].items()), flush=True)


def write_out_of_fold(
    settings: config.ModelSettings, strength: float, encoder: Encoder, rows: dict[str, Rows], paths: ModelPaths
) -> None:
    """Score train and validation rows by models that were not fitted on them, where a class has few test rows.

    These have the C that was chosen: to search it again in every fold took longer than all the rest.
    """
    chosen = settings.model_copy(
        update={"baseline": settings.baseline.model_copy(update={"regularization": (strength,)})}
    )
    known = [rows[split] for split in ("train", "validation")]
    items = [item for part in known for item in part.items]
    label, classes = np.concatenate([part.label for part in known]), len(settings.labels)
    row = np.concatenate([split_rows.positions(paths.rows, split) for split in ("train", "validation")])
    group = split_rows.groups(paths.rows)[row]

    def pick(places: folds.Rows) -> Rows:
        return Rows([items[place] for place in places], label[places], [])

    def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
        models, own = fit(chosen, encoder, pick(fitted), pick(judged))
        return classifier(models.final, own).probabilities(pick(held).items)

    found = np.zeros((0, classes), np.float32)
    if folds.wanted(label, group, rows["test"].label, classes):
        with threadpool_limits(1):
            found = folds.scores(label, group, classes, score)
    folds.write(paths.baseline_out_of_fold, row[: len(found)], group[: len(found)], found)


def classifier(model: ModelProto, encoder: Encoder) -> inference.Classifier:
    return inference.Classifier(encoder, inference.session(model.SerializeToString()))


def fit(settings: config.ModelSettings, encoder: Encoder, train: Rows, validation: Rows) -> tuple[Fitted, Encoder]:
    """Return the linear models of the modality, and the encoder whose rows they read.

    Raises:
        ArtifactError: The train rows hold one class only, or nothing to learn from.
    """
    linear = of(settings.modality)
    own = linear.encoder_for(encoder, train)
    weight = None if settings.train.class_weight == "none" else settings.train.class_weight
    return linear.fit(own, train, validation, settings.baseline, weight), own
