"""What is registered: list it, show it, pull it; and the architectures that there are."""

from pathlib import Path
from typing import Annotated

import typer

from luodi.cli.arguments import VersionArgument, parts
from luodi.errors import NoVersion
from luodi.terminal import shown

app = typer.Typer()

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
    from luodi.cli import console
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    repository = tags.mirror(Origin.find(find_root()), Runner(print))
    names = [model] if model else tags.models(repository)
    newest = None if every else console.NEWEST
    listed = {name: tags.versions(repository, name, newest and newest + 1) for name in names}
    if model and not listed[model]:
        raise NoVersion(f"no version of {shown(model)} at all: `luodi models` lists what there is")
    console.show_versions(listed, newest)
    for name, versions in listed.items():
        if newest and versions and (more := len(tags.numbers(repository, name)) - newest) > 0:
            print(f"{more:,} more of {name}: `luodi models list {name} --all` lists them")


@models.command("show", epilog="Examples: luodi models show reviews | luodi models show reviews@v1.0.0")
def models_show(version: VersionArgument) -> None:
    """Show all that is known of a version: lineage, metrics, verdict, approval, moves; write its model card."""
    from luodi.cli import console
    from luodi.local import delivery
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    origin, runner = Origin.find(find_root()), Runner(print)
    repository = tags.mirror(origin, runner)
    model, number = parts(version)
    chosen = tags.find(repository, model, number)
    console.show_version(chosen, tags.moves(repository, model), delivery.cards(origin, chosen))


@app.command(epilog="Examples: luodi pull reviews serving/reviews | luodi pull reviews@v1.0.0 old")
def pull(
    version: Annotated[
        str, typer.Argument(metavar="MODEL[@V]", help="A version, such as reviews@v1.0.0; else that in production.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made, or replaced if an earlier pull made it.")],
) -> None:
    """Bring a registered model into a folder for a deployment: model, encoder, model card and facts, hashes checked."""
    from luodi.local import delivery
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    origin, runner = Origin.find(find_root()), Runner(print)
    model, number = parts(version)
    chosen = tags.find(tags.mirror(origin, runner), model, number)
    delivery.deploy(origin, chosen, folder, runner)
    print(f"{chosen.name} is in {shown(folder)}")


@app.command(epilog="Example: luodi architectures")
def architectures() -> None:
    """List the networks that `train.architecture` may name, and the keys of the train block that shape each."""
    from luodi.cli import console
    from luodi.nets.catalogue import ARCHITECTURES

    console.show_architectures(ARCHITECTURES)
