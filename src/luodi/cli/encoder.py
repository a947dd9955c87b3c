"""Pretrained encoders, of texts or images: from a checkpoint on disk into the project."""

from pathlib import Path
from typing import Annotated

import typer

from luodi.cli.arguments import JsonOption
from luodi.system.progress import Heartbeat

app = typer.Typer()
encoder = typer.Typer(
    name="encoder",
    help="Add a pretrained encoder from a folder or file, or list them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(encoder, epilog="Examples: luodi encoder add ~/all-MiniLM-L6-v2 --name minilm | luodi encoder list")


@encoder.command(
    "add",
    epilog="Examples: luodi encoder add ~/all-MiniLM-L6-v2 --name minilm | luodi encoder add efficientnetb0_notop.h5 | "
    "luodi encoder add artifacts/digits/train/net/model.keras --name digits-stem",
)
def encoder_add(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            help="Of texts: a folder of config.json, tokenizer.json (or vocab.txt) and model.safetensors. Of images: a "
            "network that Keras saved (.keras), or weights of one of Keras' applications, which its name tells "
            "(efficientnetb0_notop.h5).",
        ),
    ],
    *,
    name: Annotated[str | None, typer.Option(help="What it is called; else as the folder or file is.")] = None,
    licence: Annotated[str | None, typer.Option(help="Under which it is; else what its files say.")] = None,
) -> None:
    """Check a checkpoint of the BERT family or a network of images, and bring it into data/encoders; all or nothing.

    None of its code runs, and nothing is downloaded.
    """
    from luodi.cli.data import made_ready
    from luodi.scaffold import encoders
    from luodi.system.processes import Runner

    root = made_ready()
    with Heartbeat("adding it"):
        added = encoders.add(root, source, name, Runner(print), licence)
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
