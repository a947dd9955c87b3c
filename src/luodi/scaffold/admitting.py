"""Admit a class that came with new rows: until a person does, its rows are held back."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from luodi import config, yaml12
from luodi.config import ModelSettings
from luodi.data import revisions, shards
from luodi.errors import WrongValue
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import blocks, changes, pipeline, removing
from luodi.system.processes import Runner
from luodi.terminal import shown

NAMED = 8


def unknown(root: Path, model: str) -> Counter[str]:
    """Return the labels of rows that the model does not have, with their counts."""
    settings = config.settings_of(config.load(root / PARAMS), model)
    return _waiting(_rows(ModelPaths(root, model).data, settings), settings)


def admit(root: Path, model: str, labels: Sequence[str], runner: Runner) -> str:
    """Add labels behind those of a model in params.yaml, all else there left as it is; return what was done, and next.

    Raises:
        UnknownKey: There is no such model.
        WrongValue: The model has one of the labels already.
        ParamsError: params.yaml is not laid out so that they can be added.
    """
    params = config.load(root / PARAMS)
    settings, paths = config.settings_of(params, model), ModelPaths(root, model)
    with changes.exclusive(root) as staging:
        changes.require_data(root)
        rows = _rows(paths.data, settings)
        waiting = _waiting(rows, settings)
        if known := [label for label in labels if label in settings.labels]:
            raise WrongValue(
                f"{model} has the class {shown(known[0], 40)} already: expected labels that it does not have; "
                f"there are rows of {_named(waiting) or 'none'}: name some of these"
            )
        new = list(dict.fromkeys(labels))
        text = yaml12.read(paths.params)
        for place, label in enumerate(new, len(settings.labels)):
            text = _appended(text, model, place, label)
        block = settings.model_copy(update={"labels": (*settings.labels, *new)})
        written = removing.proven(paths.params, text, {**params.models, model: block}, staging)
        changes.make(root, written, pipeline.read(root), runner)
    counts = ", ".join(f"{shown(label, 40)} {waiting[label]:,}" for label in new)
    return "\n".join(
        [
            f"admitted {len(new)} to {model}, which has {len(block.labels)} classes now; their rows so far: {counts}",
            "  the next version has other outputs: a major one; what the one in production does not know it gets wrong",
            *(f"  {line}" for line in too_rare(rows, new, settings.validate_.min_class_share)),
            "next:",
            f"  git add . && git commit -m 'Admit {model}: {', '.join(map(shown, new))}'",
            f"  luodi run {model}",
        ]
    )


def too_rare(rows: Counter[str], labels: Sequence[str], limit: float) -> list[str]:
    """Return a line where a run would stop because the rarest of `labels` has less than this share of all, or no row.

    Args:
        rows: How many rows that count have each label, these and others.
    """
    rarest = min(labels, key=lambda label: rows[label])
    share = rows[rarest] / max(rows.total(), 1)
    if not rows[rarest]:
        least = f", {limit:.2%} of all or what validate.min_class_share in params.yaml is then" if limit else ""
        return [f"{shown(rarest, 40)} has no row yet: runs stop until it has (`luodi ingest`){least}"]
    if share >= limit:
        return []
    return [
        f"{shown(rarest, 40)} has {share:.2%} of the rows: runs stop until it has {limit:.2%}, or "
        f"validate.min_class_share in params.yaml is {blocks.down(share / 2)}"
    ]


def _rows(folder: Path, settings: ModelSettings) -> Counter[str]:
    """How many rows that count have each label."""
    stands = revisions.standing(folder, settings.modality, settings.labels, settings.validate_.contradictions)
    found: Counter[str] = Counter()
    start = 0
    for part in shards.parts(folder, settings.modality):
        marks = [True] * len(part) if stands is None else stands[start : start + len(part)]
        start += len(part)
        found.update(label for label, here in zip(part["label"].to_pylist(), marks, strict=True) if here and label)
    return found


def _waiting(rows: Counter[str], settings: ModelSettings) -> Counter[str]:
    return Counter({label: count for label, count in rows.items() if label not in settings.labels})


def _named(waiting: Counter[str]) -> str:
    return ", ".join(f"{shown(name, 40)} ({count:,})" for name, count in waiting.most_common(NAMED))


def _appended(text: str, model: str, place: int, label: str) -> str:
    """The text with a label behind the last one, in the style that the list has."""
    lines = text.splitlines(keepends=True)
    line, column = yaml12.find(text, ["models", model, "labels", place - 1])
    before = lines[line - 1][: column - 1]
    end, behind = yaml12.find(text, ["models", model, "labels", place - 1], end=True)
    if before.strip() == "-":
        lines[end - 1] = lines[end - 1].rstrip("\r\n") + f"\n{before}{json.dumps(label, ensure_ascii=False)}\n"
    else:
        here = lines[end - 1]
        lines[end - 1] = f"{here[: behind - 1]}, {json.dumps(label, ensure_ascii=False)}{here[behind - 1 :]}"
    return "".join(lines)
