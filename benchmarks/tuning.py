"""What a search costs, and what it is worth.

    python benchmarks/tuning.py cost digits --trials 6 --epochs 3      # in a project, after `luodi validate digits`
    python benchmarks/tuning.py workers digits --trials 16             # there too
    python benchmarks/tuning.py worth --data DIR --trials 12 digits clinc150 reviews thucnews

cost: the same trials by bare Optuna in memory, in one process, in turn. Bare is the shortest loop that a person would
write: draw by the same sampler, train, return the figure of the validation rows. Beside it stand the study in SQLite,
and what each trial and epoch notes there.

workers: the same trials by `luodi tune` with one process and with four, each of one thread, so that a second core is of
use to several alone: seconds, processor seconds, and whether each trial came out the same.

worth: `luodi add` and `luodi tune` on the data of benchmarks/anyone.py, dev.txt of thucnews and dev.csv of clinc150 as
test rows. Then the default and the best trial are trained by five seeds that the search has not seen, and score the
test split, which it has not seen either. A line: test rows, accuracy of the default and of the best trial, their
difference with its interval of 95% (rows and seeds), the same of what validation rows choose of network, linear model
and their mean, which is what lands; and what `luodi tune` said.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anyone
import numpy as np
import optuna

from luodi import config
from luodi.config import locked, tuning
from luodi.data import encoders, split_rows
from luodi.nets import arrays, fitting
from luodi.project import fingerprints
from luodi.project.paths import ModelPaths
from luodi.scoring import choice
from luodi.scoring.choice import BOTH, LINEAR, NET
from luodi.scoring.scored import scored
from luodi.tuning import edge, goals, space, study
from luodi.tuning.trials import Trials, read_rows, write_rows

MODEL = "it"
SEEDS = range(101, 106)
NETWORK = {"clinc150": ["train.architecture=ngram"]}  # `luodi add` writes the linear model, which is not tuned
HEAD = (
    "data | test rows | default | best trial | difference | lands: default | best trial | difference "
    "| luodi tune, of validation rows | settings of the best trial"
)


def bare(trials: Trials, slots: int) -> float:
    """Return the CPU seconds of a loop without luodi's study."""
    found = optuna.create_study(direction="maximize")
    truth = trials.rows.labels("validation")
    began = time.process_time()

    def objective(trial: optuna.Trial, names: tuning.Space) -> float:
        values = space.draw(trial, trials.settings, names)
        settings = tuning.changed(trials.settings, values, "bare")
        net = fitting.fit_rows(settings, *trials._rows_of(settings))
        data = scored(truth, net.scores, "trial", net.scores.shape[-1])
        return float(trials.goals.metric.function(data, np.ones((1, data.rows)))[0])

    for slot in range(slots):
        values = space.fixed(trials.settings, trials.tune, trials.space, slot)
        names = trials.space if values is None else {name: trials.space[name] for name in values}
        found.sampler = space.sampler(trials.settings, trials.tune, values, slot)
        found.optimize(lambda trial, names=names: objective(trial, names), n_trials=1)
    return time.process_time() - began


def ours(trials: Trials, slots: int, folder: Path) -> float:
    """Return the CPU seconds of the same trials as `luodi tune` runs them."""
    found = study.opened(study.Place(folder, f"sqlite:///{folder}/{time.monotonic_ns()}.db"), "some", trials.goals)
    began = time.process_time()
    for slot in range(slots):
        trials.run(found, slot, "benchmark")
    return time.process_time() - began


def dev(name: str, data: Path) -> anyone.Texts:
    """The rows of a data set that are for testing; none where luodi splits."""
    if name == "thucnews":
        names = (data / name / "class.txt").read_text(encoding="utf-8").split()
        lines = (data / name / "dev.txt").read_text(encoding="utf-8").splitlines()
        return [(text, names[int(index)]) for text, index in (line.rsplit("\t", 1) for line in lines)]
    if name == "clinc150":
        with (data / name / "dev.csv").open(encoding="utf-8", newline="") as file:
            return [(row["text"], row["label"]) for row in csv.DictReader(file)]
    return []


def source(name: str, data: Path, folder: Path) -> tuple[str, Path]:
    """Write the data set; return its modality, and the file or folder."""
    modality, path = anyone.source(name, data, folder)
    if tests := dev(name, data):
        rows = [("text", "label", "split")]
        rows += [
            (*row, part) for part, found in (("train", anyone.TEXTS[name](data)), ("test", tests)) for row in found
        ]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    return modality, path


def searched(name: str, args: argparse.Namespace, folder: Path) -> ModelPaths:
    """Add a data set to a new project and search."""
    modality, path = source(name, args.data.resolve(), folder)
    root = folder / "project"
    root.mkdir()

    def run(*command: str) -> None:
        subprocess.run([anyone.BIN / command[0], *command[1:]], cwd=root, check=True, stdout=sys.stderr)

    run("luodi", "init", ".")
    run("luodi", "add", MODEL, "--modality", modality, "--from", str(path))
    changes = [*NETWORK.get(name, ()), f"tune.trials={args.trials}", "gate.metric=accuracy", *args.set]
    anyone.change(root / "params.yaml", MODEL, changes)
    run("luodi", "upgrade")
    run("luodi", "validate", MODEL)
    run("luodi", "tune", MODEL)
    (root / "artifacts" / MODEL / "tune" / "best_params.yaml").write_text("")  # the encoder of the default
    run("luodi", "preprocess", MODEL)
    run("luodi", "baseline", MODEL)
    return ModelPaths(root, MODEL)


def on_test_rows(settings: config.ModelSettings, paths: ModelPaths, values: tuning.Values, seed: int) -> dict[str, Any]:
    """Probabilities of the test rows by the network, and by what lands."""
    settings = tuning.changed(settings, {**values, "train.seed": seed}, "tuned")
    encoder = encoders.load(paths.encoder)
    train, held, test = (arrays.load(split, settings, paths, encoder) for split in ("train", "validation", "test"))
    net = fitting.fit_rows(settings, encoder, train, held)
    validation = {LINEAR: np.load(paths.baseline_validation), NET: net.scores}
    scores = {LINEAR: np.load(paths.baseline_scores), NET: net.model.predict(test[0], batch_size=512, verbose=0)}
    for found in (validation, scores):
        found[BOTH] = np.mean([found[LINEAR], found[NET]], axis=0, dtype=np.float32)
    chosen = choice.choose(choice.figures(validation, held[1], "accuracy"), "accuracy")
    return {"network": scores[NET], "lands": scores[chosen]}


def worth(name: str, args: argparse.Namespace, folder: Path) -> str:
    paths = searched(name, args, folder)
    settings = config.load(paths.params).models[MODEL]
    facts = json.loads(paths.study.read_text(encoding="utf-8"))
    values = next(one["values"] for one in facts["trials"] if one["trial"] == facts["best"])
    sides = [[on_test_rows(settings, paths, side, seed) for seed in SEEDS] for side in ({}, values)]
    truth = split_rows.labels(paths.rows, "test", len(settings.labels))
    cells = [name, f"{len(truth):,}"]
    for kind in ("network", "lands"):
        default, best = ([one[kind] for one in side] for side in sides)
        found = edge.edge(truth, default, best, "accuracy", 1)
        cells += [f"{np.mean([(one.argmax(1) == truth).mean() for one in side]):.4f}" for side in (default, best)]
        cells += [f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"]
    told = ", ".join(
        f"{key.removeprefix('train.')} {value:.4g}"
        if isinstance(value, float)
        else f"{key.removeprefix('train.')} {value}"
        for key, value in values.items()
    )
    return " | ".join([*cells, facts["says"], f"trial {facts['best']}: {told}"])


def cost(args: argparse.Namespace) -> None:
    paths = ModelPaths(Path.cwd(), args.model)
    block = tuning.changed(config.load(paths.params).models[args.model], {"train.epochs": args.epochs}, "--epochs")
    tune = config.Tune(pruner="none")  # of pruned trials there would be less to train
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.arrow"
        write_rows(block, paths, rows)
        trials = Trials(paths, block, tune, space.of(block, tune), goals.of(block, tune), read_rows(rows))
        spoken = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what training prints
        bare(trials, 1)  # loads TensorFlow
        rounds = [(bare(trials, args.trials), ours(trials, args.trials, Path(folder))) for _ in range(args.rounds)]
    for first, second in rounds:
        told = f"{args.trials} trials: bare {first:.1f} CPU s, luodi {second:.1f} CPU s, ratio {second / first:.3f}\n"
        os.write(spoken, told.encode())


def by_workers(args: argparse.Namespace, count: int, folder: Path) -> tuple[float, float, list[Any]]:
    """Seconds, processor seconds, and the figures of every trial of a search by so many processes."""
    paths = ModelPaths(folder, args.model)
    shutil.copytree(ModelPaths(Path.cwd(), args.model).clean.parent, paths.clean.parent)
    shutil.copy("params.yaml", paths.params)
    settings = {"workers": count, "trials": args.trials, "sampler": "random", "pruner": "none"}
    changes = [f"tune.{name}={value}" for name, value in settings.items()]
    anyone.change(paths.params, args.model, [*changes, f"train.epochs={args.epochs}", "train.threads=1"])
    locked.write(folder)
    fingerprints.write(folder)
    before, began = os.times(), time.monotonic()
    alone = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    subprocess.run([anyone.BIN / "luodi", "tune", args.model], cwd=folder, check=True, stdout=sys.stderr, env=alone)
    seconds, after = time.monotonic() - began, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    trials = json.loads(paths.study.read_text(encoding="utf-8"))["trials"]
    return seconds, used, [(one["trial"], one["values"], one["value"]) for one in trials]


def workers(args: argparse.Namespace) -> None:
    found = {}
    for count in (1, args.workers):
        with tempfile.TemporaryDirectory() as folder:
            found[count] = by_workers(args, count, Path(folder))
            seconds, used, trials = found[count]
        print(f"{count} processes: {len(trials)} trials, {seconds:.1f} s, {used:.1f} CPU s", flush=True)
    (one, alone, first), (several, together, second) = found.values()
    same = sum(one == other for one, other in zip(first, second, strict=True))
    print(
        f"{one / several:.2f} times as fast by {together / alone:.2f} times the CPU s; {same} of {len(first)} are equal"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    several = parser.add_subparsers(required=True)
    one = several.add_parser("cost")
    one.set_defaults(do=cost)
    one.add_argument("model")
    one.add_argument("--trials", type=int, default=6)
    one.add_argument("--epochs", type=int, default=3)
    one.add_argument("--rounds", type=int, default=3)
    three = several.add_parser("workers")
    three.set_defaults(do=workers)
    three.add_argument("model")
    three.add_argument("--trials", type=int, default=16)
    three.add_argument("--epochs", type=int, default=10)
    three.add_argument("--workers", type=int, default=4)
    two = several.add_parser("worth")
    two.set_defaults(do=tell)
    two.add_argument("names", nargs="+", metavar="NAME", help=f"of {', '.join([*anyone.TEXTS, *anyone.IMAGES])}")
    two.add_argument("--data", type=Path, default=Path(), help="folder of thucnews and clinc150")
    two.add_argument("--trials", type=int, default=12)
    two.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting to try")
    args = parser.parse_args()
    args.do(args)


def tell(args: argparse.Namespace) -> None:
    spoken = os.dup(1)
    os.dup2(2, 1)  # what training prints
    os.write(spoken, f"| {HEAD} |\n{'|---' * (HEAD.count('|') + 1)}|\n".encode())
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            os.write(spoken, f"| {worth(name, args, Path(folder))} |\n".encode())


if __name__ == "__main__":
    main()
