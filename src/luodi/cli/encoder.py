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
            help="Of texts: a folder of config.json, tokenizer.json (or vocab.txt, or vocab.json and merges.txt) and "
            "model.safetensors. Of images: a network that Keras saved (.keras), or weights of a Keras application, "
            "which its name tells (efficientnetb0_notop.h5). Of either: a preset of KerasHub.",
        ),
    ],
    *,
    name: Annotated[str | None, typer.Option(help="What it is called; else as the folder or file is.")] = None,
    licence: Annotated[str | None, typer.Option(help="Under which it is; else what its files say.")] = None,
) -> None:
    """Check a checkpoint of the BERT family or GPT-2, or a network of images, and bring it into data/encoders.

    All of it or nothing. None of its code runs, and nothing is downloaded.
    """
    from luodi.cli.data import made_ready
    from luodi.scaffold import encoders
    from luodi.system.processes import Runner

    root = made_ready()
    with Heartbeat("adding it"):
        added = encoders.add(root, source, name, Runner(print), licence)
    print(added)


@app.command(
    epilog="Examples: luodi pretrain titles-encoder --texts titles.txt | "
    "luodi pretrain news --texts news/ --texts more.txt --layers 6 --width 256 --epochs 3"
)
def pretrain(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What comes of it, which is not there yet.")],
    *,
    texts: Annotated[
        list[Path],
        typer.Option(metavar="PATH", help="Texts without labels, a line each: a file, or a folder of files .txt."),
    ],
    layers: Annotated[int, typer.Option(min=1, max=48)] = 4,
    width: Annotated[int, typer.Option(min=32, max=2048, help="Values of a vector, a multiple of 32.")] = 128,
    length: Annotated[int, typer.Option(min=8, max=2048, help="Tokens that it reads of a text.")] = 64,
    vocabulary: Annotated[int, typer.Option(min=100, max=500_000, help="Tokens known, at most.")] = 8000,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Rounds over all texts.")] = 5,
    licence: Annotated[str | None, typer.Option(help="Under which it is to be.")] = None,
) -> None:
    """Pretrain an encoder on texts without labels, from nothing; `luodi encoder add DIR` then takes it.

    It learns to tell tokens that are hidden by those around them. Whatever ends it: run it again, and it goes on.
    """
    from luodi.data import unlabelled
    from luodi.nets.stderr import quiet

    if width % 32:
        raise typer.BadParameter("--width is a multiple of 32")
    found = unlabelled.read(texts)
    print(f"pretrain: {len(found):,} texts", flush=True)
    with quiet():
        from luodi.pretrained import pretraining
        from luodi.pretrained.pretraining import Plan

    plan = Plan(layers=layers, width=width, length=length, vocabulary=vocabulary, epochs=epochs)
    print(pretraining.run(folder, found, plan, licence))
    print(f"next:\n  luodi encoder add {folder}")


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
