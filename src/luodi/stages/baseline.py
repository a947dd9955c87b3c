"""baseline: a linear classifier on character n-grams or pixels, the figure that a network has to beat."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi import config
from luodi.data import split_rows
from luodi.errors import ArtifactError
from luodi.files import replacing, write_array, write_json
from luodi.project.paths import ModelPaths
from luodi.scoring import metrics

SIDE = 32  # pixels; larger images are averaged down: a linear model gains nothing from finer detail
CHUNK = 4096  # images decoded at a time
ITERATIONS = 100  # of L-BFGS; on Fashion-MNIST 300 more than double the time and score no better on test


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Fit on the train rows; write the test rows' scores and their metrics.

    Raises:
        ArtifactError: preprocess has not run, a split is empty, or the train rows cannot be learned from.
    """
    classes = len(settings.labels)
    train, test = (split_rows.read(paths.rows, settings.modality, split, classes) for split in ("train", "test"))
    if settings.modality == "text":
        scores = score_texts(train, test.items, settings.baseline, classes)
    else:
        scores = score_images(train, test.items, settings.baseline, classes)
    figures = metrics.point(metrics.scored(test.label, scores, "baseline", classes))
    with replacing(paths.baseline_scores) as temporary:
        write_array(temporary, scores)
    counts = {"train_rows": len(train), "test_rows": len(test)}
    write_json(paths.baseline_metrics, metrics.rounded(figures | counts))
    print("baseline: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()), flush=True)


def score_texts(
    train: split_rows.Rows, texts: list[str], settings: config.TextBaseline, classes: int
) -> NDArray[np.float32]:
    """TF-IDF of character n-grams, 1 + ln(count) for a count, and logistic regression on it.

    Returns:
        Class probabilities of `texts`, float32 [texts, classes]; 0 for a class without train rows.

    Raises:
        ArtifactError: The train rows hold one class only, or no n-gram.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    _require_classes(train)
    vectorizer = TfidfVectorizer(
        analyzer="char",
        ngram_range=settings.ngrams,
        max_features=settings.max_features,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        features = vectorizer.fit_transform(train.items)
    except ValueError as error:  # all texts are shorter than the shortest n-gram
        raise ArtifactError(f"no n-gram in the train rows ({error}): lower baseline.ngrams") from None
    # Newton needs 5 passes where L-BFGS needs 30, is 4 times as fast with 14 classes, and draws nothing.
    linear = LogisticRegression(C=settings.regularization, solver="newton-cg").fit(features, train.label)
    return _probabilities(linear, vectorizer.transform(texts), classes)


def score_images(
    train: split_rows.Rows, images: list[bytes], settings: config.ImageBaseline, classes: int
) -> NDArray[np.float32]:
    """Logistic regression on pixels, standardised by the mean and deviation of each channel of train.

    Returns:
        Class probabilities of `images`, float32 [images, classes]; 0 for a class without train rows.

    Raises:
        ArtifactError: The train rows hold one class only.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    _require_classes(train)
    pixels = _pixels(train.items)
    mean, scale = _statistics(pixels)
    features = _rows(pixels, mean, scale)
    # L-BFGS: Newton's matrix has (pixels x classes) squared entries. One thread gives the same bytes on any number
    # of cores. Stopping early is meant, and regularises too.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear = LogisticRegression(C=settings.regularization, solver="lbfgs", max_iter=ITERATIONS)
        linear.fit(features, train.label)
        return _probabilities(linear, _rows(_pixels(images), mean, scale), classes)


def _require_classes(train: split_rows.Rows) -> None:
    if len(np.unique(train.label)) < 2:
        raise ArtifactError(
            f"the {len(train)} train rows hold one class, expected at least 2: add data of the other classes"
        )


def _probabilities(linear: Any, features: Any, classes: int) -> NDArray[np.float32]:
    scores = np.zeros((features.shape[0], classes), np.float32)
    scores[:, linear.classes_] = linear.predict_proba(features)
    return scores


def _pixels(images: list[bytes]) -> NDArray[np.float32]:
    """Canonical images as float32 [images, height, width, channels], no side above `SIDE`."""
    from luodi.data import image

    parts = (image.pixels(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK))
    return np.concatenate([_shrink(part) for part in parts])


def _shrink(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of square blocks, the fewest pixels wide that bring both sides to `SIDE`; a rest at the edge is cut."""
    count, height, width, channels = pixels.shape
    block = min(-(-max(height, width) // SIDE), height, width)
    rows, columns = height // block, width // block
    blocks = pixels[:, : rows * block, : columns * block].reshape(count, rows, block, columns, block, channels)
    means: NDArray[np.float32] = blocks.mean((2, 4), dtype=np.float32)
    return means


def _statistics(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of each channel, float32 [channels]."""
    mean = pixels.mean((0, 1, 2), dtype=np.float64)
    variance = np.square(pixels).mean((0, 1, 2), dtype=np.float64) - mean**2
    deviation = np.sqrt(np.maximum(variance, 1))  # at least 1 of the 255 levels: a channel may hardly change
    return mean.astype(np.float32), deviation.astype(np.float32)


def _rows(pixels: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images, changed in place, as rows of standardised features."""
    pixels -= mean
    pixels /= scale
    return pixels.reshape(len(pixels), -1)
