"""What a good engineer writes without luodi, fitted on the split that luodi made, beside what luodi would land.

    python benchmarks/plain.py PROJECT MODEL      # after luodi run, or dvc repro

Texts: scikit-learn's TF-IDF of characters and of words, a linear SVM and a logistic regression. Images: an SVM with RBF
kernel and extremely randomised trees on pixels. Kind, C and, where classes count alike, their weights are what
validation rows favour by the metric of the gate; then the recipe is fitted on these too, and scores the test rows.
"""

import argparse
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_union
from sklearn.svm import SVC, LinearSVC

from luodi.data import split_rows, text
from luodi.data.split_rows import Rows
from luodi.project.paths import ModelPaths
from luodi.registry import evidence
from luodi.scoring import inference
from luodi.scoring.metrics import METRICS
from luodi.scoring.scored import Scored

CONFIDENCE, RESAMPLES = 0.95, 10_000
MANY = 5000  # rows, of which an n-gram has to be in two
SIDE = 32  # pixels that a larger image is brought to


def features(items: list[str]) -> FeatureUnion:
    """TF-IDF of character 1-3-grams and jieba's words and pairs where texts are Chinese, else of words and pairs and of
    character 1-4-grams within words.
    """
    kept: dict[str, Any] = {"min_df": 2 if len(items) > MANY else 1, "sublinear_tf": True}
    if sum(bool(re.search("[\u4e00-\u9fff]", item)) for item in items) * 2 > len(items):
        cut: Callable[[str], list[str]] = text._segmenter()
        return make_union(
            TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **kept),
            TfidfVectorizer(tokenizer=cut, token_pattern=None, ngram_range=(1, 2), **kept),
        )
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **kept),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), **kept),
    )


def pixels(items: list[bytes]) -> Any:
    """Values of 0 to 1, [images, pixels]: the smallest width and height that one has, no more than SIDE."""
    images = [Image.open(io.BytesIO(item)) for item in items]
    mode = "L" if all(image.mode in ("L", "1") for image in images) else "RGB"
    size = (min(SIDE, *(image.width for image in images)), min(SIDE, *(image.height for image in images)))
    return np.stack([np.asarray(image.convert(mode).resize(size)).ravel() for image in images]) / 255


def recipes(modality: str, weights: str | None) -> Iterator[tuple[str, Any]]:
    """The candidates, each with its name; `weights` of the classes, as scikit-learn has them."""
    if modality == "image":
        yield "extra trees", ExtraTreesClassifier(500, class_weight=weights, random_state=0)
        for c in (1, 10, 100):
            yield f"RBF SVM, C {c}", SVC(C=c, class_weight=weights)
    else:
        for c in (0.25, 1, 4):
            yield f"SVM, C {c}", LinearSVC(C=c, class_weight=weights)
        if weights is None:  # a class against the others, which weights would distort
            regression = LogisticRegression(C=16, solver="liblinear", tol=0.01)
            yield "logistic regression, C 16", OneVsRestClassifier(regression)


def predict(modality: str, seen: Rows, held: Rows, test: Rows, metric: str) -> tuple[str, Any]:
    """Return the recipe that the rows `held` favour, and the classes that it says of the test rows: int [rows]."""
    known = [*seen.items, *held.items]
    if modality == "image":
        x, x_test = np.split(pixels([*known, *test.items]), [len(known)])
    else:
        fitted = features(known)
        x, x_test = fitted.fit_transform(known), fitted.transform(test.items)
    here = len(seen.items)
    best: tuple[float, str, Any] = (-1.0, "", None)
    for weights in (None,) if metric == "accuracy" else (None, "balanced"):
        for name, model in recipes(modality, weights):
            said = clone(model).fit(x[:here], seen.label).predict(x[here:])
            value = figure(metric, answers(held, said, int(max(seen.label.max(), held.label.max())) + 1))
            best = max(best, (value, f"{name}, {weights}" if weights else name, model), key=lambda one: one[0])
    return best[1], best[2].fit(x, np.concatenate([seen.label, held.label])).predict(x_test)


def answers(rows: Rows, said: Any, classes: int) -> Scored:
    return Scored(rows.label.astype(np.int64), np.eye(classes)[said], rows.group)


def figure(metric: str, data: Scored) -> float:
    return float(METRICS[metric].function(data, np.ones((1, data.rows)))[0])


def beside(paths: ModelPaths) -> dict[str, Any]:
    """Return which recipe was chosen, its figure on the test rows, and what these prove of what luodi would land."""
    metric = json.loads(paths.metrics.read_text(encoding="utf-8"))["proof"]["metric"]
    classifier = inference.Classifier.load(paths.export)
    classes, modality = len(classifier.labels), "text" if "text" in pq.read_schema(paths.rows).names else "image"
    seen, held, test = (split_rows.read(paths.rows, modality, one, classes) for one in ("train", "validation", "test"))
    name, said = predict(modality, seen, held, test, metric)
    ours = Scored(test.label.astype(np.int64), classifier.probabilities(test.items).astype(np.float64), test.group)
    theirs = answers(test, said, classes)
    proof = evidence.proof(ours, theirs, METRICS[metric], CONFIDENCE, RESAMPLES)
    agreement = proof.mcnemar
    return {
        "recipe": name,
        "value": figure(metric, theirs),
        "difference": proof.difference.to_json(),
        "p": proof.p,
        "won, lost": (agreement.challenger, agreement.champion),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("model")
    options = parser.parse_args()
    print(json.dumps(beside(ModelPaths(options.project, options.model))))


if __name__ == "__main__":
    main()
