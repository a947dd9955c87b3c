"""Pretrained encoders: from a checkpoint on disk into the project."""

from pathlib import Path
from typing import Annotated

import typer

from luodi.cli.arguments import JsonOption
from luodi.system.progress import Heartbeat

app = typer.Typer()
encoder = typer.Typer(
    name="encoder",
    help="Add a pretrained encoder from a folder, or list them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(encoder, epilog="Examples: luodi encoder add ~/all-MiniLM-L6-v2 --name minilm | luodi encoder list")


@encoder.command("add", epilog="Example: luodi encoder add ~/all-MiniLM-L6-v2 --name minilm")
def encoder_add(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Of config.json, tokenizer.json (or vocab.txt) and model.safetensors.")
    ],
    *,
    name: Annotated[str | None, typer.Option(help="What it is called; else as the folder is.")] = None,
) -> None:
    """Check a checkpoint of the BERT family, and bring it into data/encoders; all of it or nothing.

    None of its code runs, and nothing is downloaded.
    """
    from luodi.cli.data import made_ready
    from luodi.scaffold import encoders
    from luodi.system.processes import Runner

    root = made_ready()
    with Heartbeat("adding it"):
        added = encoders.add(root, folder, name, Runner(print))
    print(added)


@encoder.command("list", epilog="Examples: luodi encoder list | luodi encoder list --json")
def encoder_list(*, as_json: JsonOption = False) -> None:
    """List the encoders of the project: what each is, its licence, size and hash."""
    from luodi.cli import console, documents
    from luodi.config import encoders
    from luodi.project.paths import find_root

    known = encoders.read(find_root())
    if as_json:
        documents.print_json({name: one.model_dump(mode="json") for name, one in known.items()})
    else:
        console.show_encoders(known)
