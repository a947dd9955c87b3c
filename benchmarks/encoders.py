"""A pretrained encoder, frozen, by LoRA or trained whole, beside the linear model, luodi's default for so few rows.

    python benchmarks/encoders.py clinc150 --data DIR --encoder DIR

Of each class 5, 10, 20 and all rows are drawn, three times; a tenth of them chooses and calibrates, and the final model
of the first two is fitted on these too. All are what the stages baseline and train export, scored on dev.csv through
ONNX Runtime on one thread. Seconds are of a processor, and of texts that no training has met; those of lora and full
have the frozen one in them, from which they begin. What is exported is that one whatever validation rows say.
"""

import argparse
import csv
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from luodi import config, pretrained
from luodi.config import encoders
from luodi.data import split_rows, text
from luodi.files import write_json
from luodi.pretrained import store, vectors
from luodi.project.paths import ModelPaths
from luodi.scaffold import encoders as adding
from luodi.scaffold import recipe
from luodi.scoring import inference
from luodi.scoring.figures import wilson
from luodi.stages import baseline

HELD = 10  # of so many rows one chooses
Rows = list[tuple[str, str]]


def clinc150(data: Path, part: str) -> Rows:
    with (data / "clinc150" / f"{part}.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def thucnews(data: Path, part: str) -> Rows:
    names = (data / "thucnews" / "class.txt").read_text(encoding="utf-8").split()
    lines = (data / "thucnews" / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    return [(text, names[int(label)]) for text, _, label in (line.rpartition("\t") for line in lines)]


SETS = {"clinc150": clinc150, "thucnews": thucnews}


def drawn(rows: Rows, each: int | None, seed: int) -> Rows:
    """So many rows of each class, all without a number, in an order by chance: every tenth is to choose."""
    rng, of_class = np.random.default_rng(seed), defaultdict(list)
    for row in rows:
        of_class[row[1]].append(row)
    chosen = [found[place] for found in of_class.values() for place in rng.permutation(len(found))[:each]]
    return [chosen[place] for place in rng.permutation(len(chosen))]


def write_rows(paths: ModelPaths, rows: Rows, labels: tuple[str, ...]) -> None:
    """As preprocess does."""
    split = ["validation" if place % HELD == HELD - 1 else "train" for place in range(len(rows))]
    label = pa.array([labels.index(one) for _, one in rows], pa.int32())
    texts = text.clean_list([one for one, _ in rows])
    paths.rows.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": texts, "label": label, "source": ["a"] * len(rows), "split": split}), paths.rows)


def linear(settings: config.TextSettings, paths: ModelPaths, folder: Path) -> None:
    parts = [split_rows.read(paths.rows, "text", part, len(settings.labels)) for part in ("train", "validation")]
    encoder = text.fit_encoder([text.column(parts[0].items)], settings.preprocess, settings.labels)
    fitted, encoder = baseline.fit(settings, encoder, *parts)
    folder.mkdir(parents=True)
    (folder / inference.MODEL).write_bytes(fitted.final.SerializeToString())
    write_json(folder / inference.ENCODER, encoder.as_json())


def frozen(settings: config.TextSettings, paths: ModelPaths, folder: Path) -> None:
    pretrained.of("text").fit(settings, paths).write(folder)


def tuned(settings: config.TextSettings, paths: ModelPaths, folder: Path) -> None:
    kind = pretrained.of("text")
    kind.tune(kind.fit(settings, paths)).write(folder)


WAYS = {"linear": linear, "frozen": frozen, "lora": tuned, "full": tuned}


def measured(make: Callable[[Path], None], folder: Path, test: Rows) -> dict[str, Any]:
    began = time.process_time()
    make(folder)
    spent, model = time.process_time() - began, inference.Classifier.load(folder)
    texts, answers = [one for one, _ in test], np.array(model.labels)
    began = time.process_time()
    given = answers[model.probabilities(texts).argmax(1)]
    each = (time.process_time() - began) / len(test)
    size = sum(path.stat().st_size for path in folder.iterdir())
    hits = int((given == np.array([label for _, label in test])).sum())
    latency = inference.latency(model, inference.typical(texts), 100)
    return {"hits": hits, "seconds": spent, "mb": size / 1e6, "ms": latency, "rows_per_second": 1 / each}


def line(name: str, found: list[dict[str, Any]], tests: int) -> str:
    hits, mean = [one["hits"] for one in found], {key: np.mean([one[key] for one in found]) for key in found[0]}
    figure = wilson(round(mean["hits"]), tests, 0.95)
    each = ", ".join(f"{one / tests:.4f}" for one in hits)
    seconds = f"{mean['seconds']:.1f}"
    return (
        f"| {name} | {figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}] | {each} | {seconds} "
        f"| {mean['mb']:.1f} | {min(one['ms'] for one in found):.2f} | {mean['rows_per_second']:,.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SETS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=["5", "10", "20", "all"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--untrained", action="store_true", help="the same encoder, with weights drawn by chance")
    options = parser.parse_args()
    rows, test = (SETS[options.name](options.data, part) for part in ("train", "dev"))
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), rows, test, options)


def untrained(folder: Path, root: Path) -> Path:
    """A copy of an encoder, with weights as `luodi pretrain` begins with."""
    rng, copy = np.random.default_rng(7), root / "untrained"
    shutil.copytree(folder, copy)
    found = {name: value if value.ndim == 1 else (0.02 * rng.standard_normal(value.shape)).astype(np.float32)
             for name, value in load_file(copy / "model.safetensors").items()}  # fmt: skip
    flat = {name: value for name, value in found.items() if value.ndim == 1}  # biases, and the weights of norms
    found |= {name: np.full_like(value, float(name.endswith(".weight"))) for name, value in flat.items()}
    save_file(found, copy / "model.safetensors")
    return copy


def compare(root: Path, rows: Rows, test: Rows, options: argparse.Namespace) -> None:
    os.environ["LUODI_HOME"] = str(root / "home")
    known = adding.prepared(untrained(options.encoder, root) if options.untrained else options.encoder,
                            store.place(root, "tried"))  # fmt: skip
    (root / encoders.NAME).write_text(encoders.text({"tried": known}), encoding="utf-8")
    labels, paths = tuple(sorted({label for _, label in rows})), ModelPaths(root, "model")
    print("| rows a class | accuracy [95% interval] | each draw | seconds | MB | p50, ms | rows/s |")
    print("|---|---|---|---|---|---|---|")
    for size in options.rows:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for seed in range(options.draws):
            chosen = drawn(rows, None if size == "all" else int(size), seed)
            write_rows(paths, chosen, labels)
            for name in options.ways:
                make, advice = WAYS[name], recipe.text(len(chosen), len(labels), 0.0).settings
                if name != "linear":
                    advice = recipe.text(len(chosen), len(labels), 0.0, encoder="tried", recorded=known).settings
                    advice["train"]["tuning"] = name
                block = {"modality": "text", "labels": list(labels), **advice}
                (settings,) = config.parse({"models": {"model": block}}, "params.yaml").models.values()
                assert isinstance(settings, config.TextSettings)
                shutil.rmtree(vectors.folder(paths), ignore_errors=True)
                folder = root / "made"
                found[name].append(measured(lambda to, f=make, s=settings: f(s, paths, to), folder, test))
                shutil.rmtree(folder)
        for name, measurements in found.items():
            print(line(f"{size}, {name}", measurements, len(test)), flush=True)


if __name__ == "__main__":
    main()
