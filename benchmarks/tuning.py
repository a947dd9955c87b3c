"""What `luodi tune` costs beside training: the same trials by bare Optuna in memory, in one process, in turn.

    python benchmarks/tuning.py digits --trials 6 --epochs 3      # in a project, after `luodi validate digits`

Bare is the shortest loop that a person would write: draw by the same sampler, train, return the figure of the
validation rows. Beside it stand the study in SQLite, and what each trial and epoch notes there.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna

from luodi import config
from luodi.config import tuning
from luodi.project.paths import ModelPaths
from luodi.scoring.metrics import beside
from luodi.scoring.scored import scored
from luodi.tuning import space, study
from luodi.tuning.trials import Trials, read_rows, write_rows


def bare(trials: Trials, slots: int) -> float:
    """Return the CPU seconds of a loop without luodi's study."""
    found = optuna.create_study(direction="maximize")
    truth = trials.rows.labels("validation")
    began = time.process_time()

    def objective(trial: optuna.Trial, names: tuning.Space) -> float:
        values = space.draw(trial, trials.settings, names)
        net = trials._fit(tuning.changed(trials.settings, values, "bare"), None)
        data = scored(truth, net.scores, "trial", net.scores.shape[-1])
        return float(beside(trials.metric)[trials.metric].function(data, np.ones((1, data.rows)))[0])

    for slot in range(slots):
        values = space.fixed(trials.settings, trials.tune, trials.space, slot)
        names = trials.space if values is None else {name: trials.space[name] for name in values}
        found.sampler = space.sampler(trials.settings, trials.tune, values, slot)
        found.optimize(lambda trial, names=names: objective(trial, names), n_trials=1)
    return time.process_time() - began


def ours(trials: Trials, slots: int, folder: Path) -> float:
    """Return the CPU seconds of the same trials as `luodi tune` runs them."""
    found = study.opened(study.Place(folder, f"sqlite:///{folder}/{time.monotonic_ns()}.db"), "some", trials.metric)
    began = time.process_time()
    for slot in range(slots):
        trials.run(found, slot, "benchmark")
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    paths = ModelPaths(Path.cwd(), args.model)
    block = tuning.changed(config.load(paths.params).models[args.model], {"train.epochs": args.epochs}, "--epochs")
    tune = config.Tune(pruner="none")  # of pruned trials there would be less to train
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.arrow"
        write_rows(block, paths, rows)
        trials = Trials(block, tune, space.of(block, tune), study.metric_of(block, tune), read_rows(rows))
        spoken = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what training prints
        bare(trials, 1)  # loads TensorFlow
        rounds = [(bare(trials, args.trials), ours(trials, args.trials, Path(folder))) for _ in range(args.rounds)]
    for first, second in rounds:
        told = f"{args.trials} trials: bare {first:.1f} CPU s, luodi {second:.1f} CPU s, ratio {second / first:.3f}\n"
        os.write(spoken, told.encode())


if __name__ == "__main__":
    main()
