"""Answers in the words of either protocol."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from starlette.responses import Response

from luodi.serving.refusing import Refused
from luodi.serving.served import Answer, Loaded, label

ENCODER = msgspec.json.Encoder()
DIGITS = 6  # of a probability, as `luodi predict` writes it


def document(found: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON document."""
    return Response(ENCODER.encode(found), status, headers, "application/json")


def refusal(error: Refused) -> Response:
    """Return what a client is told of a request that is not answered."""
    return document({"error": str(error)}, error.status, error.headers)


def plain(answer: Answer, *, every: bool) -> Response:
    """Return an object an item; `every` asks for the probability of each label too."""
    predictions = [_prediction(answer.by, row, every=every) for row in answer.rows]
    found = {"version": answer.by.name, "request": answer.request, "predictions": predictions}
    return document(found, headers=_headers(answer))


def _prediction(by: Loaded, row: Any, *, every: bool) -> dict[str, Any]:
    if isinstance(row, str):
        return {"label": None, "probability": None, "reason": row}
    probabilities = row.astype(np.float64).round(DIGITS).tolist()
    found = {"label": label(by, row), "probability": probabilities[int(row.argmax())]}
    return found | ({"probabilities": dict(zip(by.classifier.labels, probabilities, strict=True))} if every else {})


def infer(answer: Answer, wanted: Sequence[str] | None) -> Response:
    """Return the tensors `label` [n] and `probabilities` [n, classes] of the Open Inference Protocol.

    Raises:
        Refused: An item cannot be classified: a tensor has no place to say so. Or an output is called otherwise.
    """
    for place, row in enumerate(answer.rows):
        if isinstance(row, str):
            raise Refused(400, f"item {place}: {row}")
    rows = np.stack(answer.rows).astype(np.float64).round(DIGITS)
    labels = [label(answer.by, row) for row in answer.rows]
    tensors = {
        "label": {"name": "label", "shape": [len(labels)], "datatype": "BYTES", "data": labels},
        "probabilities": {
            "name": "probabilities", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist(),
        },
    }  # fmt: skip
    if unknown := set(wanted or ()) - set(tensors):
        raise Refused(400, f"no output is called {min(unknown)[:60]!r}; there is: {', '.join(tensors)}")
    found = {
        "model_name": answer.by.name.partition("@")[0],
        "model_version": answer.by.number,
        "id": answer.request,
        "outputs": [tensors[name] for name in (tensors if wanted is None else wanted)],
    }
    return document(found, headers=_headers(answer))


def _headers(answer: Answer) -> dict[str, str]:
    return {"X-Model-Version": answer.by.name, "X-Request-ID": answer.request}
