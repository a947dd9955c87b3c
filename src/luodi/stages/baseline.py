"""baseline: a linear classifier on character n-grams, the figure that a network has to beat."""

import numpy as np
from numpy.typing import NDArray

from luodi import config, metrics
from luodi.data import rows
from luodi.errors import ArtifactError
from luodi.files import replacing, write_array, write_json
from luodi.paths import ModelPaths


def run(config: config.Model, paths: ModelPaths) -> None:
    """Fit on the train rows; write the test rows' scores and their metrics.

    Raises:
        ArtifactError: preprocess has not run, a split is empty, or the train rows cannot be learned from.
    """
    classes = len(config.labels)
    train, test = (rows.read(paths.rows, split, classes) for split in ("train", "test"))
    scores = fit_and_score(train, test.text, config.baseline, classes)
    figures = metrics.point(metrics.scored(test.label, scores, "baseline", classes))
    with replacing(paths.baseline_scores) as temporary:
        write_array(temporary, scores)
    counts = {"train_rows": len(train), "test_rows": len(test)}
    write_json(paths.baseline_metrics, metrics.rounded(figures | counts))
    print("baseline: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()), flush=True)


def fit_and_score(train: rows.Rows, texts: list[str], config: config.Baseline, classes: int) -> NDArray[np.float32]:
    """TF-IDF of character n-grams, 1 + ln(count) for a count, and logistic regression on it.

    Returns:
        Class probabilities of `texts`, float32 [texts, classes]; 0 for a class without train rows.

    Raises:
        ArtifactError: The train rows hold one class only, or no n-gram.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(train.label)) < 2:
        raise ArtifactError(
            f"the {len(train)} train rows hold one class, expected at least 2: add data of the other classes"
        )
    vectorizer = TfidfVectorizer(
        analyzer="char",
        ngram_range=config.ngrams,
        max_features=config.max_features,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        features = vectorizer.fit_transform(train.text)
    except ValueError as error:  # all texts are shorter than the shortest n-gram
        raise ArtifactError(f"no n-gram in the train rows ({error}): lower baseline.ngrams") from None
    # Newton needs 5 passes where L-BFGS needs 30, is 4 times as fast with 14 classes, and draws nothing.
    linear = LogisticRegression(C=config.regularization, solver="newton-cg").fit(features, train.label)
    scores = np.zeros((len(texts), classes), np.float32)
    scores[:, linear.classes_] = linear.predict_proba(vectorizer.transform(texts))
    return scores
