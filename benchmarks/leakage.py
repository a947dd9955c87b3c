"""How much a split flatters what is measured: equal texts, authors and near-copies on both its sides.

    python benchmarks/leakage.py [--data DIR]

The share of test rows of a random split of the raw reviews that have their text in train. Rows of planted authors and
of planted templates: the accuracy on the test rows of either split, beside that on rows of authors and templates that
are truly new. With --data, a folder that has online_shopping_10_cats.zip: its near-copies, and what they are worth.
"""

import argparse
import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from luodi.config import Shares
from luodi.data import groups, near_copies, splits

ROOT = Path(__file__).resolve().parent.parent
TRAIN, TEST = 0.8, 0.1
DRAWS, SEEDS = 4, range(5)
WORDS = [f"word{number}" for number in range(2000)]
STYLE = [
    f"style{chr(97 + number // 26 % 26)}{chr(97 + number % 26)}{chr(97 + number // 676)}" for number in range(4000)
]


def expected(counts: "np.ndarray[tuple[int], np.dtype[np.int64]]", train: float = TRAIN) -> float:
    """Return the chance that a test row's text is in train, where text i stands in counts[i] rows.

    Each of the other rows of its text is in train with chance `train`, so none of them is with (1 - train) ** others.
    """
    rows = counts.sum()
    return float((counts * (1 - (1 - train) ** (counts - 1))).sum() / rows)


def drawn(texts: list[str], seed: int) -> float:
    """Return the share of one random split."""
    order = np.random.default_rng(seed).permutation(len(texts))
    train, test = int(TRAIN * len(texts)), int(TEST * len(texts))
    known = {texts[row] for row in order[:train]}
    return float(np.mean([texts[row] in known for row in order[-test:]]))


class Data:
    """Texts, their labels (int [n]), and what each row is of, an author or a template; None where nobody knows."""

    def __init__(self, texts: Sequence[str], label: Sequence[int], owner: Sequence[str] | None = None) -> None:
        self.texts, self.label, self.owner = list(texts), np.array(label), owner

    def split(self, seed: int, *, near: bool = False) -> "np.ndarray[tuple[int], np.dtype[np.int8]]":
        """The split of each row by the rule of luodi: by its content, by what it is of, or with its near-copies."""
        keys = pa.array(self.owner or self.texts)
        home = splits.assign(splits.digests(keys, seed), Shares(train=TRAIN, validation=1 - TRAIN - TEST, test=TEST))
        ties = [keys.dictionary_encode().indices.to_numpy()]
        alike = near_copies.bands(pa.array(self.texts)) if near else ()
        everywhere, first = np.ones((len(keys), 3), bool), np.zeros(len(keys), np.int8)
        links = np.empty((0, 2), np.int64)
        return groups.join(ties, links, home, everywhere, first, alike=alike, label=self.label).split


def by_authors(count: int, seed: int) -> Data:
    """Five rows of each author: words that tell the label a little, and a style of an author who has a bias."""
    rng = np.random.default_rng(seed)
    texts, labels, owners = [], [], []
    for author in range(count):
        style, bias = rng.choice(STYLE, 6, replace=False), rng.choice([0.15, 0.85])
        for _ in range(5):
            label = int(rng.random() < bias)
            told = rng.integers(0, 1000, 8) + 1000 * (rng.random(8) < 0.38 + 0.24 * label)
            texts.append(" ".join([*(WORDS[one] for one in told), *rng.choice(style, 4)]))
            labels.append(label)
            owners.append(f"author {seed} {author}")
    return Data(texts, labels, owners)


def by_templates(count: int, seed: int) -> Data:
    """Three rows of each template, which differ by a number; its words tell the label a little."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        label = int(rng.random() < 0.5)
        told = rng.integers(0, 1000, 14) + 1000 * (rng.random(14) < 0.32 + 0.36 * label)
        words = [WORDS[one].replace("word", "w") for one in told]
        for _ in range(3):
            texts.append(" ".join([*(letters(one) for one in words), "order", str(rng.integers(10**6))]))
            labels.append(label)
    return Data(texts, labels)


def letters(word: str) -> str:
    """A word of letters alone: numbers are what a template changes."""
    return word.translate(str.maketrans("0123456789", "abcdefghij"))


def accuracy(
    train: Data, rows: "np.ndarray", tests: Sequence[tuple[Data, "np.ndarray"]], analyzer: str
) -> list["np.ndarray"]:
    """Fit a linear model on some rows and tell which rows of each test it gets right."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(
        analyzer=analyzer, ngram_range=(1, 1) if analyzer == "word" else (1, 2), sublinear_tf=True
    )
    model = LogisticRegression(C=4, solver="liblinear" if len(set(train.label)) == 2 else "lbfgs", max_iter=300)
    model.fit(vectors.fit_transform([train.texts[row] for row in rows]), train.label[rows])
    return [
        model.predict(vectors.transform([data.texts[row] for row in some])) == data.label[some] for data, some in tests
    ]


def planted(name: str, make: Callable[[int, int], Data], count: int, **how: bool) -> None:
    """Print the mean accuracy over data and splits of either kind, beside that on what is truly new."""
    for kind, grouped, settings in (("by content", False, {}), ("by group", True, how)):
        found = []
        for drawn_, seed in product(range(DRAWS), SEEDS):
            data, new = make(count, 2 * drawn_), make(count, 2 * drawn_ + 1)
            every, of = np.arange(len(new.texts)), data if grouped else Data(data.texts, data.label)
            split = of.split(seed, **settings)
            test, truth = accuracy(
                data, np.flatnonzero(split == 0), [(data, np.flatnonzero(split == 2)), (new, every)], "word"
            )
            found.append((test.mean(), truth.mean()))
        test, truth = 100 * np.mean(found, axis=0)
        off = f"{test - truth:+.2f} points"
        print(f"{name}, split {kind}: {test:.2f}% of test rows right, {truth:.2f}% of truly new ones: {off}")


def shopping(folder: Path) -> None:
    """Print how many near-copies the ten categories of shopping reviews have, and what they are worth."""
    with zipfile.ZipFile(folder / "online_shopping_10_cats.zip").open("online_shopping_10_cats.csv") as file:
        rows = [row for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")) if row["review"]]
    names = sorted({row["cat"] for row in rows})
    data = Data([row["review"] for row in rows], [names.index(row["cat"]) for row in rows])
    plain, joined = data.split(0), data.split(0, near=True)
    first = groups.join(
        list(near_copies.bands(pa.array(data.texts))), np.empty((0, 2), np.int64), np.zeros(len(plain), np.int8),
        np.ones((len(plain), 3), bool), np.zeros(len(plain), np.int8),
    ).first  # fmt: skip
    sizes = np.bincount(first)
    several = sizes[first] > 1
    print(
        f"shopping: {len(plain):,} rows, {several.sum():,} are near-copies of another; {(joined < 0).sum()} tied splits"
    )
    test = np.flatnonzero(plain == 2)
    near = np.isin(first[test], first[plain == 0])
    right = accuracy(data, np.flatnonzero(plain == 0), [(data, test)], "char")[0]
    print(f"split by content: {near.sum()} of {len(test):,} test rows have a near-copy in train; {right.mean():.4f} of "
          f"all are right, {right[near].mean():.4f} of those, {right[~near].mean():.4f} of the others")  # fmt: skip
    test = np.flatnonzero(joined == 2)
    right = accuracy(data, np.flatnonzero(joined == 0), [(data, test)], "char")[0]
    print(f"near-copies joined: {right.mean():.4f} of {len(test):,} test rows right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder that has online_shopping_10_cats.zip")
    folder = parser.parse_args().data
    if (ROOT / "data" / "reviews").is_dir():
        texts = pq.read_table(ROOT / "data" / "reviews")["text"].to_pylist()
        counts = np.unique(np.array(texts), return_counts=True)[1]
        print(f"{len(texts):,} rows, {len(texts) - len(counts):,} repeat an earlier one")
        print(f"test rows whose text is in train at {TRAIN:.0%} train: expected {expected(counts):.1%}")
        print(f"five random splits: {', '.join(f'{drawn(texts, seed):.1%}' for seed in range(5))}")
    planted("authors", by_authors, 6000)
    planted("templates", by_templates, 6000, near=True)
    if folder and (folder / "online_shopping_10_cats.zip").exists():
        shopping(folder)


if __name__ == "__main__":
    main()
