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
    LangOption,
    NoHeader,
    Reference,
    Sheet,
    TextColumn,
    by_option,
    language,
    reference,
    typed,
    written,
)
from luodi.system import progress
from luodi.system.progress import Heartbeat
from luodi.terminal import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from luodi.data import tables
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
    "luodi predict reviews --input new.csv > scored.jsonl | "
    "luodi predict reviews --input year.parquet --output scored.parquet | luodi predict digits --input scans/ | "
    "luodi predict ./serving/reviews '质量很好'"
)
def predict(
    wanted: Wanted,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts to classify.", callback=written)
    ] = None,
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
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the rows of --input, all their columns (of images their files) and the answers behind them, to "
            "FILE.csv, .jsonl or .parquet, whatever their number; ended halfway, the same command goes on.",
        ),
    ] = None,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    images: Images = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    sheet: Sheet = None,
) -> None:
    """Classify texts or images by a registered version; one JSON object a line, or a file of any size by --output."""
    from luodi.data import inputs, tables
    from luodi.scoring import bulk

    # JSON is UTF-8 in every locale.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    if texts and source:
        raise typer.BadParameter("give texts, or --input PATH, not both")
    if not texts and not source:
        raise typer.BadParameter("give texts to classify, or --input PATH")
    if output is not None:
        _require_output(source, output)
    classifier = _load(wanted, version)
    given = tables.Given(encoding, delimiter, not no_header, sheet)
    if source and output is not None:
        column = text_column if classifier.encoder.modality == "text" else image_column
        _write(classifier, source, output, given, column, images=images)
        return
    if classifier.encoder.modality == "text":
        if texts:
            write_predictions("text", texts, classifier.probabilities(texts), classifier)
            return
        known = classifier.column
        if source and inputs.is_of_files(source):
            for found in inputs.files(source, given, _say):
                probabilities = bulk.texts_of(classifier, [text for _, text in found])
                write_predictions("file", [name for name, _ in found], probabilities, classifier)
            return
        batches = inputs.batches(source or "-", given, text_column, _say, known=known)
        with typed():
            for batch in batches:
                write_predictions("text", batch, bulk.texts_of(classifier, batch), classifier)
    elif source is None:
        raise typer.BadParameter(
            f"{classifier.version} classifies images: give --input FILE.png, or a folder of images"
        )
    else:
        with typed():
            for files in inputs.images(source, images, given, image_column, known=classifier.column):
                names = [name for name, _ in files]
                write_predictions(
                    "file", names, bulk.images_of(classifier, names, [content for _, content in files]), classifier
                )


@app.command(
    epilog="Examples: luodi explain reviews '质量很好' | luodi explain digits --input scans/seven.png | "
    "luodi explain reviews@v1.0.0 '质量很好' --label negative --json | luodi explain reviews '质量很好' --html why.html"
)
def explain(
    wanted: Wanted,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="A text.", callback=written)] = None,
    source: Annotated[str | None, typer.Option("--input", metavar="FILE", help="An image.")] = None,
    label: Annotated[str | None, typer.Option(help="Explain this label in place of the likeliest.")] = None,
    *,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that loads nothing.")
    ] = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each word of a text, or each region of an image, adds to the answer of a registered version.

    The version itself is asked, about a thousand times, what it would say without some of them. What a part adds is
    added to the logarithm of the label's odds.
    """
    from luodi.cli import console, documents
    from luodi.data import inputs
    from luodi.errors import did_you_mean
    from luodi.files import write_text
    from luodi.report import why
    from luodi.report.language import translated
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
    if html:
        told = why.page(found.as_json(), _whole(classifier, item), classifier.version)
        write_text(html, translated(told, language(Path(), lang), frozenset(classifier.labels)))
        progress.tell(f"wrote {shown(html)}", sys.stderr)
    if as_json:
        documents.print_json({"version": classifier.version, **found.as_json()})
    else:
        console.show_explanation(found, classifier.version)


def _whole(classifier: "Registered", item: "str | bytes | None") -> str:
    """What the model reads of an item: the clean text, or the URI of the image."""
    from luodi.data import modality
    from luodi.report.page import data_uri

    kind = modality.of(classifier.encoder.modality)
    (clean,) = kind.cleaner(classifier.encoder)(kind.column([item])).to_pylist()
    return data_uri(clean) if isinstance(clean, bytes) else str(clean)


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


def _write(
    classifier: "Registered",
    source: str,
    output: Path,
    given: "tables.Given",
    column: str | None,
    *,
    images: Path | None,
) -> None:
    from luodi.cli.bar import Bar
    from luodi.data import inputs
    from luodi.scoring import bulk

    with Bar("scoring") as bar, typed():
        if classifier.encoder.modality == "text":
            parts = inputs.text_parts(source, given, column, _say, known=classifier.column, read=bar.read)
        else:
            parts = inputs.image_parts(source, images, given, column, known=classifier.column)
        done = bulk.score(parts, classifier, classifier.version, output, digest=classifier.digest, told=bar.reached)
    again = f", {done.kept:,} of them by an earlier try" if done.kept else ""
    _say(f"scored {done.rows:,} rows by {classifier.version}{again}: {shown(output)}")


def _say(line: str) -> None:
    progress.tell(line, sys.stderr)


def _require_output(source: str | None, output: Path) -> None:
    from luodi.scoring import bulk

    if not source:
        raise typer.BadParameter("give --input PATH with --output FILE")
    bulk.kind_of(output)
    if source != "-" and output.exists() and output.samefile(source):
        raise typer.BadParameter(f"{shown(output)} is the input: name another file", param_hint="--output")


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
