"""evaluate: score the exported model on the test rows, beside the linear baseline."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from luodi import config
from luodi.data import modality, split_rows, splits
from luodi.errors import ArtifactError
from luodi.files import read_facts, replacing_folder, write_facts, write_json, write_sheet, write_text
from luodi.project.paths import ModelPaths, maker
from luodi.registry import evidence, rules
from luodi.registry.records import Evidence
from luodi.report import page, why
from luodi.scoring import choice, explaining, figures, folds, inference, mistakes, plots, sample
from luodi.scoring.figures import Figure
from luodi.scoring.metrics import beside, described, in_order
from luodi.scoring.scored import Ints, Mask, Scored, joined, load_scores, scored

REPEATS = 200
MISTAKE = ("place", "truth", "predicted", "baseline", "confidence", "text")
PAIRS = 15  # of classes that are taken for one another, in the report


def run(settings: config.ModelSettings, paths: ModelPaths) -> None:
    """Write metrics, plots, the mistakes, the sample, the report and, outside of what DVC tracks, the latency.

    Raises:
        ArtifactError: An earlier stage has not run, scores are not probabilities, or there is no test row.
        UserCodeFailed: The metric of the gate is a user's own, and fails.
    """
    test = split_rows.read(paths.rows, settings.modality, "test", len(settings.labels))
    classes = len(settings.labels)
    baseline = scored(test.label, load_scores(paths.baseline_scores), "baseline", classes, test.group)
    classifier = _classifier(paths, settings.labels)
    model = scored(test.label, classifier.probabilities(test.items), "model", classes, test.group)
    label, scores, tied, place = split_rows.out_of_fold(paths.out_of_fold, paths.rows, classes)
    others = scored(label, scores, "out-of-fold model", classes, tied)
    every, split, group = split_rows.standing(paths.rows)
    learned = folds.knowing(every, split, group)
    of_files = {"size_bytes": _size(paths.export), "test_share": split_rows.test_share(paths.rows)}
    near = figures.near_slices(*split_rows.nearest(paths.nearest), model, settings.evaluate.confidence)
    measured = {"choice": _facts(paths.choice), **_compression(paths)}
    more = None
    if others.rows and not measured.get("compression", {}).get("chosen"):  # what was made smaller is another model
        _, theirs, *_ = split_rows.out_of_fold(paths.baseline_out_of_fold, paths.rows, classes)
        linear = scored(label, theirs, "out-of-fold baseline", classes, tied)
        telling = learned[place] & (split[place] == "train")
        more = others.of(telling), linear.of(telling)
    measured |= figures.rounded(
        measure(test, model, baseline, others, settings, more=more, learned=(learned[split == "test"], learned[place]))
        | of_files
        | {"nearest": near}
    )
    for index, unlearned in figures.unlearned(every, group, learned | (split == splits.NEWEST)).items():
        measured["classes"][settings.labels[index]] |= {"unlearned": unlearned}
    measured |= {"newest": figures.rounded(_newest(classifier, settings, paths))}
    write_facts(paths.metrics, measured)
    write_json(paths.headline, headline(measured))
    with replacing_folder(paths.plots) as folder:
        for name, text in plots.tables(model, settings.labels).items():
            write_text(folder / name, text)
    write_sheet(paths.mistakes, MISTAKE, sheet(test, model, baseline, settings.labels))
    sample.write(paths.sample, classifier, test.items, inference.Classifier.load(paths.export, plain=True))
    explained = explain(classifier, test, mistakes.surest(model, settings.evaluate.mistakes), settings)
    view = describe(measured, test, model, baseline, settings, explained=explained)
    write_text(paths.evaluation_report, page.render("evaluation", name=paths.model, **view))
    latency = _latency(classifier, test.items)
    write_facts(paths.latency, latency)
    wanting = [reason for ruling in view["rulings"] for reason in ruling.reasons]
    print(table(measured), f"one row: {latency['median_ms']:.2f} ms (median)", *wanting, sep="\n", flush=True)


def measure(
    test: split_rows.Rows,
    model: Scored,
    baseline: Scored,
    others: Scored,
    settings: config.ModelSettings,
    *,
    more: tuple[Scored, Scored] | None = None,
    learned: tuple[Mask, Mask] | None = None,
) -> dict[str, Any]:
    """Return the content of metrics.json, what is said of files excepted: nested dicts of numbers.

    Args:
        test: The test rows.
        model, baseline: These as either scores them.
        others: Other rows as models of the same recipe score them that were not fitted on them; there may be none.
        settings: Confidence, resamples, and the metric of the gate with its own.
        more: Train rows as such models score them, and as such models of the baseline do: beside the test rows they
            prove which is better. Validation rows do not, because the model was chosen by them.
        learned: Which test rows, and which of `others`, are of a class that what scored them was fitted on; all, if
            None. The rest judge no class.
    """
    confidence, rule = settings.evaluate.confidence, settings.gate
    slices = {
        name: figures.quartile_slices(values, model, confidence)
        for name, values in modality.of(settings.modality).slices(test.items).items()
    }
    found = evidence.beside(model, baseline, settings.evaluate.bootstrap, confidence, beside(rule.metric))
    tested = evidence.decisive(model, baseline, rule)
    found["difference"] |= {rule.metric: tested.difference.to_json()}
    proof = _pooled(more, model, baseline, rule) if more else tested
    judging = (model.of(learned[0]), others.of(learned[1])) if learned else (model, others)
    classes = zip(
        settings.labels,
        figures.per_class(model),
        figures.predictions(model, confidence),
        figures.judged(*judging, confidence),
        strict=True,
    )
    taken = figures.taken_for(joined(*judging))
    told = {settings.labels[one]: {"taken_for": settings.labels[other]} for one, other in taken.items()}
    return {
        **found,
        "proof": {"metric": rule.metric, **proof.to_json()},
        "classes": {
            label: {**figure, "predictions": predicted, "judged": judged, **told.get(label, {})}
            for label, figure, predicted, judged in classes
        },
        "slices": slices | {"source": figures.source_slices(test.source, model, confidence)},
        "calibration_by_chance": figures.calibration_by_chance(model, confidence),
        "rows": len(test),
        **({} if test.group is None else {"groups": len(np.unique(test.group))}),
    }


def _pooled(more: tuple[Scored, Scored], model: Scored, baseline: Scored, rule: config.Gate) -> Evidence:
    """What test rows and those out of fold prove, the latter as far as they tell of the models that are judged."""
    one, other = joined(model, more[0]), joined(baseline, more[1])
    of_folds = more[0].rows
    found = evidence.decisive(one, other, rule, 1 + (folds.VARIANCE - 1) * of_folds / one.rows)
    return found.model_copy(update={"out_of_fold": of_folds})


def _newest(classifier: inference.Classifier, settings: config.ModelSettings, paths: ModelPaths) -> Figure | None:
    """Accuracy on the newest rows, see `luodi.checks.newest`: value, low, high, rows; None without any."""
    if not len(split_rows.positions(paths.rows, splits.NEWEST)):
        return None
    rows = split_rows.read(paths.rows, settings.modality, splits.NEWEST, len(settings.labels))
    data = scored(rows.label, classifier.probabilities(rows.items), "model", len(settings.labels), rows.group)
    return figures.share(data, settings.evaluate.confidence) | {"rows": data.rows}


def headline(measured: dict[str, Any]) -> dict[str, float | None]:
    """Return what a line of `dvc metrics show` has room for: the figures of the model, the first with its interval."""
    first, *others = in_order(measured["model"])
    own, baseline = measured["model"][first], measured["baseline"][first]
    found = {first: own["value"], f"{first}_low": own["low"], f"{first}_high": own["high"]}
    found |= {f"{first}_baseline": baseline["value"]} | {name: measured["model"][name]["value"] for name in others}
    return {name: value if value is None else round(value, 4) for name, value in found.items()} | {
        "test_rows": measured["rows"]
    }


def explain(
    classifier: inference.Classifier, test: split_rows.Rows, places: Ints, settings: config.ModelSettings
) -> list[dict[str, Any]]:
    """Return why the first of the mistakes at `places` are made: what each part adds, and "place", of the test row."""
    some = places[: settings.evaluate.explained].tolist()
    found = explaining.several(classifier, [test.items[place] for place in some]) if some else []
    return [{"place": place, **one.as_json()} for place, one in zip(some, found, strict=False)]


def describe(
    measured: dict[str, Any],
    test: split_rows.Rows,
    model: Scored,
    baseline: Scored,
    settings: config.ModelSettings,
    *,
    explained: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what the report's template shows; `explained` is what `explain` gives."""
    metric, ordered = described(settings.gate.metric), _worst_first(measured["classes"])
    return {
        "modality": settings.modality,
        "figures": measured,
        "choice": choice.sentence(measured["choice"]),
        "labels": settings.labels,
        "ordered": ordered,
        "missed": [label for label in ordered if measured["classes"][label]["judged"]["value"] == 0],
        "each": mistakes.EACH,
        "confidence": settings.evaluate.confidence,
        "resamples": settings.evaluate.bootstrap,
        "metric": metric.title.lower(),
        "gap": measured["difference"][settings.gate.metric],
        "verdict": _standing(measured, measured["difference"][settings.gate.metric], metric.better),
        "rulings": rules.of_evaluation(measured, settings.gate),
        "comparison": comparison(measured),
        "confusion": figures.confusion(model).tolist(),
        "bins": plots.calibration(model),
        "roc": {"model": plots.roc(model), "baseline": plots.roc(baseline)},
        "precision_recall": {
            "model": plots.precision_recall(model),
            "baseline": plots.precision_recall(baseline),
        },
        "sources": len(set(test.source)),
        "wrong": int((~model.correct).sum()),
        "mistakes": _shown(mistakes.surest(model, settings.evaluate.mistakes), test, model, baseline, settings.labels),
        "whys": [why.shown(one, _picture(test.items[one["place"]])) for one in explained],
        "pairs": [
            {"truth": settings.labels[pair.truth], "predicted": settings.labels[pair.predicted], "rows": pair.rows}
            | {"of": int((model.truth == pair.truth).sum())}
            | {"shown": _shown(pair.places, test, model, baseline, settings.labels)}
            for pair in mistakes.pairs(model, PAIRS)
        ],
    }


def _worst_first(classes: dict[str, Any]) -> list[str]:
    """The labels by recall over the rows that judge them, the lowest first; those without such rows last."""
    recall = {label: found["judged"]["value"] for label, found in classes.items()}
    return sorted(recall, key=lambda label: (recall[label] is None, recall[label] or 0.0))


def verdict(difference: Figure, better: int) -> str:
    """Return "better", "worse" or "level": level when the interval of model - baseline holds 0."""
    ends = sorted((difference["low"] * better, difference["high"] * better))
    if ends[0] > 0:
        return "better"
    return "worse" if ends[1] < 0 else "level"


def _standing(measured: dict[str, Any], difference: Figure, better: int) -> str:
    """The verdict, or "same" where the model is the baseline itself."""
    return "same" if measured["choice"].get("chosen") == choice.LINEAR else verdict(difference, better)


def comparison(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one line for every figure that is defined: title, meaning, three intervals, verdict, or "same"."""
    return [
        {"title": metric.title, "meaning": metric.meaning}
        | {"verdict": _standing(measured, measured["difference"][name], metric.better)}
        | {who: measured[who][name] for who in ("model", "baseline", "difference")}
        for name in in_order(measured["model"])
        for metric in [described(name)]
    ]


def sheet(
    test: split_rows.Rows, model: Scored, baseline: Scored, labels: tuple[str, ...]
) -> Iterator[tuple[object, ...]]:
    """Give a line of `MISTAKE` for every mistake, the most confident first; an image is named by its place alone."""
    for row in mistakes.ranked(model):
        item = test.items[row]
        text = item if isinstance(item, str) else None
        found = (labels[one.predicted[row]] for one in (model, baseline))
        yield (_where(test, row), labels[model.truth[row]], *found, f"{model.confidence[row]:.4f}", text)


def _shown(
    places: Ints, test: split_rows.Rows, model: Scored, baseline: Scored, labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """What the report shows of the rows at `places`."""
    return [
        {
            "item": _picture(test.items[row]),
            "where": _where(test, row),
            "truth": labels[model.truth[row]],
            "predicted": labels[model.predicted[row]],
            "confidence": float(model.confidence[row]),
            "baseline": labels[baseline.predicted[row]],
        }
        for row in places
    ]


def _picture(item: Any) -> str:
    """A text as it is, an image as a URI."""
    return page.data_uri(item) if isinstance(item, bytes) else item


def _where(test: split_rows.Rows, row: int) -> str:
    """Where a row stood before it was added; its source, where nobody knows."""
    return (test.origin[row] if test.origin else None) or test.source[row]


def table(measured: dict[str, Any]) -> str:
    """Return the comparison as lines of text for a terminal."""
    head = f"{'on ' + format(measured['rows'], ',') + ' test rows':24}{'model':>26}{'baseline':>26}  verdict"
    lines = [
        f"{line['title']:24}{_text(line['model']):>26}{_text(line['baseline']):>26}  {line['verdict']}"
        for line in comparison(measured)
    ]
    return "\n".join([head, *lines])


def _text(figure: Figure) -> str:
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"


def _classifier(paths: ModelPaths, labels: tuple[str, ...]) -> inference.Classifier:
    classifier = inference.Classifier.load(paths.export)
    if tuple(classifier.labels) != labels:
        raise ArtifactError(
            f"{paths.export} was trained on labels {', '.join(classifier.labels)}, params.yaml has "
            f"{', '.join(labels)}: run `dvc repro` for all stages that read them"
        )
    return classifier


def _facts(path: Path) -> Any:
    try:
        return read_facts(path)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run `{maker(path)}` first") from None


def _compression(paths: ModelPaths) -> dict[str, Any]:
    """What stage compress found of smaller models; nothing where there is no such stage, or it is off."""
    if paths.export != paths.compressed or not (found := _facts(paths.candidates))["candidates"]:
        return {}
    return {"compression": {name: value for name, value in found.items() if name != "format"}}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _latency(classifier: inference.Classifier, items: list[Any]) -> dict[str, float]:
    item = inference.typical(items)
    median = inference.latency(classifier, item, REPEATS)
    return {"median_ms": median, "repeats": REPEATS, "length": len(item), "cpus": os.cpu_count() or 0}
