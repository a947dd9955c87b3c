"""The command line. Stages are imported when they run: start-up cost dominates small runs."""

import errno
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luodi.errors import BrokenData, DiskFull, Held, LuodiError, NoVersion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from luodi.inference import Classifier

app = typer.Typer(
    name="luodi",
    help="Retrain classifiers on a schedule; land a new version only when it is proven better.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would double the start-up time
    pretty_exceptions_enable=False,
)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A key of `models:` in params.yaml.")]


def run_stage(stage: str, name: str) -> None:
    """Load the model's block and run `luodi.stages.STAGE.run(config, paths)`."""
    from importlib import import_module

    from luodi import config
    from luodi.paths import ModelPaths, find_root
    from luodi.processes import die_with_parent

    if os.environ.get("LUODI_DIE_WITH_PARENT"):
        die_with_parent()
    paths = ModelPaths(find_root(), name)
    block = config.model(config.load(paths.params), name)
    import_module(f"luodi.stages.{stage}").run(block, paths)


@app.command(epilog="Example: luodi validate reviews")
def validate(model: ModelArgument) -> None:
    """Check the raw data; split it into clean rows and quarantined rows; write the validation report."""
    run_stage("validate", model)


@app.command(epilog="Example: luodi preprocess reviews")
def preprocess(model: ModelArgument) -> None:
    """Clean, drop duplicates, split by content hash, and encode the clean rows."""
    run_stage("preprocess", model)


@app.command(epilog="Example: luodi baseline reviews")
def baseline(model: ModelArgument) -> None:
    """Train the linear baseline that every version is measured against."""
    run_stage("baseline", model)


@app.command(epilog="Example: luodi train reviews")
def train(model: ModelArgument) -> None:
    """Train the architecture named in params.yaml and export it to ONNX."""
    run_stage("train", model)


@app.command(epilog="Example: luodi evaluate reviews")
def evaluate(model: ModelArgument) -> None:
    """Score the exported model on the test rows and write metrics, plots and the report."""
    run_stage("evaluate", model)


@app.command(epilog="Examples: luodi fetch | luodi fetch reviews | luodi fetch fashion --from ~/fashion-mnist")
def fetch(
    dataset: Annotated[str | None, typer.Argument(help="Default: all that are models in params.yaml.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Folder of the IDX files of `fashion`.")
    ] = None,
) -> None:
    """Build the embedded datasets under data/, byte for byte what data.dvc records."""
    from luodi import config
    from luodi.data import sources
    from luodi.paths import PARAMS, ModelPaths, find_root

    root = find_root()
    usual = [name for name in config.load(root / PARAMS).models if name in sources.CHECKSUMS]
    names = [dataset] if dataset else usual
    shards = [shard for name in names for shard in sources.fetch(name, ModelPaths(root, name).data, folder)]
    state = sources.state(root / "data", root / "data.dvc", names, usual)
    print(f"fetch: {', '.join(str(shard.relative_to(root)) for shard in shards) or 'nothing to do'}{state}")


@app.command(epilog="Example: luodi add hotels --modality text --from hotels.csv")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new model's name: lower case, digits, - and _.")],
    modality: Annotated[str, typer.Option(help="text or image.")],
    source: Annotated[
        Path,
        typer.Option("--from", metavar="PATH", help="CSV, JSONL or Parquet; or a folder of CLASS/*.png or *.jpg."),
    ],
    *,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts; guessed by its name.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the labels; guessed by its name.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of CSV and JSONL, such as gb18030; UTF-8 if not given.")] = None,
) -> None:
    """Add a model: its data under data/, its block in params.yaml, and the DVC pointer; all of it or nothing."""
    from luodi import adding, embedded
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    if modality not in ("text", "image"):
        raise typer.BadParameter(f"expected text or image, found {modality}", param_hint="--modality")
    options = [text_column, label_column, encoding]
    if modality == "image" and any(options):
        raise typer.BadParameter("--text-column, --label-column and --encoding are for --modality text")
    try:
        "".encode(encoding or "utf-8")
    except LookupError as error:
        raise typer.BadParameter(str(error), param_hint="--encoding") from None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what is half done is undone
    root, runner = find_root(), Runner(print)
    if not (root / ".git").exists():  # an unpacked archive: DVC has to be told that there is no git
        embedded.connect(root, Origin.embedded(root))
    if modality == "text":
        added = adding.add_texts(root, name, source, runner, text=text_column, label=label_column, encoding=encoding)
    else:
        added = adding.add_images(root, name, source, runner)
    print(added)


@app.command(epilog="Example: luodi run reviews")
def run(model: ModelArgument) -> None:
    """Run the DAG retrain_MODEL on Airflow with an embedded git origin and DVC remote, both in .luodi/."""
    from luodi import console, embedded
    from luodi.paths import find_root
    from luodi.processes import Runner

    root, runner = find_root(), Runner(print)
    known_model(root, model)
    print("preparing the embedded git origin and DVC remote", flush=True)
    origin = embedded.prepare(root, runner)
    if version := embedded.landed(origin, model, runner):
        print(f"nothing changed since {version.name} landed; production stays as it is")
        facts = version.facts
        result = {"verdict": "unchanged", "version": version.name, "reasons": [], **facts}
    else:
        print(f"running retrain_{model} on Airflow (log: {console.near(origin.home / 'airflow.log')})", flush=True)
        result = dict(embedded.run_dag(root, origin, model))
        version = embedded.find(origin, result["version"], runner)
    folder = embedded.reports(origin, version, runner) if version else None
    console.show_result(result, folder)
    if not version:
        raise Held("; ".join(result["reasons"]))


@app.command(epilog="Example: luodi connect && dvc repro")
def connect() -> None:
    """Point DVC in this checkout to the embedded cache and remote in .luodi/, unless it has settings of its own."""
    from luodi import embedded
    from luodi.origin import Origin
    from luodi.paths import find_root

    root = find_root()
    embedded.connect(root, Origin.embedded(root))


@app.command(epilog="Example: luodi up")
def up(port: Annotated[int, typer.Option(help="Port of Airflow's pages on this machine.")] = 8080) -> None:
    """Start Airflow standalone with the DAGs loaded and their schedules on; print its URL and login."""
    from luodi import embedded
    from luodi.paths import find_root
    from luodi.processes import Runner

    root = find_root()
    embedded.stand(root, embedded.prepare(root, Runner(print)), port)


@app.command(epilog="Example: dvc repro && luodi register reviews")
def register(model: ModelArgument) -> None:
    """Land the model that `dvc repro` made in this checkout: commit, tag, put into production, push."""
    from luodi import console, embedded, landing
    from luodi.paths import find_root
    from luodi.processes import Runner

    root, runner = find_root(), Runner(print)
    known_model(root, model)
    origin, commit = embedded.publish(root, model, runner)
    landed = landing.register(origin, commit, model, landing.checkout_entries(root, model), runner)
    if landed.version is None:
        raise Held("; ".join(landed.reasons))
    print(f"{landed.version.name} {'landed' if landed.new else 'is this model already; nothing changed'}")
    console.show_metrics(landed.metrics)


@app.command(epilog="Example: luodi architectures")
def architectures() -> None:
    """List the networks that `train.architecture` may name, and the keys of the train block that shape each."""
    from luodi import console
    from luodi.nets.catalogue import ARCHITECTURES

    console.show_architectures(ARCHITECTURES)


@app.command(epilog="Example: luodi models")
def models(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only this model.")] = None,
) -> None:
    """List the registered versions, newest first."""
    from luodi import console, registry
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    repository = registry.mirror(Origin.find(find_root()), Runner(print))
    names = [model] if model else registry.models(repository)
    versions = [version for name in names for version in registry.versions(repository, name)]
    if model and not versions:
        raise NoVersion(f"no version of {model} at all: `luodi models` lists what there is")
    console.show_versions(versions)


@app.command(
    epilog="Examples: luodi predict reviews '质量很好' | luodi predict reviews --input new.csv > scored.jsonl | "
    "luodi predict digits --input scans/"
)
def predict(
    model: ModelArgument,
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts to classify.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="PATH",
            help="Texts: CSV, JSONL or Parquet with a column `text`; - reads lines. Images: a file, or a folder.",
        ),
    ] = None,
    version: Annotated[str, typer.Option(help="A version such as v1.0.0, or the stage.")] = "production",
) -> None:
    """Classify texts or images by the registered production version; one JSON object a line."""
    from luodi import registry
    from luodi.data import inputs
    from luodi.inference import Classifier
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    # JSON is UTF-8 in every locale; what UTF-8 cannot hold is written as JSON's own escape.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    if bool(texts) == bool(source):
        raise typer.BadParameter("give texts, or --input PATH, not both")
    origin, runner = Origin.find(find_root()), Runner(print)
    chosen = registry.find(registry.mirror(origin, runner), model, version)
    classifier = Classifier.load(registry.fetch(origin, chosen, runner))
    if classifier.encoder.modality == "text":
        for batch in inputs.batches(source) if source else [texts or []]:
            write_predictions("text", batch, classifier.probabilities(batch), classifier, chosen.name)
    elif source is None:
        raise typer.BadParameter(f"{model} classifies images: give --input FILE.png, or a folder of images")
    else:
        for files in inputs.images(source):
            names = [name for name, _ in files]
            write_predictions("file", names, score_images(files, classifier), classifier, chosen.name)


def score_images(files: list[tuple[str, bytes]], classifier: "Classifier") -> "NDArray[np.float32]":
    """Return the probabilities of image files, name and content; an unfit one is named."""
    from luodi.data.image import Unfit

    try:
        return classifier.probabilities([content for _, content in files])
    except Unfit:
        for name, content in files:
            try:
                classifier.probabilities([content])
            except Unfit as error:
                raise BrokenData(f"{name}: {error}") from None
        raise


def write_predictions(
    key: str, items: list[str], probabilities: "NDArray[np.float32]", classifier: "Classifier", version: str
) -> None:
    """Print one JSON object an item: the item under `key`, its label, the probability, the version that says so."""
    import json

    for item, row in zip(items, probabilities, strict=True):
        best = int(row.argmax())
        answer = {key: item, "label": classifier.labels[best], "probability": round(float(row[best]), 6)}
        print(json.dumps(answer | {"version": version}, ensure_ascii=False))


def known_model(root: Path, name: str) -> None:
    """Raise UnknownKey, with the near name, if params.yaml has no such model."""
    from luodi import config
    from luodi.paths import PARAMS

    config.model(config.load(root / PARAMS), name)


def main() -> None:
    """Entry point: a LuodiError, a full disk or a file in the way becomes one message and an exit code."""
    try:
        app()
    except LuodiError as error:
        sys.exit(_tell(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            if error.filename is None:
                raise
            sys.exit(_tell(LuodiError(f"{error.filename}: {error.strerror}")))
        where = f" while writing {Path(error.filename)}" if error.filename else ""
        sys.exit(_tell(DiskFull(f"the disk is full{where}: free some space and run the command again")))


def _tell(error: LuodiError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
