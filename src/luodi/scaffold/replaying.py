"""What would have become of a model had batches come one after the other: each is ingested, and it is retrained.

In a copy of the project: nothing of it is changed, nothing registered.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from luodi import config
from luodi.config import ModelSettings, user_code
from luodi.data import arrivals, columns, splits, tables
from luodi.data.columns import Wanted
from luodi.data.labels import Labels
from luodi.errors import DataError, LuodiError, MissingData
from luodi.files import read_facts
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import ingesting
from luodi.scoring.inference import Classifier
from luodi.system.processes import Runner

STAGES = ("validate", "preprocess", "baseline", "train")
COPIED = (PARAMS, "params.lock", "luodi.lock", "dvc.yaml", "data.dvc", ".dvc", "suites")


@dataclass(frozen=True)
class Step:
    """What came of a batch.

    Attributes:
        rows, new, held: That came, were not there, and that validation would hold back.
        drift: The verdict on it.
        test: New rows that fell into the test split, on which `before` and `after`, the accuracy of the model before
            and after it was retrained, are taken.
        whole: Accuracy on the whole test split, after.
        refused: Why it was not ingested, or the model not retrained.
    """

    batch: str
    rows: int = 0
    new: int = 0
    held: int = 0
    drift: str = ""
    test: int = 0
    before: float | None = None
    after: float | None = None
    whole: float | None = None
    refused: str = ""


def batches(folder: Path) -> list[Path]:
    """Return what is to come, in the order of its names.

    Raises:
        MissingData: There is nothing.
    """
    found = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    if not found:
        raise MissingData(f"{folder}: expected a folder of batches, each a table or a folder as of `luodi ingest`, "
                          "in the order of their names; found none")  # fmt: skip
    return found


def copy(root: Path, model: str, target: Path) -> None:
    """Copy what a replay needs of a project: its files, the code that settings name, and the model's data."""
    settings = config.settings_of(config.load(root / PARAMS), model)
    for name in (*COPIED, *user_code.files(settings, root)):
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
        elif (root / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    (target / "data.dvc").unlink(missing_ok=True)  # of other models too, whose data stay
    shutil.copytree(ModelPaths(root, model).data, ModelPaths(target, model).data)


def replay(
    root: Path,
    model: str,
    sources: list[Path],
    runner: Runner,
    *,
    given: tables.Given = tables.PLAIN,
    wanted: Wanted = columns.NOTHING,
    label_map: Callable[[], Labels] = Labels,
    tell: Callable[[str], object] = str,
) -> Iterator[Step]:
    """Train on what is there, then yield what comes of each batch; `root` is a copy, see `copy`."""
    settings, paths = config.settings_of(config.load(root / PARAMS), model), ModelPaths(root, model)
    with user_code.importable(root):
        _train(settings, paths, tell)
        for source in sources:
            known = {one.batch for one in arrivals.read(paths.data)}
            try:
                tell(f"ingesting {source.name}")
                ingesting.ingest(root, model, [source], runner, given=given, wanted=wanted, labels=label_map())
            except DataError as error:
                yield Step(source.name, refused=str(error))
                continue
            came = [one for one in arrivals.read(paths.data) if one.batch not in known]
            yield _step(settings, paths, source, came[0], tell) if came else Step(source.name, refused="nothing new")


def _step(
    settings: ModelSettings, paths: ModelPaths, source: Path, came: arrivals.Arrival, tell: Callable[[str], object]
) -> Step:
    old = Classifier.load(paths.export)
    drift = read_facts(paths.artifacts / "batches" / f"{came.batch}.json")["verdict"]
    try:
        _train(settings, paths, tell)
    except LuodiError as error:
        return Step(source.name, came.rows, came.new, came.held, drift, refused=str(error))
    new = Classifier.load(paths.export)
    items, label, own = _test(paths, settings, {*came.files})
    right = [model.probabilities(items).argmax(axis=1) == label for model in (old, new)]
    before, after = (float(one[own].mean()) if own.any() else None for one in right)
    return Step(
        source.name, came.rows, came.new, came.held, drift, int(own.sum()), before, after, float(right[1].mean())
    )


def _train(settings: ModelSettings, paths: ModelPaths, tell: Callable[[str], object]) -> None:
    for stage in STAGES:
        tell(f"{stage}: {paths.data}")
        import_module(f"luodi.stages.{stage}").run(settings, paths)


def _test(paths: ModelPaths, settings: ModelSettings, files: set[str]) -> tuple[list[Any], Any, Any]:
    """The test rows: items, labels, and which of them came in `files`."""
    rows = pq.read_table(paths.rows)
    rows = rows.filter(np.array([one == splits.NAMES[2] for one in rows["split"].to_pylist()]))
    origins = rows["origin"].to_pylist() if "origin" in rows.column_names else [None] * len(rows)
    own = np.array([(one or "").rpartition(", ")[0] in files or one in files for one in origins])
    return rows[settings.modality].to_pylist(), rows["label"].to_numpy(), own
