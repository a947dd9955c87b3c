"""Data of a model: the built-in datasets, and new models from files."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from luodi.cli.arguments import (
    Delimiter,
    Encoding,
    GroupPattern,
    IdColumn,
    ImageColumn,
    Images,
    JsonOption,
    LabelColumn,
    LabelMap,
    ModelArgument,
    NoHeader,
    RevisionColumn,
    Sheet,
    SplitColumn,
    TextColumn,
    typed,
)
from luodi.system.progress import Heartbeat

app = typer.Typer()


def _label_map(text: str | None) -> dict[str, str | None]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(one is None or _is_label(one) for one in found.values()):
        raise typer.BadParameter(f"""expected a JSON object of texts, such as '{{"0": "negative"}}', found {text}""")
    return {key: one and one.strip() for key, one in found.items()}


def _is_label(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


@app.command(epilog="Examples: luodi fetch | luodi fetch reviews | luodi fetch fashion --from ~/fashion-mnist")
def fetch(
    dataset: Annotated[str | None, typer.Argument(help="Default: all that are models in params.yaml.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Folder of the IDX files of `fashion`.")
    ] = None,
) -> None:
    """Build the embedded datasets under data/, byte for byte what data.dvc records."""
    from luodi import config
    from luodi.data import builtin_datasets
    from luodi.project.paths import PARAMS, ModelPaths, find_root

    root = find_root()
    usual = [name for name in config.load(root / PARAMS).models if name in builtin_datasets.CHECKSUMS]
    names = [dataset] if dataset else usual
    with Heartbeat(f"building {', '.join(names)}"):
        shards = [
            shard for name in names for shard in builtin_datasets.fetch(name, ModelPaths(root, name).data, folder)
        ]
    state = builtin_datasets.state(root / "data", root / "data.dvc", names, usual)
    print(f"fetch: {', '.join(str(shard.relative_to(root)) for shard in shards) or 'nothing to do'}{state}")


@app.command(
    epilog="Examples: luodi add hotels hotels.csv | luodi add pets pets.zip | "
    "luodi add pets labels.csv --images pets/ | luodi add intents intents.txt --no-header --modality text"
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new model's name: lower case, digits, - and _.")],
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="A table (.json, .xlsx: up to 512 MiB), a folder of train, val, test or of CLASS/FILE, or an archive.",
        ),
    ] = None,
    *,
    source: Annotated[Path | None, typer.Option("--from", metavar="PATH", help="The same, by name.")] = None,
    modality: Annotated[
        Literal["text", "image"] | None, typer.Option(help="What a row is; without it, what the files are.")
    ] = None,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    images: Images = None,
    label_map: LabelMap = None,
    keep: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="Stored beside; may be repeated.")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Stored beside; rows that share a value never stand in two splits; may be repeated. Of files without "
            "a table: folder, those below the class.",
        ),
    ] = None,
    group_pattern: GroupPattern = "",
    id_column: IdColumn = None,
    revision_column: RevisionColumn = None,
    split_column: SplitColumn = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    sheet: Sheet = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Try this pretrained encoder, one of `luodi encoder list`."),
    ] = None,
) -> None:
    """Add a model: its data under data/, its block in params.yaml, and the DVC pointer; all of it or nothing."""
    from luodi.data.columns import Wanted
    from luodi.data.labels import Labels
    from luodi.data.tables import Given
    from luodi.scaffold import adding, guessing
    from luodi.system.processes import Runner

    source, labels = _one(path, source), Labels(_label_map(label_map))
    if modality is None and (text_column or image_column or images):
        modality = "text" if text_column else "image"
    if modality and (text_column if modality == "image" else image_column or images):
        raise typer.BadParameter("--text-column is for --modality text; --image-column and --images are for image")
    root, runner = made_ready(), Runner(print)
    given = Given(encoding, delimiter, not no_header, sheet)
    modality = modality or guessing.modality(source, given)
    item, kept = text_column or image_column, tuple(keep or ())
    groups = tuple(group or ())
    wanted = Wanted(item, label_column, id_column, revision_column, kept, split_column, groups, group_pattern)
    with Heartbeat("adding it"), typed():
        if modality == "text":
            added = adding.add_texts(
                root, name, source, runner, given=given, wanted=wanted, labels=labels, encoder=encoder
            )
        else:
            added = adding.add_images(
                root, name, source, runner, given=given, wanted=wanted, labels=labels, images=images, encoder=encoder
            )
    print(added)


def _one(path: Path | None, named: Path | None) -> Path:
    if (path is None) == (named is None):
        raise typer.BadParameter("give PATH once, such as hotels.csv: behind the name, or by --from")
    return path or named or Path()


@app.command(
    epilog="Examples: luodi ingest hotels week-48.csv | luodi ingest pets new-pets.zip | "
    "luodi ingest pets labels.csv --images pets/ | luodi ingest hotels relabelled.csv --corrects"
)
def ingest(
    model: ModelArgument,
    sources: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Tables or folders, as of `luodi add`.")],
    *,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    images: Images = None,
    label_map: LabelMap = None,
    group_pattern: GroupPattern = "",
    id_column: IdColumn = None,
    revision_column: RevisionColumn = None,
    split_column: SplitColumn = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    sheet: Sheet = None,
    corrects: Annotated[
        bool, typer.Option("--corrects", help="The labels given count, whatever label a row had before.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Rows that came before, and were corrected or forgotten since, count once more."),
    ] = False,
) -> None:
    """Add the rows that are not there yet to a model's data, as shards of their own; all of them or nothing.

    A row that is there is passed over: the same file again adds nothing. Where the data has ids, a row takes the place
    of what had its id before. Where too many would be held back by validation, nothing is added.
    """
    from luodi.data.columns import Wanted
    from luodi.data.labels import Labels
    from luodi.data.tables import Given
    from luodi.scaffold import ingesting
    from luodi.system.processes import Runner

    given = Given(encoding, delimiter, not no_header, sheet)
    item = text_column or image_column
    wanted = Wanted(item, label_column, id_column, revision_column, split=split_column, pattern=group_pattern)
    root, runner = made_ready(), Runner(print)
    with Heartbeat("ingesting them"), typed():
        done = ingesting.ingest(
            root, model, sources, runner,
            given=given, wanted=wanted, labels=Labels(_label_map(label_map)), images=images,
            corrects=corrects, again=again,
        )  # fmt: skip
    print(done)


@app.command(epilog="Examples: luodi retire hotels | luodi retire hotels --data")
def retire(
    model: ModelArgument,
    *,
    data: Annotated[bool, typer.Option("--data", help="Take its folder out of data/ and data.dvc too.")] = False,
) -> None:
    """Take a model out of params.yaml, dvc.yaml and the lock files; all of it or nothing. Its versions stay."""
    from luodi.scaffold import removing
    from luodi.system.processes import Runner

    root = made_ready()
    with Heartbeat("recording data/"):
        removing.retire(root, model, Runner(print), data=data)
    print(f"retired {model}: it left params.yaml, params.lock, dvc.yaml and dvc.lock")
    if data:
        print(f"  data/{model} is removed; `git checkout COMMIT -- data.dvc && dvc checkout data.dvc` brings it back")
    elif (root / "data" / model).exists():
        print(f"  data/{model} stays, recorded in data.dvc: `rm -r data/{model} && dvc add data` takes it out")
    _tell_rest(root, model)
    print(f"next:\n  git add . && git commit -m 'Retire {model}'")


@app.command(epilog="Example: luodi rename hotels stays")
def rename(
    model: ModelArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name: lower case, digits, - and _.")],
) -> None:
    """Give a model another name: block, data and plots; all of it or nothing. Its versions keep the old name."""
    from luodi.scaffold import removing
    from luodi.system.processes import Runner

    root = made_ready()
    with Heartbeat("recording data/"):
        removing.rename(root, model, new, Runner(print))
    print(f"renamed {model} to {new}: in params.yaml, params.lock and dvc.yaml; its data are in data/{new}")
    _tell_rest(root, model)
    print(f"  {new} has no version of these: its next run trains and registers it under its new name")
    print(f"next:\n  git add . && git commit -m 'Rename {model} to {new}'\n  luodi run {new}")


@app.command(epilog="Example: luodi replay reviews --from batches/")
def replay(
    model: ModelArgument,
    folder: Annotated[
        Path, typer.Option("--from", metavar="DIR", help="Of batches, each as of `luodi ingest`, in order of name.")
    ],
    *,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    as_json: JsonOption = False,
) -> None:
    """Try what would become of a model as batches come: ingest each, retrain, and print accuracy before and after.

    In a copy of the project, removed after: nothing of it is changed, and nothing is registered.
    """
    import os
    import sys
    import tempfile
    from contextlib import redirect_stdout
    from dataclasses import asdict

    from luodi.cli import console, documents
    from luodi.cli.arguments import known_model
    from luodi.data.columns import Wanted
    from luodi.data.labels import Labels
    from luodi.data.tables import Given
    from luodi.local import checkout
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.scaffold import replaying
    from luodi.system.processes import Runner

    root = find_root()
    known_model(root, model)
    sources, mapped = replaying.batches(folder), _label_map(label_map)
    with tempfile.TemporaryDirectory(prefix="luodi-replay-") as room, Heartbeat("replaying"), typed():
        copied = Path(room) / "project"
        replaying.copy(root, model, copied)
        checkout.connect(copied, Origin.embedded(copied))
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            steps = []
            for step in replaying.replay(
                copied, model, sources, Runner(lambda line: None), given=Given(encoding, delimiter),
                wanted=Wanted(text_column, label_column), label_map=lambda: Labels(mapped),
            ):  # fmt: skip
                steps.append(step)
                print(f"  {step.batch}: {step.refused or 'retrained'}", file=sys.stderr)
    if as_json:
        documents.print_json([asdict(one) for one in steps])
    else:
        console.show_replay(model, steps)


data = typer.Typer(name="data", help="What became of a model's data.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data, epilog="Example: luodi data log reviews")


@data.command("log", epilog="Examples: luodi data log reviews | luodi data log reviews --json")
def data_log(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """List what came and what was changed, in order: the file, rows, those held back, and the commit that has it."""
    from luodi.cli import console, documents
    from luodi.cli.arguments import known_model
    from luodi.project.paths import ModelPaths, find_root
    from luodi.scaffold import history

    root = find_root()
    known_model(root, model)
    found = history.log(root, ModelPaths(root, model))
    if as_json:
        documents.print_json([one.as_json() for one in found])
    else:
        console.show_data(model, found)


@data.command(
    "forget",
    epilog="Examples: luodi data forget reviews --rows gone.csv | luodi data forget reviews --rows gone.csv --purge",
)
def data_forget(
    model: ModelArgument,
    *,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table that names rows by a column `row` (as `luodi quarantine --csv` writes it), `id`, the text, or "
            "`origin`. Default: what was forgotten before, and came again.",
        ),
    ] = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the bytes from the DVC cache and remote too; there is no way back.")
    ] = False,
) -> None:
    """Take rows out of a model's data for good, and name every place that still holds them.

    Shards are written again without them, without all that hold the same, and without all of the same id. They do not
    come again by the same file. Models that were trained on them stay as they are.
    """
    from luodi.local import arrived
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.scaffold import forgetting, traces
    from luodi.system.processes import Runner

    root, runner = made_ready(), Runner(print)
    if Path((origin := Origin.embedded(find_root())).git).is_dir() and (came := arrived.bring(root, origin, runner)):
        print(f"{len(came):,} files of rows that came in were brought into data/ first")
    with Heartbeat("forgetting them"):
        done = forgetting.forget(root, model, rows, runner)
    print(done.said)
    found = traces.Traces(root, model, done.texts, runner)
    if purge:
        with Heartbeat("removing their bytes"):
            removed = found.purge()
        print("\n".join(f"  {line}" for line in removed))
    with Heartbeat("looking where they still are"):
        told = found.told()
    print("\n  ".join(["where they still are:", *told]))
    if done.rows:
        print(f"next:\n  git add data.dvc && git commit -m 'Forget rows of {model}'\n  luodi run {model}")


def made_ready() -> Path:
    """Return the project's root, DVC there made ready to record data/."""
    from luodi.local import checkout
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root

    root = find_root()
    if (root / ".git").exists():
        checkout.keep_state(root)
    else:  # an unpacked archive: DVC has to be told that there is no git
        checkout.connect(root, Origin.embedded(root))
    return root


def _tell_rest(root: Path, model: str) -> None:
    print(f"  its versions stay in the registry as {model}: `luodi models list {model}`")
    if (root / "artifacts" / model).exists():
        print(f"  what was made of it stays: `rm -r artifacts/{model}` removes it")
