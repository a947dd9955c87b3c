"""Answers of a registered version, a JSON object a line."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luodi import terminal
from luodi.cli.arguments import (
    Delimiter,
    Encoding,
    ImageColumn,
    Images,
    JsonOption,
    NoHeader,
    Reference,
    Sheet,
    TextColumn,
    by_option,
    reference,
    typed,
)
from luodi.errors import BrokenData
from luodi.system import progress
from luodi.system.progress import Heartbeat
from luodi.terminal import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from luodi.registry.classifier import Registered

app = typer.Typer()


def _model_or_folder(text: str) -> Reference:
    """Parse MODEL[@VERSION], or DIR, which has a slash in it and stays whole."""
    return Reference(text, None) if "/" in text else reference(text)


Wanted = Annotated[
    Reference,
    typer.Argument(
        metavar="MODEL[@VERSION]|DIR",
        parser=_model_or_folder,
        help="A version, such as reviews@v1.0.0; MODEL alone is that in production; DIR is a folder of `luodi pull`, "
        "with a slash in it, and needs no project.",
    ),
]


@app.command(
    epilog="Examples: luodi predict reviews '质量很好' | luodi predict reviews@v1.0.0 '质量很好' | "
    "luodi predict reviews --input new.csv > scored.jsonl | luodi predict digits --input scans/ | "
    "luodi predict ./serving/reviews '质量很好'"
)
def predict(
    wanted: Wanted,
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts to classify.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="PATH",
            help="Texts: a table as `luodi add` reads it, a folder of texts; - reads lines. Images: a file, folder, "
            "archive or table.",
        ),
    ] = None,
    version: Annotated[str | None, typer.Option(hidden=True)] = None,
    *,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    images: Images = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    sheet: Sheet = None,
) -> None:
    """Classify texts or images by a registered version; one JSON object a line."""
    from luodi.data import inputs, tables

    # JSON is UTF-8 in every locale.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    if texts and source:
        raise typer.BadParameter("give texts, or --input PATH, not both")
    if not texts and not source:
        raise typer.BadParameter("give texts to classify, or --input PATH")
    classifier = _load(wanted, version)
    given = tables.Given(encoding, delimiter, not no_header, sheet)
    if classifier.encoder.modality == "text":
        if texts:
            write_predictions("text", texts, classifier.probabilities(texts), classifier)
            return
        told, known = (lambda line: progress.tell(line, sys.stderr)), classifier.column
        if source and inputs.is_of_files(source):
            for found in inputs.files(source, given, told):
                probabilities = score_texts([text for _, text in found], classifier)
                write_predictions("file", [name for name, _ in found], probabilities, classifier)
            return
        batches = inputs.batches(source or "-", given, text_column, told, known=known)
        with typed():
            for batch in batches:
                write_predictions("text", batch, score_texts(batch, classifier), classifier)
    elif source is None:
        raise typer.BadParameter(
            f"{classifier.version} classifies images: give --input FILE.png, or a folder of images"
        )
    else:
        with typed():
            for files in inputs.images(source, images, given, image_column, known=classifier.column):
                names = [name for name, _ in files]
                write_predictions("file", names, score_images(files, classifier), classifier)


@app.command(
    epilog="Examples: luodi explain reviews '质量很好' | luodi explain digits --input scans/seven.png | "
    "luodi explain reviews@v1.0.0 '质量很好' --label negative --json"
)
def explain(
    wanted: Wanted,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="A text.")] = None,
    source: Annotated[str | None, typer.Option("--input", metavar="FILE", help="An image.")] = None,
    label: Annotated[str | None, typer.Option(help="Explain this label in place of the likeliest.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what each word of a text, or each region of an image, adds to the answer of a registered version.

    The version itself is asked, about a thousand times, what it would say without some of them. What a part adds is
    added to the logarithm of the label's odds.
    """
    from luodi.cli import console, documents
    from luodi.data import inputs
    from luodi.errors import did_you_mean
    from luodi.scoring import explaining

    if (text is None) == (source is None):
        raise typer.BadParameter("give a text, or --input FILE.png for a model of images")
    classifier = _load(wanted, None)
    if (source is None) == (classifier.encoder.modality == "image"):
        expected = "give a text" if source else "give --input FILE.png"
        raise typer.BadParameter(f"{classifier.version} classifies {classifier.encoder.modality}s: {expected}")
    if label is not None and label not in classifier.labels:
        near = did_you_mean(label, classifier.labels)
        raise typer.BadParameter(
            f"{classifier.version} has no label {label!r}; it has {', '.join(classifier.labels[:10])}{near}",
            param_hint="--label",
        )
    item: str | bytes | None = text
    if source is not None:
        (_, item), *others = next(inputs.images(source))
        if others:
            raise typer.BadParameter("give one image", param_hint="--input")
    with Heartbeat("asking the model", sys.stderr):
        found = explaining.explain(classifier, item, label)
    if as_json:
        documents.print_json({"version": classifier.version, **found.as_json()})
    else:
        console.show_explanation(found, classifier.version)


def _load(wanted: Reference, version: str | None) -> "Registered":
    from luodi.registry import classifier

    if "/" in wanted.model:
        if version is not None:
            raise typer.BadParameter(f"{shown(wanted)} is a folder, and holds one version: leave --version out")
        return classifier.pulled(Path(wanted.model))
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry.tags import PRODUCTION
    from luodi.system.processes import Runner

    chosen = by_option(wanted, "--version", version, "predict")
    with Heartbeat("bringing the model", sys.stderr):
        return classifier.load(Origin.find(find_root()), chosen.model, chosen.number or PRODUCTION, Runner(print))


def score_texts(texts: list[str], classifier: "Registered") -> "NDArray[np.float32]":
    """Return the probabilities of texts; NaN for a text that holds nothing to classify."""
    from luodi.data import text

    try:
        return classifier.probabilities(texts)
    except text.Nothing:
        import numpy as np

        there = np.array([bool(one) for one in text.clean(text.column(texts)).to_pylist()])
        found = np.full((len(texts), len(classifier.labels)), np.nan, np.float32)
        found[there] = classifier.probabilities([one for one, words in zip(texts, there, strict=True) if words])
        return found


def score_images(files: list[tuple[str, bytes]], classifier: "Registered") -> "NDArray[np.float32]":
    """Return the probabilities of image files, name and content; an unfit one is named."""
    from luodi.data.image import Unfit

    try:
        return classifier.probabilities([content for _, content in files])
    except Unfit:
        for name, content in files:
            try:
                classifier.probabilities([content])
            except Unfit as error:
                raise BrokenData(f"{name}: {error}, or move it away") from None
        raise


def write_predictions(
    key: str, items: list[str], probabilities: "NDArray[np.float32]", classifier: "Registered"
) -> None:
    """Print one JSON object an item: the item under `key`, its label, the probability, the version that says so.

    Where the probabilities are NaN, the label is null, and a reason says why.
    """
    for item, row in zip(items, probabilities, strict=True):
        best = int(row.argmax())
        answer = {key: item, "label": classifier.labels[best], "probability": round(float(row[best]), 6)}
        if row[best] != row[best]:
            answer |= {"label": None, "probability": None, "reason": "nothing to classify"}
        print(terminal.json_line(answer | {"version": classifier.version}))
