"""What a first-time user gets: `luodi add`, `dvc repro` and `luodi gate` on data that nobody tuned for, nothing edited.

    python benchmarks/anyone.py --data DIR easy-900 clinc150 thucnews
    python benchmarks/anyone.py --data DIR --set train.architecture=linear thucnews-20 thucnews-20@1

NAME-20 is a set of 20 rows a class at most, drawn by seed 0, NAME-20@1 by seed 1. The data sets of `--data` are none of
luodi's; the others are made up or embedded. A line: test rows, what was chosen by which metric, its figure on test rows
beside the baseline's, their difference with the gate's interval and p, the calibration error, the verdict, seconds, and
what plain scikit-learn has of the same test rows, see benchmarks/plain.py, with the difference from it.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pyarrow.parquet as pq
import yaml
from PIL import Image, ImageDraw

from luodi.data import builtin_datasets
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
Texts = list[tuple[str, str]]
WORDS = ["alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine", "rowan", "spruce", "yew"]
EASY = {
    "greeting": "hello good morning dear friend",
    "weather": "rain snow sunny cloudy storm",
    "food": "soup bread rice",
}


def thucnews(data: Path) -> Texts:
    names = (data / "thucnews" / "class.txt").read_text(encoding="utf-8").split()
    lines = (data / "thucnews" / "train.txt").read_text(encoding="utf-8").splitlines()
    return [(text, names[int(index)]) for text, index in (line.rsplit("\t", 1) for line in lines)]


def clinc150(data: Path) -> Texts:
    with (data / "clinc150" / "train.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def shopping(data: Path, column: str) -> Texts:
    with zipfile.ZipFile(data / "shopping" / "online_shopping_10_cats.zip") as archive:
        lines = archive.read(archive.namelist()[0]).decode("utf-8-sig").splitlines()
    return [(row["review"], row[column]) for row in csv.DictReader(lines) if row["review"]]


def imbalanced(data: Path) -> Texts:
    """One negative review to a hundred positive ones."""
    kept = defaultdict(list)
    for text, label in shopping(data, "label"):
        kept[label].append((text, label))
    return kept["1"] + kept["0"][: len(kept["1"]) // 100]


def easy(classes: int, rows: int) -> Texts:
    """Sentences whose class one of its own words tells."""
    rng = np.random.default_rng(1)
    own = [f"{WORDS[number % 13]}{number // 13 or ''}" for number in range(classes)]
    return [
        (" ".join([*rng.choice(WORDS, 3), f"the {own[row % classes]} one", str(row)]), f"class {row % classes:03d}")
        for row in range(rows)
    ]


def sentences(rows: int) -> Texts:
    rng = np.random.default_rng(2)
    names = sorted(EASY)
    return [(f"{' '.join(rng.choice(EASY[names[row % 3]].split(), 3))} {row}", names[row % 3]) for row in range(rows)]


def rare(*counts: int) -> Texts:
    """So many sentences of each class, one after the other."""
    rng, names = np.random.default_rng(6), sorted(EASY)
    rows = [name for name, count in zip(names, counts, strict=False) for _ in range(count)]
    return [(f"{' '.join(rng.choice(EASY[name].split(), 3))} {row}", name) for row, name in enumerate(rows)]


def reviews(_: Path) -> Texts:
    table = pq.read_table(ROOT / "data" / "reviews")
    return list(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))


def drawn(_: Path, folder: Path) -> None:
    """180 drawings of circles, squares and triangles in a folder a class."""
    rng = np.random.default_rng(3)
    for row in range(180):
        name = ("circle", "square", "triangle")[row % 3]
        (folder / name).mkdir(parents=True, exist_ok=True)
        image = Image.new("L", (24, 24), 255)
        x, y, r = rng.integers(9, 15), rng.integers(9, 15), rng.integers(5, 9)
        box = [(x - r, y - r), (x + r, y + r)]
        draw = ImageDraw.Draw(image)
        if name == "circle":
            draw.ellipse(box, outline=0)
        elif name == "square":
            draw.rectangle(box, outline=0)
        else:
            draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], outline=0)
        image.save(folder / name / f"{row}.png")


def digits(_: Path, folder: Path) -> None:
    """In a folder a class."""
    unpack(ROOT / "data" / "digits" / "scikit-learn.parquet", folder)


def fashion(data: Path, folder: Path) -> None:
    """In a folder a class, below those of the official splits; `data`/fashion-mnist holds the four .gz files."""
    with tempfile.TemporaryDirectory() as shards:
        for shard in builtin_datasets.fetch("fashion", Path(shards), data / "fashion-mnist"):
            unpack(shard, folder / shard.stem)


def unpack(shard: Path, folder: Path) -> None:
    table = pq.read_table(shard)
    for row, (data, label) in enumerate(zip(table["image"].to_pylist(), table["label"].to_pylist(), strict=True)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{row:06d}.png").write_bytes(data)


TEXTS: dict[str, Callable[[Path], Texts]] = {
    "easy-900": lambda _: easy(6, 900),
    "easy-400x10": lambda _: easy(400, 4000),
    "english-500": lambda _: sentences(500),
    "rare-5": lambda _: rare(5000, 5),
    "rare-1": lambda _: rare(300, 300, 1),
    "reviews": reviews,
    "clinc150": clinc150,
    "thucnews": thucnews,
    "sentiment": lambda data: shopping(data, "label"),
    "category": lambda data: shopping(data, "cat"),
    "imbalanced": imbalanced,
}
IMAGES: dict[str, Callable[[Path, Path], None]] = {"drawn-180": drawn, "digits": digits, "fashion": fashion}


def few(rows: Texts, count: int, seed: int) -> Texts:
    """`count` rows of each class, drawn at random."""
    left: dict[str, int] = defaultdict(lambda: count)
    kept = []
    for place in np.random.default_rng(seed).permutation(len(rows)):
        text, label = rows[place]
        left[label] -= 1
        if left[label] >= 0:
            kept.append((text, label))
    return kept


def source(name: str, data: Path, folder: Path) -> tuple[str, Path]:
    """Write the data set; return its modality, and the file or folder."""
    cut, _, seed = name.partition("@")
    whole, _, count = (cut, "", "") if cut in {**TEXTS, **IMAGES} else cut.rpartition("-")
    if whole in IMAGES:
        IMAGES[whole](data, folder / "images")
        for kind in {path.parent for path in (folder / "images").rglob("*.png")} if count else ():
            files = sorted(kind.iterdir())
            for place in np.random.default_rng(int(seed or 0)).permutation(len(files))[int(count) :]:
                files[place].unlink()
        return "image", folder / "images"
    rows = few(TEXTS[whole](data), int(count), int(seed or 0)) if count else TEXTS[whole](data)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return "text", folder / "rows.csv"


def measure(name: str, data: Path, changes: Sequence[str], folder: Path) -> dict[str, Any]:
    """Add the data set to a new project and run it; return what came out."""
    modality, path = source(name, data, folder)
    root, model, started = folder / "project", "it", time.monotonic()

    def run(*command: str, code: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run([BIN / command[0], *command[1:]], cwd=root, check=False, capture_output=True, text=True)
        if done.returncode not in code or (code and not done.stdout and command[1] == "gate"):
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    root.mkdir()
    run("luodi", "init", ".")
    print(run("luodi", "add", model, "--modality", modality, "--from", str(path)), file=sys.stderr)
    change(root / "params.yaml", model, changes)
    run("luodi", "settings")
    run("luodi", "connect")
    for command in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Add it"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    run("dvc", "repro", "--quiet")
    decision = json.loads(run("luodi", "gate", model, "--json", code=tuple(range(100))) or "{}")
    paths = ModelPaths(root, model)
    metrics = json.loads(paths.metrics.read_text(encoding="utf-8"))
    return {
        "metrics": metrics,
        "verdict": decision.get("verdict", "error"),
        "reasons": decision.get("reasons", ()),
        "seconds": time.monotonic() - started,
        "cost": json.loads(paths.cost.read_text(encoding="utf-8")),
        "plain": plain.beside(paths),
    }


def change(path: Path, model: str, changes: Sequence[str]) -> None:
    """Write KEY=VALUE, dotted, into a model's block: an experiment, which no user makes."""
    if not changes:
        return
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for one in changes:
        key, _, value = one.partition("=")
        *parents, last = key.split(".")
        block = params["models"][model]
        for parent in parents:
            block = block.setdefault(parent, {})
        block[last] = yaml.safe_load(value)
    path.write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")


def lines(name: str, found: dict[str, Any]) -> Iterator[str]:
    metrics = found["metrics"]
    metric, p, gap = (metrics["proof"][key] for key in ("metric", "p", "difference"))
    ours, theirs = (
        "{value:.4f} [{low:.4f}, {high:.4f}]".format_map(metrics[who][metric]) for who in ("model", "baseline")
    )
    other, choice = found["plain"], metrics["choice"]
    judged = " ".join(f"{one} {values[metric]:.4f}" for one, values in choice["validation"].items())
    ahead, beyond = ("{value:+.4f} [{low:+.4f}, {high:+.4f}]".format_map(one) for one in (gap, other["difference"]))
    yield (
        f"| {name} | {metrics['rows']:,} | {choice['chosen']} ({metric}: {judged}) | {ours} | {theirs} "
        f"| {ahead}, p {p:.3f} "
        f"| {metrics['model']['calibration_error']['value']:.3f} | {found['verdict']} "
        f"| {found['cost']['seconds']:.0f} of {found['seconds']:.0f} "
        f"| {other['recipe']}: {other['value']:.4f} "
        f"| {beyond}, p {other['p']:.2g} |"
    )
    for reason in found["reasons"]:
        yield f"<!-- {name}: {reason} -->"


def main() -> None:
    names = [*TEXTS, *IMAGES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"of {', '.join(names)}; or a cut, such as NAME-20@1")
    parser.add_argument(
        "--data", type=Path, default=Path(), help="folder of thucnews, clinc150, shopping, fashion-mnist"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting to try")
    arguments = parser.parse_args()
    head = (
        "data, test rows, chosen (on validation rows), model, linear baseline, difference, calibration error, verdict"
    )
    titles = [*head.split(", "), "s: network, all", "plain recipe", "difference from it"]
    print("|", " | ".join(titles), "|")
    print("|---" * len(titles) + "|", flush=True)
    for name in arguments.names:
        with tempfile.TemporaryDirectory() as folder:  # a line at a time: a run of all takes an hour
            found = measure(name, arguments.data.resolve(), arguments.set, Path(folder))
        print(*lines(name, found), sep="\n", flush=True)


if __name__ == "__main__":
    main()
