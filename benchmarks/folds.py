"""What rows that are scored out of fold prove of a model beside the baseline: how often wrongly, how often at all.

    OPENBLAS_NUM_THREADS=1 python benchmarks/folds.py --data DIR --rows 180 --classes 3 --draws 600

Titles of THUCNews (`DIR`/thucnews) are drawn again and again: 70% train, 15% test rows, and 3,000 others on which it is
seen how good the models truly are. Models are ridge regressions on hashed n-grams of characters, fitted in
milliseconds: one is the baseline, the others are worse than it in four ways. Both are fitted on the train rows, and
three times more without a fold of these, as `luodi train` and `luodi baseline` do.

`wrong` is how often a model is found to be above the margin that is truly as far below the baseline, on average over
the draws: 2.5% is allowed. `of it` is the same of the draws alone in which this very model is no better than that, and
`worst` the share of all draws in which a model is found above a margin that it is not, for the margin that is worst of
six. `power` is how often one is that is 3 points better than the margin. The variance of rows out of fold counts 1 to
3.5 times what it would be of test rows.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer

from luodi.registry.evidence import tango
from luodi.scoring import folds

Fitted = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]
"""From places to fit on and places to score: scores [scored, classes]."""
OTHERS = 3000
SPREADS = (1.0, 1.5, 2.0, folds.VARIANCE, 3.5)
BETTER = 0.03


def titles(data: Path, classes: int) -> tuple[list[str], NDArray[np.int32]]:
    lines = (data / "thucnews" / "train.txt").read_text(encoding="utf-8").splitlines()
    rows = [(text, int(index)) for text, index in (line.rsplit("\t", 1) for line in lines) if int(index) < classes]
    return [text for text, _ in rows], np.array([index for _, index in rows], np.int32)


def recipes(texts: list[str], label: NDArray[np.int32], classes: int) -> dict[str, Fitted]:
    def features(*lengths: int) -> csr_matrix:
        hashing = HashingVectorizer(
            analyzer="char", ngram_range=lengths, n_features=2**13, binary=True, alternate_sign=False, dtype=np.float32
        )
        return hashing.transform(texts)

    pairs = features(1, 2)
    return {
        "baseline": ridge(pairs, label, classes, 0.3),
        "characters": ridge(features(1, 1), label, classes, 0.3),
        "triples": ridge(features(2, 3), label, classes, 0.3),
        "half of it": ridge(pairs[:, ::2], label, classes, 0.3),
        "soft": ridge(pairs, label, classes, 6.0),
    }


def ridge(features: csr_matrix, label: NDArray[np.int32], classes: int, penalty: float) -> Fitted:
    """A ridge regression on the indicators of the classes, in its dual form."""
    targets = np.eye(classes)[label]

    def fit(fitted: NDArray[np.int64], held: NDArray[np.int64]) -> NDArray[np.float64]:
        own, mean = features[fitted], targets[fitted].mean(0)
        kernel = (own @ own.T).toarray().astype(np.float64) + 0.3
        weights = np.linalg.solve(kernel + penalty * np.eye(len(fitted)), targets[fitted] - mean)
        found: NDArray[np.float64] = ((features[held] @ own.T).toarray() + 0.3) @ weights + mean
        return found

    return fit


def draw(
    fits: dict[str, Fitted], label: NDArray[np.int32], classes: int, rows: int, rng: np.random.Generator
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return which test rows, train rows out of fold and other rows each model gets right."""
    places = rng.permutation(len(label))
    train, test = places[: int(0.7 * rows)], places[int(0.85 * rows) : rows]
    others = places[rows : rows + OTHERS]
    found = {}
    for name, fit in fits.items():
        right = fit(train, np.concatenate([test, others])).argmax(1) == label[np.concatenate([test, others])]
        scores = folds.scores(
            label[train], np.arange(len(train)), classes,
            lambda fitted, _, held, fit=fit: fit(train[fitted], train[held]).astype(np.float32),
        )  # fmt: skip
        found[name] = right[: len(test)], scores.argmax(1) == label[train], right[len(test) :]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of thucnews")
    parser.add_argument("--rows", type=int, default=180)
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--draws", type=int, default=600)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.rows)
    texts, label = titles(arguments.data, arguments.classes)
    fits = recipes(texts, label, arguments.classes)
    gaps, ends = defaultdict(list), defaultdict(list)
    for _ in range(arguments.draws):
        (test, out, others), *_ = (found := draw(fits, label, arguments.classes, arguments.rows, rng)).values()
        for name, own in found.items():
            if name == "baseline":
                continue
            gaps[name].append(own[2].mean() - others.mean())
            for spread in (None, *SPREADS):
                mine, theirs = (
                    parts[0] if spread is None else np.concatenate(parts[:2]) for parts in (own, (test, out))
                )
                won, lost = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
                value, low = (won - lost) / len(mine), tango(won, lost, len(mine), 0.95)[0]
                reach = 1.0 if spread is None else (1 + (spread - 1) * len(out) / len(mine)) ** 0.5
                ends[name, spread].append(value - reach * (value - low))
    print(f"{arguments.classes} classes, {arguments.draws} draws: {len(test)} test rows, {len(out)} out of fold")
    print(f"{'model':14}{'truth':>9}{'sd':>8}{'rows':>12}{'wrong':>9}{'of it':>9}{'worst':>9}{'power':>9}")
    for (name, spread), lows in ends.items():
        gap, low = np.array(gaps[name]), np.array(lows)
        margins = np.quantile(gap, [0.05, 0.1, 0.25, 0.5, 0.75, 0.9])
        worst = max(((low > margin) & (gap <= margin)).mean() for margin in margins)
        wrong = low > gap.mean()
        rows = "test" if spread is None else f"all, x {spread:g}"
        print(
            f"{name:14}{gap.mean():>+9.4f}{gap.std():>8.4f}{rows:>12}{wrong.mean():>9.1%}"
            f"{wrong[gap <= gap.mean()].mean():>9.1%}{worst:>9.1%}{(low > gap.mean() - BETTER).mean():>9.1%}"
        )


if __name__ == "__main__":
    main()
