"""TF-IDF of the n-grams that the encoder keeps, those that tell classes apart scaled up, and a linear support vector
machine on it.

An id says that an n-gram occurs, not how often, and a row has length 1: sklearn's TfidfVectorizer with `binary=True`.
The scale is naive Bayes', after Wang and Manning, "Baselines and Bigrams" (2012): their log-count ratio, here one a
feature for all classes, and softened, for it is drawn from few rows (benchmarks/texts.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from numpy.typing import NDArray
from onnx import TensorProto, helper

from luodi.config import TextBaseline
from luodi.data import text
from luodi.data.split_rows import Rows
from luodi.data.text import Encoder
from luodi.errors import ArtifactError
from luodi.linear import fitting
from luodi.scoring import graphs

CHUNK = 4096  # texts encoded at a time
LEAST = 2  # train rows that a feature is in
CLOSE = 0.01  # to the least loss: scikit-learn's 0.0001 takes 2 to 5 times as long, and answers alike
SOFT = 0.5  # scale of a feature that says nothing of the class, where that of what says most is several times 1
SHORTEST = np.float32(1e-15)  # a row without features: it is divided by its length
VALUES = 2**24  # weights, all classes together: 32 MB as float16
Matrix = Any  # scipy.sparse.csr_matrix, float32 [rows, features]


@dataclass(frozen=True)
class Weighing:
    """Which ids are features, and what each weighs.

    Attributes:
        feature: Of each id, int32 [ids]; 0 is none, the first is 1.
        idf: Of each feature, float32 [1 + features]; that of none is 0.
    """

    feature: NDArray[np.int32]
    idf: NDArray[np.float32]
    scale: NDArray[np.float32]
    """Of each feature, float32 [1 + features]: by how much more it moves a row than another of its idf."""


def encoder_for(encoder: Encoder, train: Rows) -> Encoder:
    """Return the encoder whose ids the linear model reads: n-grams, whatever the network reads."""
    if encoder.tokenizer == "ngram" and not encoder.stop_words:
        return encoder
    own = replace(encoder, tokenizer="ngram", stop_words=(), vocabulary=(), kept="")
    return own.keeping(_columns(train.items))


def fit(
    encoder: Encoder,
    train: Rows,
    validation: Rows,
    settings: TextBaseline,
    class_weight: str | None = None,
    *,
    factor: float | None = None,
) -> fitting.Fitted:
    """Return the fitted models, from "x" int32 [batch, length] to "probabilities" float32 [batch, classes].

    `class_weight` is scikit-learn's: None, or "balanced"; `factor` that of `fitting.fit`.

    Raises:
        ArtifactError: The train rows hold one class only, or no n-gram.
    """
    from scipy import sparse
    from sklearn.svm import LinearSVC

    def machine(C: float) -> Any:
        return LinearSVC(C=C, random_state=0, class_weight=class_weight, tol=CLOSE)

    def weighed(found: Matrix, label: NDArray[np.int32], weighing: Weighing) -> fitting.Rows:
        return fitting.Rows(features(found, weighing), label)

    classes = len(encoder.labels)
    most = min(settings.max_features, VALUES // classes)
    seen, held = (occurrences(encoder, part.items) for part in (train, validation))
    first = weigh(seen, train.label, most)
    rows = weighed(seen, train.label, first), weighed(held, validation.label, first)
    model = fitting.fit(*rows, classes, settings.regularization, machine, factor=factor)
    judged = graph(model, first, encoder)
    if not settings.all_rows:
        return fitting.Fitted(judged, judged, model.strength)
    both, label = sparse.vstack([seen, held], "csr"), np.concatenate([train.label, validation.label])
    second = weigh(both, label, most)
    final = fitting.again(weighed(both, label, second), classes, model, machine)
    return fitting.Fitted(judged, graph(final, second, encoder), model.strength)


def occurrences(encoder: Encoder, texts: list[str]) -> Matrix:
    """Return 1 where an id occurs in a clean text: sparse [texts, ids]."""
    from scipy import sparse

    ids, counts = zip(*map(encoder.ids, _columns(texts)), strict=True)
    ends = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    flat = np.concatenate(ids)
    return sparse.csr_matrix((np.ones(len(flat), np.float32), flat, ends), shape=(len(texts), encoder.size))


def _columns(texts: list[str]) -> Iterator[pa.Array]:
    return (text.column(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK))


def weigh(found: Matrix, label: NDArray[np.int32], most: int) -> Weighing:
    """Keep the `most` frequent ids of train rows, of equal ones the first.

    idf = 1 + ln((1 + rows) / (1 + rows with it)), as scikit-learn has it.

    Raises:
        ArtifactError: The rows hold no id.
    """
    count = np.bincount(found.indices, minlength=found.shape[1])
    if not count.any():
        raise ArtifactError("no n-gram in the train rows: add texts that are more than white space")
    least = min(LEAST, count.max())
    kept = np.sort(np.argsort(-count, kind="stable")[: min(most, int((count >= least).sum()))])
    feature = np.zeros(found.shape[1], np.int32)
    feature[kept] = np.arange(1, len(kept) + 1)
    idf = 1 + np.log((1 + found.shape[0]) / (1 + count[kept]))
    scale = scales(found[:, kept], label)
    return Weighing(feature, *(np.concatenate([[0], part]).astype(np.float32) for part in (idf, scale)))


def scales(found: Matrix, label: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return SOFT + r / the root of the mean r squared for each feature of `found` [rows, features].

    r is the root of the mean, over the classes, of the squared log-count ratio of a class to all others: ln(p / q), p
    and q the feature's shares of what occurs inside and outside of the class, each count one more than it is.
    """
    total = 2 + np.asarray(found.sum(0)).ravel()
    squares = np.zeros(found.shape[1])
    for one in np.unique(label):
        inside = 1 + np.asarray(found[label == one].sum(0)).ravel()
        squares += np.square(np.log(inside / inside.sum()) - np.log((total - inside) / (total - inside).sum()))
    scaled: NDArray[np.float64] = SOFT + np.sqrt(squares / max(float(squares.mean()), 1e-6))
    return scaled


def features(found: Matrix, weighing: Weighing) -> Matrix:
    """Return rows of length 1 over the features, each feature then times its scale: sparse float32
    [texts, 1 + features]; the first column is empty.
    """
    from scipy import sparse

    values = weighing.idf[weighing.feature[found.indices]]
    row = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    length = np.sqrt(np.bincount(row, values.astype(np.float64) ** 2, found.shape[0]))
    values *= weighing.scale[weighing.feature[found.indices]] / np.maximum(length, 1e-6)[row]
    shape = (found.shape[0], len(weighing.idf))
    result = sparse.csr_matrix((values, weighing.feature[found.indices], found.indptr), shape=shape, copy=True)
    result.eliminate_zeros()  # in a copy: it moves what it shares with `found`
    result.sort_indices()
    return result


def graph(model: fitting.Linear, weighing: Weighing, encoder: Encoder) -> onnx.ModelProto:
    """Return `model` as ONNX: what each id adds to the square of a row's length and to the scores, summed over a row.

    One table says both, of each id where it is not too large: ONNX Runtime makes it when it opens the model. Two
    classes have one score, the first its negative.
    """
    two = len(model.bias) == 2 and np.array_equal(model.weights[:, 0], -model.weights[:, 1])
    scored = model.weights[:, 1:] if two else model.weights
    columns = 1 + scored.shape[1]
    weights = {
        "feature": weighing.feature,
        "squares": np.square(np.maximum(weighing.idf, SHORTEST))[:, None],
        "weights": ((weighing.idf * weighing.scale)[:, None] * scored).astype(np.float16),  # half the file
        "bias": model.bias,
        "sizes": np.array([1, columns - 1], np.int64),
    }
    if len(weighing.feature) * columns <= VALUES:
        (rows, places, found), added = ("table", "feature", "of_ids"), ("of_ids", "x")
    else:
        (rows, places, found), added = ("feature", "x", "features"), ("table", "features")
    summing, constants = graphs.sums(*added, columns)
    if two:
        weights["signs"] = np.array([-1, 1], np.float32)
    nodes = [
        helper.make_node("Cast", ["weights"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["squares", "wide"], ["table"], axis=1),
        helper.make_node("Gather", [rows, places], [found]),
        *summing,
        helper.make_node("Split", ["sums", "sizes"], ["square", "sum"], axis=1),
        helper.make_node("Sqrt", ["square"], ["length"]),
        helper.make_node("Div", ["sum", "length"], ["score" if two else "scores"]),
        *([helper.make_node("Mul", ["score", "signs"], ["scores"])] if two else []),
        helper.make_node("Add", ["scores", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return graphs.make(nodes, weights | constants, encoder, any_width=True)  # the id that pads adds nothing
