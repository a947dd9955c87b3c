"""compress: make smaller models of what `train` exports; take the smallest that validation rows prove no worse."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from luodi import config
from luodi.compression import candidates, choosing
from luodi.compression import latency as times
from luodi.compression.choosing import CHOSEN, SLOW, UNSUITED, Judge
from luodi.data import split_rows
from luodi.errors import ArtifactError
from luodi.files import replacing_folder, write_facts
from luodi.project.paths import ModelPaths
from luodi.scoring import inference
from luodi.scoring.inference import Classifier
from luodi.scoring.scored import Scored, scored

NO_ANSWERS = "what it says are no probabilities: its numbers are too coarse, or too small, for this model"
OFF = "off: the model has no block compress"


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Write the export that is judged and served, the facts of all candidates and, outside of DVC, their latency.

    Without a block `compress`, or where no candidate is taken, the export is that of `train`.

    Raises:
        ArtifactError: preprocess or train has not run, or their outputs do not fit together.
        UserCodeFailed: The metric of the gate is a user's own, and fails.
    """
    classifier = Classifier.load(paths.trained)
    if settings.compress is None:
        _take(paths.trained, paths)
        write_facts(paths.candidates, {"chosen": None, "candidates": {}, "says": OFF})
        print(f"compress: {OFF}", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        _compress(candidates.Whole(settings, settings.compress, paths, classifier), Path(folder))


def _compress(whole: candidates.Whole, folder: Path) -> None:
    settings, rule, paths = whole.settings, whole.rule, whole.paths
    rows = split_rows.read(paths.rows, settings.modality, "validation", len(settings.labels))
    first, size = _scored(whole.classifier, rows), _size(paths.trained)
    judge = Judge(first, size, rule.margin, settings.gate, len(rule.candidates))
    facts: dict[str, Any] = {name: _made(name, whole, folder, rows, judge) for name in rule.candidates}
    latency: dict[str, Any] = {}
    item = inference.typical(rows.items)
    for name, found in facts.items():
        if found["verdict"] != UNSUITED:
            own, other = choosing.times(Classifier.load(folder / name), whole.classifier, item)
            latency[name] = {"ms": own, "uncompressed_ms": other}
    chosen = _chosen(facts, latency, rule.max_slowdown)
    _take(folder / chosen if chosen else paths.trained, paths)
    write_facts(paths.candidates, {
        "chosen": chosen, "metric": settings.gate.metric, "margin": rule.margin, "confidence": judge.confidence,
        "max_slowdown": rule.max_slowdown, "rows": len(rows), "uncompressed": choosing.described(first, size),
        "candidates": facts,
    })  # fmt: skip
    times.write(paths, latency)


def _made(name: str, whole: candidates.Whole, folder: Path, rows: split_rows.Rows, judge: Judge) -> dict[str, Any]:
    """Write a candidate below `folder`, and return what is known of it."""
    try:
        candidates.write(name, whole, folder / name)
    except candidates.Unsuited as error:
        print(f"compress: {name}: {error}", flush=True)
        return {"verdict": UNSUITED, "why": str(error)}
    try:
        answers = _scored(Classifier.load(folder / name), rows)
    except ArtifactError:
        print(f"compress: {name}: {NO_ANSWERS}", flush=True)
        return {"verdict": UNSUITED, "why": NO_ANSWERS}
    found = judge.facts(answers, _size(folder / name))
    print(f"compress: {name}: {_told(found, judge)}", flush=True)
    return found


def _told(found: dict[str, Any], judge: Judge) -> str:
    gap, metric = found["difference"], judge.gate.metric
    return (
        f"{found['size_bytes'] / 1e6:.2f} of {judge.size / 1e6:.2f} MB, {metric} {gap['value']:+.4f} "
        f"({gap['low']:+.4f} to {gap['high']:+.4f}), the same answer for {found['agreement']:.2%}: {found['verdict']}"
    )


def _chosen(facts: dict[str, Any], latency: dict[str, Any], most: float) -> str | None:
    """The smallest that is proven and not slower, which the verdicts then say."""
    for name in choosing.in_order(facts):
        slower = latency[name]["ms"] / latency[name]["uncompressed_ms"]
        facts[name]["verdict"] = SLOW if slower > most else CHOSEN
        told = f"takes {slower:.2f} times the time of the uncompressed model"
        print(f"compress: {name} {told}: {facts[name]['verdict']}", flush=True)
        if slower <= most:
            return name
    print("compress: no candidate is chosen: the model stays as it is", flush=True)
    return None


def _take(source: Path, paths: ModelPaths) -> None:
    with replacing_folder(paths.compressed) as folder:
        for path in source.iterdir():
            shutil.copyfile(path, folder / path.name)


def _scored(model: Classifier, rows: split_rows.Rows) -> Scored:
    return scored(rows.label, model.probabilities(rows.items), "model", len(model.labels), rows.group)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
