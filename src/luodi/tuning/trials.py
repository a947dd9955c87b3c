"""One trial: encode the rows by its settings, train, and measure on the validation rows. It has no test row."""

import json
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pyarrow as pa
from numpy.typing import NDArray

from luodi import pretrained
from luodi.config import ModelSettings, Tune, tuning
from luodi.config.tuning import BUDGETS, Space
from luodi.data import clean_rows, modality, splits
from luodi.data.clean_rows import Clean
from luodi.data.modality import Encoder
from luodi.errors import LuodiError
from luodi.nets import arrays, catalogue, checkpoints, fitting
from luodi.nets.stderr import quiet
from luodi.project.paths import ModelPaths
from luodi.scoring import inference
from luodi.scoring.metrics import beside
from luodi.scoring.scored import scored
from luodi.tuning import space as spaces
from luodi.tuning.goals import Goals
from luodi.tuning.study import BEFORE, BY, EPOCHS, SLOT, VALUES, WHY

if TYPE_CHECKING:
    from luodi.pretrained.frozen import Frozen
    from luodi.pretrained.tuned import Tuned

SEEN = ("train", "validation")
REPEATS = 200  # predictions of which the median counts
SOME = 1000  # rows, of which that of median length is predicted
EPOCH = {"accuracy": ("val_accuracy", 1), "balanced_accuracy": ("val_recall", 1)}
LOSS = ("val_loss", -1)
"""What is compared after an epoch, and whether more of it is better: the metric where training has it, or the loss."""


def write_rows(
    settings: ModelSettings, paths: ModelPaths, path: Path
) -> tuple[NDArray[np.int32], NDArray[np.int64] | None]:
    """Clean and split the rows as preprocess does, and write those of train and validation: the only rows of a trial.

    Returns:
        The labels of the validation rows, and a number that those share which stand together, if that is known.

    Raises:
        ArtifactError: validate has not run.
        DataError: A split would be empty.
    """
    whole = path.with_suffix(".all")
    try:
        with clean_rows.opened(paths.clean) as file:
            marks = clean_rows.clean(file, whole, settings)
        split, _ = clean_rows.select(marks, settings)
        rows = Clean(whole, marks.label, split)
        with pa.OSFile(str(path), "wb") as sink:
            group = _write(sink, rows)
    finally:
        whole.unlink(missing_ok=True)  # it holds test rows
    return rows.labels("validation"), group


def _write(sink: Any, rows: Clean) -> NDArray[np.int64] | None:
    writer, groups = None, []
    for table in rows.kept():
        if "group" in table.column_names:
            groups.append(table.filter(pa.compute.equal(table["split"], "validation"))["group"].to_numpy())
        seen = pa.compute.is_in(table["split"], pa.array(SEEN))
        for batch in table.filter(seen).select([0, 1, 3]).to_batches():
            writer = writer or pa.ipc.new_stream(sink, batch.schema)
            writer.write_batch(batch)
    if writer:
        writer.close()
    return np.concatenate(groups) if groups else None


def read_rows(path: Path) -> Clean:
    """Return the rows that `write_rows` wrote."""
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_stream(file).read_all()
    split = pa.compute.index_in(table["split"], pa.array(splits.ALL)).to_numpy().astype(np.int8)
    return Clean(path, table["label"].to_numpy().astype(np.int32), split)


@dataclass
class Trials:
    """What runs trials of one model, one after the other.

    Attributes:
        settings: As params.yaml has them.
        rows: Those of `write_rows`.
        paths: Of the project, by which checkpoints are found.
    """

    paths: ModelPaths
    settings: ModelSettings
    tune: Tune
    space: Space
    goals: Goals
    rows: Clean
    _encoded: dict[str, tuple[Encoder, fitting.Rows, fitting.Rows]] = field(default_factory=dict)
    _frozen: "Frozen | None" = None

    def run(self, study: optuna.Study, slot: int, by: str) -> None:
        """Run the trial of a slot: it ends, is pruned, or fails in a way in which every other try would.

        One whose try before died has its values again, and goes on from its checkpoint.

        Args:
            by: Who runs it.
        """
        values = spaces.fixed(self.settings, self.tune, self.space, slot)
        space = self.space if values is None else {name: self.space[name] for name in values}
        values = begun(study, slot) or values
        study.sampler = spaces.sampler(self.settings, self.tune, values, slot)
        study.pruner = pruner(self.tune, self.settings.train.epochs, several=self.goals.several)
        study.optimize(lambda trial: self._measured(trial, slot, by, space), n_trials=1, catch=(LuodiError,))

    def scores(self, values: dict[str, Any], seed: int) -> NDArray[np.float32]:
        """Train by some values and a seed; return the probabilities of the validation rows [rows, classes]."""
        settings = tuning.changed(self.settings, {**values, "train.seed": seed}, "tune")
        return self._fit(settings, lambda _: None).scores

    def _measured(self, trial: optuna.Trial, slot: int, by: str, space: Space) -> tuple[float, ...]:
        trial.set_user_attr(BY, by)
        trial.set_user_attr(SLOT, slot)
        values = spaces.draw(trial, self.settings, space)
        trial.set_user_attr(VALUES, values)
        watch = _watch(trial, self.goals, prune=slot > 0)
        try:
            settings = tuning.changed(self.settings, values, "these values do not go together")
            net = self._fit(settings, watch)
            watch(net.history)  # where the try before this one had come to its end
        except LuodiError as error:
            trial.set_user_attr(WHY, str(error))
            raise
        truth = self.rows.labels("validation")
        data = scored(truth, net.scores, "trial", net.scores.shape[-1])
        costs = self._costs(settings, net) if {*self.goals.names} & {*BUDGETS} else {}
        return tuple(
            costs[name] if name in costs else float(beside(name)[name].function(data, np.ones((1, data.rows)))[0])
            for name in self.goals.names
        )

    def _costs(self, settings: ModelSettings, net: "fitting.Net | Tuned") -> dict[str, float]:
        """What a prediction costs by the network, exported: median milliseconds of a row here, and 10^6 bytes."""
        classifier, size = self._served(settings, net)
        some = inference.typical(next(iter(self.rows.items("validation"))).slice(0, SOME).to_pylist())
        latency = inference.latency(classifier, some, REPEATS)
        return {"latency_ms": round(latency, 4), "size_mb": round(size / 1e6, 4)}

    def _served(self, settings: ModelSettings, net: "fitting.Net | Tuned") -> tuple[inference.Classifier, int]:
        """The network as it would be served, and the bytes of its graph."""
        if not isinstance(net, fitting.Net):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "export"
                net.write(path)
                return inference.Classifier.load(path), (path / inference.MODEL).stat().st_size
        with quiet():  # imported here, as Keras is
            from luodi.nets import export

            encoder = self._rows_of(settings)[0]
            model = export.convert(net, settings, encoder).SerializeToString()
        return inference.Classifier(encoder, inference.session(model)), len(model)

    def _fit(self, settings: ModelSettings, watch: fitting.Watch) -> "fitting.Net | Tuned":
        on_encoder = settings.train.architecture == catalogue.PRETRAINED
        frozen = self._frozen_by(settings) if on_encoder else None
        encoder = frozen.encoder if frozen else self._rows_of(settings)[0]
        kept = checkpoints.of_stage(settings, self.paths, encoder)
        try:
            if frozen:
                net: fitting.Net | Tuned = pretrained.of(settings.modality).tune(frozen, kept, watch)
                net.scores  # noqa: B018, it is trained now
            else:
                net = fitting.fit_rows(settings, *self._rows_of(settings), kept, watch=watch)
        except (LuodiError, optuna.TrialPruned):
            kept.remove()
            raise
        kept.remove()
        return net

    def _frozen_by(self, settings: Any) -> "Frozen":
        """What an encoder is trained on from: the same for all trials, but for how it is trained on."""
        if self._frozen is None:
            parts = [([text for column in self.rows.items(split) for text in column.to_pylist()],
                      self.rows.labels(split)) for split in SEEN]  # fmt: skip
            self._frozen = pretrained.of(settings.modality).on(settings, self.paths, *parts)
        return self._frozen.under(settings)

    def _rows_of(self, settings: ModelSettings) -> tuple[Encoder, fitting.Rows, fitting.Rows]:
        """Encoded rows; those of the last trial again where nothing about them has changed."""
        key = json.dumps(settings.preprocess.model_dump(mode="json"), sort_keys=True)
        if key not in self._encoded:
            self._encoded.clear()
            kind = modality.of(settings.modality)
            encoder = kind.fit_encoder(self.rows.learned(), settings.preprocess, settings.labels)
            train, validation = (
                arrays.encoded(
                    split, partial(self.rows.items, split), self.rows.labels(split), settings, encoder,
                    self.rows.path,
                ) for split in SEEN
            )  # fmt: skip
            self._encoded[key] = encoder, train, validation
        return self._encoded[key]


def begun(study: optuna.Study, slot: int) -> dict[str, Any] | None:
    """Return the values, as Optuna has them, that the last try of a slot began with; None if there was none."""
    tries = [one for one in study.get_trials(deepcopy=False) if one.user_attrs.get(SLOT) == slot]
    return next((dict(one.params) for one in reversed(tries) if VALUES in one.user_attrs), None)


def _watch(trial: optuna.Trial, goals: Goals, *, prune: bool) -> fitting.Watch:
    """What tells the study of each epoch, of those of an earlier try too, and with `prune` ends one that is behind.

    Of several metrics Optuna takes none in between.
    """
    column, better = EPOCH.get(goals.names[0], LOSS)
    told = 0

    def tell(rows: list[dict[str, float]]) -> None:
        nonlocal told
        if len(rows) == told:
            return
        if len(rows) > told + 1:
            trial.set_user_attr(BEFORE, len(rows) - 1)
        for epoch in range(told, 0 if goals.several else len(rows)):
            trial.report(better * goals.better[0] * rows[epoch][column], epoch + 1)
        told = len(rows)
        trial.set_user_attr(EPOCHS, told)
        if prune and not goals.several and trial.should_prune():
            raise optuna.TrialPruned

    return tell


def pruner(tune: Tune, epochs: int, *, several: bool = False) -> optuna.pruners.BasePruner:
    """Return what ends trials that are behind: nothing where there are several metrics."""
    if several:
        return optuna.pruners.NopPruner()
    if tune.pruner == "median":
        return optuna.pruners.MedianPruner()
    if tune.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=epochs)
    return optuna.pruners.NopPruner()
