"""A stem that luodi trained on other pictures, frozen or trained on, beside a network from its first weights.

    python benchmarks/stems.py DIR

DIR holds the IDX files of Fashion-MNIST, as the Debian package dataset-fashion-mnist has them. A network of luodi's
(resnet) is trained on digits and on five of the ten kinds of clothes; of the other five kinds so many rows are drawn,
three times, of which a fifth chooses. All are what the stage train exports of that candidate, scored on the test images
of these five kinds through ONNX Runtime. Seconds are of a processor.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import config, pretrained
from luodi.config import encoders
from luodi.data import builtin_datasets, image, split_rows
from luodi.pretrained import store
from luodi.project.paths import ModelPaths
from luodi.scaffold import recipe, stems
from luodi.scoring import inference
from luodi.scoring.figures import wilson
from luodi.stages import baseline

KINDS = builtin_datasets.CLOTHES
SEEN, NEW = ("t-shirt", "trouser", "sandal", "bag", "dress"), ("pullover", "coat", "shirt", "sneaker", "ankle boot")
SIZE = {"height": 28, "width": 28, "channels": 1}
PLAIN = {"rotation": 0, "zoom": 0, "shift": 0}
Rows = list[tuple[bytes, str]]


def clothes(folder: Path, part: str, kinds: tuple[str, ...]) -> Rows:
    with tempfile.TemporaryDirectory() as made:
        builtin_datasets.fetch("fashion", Path(made), folder)
        table = pq.read_table(Path(made) / f"{part}.parquet")
    pairs = zip(table["image"].to_pylist(), table["label"].to_pylist(), strict=True)
    return [(content, label) for content, label in pairs if label in kinds]


def digits() -> Rows:
    """Of scikit-learn, brought to 28 x 28 pixels."""
    with tempfile.TemporaryDirectory() as made:
        builtin_datasets.fetch("digits", Path(made))
        table = pq.read_table(next(Path(made).glob("*.parquet")))
    return list(zip(table["image"].to_pylist(), map(str, table["label"].to_pylist()), strict=True))


def settings(labels: tuple[str, ...], **train: Any) -> config.ImageSettings:
    preprocess = {**SIZE, "augment": PLAIN}
    block = {"modality": "image", "labels": list(labels), "preprocess": preprocess, "train": train}
    (found,) = config.parse({"models": {"model": block}}, "params.yaml").models.values()
    assert isinstance(found, config.ImageSettings)
    return found


def write_rows(paths: ModelPaths, rows: Rows, labels: tuple[str, ...]) -> None:
    """As preprocess does; every fifth row chooses."""
    images = [image.png(image.canonical(image.open_image(one, 4096), 28, 28, 1)) for one, _ in rows]
    split = ["validation" if place % 5 == 4 else "train" for place in range(len(rows))]
    label = pa.array([labels.index(one) for _, one in rows], pa.int32())
    table = {"image": pa.array(images, pa.large_binary()), "label": label, "source": ["a"] * len(rows), "split": split}
    paths.rows.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), paths.rows)


def network(known: config.ImageSettings, paths: ModelPaths) -> tuple[Any, Any]:
    """What the stage train fits, and its encoder."""
    from luodi.nets import fitting

    parts = [split_rows.read(paths.rows, "image", one, len(known.labels)) for one in ("train", "validation")]
    encoder = image.Encoder.fit([image.column(parts[0].items)], known.preprocess, known.labels)
    rows = [(image.pixels(part.items), part.label) for part in parts]
    return fitting.fit_rows(known, encoder, rows[0], rows[1]), encoder


def scored(folder: Path, test: Rows) -> int:
    model = inference.Classifier.load(folder)
    answers: NDArray[Any] = np.array(model.labels)[model.probabilities([one for one, _ in test]).argmax(1)]
    return int((answers == np.array([label for _, label in test])).sum())


def made(way: str, paths: ModelPaths, folder: Path, rows: int) -> None:
    from luodi.files import write_json
    from luodi.nets import export

    if way == "scratch":
        known = settings(
            NEW,
            architecture="resnet",
            **recipe.image(round(rows / 0.8), SIZE["height"], SIZE["width"]).settings["train"],
        )
        net, encoder = network(known, paths)
        folder.mkdir()
        export.write(
            export.convert(net, known, encoder), net.sample, net.scores[: len(net.sample)], folder / inference.MODEL
        )
        write_json(folder / inference.ENCODER, encoder.as_json())
        return
    if way == "linear":
        known = settings(NEW, architecture="linear")
        parts = [split_rows.read(paths.rows, "image", one, len(NEW)) for one in ("train", "validation")]
        encoder = image.Encoder.fit([image.column(parts[0].items)], known.preprocess, NEW)
        fitted, encoder = baseline.fit(known, encoder, *parts)
        folder.mkdir()
        (folder / inference.MODEL).write_bytes(fitted.final.SerializeToString())
        write_json(folder / inference.ENCODER, encoder.as_json())
        return
    tuning = "full" if way == "full" else "frozen"
    kind, known = pretrained.of("image"), settings(NEW, architecture="pretrained", encoder="stem", tuning=tuning)
    found = kind.fit(known, paths)
    (kind.tune(found) if way == "full" else found).write(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[10, 50, 200], help="of each kind")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5, help="of the stem's own training")
    parser.add_argument("--each", type=int, default=2000, help="rows of each kind that the stem is trained on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUODI_HOME"] = str(Path(folder) / "home")
        compare(Path(folder), options)


def add_stem(root: Path, options: argparse.Namespace) -> None:
    from luodi.nets import saving

    labels = (*SEEN, *map(str, range(10)))
    paths, rows = ModelPaths(root, "stem"), drawn(clothes(options.folder, "train", SEEN), options.each, 0)
    write_rows(paths, drawn(rows + digits(), options.each, 1), labels)
    began = time.process_time()
    known = settings(labels, architecture="resnet", filters=[16, 32, 64], epochs=options.epochs, batch_size=64)
    net, _ = network(known, paths)
    saving.save(net.model, root / "model.keras")
    recorded = stems.prepared(root / "model.keras", store.place(root, "stem"), None)
    (root / encoders.NAME).write_text(encoders.text({"stem": recorded}), encoding="utf-8")
    print(f"stem: {recorded.weights:,} weights, {time.process_time() - began:.0f} s", flush=True)


def drawn(rows: Rows, each: int, seed: int) -> Rows:
    rng, of_kind = np.random.default_rng(seed), defaultdict(list)
    for row in rows:
        of_kind[row[1]].append(row)
    chosen = [found[place] for found in of_kind.values() for place in rng.permutation(len(found))[:each]]
    return [chosen[place] for place in rng.permutation(len(chosen))]


def compare(root: Path, options: argparse.Namespace) -> None:
    add_stem(root, options)
    train, test = (clothes(options.folder, part, NEW) for part in ("train", "test"))
    print("| rows a kind | accuracy [95% interval] | each draw | seconds |\n|---|---|---|---|", flush=True)
    for each in options.rows:
        for way in ("linear", "scratch", "frozen", "full"):
            hits, seconds = [], 0.0
            for seed in range(options.draws):
                paths, folder = ModelPaths(root, "model"), root / f"{way}-{each}-{seed}"
                write_rows(paths, drawn(train, each, seed), NEW)
                began = time.process_time()
                made(way, paths, folder, 4 * each)
                seconds += time.process_time() - began
                hits.append(scored(folder, test))
            figure = wilson(round(float(np.mean(hits))), len(test), 0.95)
            told = ", ".join(f"{one / len(test):.4f}" for one in hits)
            span = f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"
            print(f"| {each}, {way} | {span} | {told} | {seconds / options.draws:.1f} |", flush=True)


if __name__ == "__main__":
    main()
