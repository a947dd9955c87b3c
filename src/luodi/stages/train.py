"""train: fit what params.yaml names; export it with its encoder, or the linear model where that is better."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from luodi import config, pretrained
from luodi.data import encoders, split_rows
from luodi.data.modality import Encoder
from luodi.files import folder_checksum, replacing_folder, write_facts, write_text
from luodi.nets import arrays, catalogue, checkpoints, cost, ensemble, history
from luodi.nets.checkpoints import Checkpoints
from luodi.nets.fitting import Net, fit_rows
from luodi.nets.stderr import quiet
from luodi.project.paths import ModelPaths
from luodi.scoring import choice, folds, inference
from luodi.scoring.choice import BOTH, LINEAR, NET, PRETRAINED, TUNED
from luodi.scoring.scored import load_scores

MOST = 20_000  # rows of which networks are fitted three times more, to score them out of fold, where settings say auto
WORK = 2e8  # pixels of these rows, over all epochs: more would be hours of a processor
FEWEST = 10  # test rows that judge a class without
QUICK = (LINEAR, PRETRAINED)  # fitted again in seconds


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Fit the network; export it where it beats the linear model on the validation rows, else the linear model.

    Where the rows are too many to score a network out of fold, and too few of a class are of the test split to judge
    it by these alone, no network is fitted: the linear model is scored out of fold at any size.

    Raises:
        ArtifactError: preprocess or baseline has not run, their outputs do not fit together, or the exported model
            differs from the trained one.
        UserCodeFailed: The network or the metric of the gate is a user's own, and fails.
        LuodiError: Training diverged in its first epoch, or memory ran out.
    """
    encoder = encoders.load(paths.encoder)
    kept = checkpoints.of_stage(settings, paths, encoder)
    with kept.telling():
        _run(settings, paths, encoder, kept)
    kept.remove()


def _run(settings: config.ModelSettings, paths: ModelPaths, encoder: Encoder, kept: Checkpoints) -> None:
    truth = split_rows.labels(paths.rows, "validation", len(encoder.labels))
    scores = {LINEAR: load_scores(paths.baseline_validation)}
    few = _unjudged(settings, paths, encoder)
    with cost.measured() as spent:
        architecture = settings.train.architecture
        own = _pretrained(settings, paths, None if few else kept) if architecture == PRETRAINED else {}
        net = None if architecture in catalogue.NO_NETWORK or few else fit(settings, paths, encoder, kept)
    scores |= {name: one.scores for name, one in own.items()}
    if net:
        scores[NET] = net.scores
        if encoders.load(paths.baseline_export / inference.ENCODER) == encoder:  # they read the same rows
            scores[BOTH] = np.mean([scores[LINEAR], scores[NET]], axis=0, dtype=np.float32)
    metric = settings.gate.metric
    figures = choice.figures(scores, truth, metric)
    chosen = choice.choose(figures, metric)
    facts = {"chosen": chosen, "metric": metric, "validation": figures}
    facts |= {"encoder": own.get(chosen, own[PRETRAINED]).facts()} if own else {}
    facts |= {"unjudged": few} if few else {}
    if chosen in own:
        own[chosen].write(paths.trained)
    else:
        _save(chosen, net, settings, encoder, paths)
    tuned = own[TUNED].net if TUNED in own else None
    _save_net(net, paths, net or tuned)
    score = own[chosen].out_of_fold if chosen in own else partial(out_of_fold, settings, paths, encoder, kept=kept)
    _write_out_of_fold(chosen, score, _most(settings), len(encoder.labels), paths)
    write_facts(paths.choice, facts)
    write_facts(paths.cost, _cost(spent, net or tuned) | {"export": folder_checksum(paths.trained)})
    print(f"train: exported {choice.sentence(facts)}", flush=True)


def _unjudged(settings: config.ModelSettings, paths: ModelPaths, encoder: Encoder) -> dict[str, int]:
    """The classes that no network would be judged by, and their test rows; empty where none is fitted anyhow."""
    train = settings.train
    row, _, _ = folds.read(paths.baseline_out_of_fold, len(encoder.labels))
    if train.architecture == catalogue.LINEAR or train.out_of_fold != "auto" or len(row) <= _most(settings):
        return {}
    test = split_rows.labels(paths.rows, "test", len(encoder.labels))
    counts = np.bincount(test, minlength=len(encoder.labels)).tolist()
    return {label: rows for label, rows in zip(encoder.labels, counts, strict=True) if rows < FEWEST}


def _most(settings: config.ModelSettings) -> int:
    """On how many rows a network is scored out of fold at most."""
    if (when := settings.train.out_of_fold) != "auto":
        return 0 if when == "never" else sys.maxsize
    return min(MOST, int(WORK / max(1, settings.pixels * settings.train.epochs)))


def _pretrained(settings: config.ModelSettings, paths: ModelPaths, kept: Checkpoints | None) -> dict[str, Any]:
    """What is made of a pretrained encoder, by the name it is chosen by; trained on where there are checkpoints."""
    kind = pretrained.of(settings.modality)
    own = {PRETRAINED: kind.fit(settings, paths)}
    if kept and kind.tuned(settings):
        own[TUNED] = kind.tune(own[PRETRAINED], kept)
        own[TUNED].net  # noqa: B018, it is trained now, whose cost is measured
    return own


def fit(settings: config.ModelSettings, paths: ModelPaths, encoder: Encoder, kept: Checkpoints | None = None) -> Net:
    """Fit the architecture of `settings` on the train rows, and calibrate it on those of validation.

    With checkpoints it goes on where an earlier try stood. Raises as `run` does.
    """
    train, validation = (arrays.load(split, settings, paths, encoder) for split in ("train", "validation"))
    net = fit_rows(settings, encoder, train, validation, kept)
    best = min(net.history, key=lambda row: row["val_loss"])
    epoch = f"kept epoch {best['epoch']} of {len(net.history)}, val_accuracy {best['val_accuracy']:.4f}"
    print(f"train: {epoch}", flush=True)
    return net


def out_of_fold(
    settings: config.ModelSettings,
    paths: ModelPaths,
    encoder: Encoder,
    group: folds.Rows,
    kept: Checkpoints | None = None,
) -> NDArray[np.float32]:
    """Score train and validation rows, each of a group, by networks not fitted on these: float32 [rows, classes]."""
    train, validation = (arrays.load(split, settings, paths, encoder) for split in ("train", "validation"))
    originals = len(group) - len(validation[0])  # what follows are changed copies
    x, y = (np.concatenate([first[:originals], second]) for first, second in zip(train, validation, strict=True))

    def score(fitted: folds.Rows, judged: folds.Rows, held: folds.Rows) -> NDArray[np.float32]:
        net = fit_rows(settings, encoder, (x[fitted], y[fitted]), (x[judged], y[judged]), kept)
        found: NDArray[np.float32] = net.model.predict(x[held], verbose=0)
        return found

    return folds.scores(y, group, len(encoder.labels), score)


def _write_out_of_fold(
    chosen: str, score: Callable[[folds.Rows], NDArray[np.float32]], most: int, classes: int, paths: ModelPaths
) -> None:
    """What baseline found; where another model is exported, what `score` says, or both, of so many rows at most."""
    row, group, found = folds.read(paths.baseline_out_of_fold, classes)
    if chosen not in QUICK and len(row) > most:
        row, group, found = row[:0], group[:0], found[:0]
    if chosen != LINEAR and len(row):
        own = score(group)
        found = np.mean([found, own], axis=0, dtype=np.float32) if chosen == BOTH else own
    folds.write(paths.out_of_fold, row, group, found)


def _save(chosen: str, net: Net | None, settings: config.ModelSettings, encoder: Encoder, paths: ModelPaths) -> None:
    """Write the export folder: of the network, of the linear model, or of both as one."""
    with replacing_folder(paths.trained) as folder:
        if net is None or chosen == LINEAR:
            for name in (inference.MODEL, inference.ENCODER):
                _copy(paths.baseline_export / name, folder / name)
            return
        from luodi.nets import export

        with quiet():
            model = export.convert(net, settings, encoder)
        expected = net.scores[: len(net.sample)]
        if chosen == BOTH:
            linear = onnx.load(paths.baseline_export / inference.MODEL)
            model = ensemble.mean(model, linear)
            its = inference.run_session(inference.session(linear.SerializeToString()), net.sample)
            expected = np.mean([its, expected], axis=0, dtype=np.float32)
        export.write(model, net.sample, expected, folder / inference.MODEL)
        _copy(paths.encoder, folder / inference.ENCODER)


def _save_net(net: Net | None, paths: ModelPaths, trained: Net | None) -> None:
    """Write model.keras, the curves of what was trained, and history.csv; else a line, as DVC warns of an empty folder.

    The weights of an encoder that was trained on stand in the exported graph alone, which is as large as they are.
    """
    with replacing_folder(paths.net) as folder:
        if trained:
            from luodi.nets import saving

            if net:
                saving.save(net.model, folder / paths.keras_model.name)
            with quiet():  # by TensorFlow, whatever trained
                saving.save_curves(trained.history, folder)
        else:
            write_text(folder / "none.txt", "no network was trained\n")
    write_text(paths.history, history.as_csv(trained.history if trained else []))


def _cost(spent: dict[str, Any], net: Net | None) -> dict[str, Any]:
    """What training cost, all tries together; energy is that of one try, of processors alone, or not known."""
    if net is None:
        return spent | {"device": "cpu", "epochs": 0}
    seconds, cpu_seconds = net.before
    whole = {
        "seconds": round(spent["seconds"] + seconds, 1),
        "cpu_seconds": round(spent["cpu_seconds"] + cpu_seconds, 1),
        "joules": None if seconds or net.facts["device"] == "gpu" else spent["joules"],
    }
    return whole | net.facts


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
