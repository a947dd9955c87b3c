"""The page of a network's training: its curves, the kept epoch, why it stopped, what to change, what it cost."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from luodi.registry import training_record
from luodi.report import page
from luodi.report.document import Cell, Table
from luodi.report.formatting import at, count, four, known, percent, text

GAP = 0.1  # of accuracy on train rows beyond that on validation rows, which is told
CURVES = {"Loss": ("loss", "val_loss"), "Accuracy": ("accuracy", "val_accuracy")}
KEYS = tuple(key for pair in CURVES.values() for key in pair)

Row = Mapping[str, float]


def html(
    name: str,
    history: str,
    settings: Mapping[str, Any],
    choice: Mapping[str, Any],
    training: Mapping[str, Any],
) -> str | None:
    """Return the page of a version or run; None where no network was trained, or an older luodi told less of it.

    Args:
        history: history.csv, see `luodi.nets.history`.
        settings: Block train of the model.
        choice: Of metrics.json: what each candidate is worth on validation rows.
        training: What it cost, and on what it ran; nothing, where it came from a cache.
    """
    lines = list(csv.DictReader(io.StringIO(history)))
    if not lines or not {"epoch", *KEYS} <= lines[0].keys():
        return None
    rows = [{key: float(line[key]) for key in ("epoch", *KEYS)} for line in lines]
    best = min(range(len(rows)), key=lambda place: rows[place]["val_loss"])
    warned = warnings(rows, best, choice)
    return page.render(
        "training",
        name=text(name),
        verdict={"tone": "warn" if warned else "good", "word": f"Epoch {best + 1} of {len(rows)} is kept",
                 "meaning": stopped(rows, best, settings), "evidence": fit(rows, best), "warning": ""},
        warnings=warned,
        lines=[{"name": title, **_curve(rows, *keys)} for title, keys in CURVES.items()],
        kept=(best + 0.5) / len(rows),
        table=_table(rows, best),
        record=training_record.section({"training": training}),
    )  # fmt: skip


def stopped(rows: Sequence[Row], best: int, settings: Mapping[str, Any]) -> str:
    """Say why no epoch followed."""
    after, epochs = len(rows) - 1 - best, at(settings, "epochs")
    if known(epochs) and len(rows) >= epochs:
        return f"It ran all {count(epochs)} epochs that train.epochs allows."
    waited = f"{count(after)} epoch" if after == 1 else f"{count(after)} epochs"
    return f"It stopped since the validation loss had not fallen for {waited} (train.patience)."


def fit(rows: Sequence[Row], best: int) -> str:
    """Say how the kept epoch fits rows that it saw and rows that it did not, and what came of the epochs after it."""
    kept, last = rows[best], rows[-1]
    said = (
        f"It gets {percent(kept['accuracy'])} of the train rows right, as they are augmented and with dropout, and "
        f"{percent(kept['val_accuracy'])} of the validation rows."
    )
    if last["loss"] < kept["loss"] and last["val_loss"] > kept["val_loss"]:
        said += (
            f" After it the network learned its train rows by heart: their loss fell to {four(last['loss'])}, that of "
            f"validation rows rose from {four(kept['val_loss'])} to {four(last['val_loss'])}."
        )
    return said


def warnings(rows: Sequence[Row], best: int, choice: Mapping[str, Any]) -> list[str]:
    """Say what a person may want to change."""
    kept, found = rows[best], list[str]()
    if best == len(rows) - 1:
        found.append("The validation loss was still falling in the last epoch: more of them (train.epochs) may help.")
    if kept["accuracy"] - kept["val_accuracy"] > GAP:
        found.append(
            "It fits the rows that it saw much better than others: more rows, dropout or a smaller network may help."
        )
    metric = text(at(choice, "metric"))
    net, linear = (at(choice, "validation", who, metric) for who in ("net", "linear"))
    if known(net) and known(linear) and net < linear:
        found.append(
            f"On validation rows the linear model is better: {metric} {four(linear)}, the network alone {four(net)}."
        )
    return found


def _curve(rows: Sequence[Row], first: str, second: str) -> dict[str, Any]:
    """Both lines as points from 0 to 1, and the ends of their scale."""
    values = [row[key] for row in rows for key in (first, second)]
    least, most = min(values), max(values)
    height = most - least or 1
    lines = [
        [((place + 0.5) / len(rows), (row[key] - least) / height) for place, row in enumerate(rows)]
        for key in (first, second)
    ]
    return {"train": lines[0], "validation": lines[1], "least": four(least), "most": four(most)}


def _table(rows: Sequence[Row], best: int) -> Table:
    head = ("Epoch", *(f"{title}, {of} rows" for title in CURVES for of in ("train", "validation")))
    lines = [
        (Cell(count(int(row["epoch"])), soft="kept" if place == best else ""), *(Cell(four(row[key])) for key in KEYS))
        for place, row in enumerate(rows)
    ]
    return Table(lines, head, 4)
