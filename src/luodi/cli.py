"""The command line. Stages are imported when they run: start-up cost dominates small runs."""

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from luodi import guard, terminal
from luodi.errors import BrokenData, Held, LuodiError, NoVersion, Unproven
from luodi.terminal import shown

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

VersionArgument = Annotated[
    str, typer.Argument(metavar="MODEL@V", help="A version, such as reviews@v1.0.0; MODEL alone is that in production.")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A key of `models:` in params.yaml.")]


def run_stage(stage: str, name: str) -> None:
    """Load the model's block and run `luodi.stages.STAGE.run(config, paths)`."""
    from importlib import import_module

    from luodi import config
    from luodi.paths import ModelPaths, find_root

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
    from luodi import adding
    from luodi.local import checkout
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    if modality not in ("text", "image"):
        raise typer.BadParameter(f"expected text or image, found {shown(modality)}", param_hint="--modality")
    options = [text_column, label_column, encoding]
    if modality == "image" and any(options):
        raise typer.BadParameter("--text-column, --label-column and --encoding are for --modality text")
    try:
        "".encode(encoding or "utf-8")
    except LookupError as error:
        raise typer.BadParameter(str(error), param_hint="--encoding") from None
    root, runner = find_root(), Runner(print)
    if (root / ".git").exists():
        checkout.keep_state(root)
    else:  # an unpacked archive: DVC has to be told that there is no git
        checkout.connect(root, Origin.embedded(root))
    if modality == "text":
        added = adding.add_texts(root, name, source, runner, text=text_column, label=label_column, encoding=encoding)
    else:
        added = adding.add_images(root, name, source, runner)
    print(added)


@app.command(epilog="Example: luodi run reviews")
def run(model: ModelArgument) -> None:
    """Run the DAG retrain_MODEL on Airflow with an embedded git origin and DVC remote, both in .luodi/."""
    from luodi import console
    from luodi.local import delivery, embedded, standalone
    from luodi.paths import find_root
    from luodi.processes import Runner

    root, runner = find_root(), Runner(print)
    known_model(root, model)
    print("preparing the embedded git origin and DVC remote", flush=True)
    origin, commit = embedded.prepare(root, runner)
    commit = embedded.advance(origin, commit, runner)
    if version := embedded.landed(origin, commit, model, runner):
        print(f"nothing changed since {version.name} landed; production stays as it is")
        facts = version.facts
        result = {**facts, "verdict": "unchanged", "version": version.name, "reasons": []}
    else:
        log = standalone.new_log(origin, model)
        print(f"running retrain_{model} on Airflow (log: {console.near(log)})", flush=True)
        result = dict(standalone.run_dag(root, origin, commit, model, log))
        version = embedded.find(origin, result["version"], runner)
    if version:
        folder = delivery.reports(origin, version, runner)
    else:
        folder = delivery.last_reports(origin, model, result, runner)
    console.show_result(result, folder)
    if not version:
        refuse(model, result["verdict"])


@app.command(epilog="Example: luodi connect && dvc repro")
def connect() -> None:
    """Point DVC in this checkout to the embedded cache and remote in .luodi/, unless it has settings of its own."""
    from luodi.local import checkout
    from luodi.origin import Origin
    from luodi.paths import find_root

    root = find_root()
    checkout.connect(root, Origin.embedded(root))


@app.command(epilog="Example: luodi up")
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Airflow's pages on this machine.")] = 8080,
) -> None:
    """Start Airflow standalone with the DAGs loaded and their schedules on; print its URL and login."""
    from luodi import config
    from luodi.local import embedded, standalone
    from luodi.paths import PARAMS, find_root
    from luodi.processes import Runner

    root, runner = find_root(), Runner(print)
    config.load(root / PARAMS)  # Airflow would come up without a DAG
    origin, commit = embedded.prepare(root, runner)
    embedded.advance(origin, commit, runner)
    standalone.stand(root, origin, port)


@app.command(epilog="Example: dvc repro && luodi gate reviews")
def gate(model: ModelArgument) -> None:
    """Judge the model that `dvc repro` made against the version in production; land nothing, write the comparison."""
    from luodi import card, console, landing, trial
    from luodi.files import write_text
    from luodi.local import embedded
    from luodi.paths import ModelPaths, find_root
    from luodi.processes import Runner

    root, runner = find_root(), Runner(print)
    known_model(root, model)
    print(f"bringing what `dvc repro` made of {model} to the DVC remote", flush=True)
    origin, commit = embedded.publish(root, model, runner, landing=False)
    print("judging it", flush=True)
    decision = trial.decide(origin, commit, model, landing.checkout_entries(root, model), runner)
    report = ModelPaths(root, model).comparison
    write_text(report, card.comparison(model, decision))
    console.show_decision(decision, report)
    refuse(model, decision["verdict"])


@app.command(
    epilog="Examples: dvc repro && luodi register reviews | luodi register reviews --approve --comment 'seen by Li'"
)
def register(
    model: ModelArgument,
    *,
    approve: Annotated[bool, typer.Option("--approve", help="Approve it without being asked.")] = False,
    comment: Annotated[str, typer.Option(help="Kept in the version's tag with who approved, and when.")] = "",
) -> None:
    """Land the model that `dvc repro` made in this checkout if the gate lets it: commit, tag, production, push.

    With register.approval: human in params.yaml it asks whether to.
    """
    from luodi import config, console, landing, trial
    from luodi.local import checkout, embedded
    from luodi.paths import PARAMS, find_root
    from luodi.processes import Runner

    root, runner = find_root(), Runner(print)
    block = config.model(config.load(root / PARAMS), model)
    print(f"bringing what `dvc repro` made of {model} to the DVC remote", flush=True)
    origin, commit = embedded.publish(root, model, runner, landing=True)
    print("judging it", flush=True)
    entries = landing.checkout_entries(root, model)
    decision, approval = None, landing.AUTO
    if block.register_.approval == "human":
        decision = trial.decide(origin, commit, model, entries, runner)
        console.show_decision(decision)
        if decision["verdict"] in landing.WANTED["human"]:
            approval = approved(model, approve, comment, checkout.who(root, runner))
    cost = checkout.training(root, model)
    landed = landing.register(
        origin, commit, model, entries, runner, decision=decision, approval=approval, training=cost
    )
    if landed.version is None:
        console.show_decision(landed.decision)
        refuse(model, landed.decision["verdict"])
    else:
        print(f"{landed.version.name} {'landed' if landed.new else 'is this model already; nothing changed'}")
        console.show_metrics(landed.decision["metrics"])


def approved(model: str, approve: bool, comment: str, who: str) -> dict[str, str]:
    """Return the approval of the person at the terminal, or raise Held."""
    from datetime import UTC, datetime

    if not approve:
        if not sys.stdin.isatty():
            raise Held(f"{model} needs a person's approval (register.approval in params.yaml): give --approve")
        if not typer.confirm(f"put this model into production as {model}?"):
            raise Held(f"{model} was rejected by {who}")
        comment = comment or typer.prompt("comment", default="", show_default=False)
    return {"mode": "human", "by": who, "at": datetime.now(UTC).isoformat(timespec="seconds"), "comment": comment}


def refuse(model: str, verdict: str) -> None:
    """Raise what a verdict that does not land ends with, the reasons told before; return on one that does."""
    if verdict not in ("promote", "unchanged"):
        raise (Unproven if verdict == "insufficient evidence" else Held)(f"{model} may not land: {verdict}, see above")


@app.command(epilog="Example: luodi promote reviews@v1.1.0 --reason 'better on hotels'")
def promote(
    version: Annotated[str, typer.Argument(metavar="MODEL@V", help="A version, such as reviews@v1.1.0.")],
    reason: Annotated[str, typer.Option(help="Kept in the stage's tag.")] = "",
) -> None:
    """Put a registered version into production, once its files are proven to be what was registered."""
    from luodi import landing
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    model, _, number = version.partition("@")
    if not number:
        raise typer.BadParameter(f"name a version, such as {model}@v1.0.0: `luodi models` lists them")
    landed, rows = landing.move(Origin.find(find_root()), model, number, Runner(print), action="promote", reason=reason)
    print(f"{landed.name} is in production; it predicted {rows} stored rows as it did when it was registered")


@app.command(
    epilog="Examples: luodi rollback reviews | luodi rollback reviews --to v1.0.0 --reason 'too many complaints'"
)
def rollback(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model with versions.")],
    *,
    to: Annotated[
        str | None, typer.Option(metavar="V", help="A version; the one that was in production before if not given.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept in the stage's tag.")] = "",
) -> None:
    """Put an earlier version back into production, once its files are proven to be what was registered."""
    from luodi import landing
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    landed, rows = landing.move(
        Origin.find(find_root()),
        model,
        to and to.removeprefix(f"{model}@"),
        Runner(print),
        action="rollback",
        reason=reason,
    )
    print(f"{landed.name} is back in production; it predicted {rows} stored rows as it did when it was registered")


@app.command(epilog="Examples: luodi pull reviews serving/reviews | luodi pull reviews@v1.0.0 old")
def pull(
    version: Annotated[
        str, typer.Argument(metavar="MODEL[@V]", help="A version, such as reviews@v1.0.0; else that in production.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made, or replaced if an earlier pull made it.")],
) -> None:
    """Bring a registered model into a folder for a deployment: model, encoder, model card and facts, hashes checked."""
    from luodi import registry
    from luodi.local import delivery
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    origin, runner = Origin.find(find_root()), Runner(print)
    model, number = parts(version)
    chosen = registry.find(registry.mirror(origin, runner), model, number)
    delivery.deploy(origin, chosen, folder, runner)
    print(f"{chosen.name} is in {shown(folder)}")


def parts(version: str) -> tuple[str, str]:
    """Split MODEL[@V] into model and number; without V, and with @production, the stage."""
    from luodi.registry import PRODUCTION

    model, _, number = version.partition("@")
    return model, number or PRODUCTION


@app.command(epilog="Example: luodi architectures")
def architectures() -> None:
    """List the networks that `train.architecture` may name, and the keys of the train block that shape each."""
    from luodi import console
    from luodi.nets.catalogue import ARCHITECTURES

    console.show_architectures(ARCHITECTURES)


models = typer.Typer(
    name="models", help="List the registered versions, or show one.", invoke_without_command=True, rich_markup_mode=None
)
app.add_typer(models, epilog="Examples: luodi models | luodi models list reviews | luodi models show reviews@v1.0.0")


@models.callback()
def models_callback(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        models_list()


@models.command("list", epilog="Examples: luodi models list | luodi models list reviews --all")
def models_list(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only this model.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All of them, not only the newest of each model.")] = False,
) -> None:
    """List the registered versions, newest first, with what changed since the one before.

    Of each model those are listed that are newest, and the one in production.
    """
    from luodi import console, registry
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    repository = registry.mirror(Origin.find(find_root()), Runner(print))
    names = [model] if model else registry.models(repository)
    newest = None if every else console.NEWEST
    listed = {name: registry.versions(repository, name, newest and newest + 1) for name in names}
    if model and not listed[model]:
        raise NoVersion(f"no version of {shown(model)} at all: `luodi models` lists what there is")
    console.show_versions(listed, newest)
    for name, versions in listed.items():
        if newest and versions and (more := len(registry.numbers(repository, name)) - newest) > 0:
            print(f"{more:,} more of {name}: `luodi models list {name} --all` lists them")


@models.command("show", epilog="Examples: luodi models show reviews | luodi models show reviews@v1.0.0")
def models_show(version: VersionArgument) -> None:
    """Show all that is known of a version: lineage, metrics, verdict, approval, moves; write its model card."""
    from luodi import console, registry
    from luodi.local import delivery
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    origin, runner = Origin.find(find_root()), Runner(print)
    repository = registry.mirror(origin, runner)
    model, number = parts(version)
    chosen = registry.find(repository, model, number)
    console.show_version(chosen, registry.moves(repository, model), delivery.cards(origin, chosen))


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
    from luodi import registry, sample
    from luodi.data import inputs
    from luodi.inference import Classifier
    from luodi.origin import Origin
    from luodi.paths import find_root
    from luodi.processes import Runner

    # JSON is UTF-8 in every locale.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    if bool(texts) == bool(source):
        raise typer.BadParameter("give texts, or --input PATH, not both")
    origin, runner = Origin.find(find_root()), Runner(print)
    chosen = registry.find(registry.mirror(origin, runner), model, version)
    found = registry.fetch(origin, chosen, runner)
    classifier = Classifier.load(found / "export")
    sample.check(found / "sample.json", classifier, chosen.name)
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
                raise BrokenData(f"{name}: {error}, or move it away") from None
        raise


def write_predictions(
    key: str, items: list[str], probabilities: "NDArray[np.float32]", classifier: "Classifier", version: str
) -> None:
    """Print one JSON object an item: the item under `key`, its label, the probability, the version that says so."""
    for item, row in zip(items, probabilities, strict=True):
        best = int(row.argmax())
        answer = {key: item, "label": classifier.labels[best], "probability": round(float(row[best]), 6)}
        print(terminal.json_line(answer | {"version": version}))


def known_model(root: Path, name: str) -> None:
    """Raise UnknownKey, with the near name, if params.yaml has no such model."""
    from luodi import config
    from luodi.paths import PARAMS

    config.model(config.load(root / PARAMS), name)


def main() -> None:
    """Entry point: a LuodiError, a full disk or a file in the way becomes one message and an exit code."""
    guard.contain()
    guard.end_in_order()
    terminal.cover()
    sys.excepthook = _tell_unexpected
    try:
        app()
    except LuodiError as error:
        sys.exit(_tell(_explained(error)))
    except Exception as error:
        from luodi import disk

        if told := disk.explain(error):
            sys.exit(_tell(told))
        if not isinstance(error, OSError) or error.filename is None:
            raise
        remedy = "move away what is in the way, or let this user read and write there"
        sys.exit(_tell(LuodiError(f"{error.filename}: {error.strerror}: {remedy}")))


def _explained(error: LuodiError) -> LuodiError:
    """What a command that nobody else explained met, if it was the disk."""
    from luodi import disk
    from luodi.processes import CommandFailed

    if not isinstance(error, CommandFailed):
        return error
    told = disk.full_in(error.output, Path.cwd()) or disk.refused_in(error.output)
    return told or disk.probe(Path.cwd()) or error


def _tell(error: LuodiError) -> int:
    from luodi.masking import redact

    print(f"error: {redact(str(error))}", file=sys.stderr)
    return error.exit_code


def _tell_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of a fault of ours, without the secrets that it may quote."""
    import traceback

    from luodi.masking import redact

    print(redact("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)
