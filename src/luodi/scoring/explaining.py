"""Why a model says what it says of one item: what each part of it adds, asked of the exported model itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luodi.data import parts
from luodi.scoring.inference import BATCH, Classifier, batch_rows, run_session

ASKED = 2000  # rows that an explanation costs, about; of a pretrained encoder, whose rows cost a hundred times more:
ASKED_OF_ENCODERS = 300
LEAST = 130  # rows, of an image of 64 regions: see ORDERS
TOGETHER = 20_000  # rows that all explanations of a report cost, about, of a small network; less of what costs more
ORDERS = 2, 64  # in which parts come together, at least and at most
SURE = 1e-6  # a probability nearer to 0 or 1 is taken for this one


@dataclass(frozen=True)
class Explanation:
    """What each part of an item adds to a label.

    Attributes:
        whole, places: See `luodi.data.parts.Parts`.
        label: The label that is explained.
        probability: What the model gives it.
        weights: What each part adds to its log-odds, float64 [parts]; they sum to what the whole has more than nothing.
    """

    whole: Any
    places: Sequence[tuple[int, ...]]
    label: str
    probability: float
    weights: NDArray[np.float64]

    def as_json(self) -> dict[str, Any]:
        """Return the answer and what each part adds to it; regions of an image in pixels of what the model reads."""
        written = isinstance(self.whole, str)
        names = ("start", "end") if written else ("top", "bottom", "left", "right")
        told = [dict(zip(names, place, strict=True)) | {"adds": round(float(one), 4)} for place, one in self]
        for one in told if written else ():
            one["text"] = self.whole[one["start"] : one["end"]]
        size = {} if written else {"height": len(self.whole), "width": len(self.whole[0])}
        return {"label": self.label, "probability": round(self.probability, 6), **size, "parts": told}

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], float]]:
        """Yield each place, and what the part there adds."""
        return zip(self.places, self.weights.tolist(), strict=True)


def several(classifier: Classifier, items: Sequence[Any]) -> list[Explanation]:
    """Explain the likeliest label of the first of raw items, of as many as a report can afford; of one at least."""
    budget = TOGETHER * batch_rows(classifier.encoder) // BATCH
    asked = max(LEAST, min(_asked(classifier), budget // max(len(items), 1)))
    return [explain(classifier, item, asked=asked) for item in items[: max(1, budget // asked)]]


def _asked(classifier: Classifier) -> int:
    return ASKED if classifier.encoder.fixed else ASKED_OF_ENCODERS


def explain(
    classifier: Classifier, item: Any, label: str | None = None, seed: int = 0, *, asked: int | None = None
) -> Explanation:
    """Explain one label of a raw item, the likeliest unless `label` names another.

    Args:
        asked: How many rows it may cost, about; None is what one alone may.

    The weights are Shapley values by drawn orders of the parts, each with its reverse (Castro et al. 2009, "Polynomial
    calculation of the Shapley value based on sampling"; Mitchell et al. 2022 on antithetic orders). An item of which
    nothing is left is one that the model is asked about like any other.

    Raises:
        Nothing: A text holds nothing to classify.
        Unfit: An image cannot be used.
        ValueError: No label is called so.
    """
    found = parts.of(classifier.encoder, item, narrow=classifier.narrow)
    count = len(found.places)

    def ask(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        size = batch_rows(classifier.encoder)
        rows = [
            run_session(classifier.session, found.without(kept[at : at + size])) for at in range(0, len(kept), size)
        ]
        return np.concatenate(rows).astype(np.float64)

    (whole,) = ask(np.ones((1, count), bool))
    index = int(whole.argmax()) if label is None else classifier.labels.index(label)
    budget = asked or _asked(classifier)
    orders = _orders(count, int(np.clip(budget // max(count, 1), *ORDERS)), np.random.default_rng(seed))
    kept = orders[:, None, :] < np.arange(count + 1)[None, :, None]  # the parts that came before, in each order
    shares = np.clip(ask(kept.reshape(-1, count))[:, index], SURE, 1 - SURE).reshape(len(orders), count + 1)
    gains = np.diff(np.log(shares / (1 - shares)), axis=1)  # of the part that came at each step
    weights = np.take_along_axis(gains, orders, axis=1).mean(axis=0)
    return Explanation(found.whole, found.places, classifier.labels[index], float(whole[index]), weights)


def _orders(count: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The step at which each part comes, [orders, count]: drawn orders, each followed by its reverse."""
    drawn = np.array([rng.permutation(count) for _ in range(-(-wanted // 2))], np.int64).reshape(-1, count)
    return np.concatenate([drawn, count - 1 - drawn])
