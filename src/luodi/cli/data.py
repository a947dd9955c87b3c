"""Data of a model: the built-in datasets, and new models from files."""

from pathlib import Path
from typing import Annotated

import typer

from luodi.terminal import shown

app = typer.Typer()


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
    shards = [shard for name in names for shard in builtin_datasets.fetch(name, ModelPaths(root, name).data, folder)]
    state = builtin_datasets.state(root / "data", root / "data.dvc", names, usual)
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
    from luodi.local import checkout
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.scaffold import adding
    from luodi.system.processes import Runner

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
