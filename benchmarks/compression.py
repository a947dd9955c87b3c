"""What smaller models are worth: size, time, accuracy and verdict of each candidate, and how often a worse one passes.

    python benchmarks/compression.py --project . reviews digits
    python benchmarks/compression.py --data DIR thucnews-1000
    python benchmarks/compression.py --data DIR --set train.epochs=8 --set train.patience=8 fashion-500
    python benchmarks/compression.py --simulate

The data sets are those of benchmarks/anyone.py, cut as there, each added to a new project as a first-time user adds
it, with `compress: {}`. A line is a candidate: size of its folder, milliseconds of processor time for one row and how
many times those of the uncompressed model they are, measured in turns, accuracy on test rows (which choose nothing)
with Wilson's 95% interval, how many of them it answers as the uncompressed one does, calibration error, and the
verdict, by validation rows.

`--simulate` draws validation rows of five candidates that are all worse by exactly the margin, and counts how often any
is taken for no worse: at most 2.5% is allowed. And how often one that is not worse at all passes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyone
import numpy as np

from luodi import config
from luodi.compression import candidates, choosing
from luodi.compression.choosing import CHOSEN, SLOW, UNSUITED, Judge
from luodi.data import split_rows
from luodi.project.paths import ModelPaths
from luodi.scoring import figures, inference
from luodi.scoring.inference import Classifier
from luodi.scoring.scored import Scored, scored

MODEL, REPEATS = "it", 1000
HEAD = ("data", "model", "MB", "ms", "times", "accuracy on test rows", "same answer", "calibration error", "verdict")


def project(name: str, data: Path, changes: list[str], folder: Path) -> Path:
    """Return a new project of a data set, in which everything up to train has run."""
    modality, path = anyone.source(name, data, folder)
    root = folder / "project"
    root.mkdir()

    def run(*command: str) -> None:
        subprocess.run([anyone.BIN / command[0], *command[1:]], cwd=root, check=True, stdout=sys.stderr)

    run("luodi", "init", ".")
    run("luodi", "add", MODEL, "--modality", modality, "--from", str(path))
    anyone.change(root / "params.yaml", MODEL, ["compress={}", *changes])
    run("luodi", "upgrade")
    run("luodi", "connect")
    run("dvc", "repro", "--quiet", f"train@{MODEL}")
    return root


def table(name: str, root: Path, model: str = MODEL) -> None:
    """Print a line a candidate of a model that was trained."""
    paths = ModelPaths(root, model)
    settings = config.load(paths.params).models[model]
    rule = settings.compress or config.Compress()
    whole = candidates.Whole(settings, rule, paths, Classifier.load(paths.trained))
    validation, test = (split_rows.read(paths.rows, settings.modality, one, len(settings.labels))
                        for one in ("validation", "test"))  # fmt: skip
    judge = Judge(
        answers(whole.classifier, validation), size(paths.trained), rule.margin, settings.gate, len(rule.candidates)
    )
    before, item = answers(whole.classifier, test), inference.typical(validation.items)
    lines: dict[str, Any] = {"uncompressed": {"verdict": ""} | measured(before, before, judge.size, (0.0, 0.0))}
    with tempfile.TemporaryDirectory() as temporary:
        for one in rule.candidates:
            folder = Path(temporary) / one
            try:
                candidates.write(one, whole, folder)
            except candidates.Unsuited as error:
                lines[one] = {"verdict": f"{UNSUITED}: {error}"}
                continue
            small = Classifier.load(folder)
            found = answers(small, test)
            times = choosing.times(small, whole.classifier, item)
            facts = judge.facts(answers(small, validation), size(folder))
            lines[one] = facts | measured(found, before, size(folder), times)
            lines["uncompressed"]["ms"] = times[1]
    for one in choosing.in_order({key: found for key, found in lines.items() if key in rule.candidates}):
        lines[one]["verdict"] = SLOW if lines[one]["times"] > rule.max_slowdown else CHOSEN
        if lines[one]["verdict"] == CHOSEN:
            break
    for one, found in lines.items():
        print("|", " | ".join([name, one, *shown(found), found["verdict"]]), "|", flush=True)
    print(f"<!-- {name}: {len(validation):,} validation rows, {len(test):,} test rows -->", flush=True)


def answers(model: Classifier, rows: split_rows.Rows) -> Scored:
    return scored(rows.label, model.probabilities(rows.items), "model", len(model.labels), rows.group)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def measured(found: Scored, before: Scored, size_bytes: int, times: tuple[float, float]) -> dict[str, Any]:
    return {
        "size_bytes": size_bytes, "ms": times[0], "times": times[0] / times[1] if times[1] else 1.0,
        "test": figures.share(found, 0.95), "same": float((found.predicted == before.predicted).mean()),
        "calibration": figures.point(found)["calibration_error"],
    }  # fmt: skip


def shown(found: dict[str, Any]) -> list[str]:
    if "test" not in found:
        return [""] * 6
    return [
        f"{found['size_bytes'] / 1e6:.2f}", f"{found['ms']:.3f}", f"{found['times']:.2f}",
        "{value:.4f} [{low:.4f}, {high:.4f}]".format_map(found["test"]), f"{found['same']:.2%}",
        f"{found['calibration']:.4f}",
    ]  # fmt: skip


def simulate() -> None:
    """Print how often any of five candidates passes that are all worse by the margin, and one that is not worse."""
    print(
        "| validation rows | margin | rows answered otherwise | any of five worse ones passes | an equal one passes |"
    )
    print("|---|---|---|---|---|")
    rng, gate = np.random.default_rng(20), config.Gate(resamples=1000)
    for rows, margin, differ in [(500, 0.02, 0.03), (1750, 0.01, 0.02), (1750, 0.01, 0.005), (5000, 0.01, 0.03),
                                 (5000, 0.005, 0.01), (10000, 0.005, 0.02)]:  # fmt: skip
        worse = sum(any(passes(rng, rows, margin, differ, -margin, gate) for _ in range(5)) for _ in range(REPEATS))
        equal = sum(passes(rng, rows, margin, differ, 0.0, gate) for _ in range(REPEATS))
        shares = (f"{count / REPEATS:.1%}" for count in (worse, equal))
        print(f"| {rows:,} | {margin} | {max(differ, margin):.1%} |", " | ".join(shares), "|", flush=True)


def passes(rng: np.random.Generator, rows: int, margin: float, differ: float, lead: float, gate: config.Gate) -> bool:  # noqa: PLR0917
    """Whether a candidate is proven whose accuracy truly differs by `lead`, and whose answers by a share of rows.

    Of rows that differ one model is right; of the others the uncompressed one is in 90%.
    """
    differ = max(differ, abs(lead))
    kind = rng.choice(4, rows, p=[(differ + lead) / 2, (differ - lead) / 2, 0.9 * (1 - differ), 0.1 * (1 - differ)])
    truth = np.zeros(rows, np.int64)
    one, other = (np.eye(2)[np.isin(kind, wrong).astype(int)] for wrong in ((1, 3), (0, 3)))
    judge = Judge(Scored(truth, other), 2, margin, gate, 5)
    return bool(judge.facts(Scored(truth, one), 1)["verdict"] == choosing.PROVEN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="as those of benchmarks/anyone.py")
    parser.add_argument("--data", type=Path, default=Path(), help="folder of thucnews, fashion-mnist")
    parser.add_argument("--project", type=Path, help="a project that has such models, of which train has run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of new projects")
    parser.add_argument("--simulate", action="store_true", help="count how often a worse one passes")
    arguments = parser.parse_args()
    if arguments.simulate:
        simulate()
    if arguments.names:
        print("|", " | ".join(HEAD), "|")
        print("|---" * len(HEAD) + "|", flush=True)
    for name in arguments.names:
        if arguments.project:
            table(name, arguments.project, name)
            continue
        with tempfile.TemporaryDirectory() as folder:
            table(name, project(name, arguments.data, arguments.set, Path(folder)))


if __name__ == "__main__":
    main()
