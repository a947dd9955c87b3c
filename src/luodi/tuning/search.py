"""A search from its first trial to the winner, or from where an earlier one stood."""

import hashlib
import itertools
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from luodi.config import ModelSettings, Tune
from luodi.errors import LuodiError
from luodi.files import private, private_folder
from luodi.project.paths import ModelPaths
from luodi.scoring.figures import rounded
from luodi.tuning import best, edge, goals, space, study
from luodi.tuning.goals import Goals
from luodi.tuning.study import BEFORE, EPOCHS, WHY
from luodi.tuning.trials import Trials, read_rows, write_rows
from luodi.tuning.workers import Task, Workers

Facts = dict[str, Any]
ROWS = "rows.arrow"


@dataclass(frozen=True)
class Search:
    """A search that is open: it alone runs the study on this host.

    Attributes:
        folder: What its processes share, and what a run that was ended left for the next one.
    """

    settings: ModelSettings
    paths: ModelPaths
    tune: Tune
    name: str
    where: study.Place
    folder: Path
    workers: Workers
    by: str

    @property
    def goals(self) -> Goals:
        return goals.of(self.settings, self.tune)

    def study(self) -> optuna.Study:
        return study.opened(self.where, self.name, self.goals)


def run(settings: ModelSettings, paths: ModelPaths, tune: Tune) -> Facts:
    """Run the trials that have not ended, and compare the winner with the settings as they stand; return all of it.

    Raises:
        ArtifactError: validate has not run.
        WrongValue: There is nothing to search.
        LuodiError: The settings as they stand cannot be trained, a process died again and again, the database of
            studies cannot be opened, or another process runs the study.
    """
    count = _count(settings, tune)
    with study.told(study.place(paths.root)), _opened(settings, paths, tune) as search:
        truth, group = write_rows(settings, paths, search.folder / ROWS)
        found = search.study()
        study.abandon(found)  # the lock says that they run no more
        _search(search, found, count)
        trials = {slot: one for slot, one in study.ended(found).items() if slot < count}
        if why := trials[0].user_attrs.get(WHY):
            raise LuodiError(f"the settings of params.yaml, which are trial 0, cannot be trained: {why}")
        wanted, known = search.goals, study.measured(trials)
        slot = study.winner(trials, wanted)
        values = study.facts(slot, trials[slot], wanted)["values"] if slot else {}
        measured = _edge(search, truth, group, values, len(trials) - 1) if values else None
        says = _says(wanted, known[0], known[slot], measured)
        print(f"tune: {says}", flush=True)
        stands = measured and (measured["value"] > 0 or wanted.broken(known[0]))
        return {
            "study": search.name,
            "metric": wanted.names[0],
            "beside": list(wanted.names[1:]),
            "better": wanted.better[0],
            "trials": [study.facts(slot, one, wanted) for slot, one in trials.items()],
            "best": slot,
            "front": list(study.front(trials, wanted)) if wanted.several else [],
            "values": values if stands else {},
            "edge": rounded(measured),
            "says": says,
            "importances": rounded(_importances(found)),
        }


def _says(wanted: Goals, default: list[float], winner: list[float], measured: Facts | None) -> str:
    """What came of the search, a sentence: of budgets first."""
    if broken := wanted.broken(winner):
        return f"no trial is within the gate's budgets, the default breaks {broken}; the settings of params.yaml stay"
    if broken := wanted.broken(default):
        return f"within the gate's budgets, where the default breaks {broken}; {edge.sentence(measured)}"
    return edge.sentence(measured)


def run_trial(settings: ModelSettings, paths: ModelPaths, tune: Tune, slot: int) -> None:
    """Run the trial of a slot in this process, unless it has ended; one that runs is that of a try which died.

    Raises as `run` does.
    """
    where, wanted = study.place(paths.root), goals.of(settings, tune)
    searched, by = space.of(settings, tune), f"{platform.node()}-{os.getpid()}"
    with study.told(where), private(), tempfile.TemporaryDirectory(dir=private_folder(where.folder)) as folder:
        found = study.opened(where, study.name(settings, paths, tune, searched), wanted)
        if slot >= _count(settings, tune) or slot in study.ended(found):
            print(f"tune: trial {slot} has ended", flush=True)
            return
        study.abandon(found, slot)
        rows = Path(folder) / ROWS
        write_rows(settings, paths, rows)
        Trials(paths, settings, tune, searched, wanted, read_rows(rows)).run(found, slot, by)
        print(f"tune: {_told(found, slot, tune.trials, wanted)}", flush=True)


def _count(settings: ModelSettings, tune: Tune) -> int:
    """How many trials there are to be: of a grid no more than it has."""
    if tune.sampler != "grid":
        return tune.trials
    combinations = space.grid(settings, space.of(settings, tune))
    return 1 + sum(1 for _ in itertools.islice(combinations, tune.trials - 1))


@contextmanager
def _opened(settings: ModelSettings, paths: ModelPaths, tune: Tune) -> Iterator[Search]:
    where = study.place(paths.root)
    name = study.name(settings, paths, tune, space.of(settings, tune))
    by = f"{platform.node()}-{os.getpid()}"
    with study.alone(where, name) as lock, private():
        folder = private_folder(where.folder / name)
        setup = {
            "root": str(paths.root),
            "settings": settings.model_dump(mode="json", by_alias=True),
            "tune": tune.model_dump(mode="json"),
            "folder": str(where.folder),
            "storage": where.storage,
            "study": name,
            "rows": str(folder / ROWS),
            "by": by,
        }
        with Workers(setup, tune.workers, lock.fileno()) as workers:
            yield Search(settings, paths, tune, name, where, folder, workers, by)
        shutil.rmtree(folder, ignore_errors=True)  # not after an error: the repeats that are there are kept


def _search(search: Search, found: optuna.Study, count: int) -> None:
    known = study.ended(found)
    if begun := sum(slot < count for slot in known):
        print(f"tune: goes on: {begun} of {count} trials have ended", flush=True)
    for note in _notes(search):
        print(f"tune: {note}", flush=True)
    if search.goals.several:
        print("tune: no trial is pruned where there are several metrics: Optuna does not", flush=True)
    limit = (search.tune.timeout_minutes or 0) * 60

    def died(task: Task) -> None:
        study.abandon(found, task["slot"], search.by)
        print(f"tune: the process of trial {task['slot']} died; it is run again", flush=True)

    search.workers.run(
        [{"slot": slot} for slot in range(count) if slot not in known],
        died=died,
        done=lambda task: print(f"tune: {_told(found, task['slot'], count, search.goals)}", flush=True),
        enough=lambda: bool(limit) and 0 in (ended := study.ended(found)) and study.seconds(ended) > limit,
    )


def _notes(search: Search) -> Iterator[str]:
    """Say what of the space is not tried."""
    searched = space.of(search.settings, search.tune)
    yield from space.idle(search.settings, searched)
    tried = search.tune.trials - 1
    if search.tune.sampler == "grid" and any(itertools.islice(space.grid(search.settings, searched), tried, None)):
        yield f"the grid has more combinations than the first {tried}, which tune.trials allows: raise it to try all"


def _told(found: optuna.Study, slot: int, count: int, wanted: Goals) -> str:
    trials = study.ended(found)
    if slot not in trials:
        raise LuodiError(
            f"trial {slot} ended, and the database of studies does not know of it: it was removed or replaced while "
            "the search ran; the next `luodi tune` goes on with what it holds"
        )
    trial = trials[slot]
    epochs = trial.user_attrs.get(EPOCHS, 0)
    facts = study.facts(slot, trial, wanted)
    values = [f"{wanted.names[0]} {facts['value']:.4f}"] if facts["value"] is not None else []
    values += [f"{name} {value:.3g}" for name, value in facts["beside"].items()]
    how = ", ".join(values) or facts["why"] or "pruned"
    first = study.winner(trials, wanted)
    lead = "best so far" if first == slot else f"best: trial {first}"
    if trial.values and (broken := wanted.broken(trial.values)):
        lead = f"breaks {broken}"
    trained = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    if before := trial.user_attrs.get(BEFORE):
        trained += f", the first {before} of a try that died"
    told = f"; {best.told(facts['values'])}" if facts["values"] else ""
    return f"trial {slot}/{count - 1}: {how} after {trained} ({lead}){told}"


def _edge(search: Search, truth: Any, group: Any, values: Mapping[str, Any], candidates: int) -> Facts:
    """Train the winner and the default again with other seeds, where an earlier run has not, and compare them."""
    seeds = [search.settings.train.seed + 1 + place for place in range(search.tune.repeats)]
    sides: list[list[Path]] = [[_scores(search, side, seed) for seed in seeds] for side in ({}, values)]
    tasks = [
        {"values": side, "seed": seed, "to": str(path)}
        for side, paths in zip(({}, values), sides, strict=True)
        for seed, path in zip(seeds, paths, strict=True)
        if not path.exists()
    ]

    def died(task: Task) -> None:
        print(f"tune: the process of the repeat with seed {task['seed']} died; it is run again", flush=True)

    def done(task: Task) -> None:
        which = "the winner" if task["values"] else "the default"
        print(f"tune: trained {which} again, with seed {task['seed']}", flush=True)

    search.workers.run(tasks, died=died, done=done)
    default, winner = ([np.load(path) for path in side] for side in sides)
    return edge.edge(truth, default, winner, search.goals.names[0], candidates, group)


def _scores(search: Search, values: Mapping[str, Any], seed: int) -> Path:
    digest = hashlib.sha256(json.dumps([values, seed], sort_keys=True).encode()).hexdigest()[:16]
    return search.folder / f"{digest}.npy"


def _importances(found: optuna.Study) -> dict[str, float]:
    """How much each setting decides, of those that all trials have; empty where too few have ended to say."""
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    try:
        return optuna.importance.get_param_importances(
            found, evaluator=evaluator, target=lambda trial: float(trial.values[0])
        )
    except (ValueError, RuntimeError):
        return {}
