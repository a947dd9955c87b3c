"""The settings that data of a kind wants, from what `luodi add` saw: pure rules, with the experiments behind each.

`benchmarks/anyone.py` makes the figures; benchmarks/anyone.md holds them.
"""

import math
from dataclasses import dataclass
from typing import Any

Settings = dict[str, dict[str, Any]]

FEW = 2000  # rows of text below which a network is not tried: with so few the linear model is hard to beat
MANY = 5  # classes of text above which none is either: on ten the one that was tried lost, and took minutes
TRAIN = 0.8  # of all rows
STEPS = 1500  # that an image network takes, more or less, to learn a few hundred images


@dataclass(frozen=True)
class Recipe:
    """What differs from the defaults, by block; and why, for a person."""

    settings: Settings
    said: str


def text(rows: int, classes: int, chinese: float) -> Recipe:
    """Return the recipe for texts; `chinese` is the share of Chinese letters.

    Words beside characters are worth 0.9 points on 150 classes of English (0.918 to 0.927) and nothing in Chinese,
    which has no spaces. On ten classes of Chinese titles a bag of n-grams had 0.883 of the validation rows, its mean
    with the linear model 0.903, the linear model alone 0.907: one network, one data set, so that both limits are
    cautious guesses. A bag has to be as wide as there are classes: two dimensions gave ten of them 0.749.
    """
    preprocess = {"words": True} if chinese < 0.5 else {}
    reads = "words and characters" if preprocess else "characters"
    if rows < FEW or classes > MANY:
        reason = f"so few rows ({rows:,})" if rows < FEW else f"so many classes ({classes:,})"
        said = f"it will be a linear model of {reads}, hard to beat with {reason}; train.architecture names a network"
        return Recipe({"preprocess": preprocess, "train": {"architecture": "linear"}}, said)
    said = f"it will be a linear model of {reads}, a network, or the mean of both: what validation rows favour"
    return Recipe({"preprocess": preprocess, "train": {} if classes == 2 else {"embedding": 2 * classes}}, said)


def image(rows: int) -> Recipe:
    """Return the recipe for images: as many steps as the rows need, whatever an epoch is.

    180 drawings in few steps were told apart hardly better than by guessing; in batches of 16 over 60 epochs all were.
    """
    train = math.ceil(TRAIN * rows)
    batch = 16 if train < 1000 else 64 if train < 20_000 else 128
    epochs = min(60, max(20 if train < 20_000 else 12, round(STEPS * batch / train)))
    steps = epochs * math.ceil(train / batch)
    settings = {"batch_size": batch, "epochs": epochs, "patience": epochs}
    said = f"it will be a network of {steps:,} steps ({epochs} epochs in batches of {batch}), or a linear model"
    return Recipe({"train": settings}, said)
