"""Rows of the log that are worth a label: where one tells most, and some drawn at random, which tell of all rows."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luodi.files import write_sheet, write_text
from luodi.monitoring.asked import Asked, Key
from luodi.monitoring.truths import RANDOM
from luodi.report.page import data_uri
from luodi.serving import log

UNSURE, DISAGREE, STRANGE = "least certain", "shadow disagrees", "nearest to drift"
WHYS = (UNSURE, DISAGREE, STRANGE, RANDOM)
SHEET, TASKS, CONFIG, IMAGES = "worth.csv", "worth.json", "worth.xml", "images"
"""A table for `luodi ingest`, tasks for Label Studio and the interface that they are labelled by, and the images."""


@dataclass(frozen=True)
class Worth:
    """A row, and why it is worth a label.

    Attributes:
        item: A clean text, or a PNG.
        label, sure: What was answered, and with what probability.
    """

    request: str
    item_number: int
    item: Any
    why: str
    version: str
    label: str
    sure: float


def chosen(
    rows: pa.Table, kind: str, asked: Asked, strange: Sequence[float], *, known: set[Key], most: int
) -> list[Worth]:
    """Return rows worth a label, at most so many: a quarter for each reason, what one leaves for the others.

    Args:
        rows: What was asked, as `judging.sampled` gives it, in an order that says nothing.
        kind: "text" or "image".
        strange: How little each of the first rows is like what the model was trained on.
        known: Rows that have their label.
    """
    keys = list(zip(rows["request"].to_pylist(), rows["item"].to_pylist(), strict=True))
    sure, differs = rows["sure"].to_numpy(), _differences(asked)
    shadow = np.array([differs.get(key, 0.0) for key in keys])
    orders: dict[str, Sequence[Any] | NDArray[np.int64]] = {
        UNSURE: np.argsort(sure, kind="stable"),
        DISAGREE: [place for place in np.argsort(-shadow, kind="stable") if shadow[place] > 0],
        STRANGE: np.argsort(-np.asarray(strange), kind="stable"),
        RANDOM: range(len(keys)),
    }
    items = rows[kind].to_pylist()
    taken: dict[int, str] = {}
    held = {items[place] for place, key in enumerate(keys) if key in known}
    turns = {why: iter(order) for why, order in orders.items()}
    while turns and len(taken) < most:
        for why, turn in list(turns.items()):
            place = next((int(one) for one in turn if int(one) not in taken and items[int(one)] not in held), None)
            if place is None:
                del turns[why]
            elif len(taken) < most:
                taken[place] = why
                held.add(items[place])
    versions, labels = rows["version"].to_pylist(), rows["label"].to_pylist()
    found = [
        Worth(*keys[place], items[place], why, versions[place], labels[place], float(sure[place]))
        for place, why in taken.items()
    ]
    return sorted(found, key=lambda one: WHYS.index(one.why))


def _differences(asked: Asked) -> dict[Key, float]:
    """How sure both a shadow and who answered were of different labels: the product of what they gave them."""
    assert asked.sample is not None
    answers: dict[Key, tuple[str, float]] = {}
    shadows = dict[Key, tuple[str, float]]()
    names = ("request", "item", "role", "label", "sure")
    for request, item, role, label, sure in zip(*(asked.sample[one].to_pylist() for one in names), strict=True):
        (shadows if role == log.SHADOW else answers)[request, item] = label, sure
    return {
        key: sure * answers[key][1]
        for key, (label, sure) in shadows.items()
        if key in answers and answers[key][0] != label
    }


def write(folder: Path, found: Sequence[Worth], kind: str, labels: Sequence[str]) -> None:
    """Write the table and the tasks into a folder; images beside them.

    The label is left empty. `luodi ingest MODEL FOLDER/worth.csv` takes the rows once they have one, and
    `luodi monitor --labels` counts those that were drawn at random.
    """
    shutil.rmtree(folder / IMAGES, ignore_errors=True)
    cells = [_cell(folder, number, one.item) for number, one in enumerate(found)]
    head = (kind, "label", "why", "answered", "sure", "version", "request", "item")
    lines = (
        (cell, None, one.why, one.label, f"{one.sure:.4f}", one.version, one.request, one.item_number)
        for cell, one in zip(cells, found, strict=True)
    )
    write_sheet(folder / SHEET, head, lines)
    write_text(folder / TASKS, json.dumps(list(_tasks(found, kind)), ensure_ascii=False, indent=1) + "\n")
    write_text(folder / CONFIG, _interface(kind, labels))


def _cell(folder: Path, number: int, item: Any) -> str:
    """The text, or the path of the image, which is written."""
    if isinstance(item, str):
        return item
    path = folder / IMAGES / f"{number:05}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(item)
    return path.relative_to(folder).as_posix()


def _tasks(found: Sequence[Worth], kind: str) -> Iterator[dict[str, Any]]:
    """Tasks of Label Studio with what was answered as a prediction."""
    for one in found:
        item = one.item if isinstance(one.item, str) else data_uri(one.item)
        answer = {"from_name": "label", "to_name": kind, "type": "choices", "value": {"choices": [one.label]}}
        yield {
            "data": {kind: item, "request": one.request, "item": one.item_number, "why": one.why},
            "predictions": [{"model_version": one.version, "score": round(one.sure, 4), "result": [answer]}],
        }


def _interface(kind: str, labels: Sequence[str]) -> str:
    """The labelling interface of Label Studio for these tasks."""
    from xml.sax.saxutils import quoteattr

    shown = kind.capitalize()
    choices = "".join(f"    <Choice value={quoteattr(label)}/>\n" for label in labels)
    return (
        f'<View>\n  <{shown} name="{kind}" value="${kind}"/>\n'
        f'  <Choices name="label" toName="{kind}" choice="single" required="true">\n{choices}  </Choices>\n</View>\n'
    )
