"""Label review where labels were flipped on purpose: how many of the first listed are, and what dropping them is worth.

    python benchmarks/labels.py --data DIR [--rows 20000 --share 0.05 --draws 3]

DIR holds online_shopping_10_cats.zip of ChineseNlpCorpus: reviews of ten product categories, equal ones once. One row
in five judges, with its own label, and is neither flipped nor listed. `chance` is what is flipped. Accuracy is
of the linear model on the rows that judge: with the flipped labels, without the first rows listed (as many as were
flipped), without as many rows drawn at random, and without any label flipped.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from drift import reviews
from numpy.typing import NDArray

from luodi.config import TextSettings
from luodi.data import text
from luodi.data.split_rows import Rows
from luodi.files import write_json
from luodi.project.paths import ModelPaths
from luodi.scaffold import reviewing
from luodi.stages import baseline

SETTINGS = TextSettings(modality="text", labels=("bad", "good"))
LISTED = (50, 100, 200, 500)


def accuracy(encoder: text.Encoder, items: list[str], label: NDArray[np.int32], test: Rows) -> float:
    chosen = np.arange(len(items)) % 10 == 0
    parts = [Rows([items[row] for row in np.flatnonzero(one)], label[one], []) for one in (~chosen, chosen)]
    models, own = baseline.fit(SETTINGS, encoder, *parts)
    found = baseline.classifier(models.final, own).probabilities(test.items)
    return float((found.argmax(axis=1) == test.label).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    whole = reviews(arguments.data)
    for draw in range(arguments.draws):
        rng = np.random.default_rng(draw)
        rows = whole.iloc[rng.permutation(len(whole))[: arguments.rows]]
        label, judges = rows["label"].to_numpy(np.int32), np.arange(len(rows)) % 5 == 0
        cleaned = text.cleaner(SETTINGS.preprocess)(text.column(list(rows["review"]))).to_pylist()
        test = Rows([cleaned[row] for row in np.flatnonzero(judges)], label[judges], [])
        items, right = [cleaned[row] for row in np.flatnonzero(~judges)], label[~judges]
        flipped = np.zeros(len(items), np.bool_)
        flipped[rng.permutation(len(items))[: int(arguments.share * len(items))]] = True
        wrong = np.where(flipped, 1 - right, right).astype(np.int32)
        encoder = text.fit_encoder([text.column(items)], SETTINGS.preprocess, SETTINGS.labels)
        with tempfile.TemporaryDirectory() as folder:
            paths = ModelPaths(Path(folder), "reviews")
            paths.encoder.parent.mkdir(parents=True)
            write_json(paths.encoder, encoder.as_json())
            found = reviewing.out_of_fold(SETTINGS, paths, items, wrong, np.arange(len(items)))
        places, _ = reviewing.suspects(wrong, found)
        told = ", ".join(f"first {count} {flipped[places[:count]].mean():.3f}" for count in LISTED)
        print(f"draw {draw}: {len(places):,} listed of {len(items):,}; precision: {told}; chance {flipped.mean():.3f}; "
              f"{flipped[places].sum() / flipped.sum():.3f} of those flipped are listed", flush=True)  # fmt: skip
        out = {"flipped": [], "first listed dropped": places[: flipped.sum()],
               "as many at random": rng.permutation(len(items))[: flipped.sum()]}  # fmt: skip
        for name, dropped in out.items():
            kept = np.setdiff1d(np.arange(len(items)), np.array(dropped, np.int64))
            print(f"  {name}: {accuracy(encoder, [items[row] for row in kept], wrong[kept], test):.4f}", flush=True)
        print(f"  none flipped: {accuracy(encoder, items, right, test):.4f}", flush=True)


if __name__ == "__main__":
    main()
