"""The default text models on rows that nothing was chosen by, beside a strong linear model of scikit-learn's.

    dvc repro preprocess                          # for reviews
    python benchmarks/texts.py reviews            # all rows, by six folds
    python benchmarks/texts.py thucnews --data DIR  # fitted on a cut of train.txt, dev.txt scored once
    python benchmarks/texts.py titles --data DIR  # all of train.txt, by six folds

What `luodi run` does: the encoder, the linear model and the network are fitted on train rows, each calibrated on
validation rows, which then choose between the two and their mean; then the linear model is fitted on both. Seconds are
those of the processor, for fitting.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import plain
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from luodi import config
from luodi.data import text
from luodi.data.split_rows import Rows
from luodi.linear import text as linear
from luodi.nets import fitting
from luodi.project.paths import ModelPaths
from luodi.registry import evidence
from luodi.scaffold import recipe
from luodi.scoring import choice, inference
from luodi.scoring.choice import BOTH, LINEAR, NET

ROOT = Path(__file__).resolve().parent.parent
FOLDS = 6
HELD = 8  # one in so many of the rows to fit on is of validation


class Fitted(NamedTuple):
    """Scores of test rows, and what was chosen.

    Attributes:
        scores: By candidate, float32 [rows, classes].
        chosen: One of them, by the accuracy on validation rows.
        seconds: Processor seconds of encoder and linear model, and of the network.
    """

    scores: dict[str, Any]
    chosen: str
    seconds: tuple[float, float]


def fit(settings: config.TextSettings, seen: Rows, held: Rows, test: Rows) -> Fitted:
    """Fit what `settings` name on the rows `seen`, choose by those `held`, score `test`."""
    started = time.process_time()
    encoder = text.Encoder.fit(columns(seen.items), settings.preprocess, settings.labels)
    with threadpool_limits(1):
        models = linear.fit(encoder, seen, held, settings.baseline)[:2]  # of train rows, and that which is exported
    x = [np.concatenate([encoder.encode_clean(one) for one in columns(part.items)]) for part in (seen, held, test)]
    between = time.process_time()
    scores = [
        {LINEAR: inference.run_session(inference.session(model.SerializeToString()), one)}
        for model, one in zip(models, x[1:], strict=True)
    ]
    if settings.train.architecture != LINEAR:
        net = fitting.fit_rows(settings, encoder, (x[0], seen.label), (x[1], held.label))
        for found, one in zip(scores, x[1:], strict=True):
            found[NET] = net.model.predict(one, batch_size=512, verbose=0)
            found[BOTH] = (found[LINEAR] + found[NET]) / 2
    chosen = choice.choose(choice.figures(scores[0], held.label, "accuracy"), "accuracy")
    return Fitted(scores[1], chosen, (between - started, time.process_time() - between))


def columns(items: list[str]) -> Iterator[Any]:
    return (text.column(items[start : start + text.CHUNK]) for start in range(0, len(items), text.CHUNK))


def settings_for(labels: tuple[str, ...], rows: int, chinese: float) -> config.TextSettings:
    """What `luodi add` writes for such rows."""
    found = recipe.text(rows, len(labels), chinese).settings
    return config.TextSettings.model_validate({"modality": "text", "labels": labels} | found)


def strong(seen: Rows, held: Rows, test: Rows) -> Any:
    """Predictions of scikit-learn: TF-IDF of characters and of words that jieba cuts, logistic regression, C 16."""
    items, label = [*held.items, *seen.items], np.concatenate([held.label, seen.label])
    return (
        make_pipeline(plain.features(items), LogisticRegression(C=16, solver="liblinear"))
        .fit(items, label)
        .predict(test.items)
    )


def chosen(seen: Rows, held: Rows, test: Rows) -> Any:
    """Predictions of the recipe of scikit-learn's that the rows `held` favour, see `plain.predict`."""
    return plain.predict("text", seen, held, test, "accuracy")[1]


def reviews(root: Path) -> None:
    table = pq.read_table(ModelPaths(root, "reviews").rows)
    label = np.array(table["label"].to_pylist(), np.int32)
    by_folds(("negative", "positive"), table["text"].to_pylist(), label, strong)


def by_folds(labels: tuple[str, ...], items: list[str], label: Any, rival: Callable[[Rows, Rows, Rows], Any]) -> None:
    """Compare what luodi would land with the predictions of `rival` on all rows, each by models of the other folds."""
    settings = settings_for(labels, len(items), 1)
    rng = np.random.default_rng(0)
    fold = rng.permutation(len(items)) % FOLDS
    right: dict[str, Any] = {name: np.zeros(len(items), bool) for name in (LINEAR, NET, BOTH, "chosen", "strong")}

    def pick(rows: Any) -> Rows:
        return Rows([items[row] for row in rows], label[rows], [])

    for number in range(FOLDS):
        known, test = rng.permutation(np.flatnonzero(fold != number)), np.flatnonzero(fold == number)
        cut = len(known) // HELD
        parts = pick(known[cut:]), pick(known[:cut]), pick(test)
        found = fit(settings, *parts)
        for name, scores in found.scores.items():
            right[name][test] = scores.argmax(1) == label[test]
        right["chosen"][test] = right[found.chosen][test]
        right["strong"][test] = rival(*parts) == label[test]
        said = ", ".join(f"{name} {found[test].mean():.4f}" for name, found in right.items())
        print(f"fold {number + 1}: {said} ({found.chosen})", flush=True)
    for name in (LINEAR, NET, BOTH, "chosen"):
        wins, losses = ((right[name] & ~right["strong"]).sum(), (~right[name] & right["strong"]).sum())
        low, high = evidence.tango(int(wins), int(losses), len(items), 0.95)
        print(
            f"{name} {right[name].mean():.4f}, strong {right['strong'].mean():.4f}: {wins} wins, {losses} losses, "
            f"[{low:+.4f}, {high:+.4f}], p {evidence.mcnemar(int(wins), int(losses)):.2g}"
        )


def read(data: Path, name: str) -> Rows:
    """Return the titles of a file of THUCNews."""
    lines = (data / "thucnews" / name).read_text(encoding="utf-8").splitlines()
    items, label = zip(*(line.rsplit("\t", 1) for line in lines), strict=True)
    return Rows(text.clean_list(list(items)), np.array(label, np.int32), [])


def classes(data: Path) -> tuple[str, ...]:
    return tuple((data / "thucnews" / "class.txt").read_text(encoding="utf-8").split())


def titles(data: Path) -> tuple[config.TextSettings, Rows, Rows, Rows]:
    """What `luodi add` sets for THUCNews' titles; rows of train.txt to fit on and to choose by, those of dev.txt."""
    rows, dev = read(data, "train.txt"), read(data, "dev.txt")
    order = np.random.default_rng(0).permutation(len(rows.items))
    held, seen = (
        Rows([rows.items[row] for row in part], rows.label[part], []) for part in (order[:5000], order[5000:])
    )
    return settings_for(classes(data), len(rows.items), 1), seen, held, dev


def thucnews(data: Path) -> None:
    settings, seen, held, dev = titles(data)
    found = fit(settings, seen, held, dev)
    for name, scores in found.scores.items():
        mark = " (chosen by validation rows)" if name == found.chosen else ""
        print(f"{name}{mark}: {(scores.argmax(1) == dev.label).mean():.4f} of {len(dev.items):,} rows of dev.txt")
    print("processor seconds: linear {:.0f}, network {:.0f}".format(*found.seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["reviews", "thucnews", "titles"])
    parser.add_argument("--root", type=Path, default=ROOT, help="the project that preprocess ran in")
    parser.add_argument("--data", type=Path, default=Path(), help="folder of thucnews")
    options = parser.parse_args()
    if options.name == "titles":
        rows = read(options.data, "train.txt")
        by_folds(classes(options.data), rows.items, rows.label, chosen)
    else:
        reviews(options.root) if options.name == "reviews" else thucnews(options.data)


if __name__ == "__main__":
    main()
