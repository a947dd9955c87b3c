"""What is registered: list it, show it, pull it; and the architectures that there are."""

from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from luodi.cli.arguments import JsonOption, LangOption, ModelArgument, Reference, ReferenceArgument, language, reference
from luodi.errors import NoVersion, did_you_mean
from luodi.system.progress import Heartbeat
from luodi.terminal import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luodi.registry.tags import Version

    Listed = list[tuple[Version, Version | None]]

NEWEST = 20  # versions of a model that are listed unless all are asked for
app = typer.Typer()

models = typer.Typer(
    name="models", help="List the registered versions, or show one.", invoke_without_command=True, rich_markup_mode=None
)
app.add_typer(models, epilog="Examples: luodi models | luodi models list reviews | luodi models show reviews@v1.0.0")


@models.callback()
def models_callback(context: typer.Context, *, as_json: JsonOption = False) -> None:
    if context.invoked_subcommand is None:
        models_list(as_json=as_json)
    elif as_json:
        raise typer.BadParameter(f"write it behind `{context.invoked_subcommand}`", param_hint="--json")


@models.command(
    "list", epilog="Examples: luodi models list | luodi models list reviews --all | luodi models list --json"
)
def models_list(
    only: Annotated[
        Reference | None,
        typer.Argument(metavar="[MODEL[@VERSION]]", parser=reference, help="Only this model, or this version."),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All of them, not only the newest of each model.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the registered versions, newest first, with what changed since the one before.

    Of each model those are listed that are newest, and the one in production.
    """
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    with Heartbeat("reading the registry"):
        repository = tags.mirror(Origin.find(find_root()), Runner(print))
    number, newest = only and only.number, None if every else NEWEST
    names = [only.model] if only else tags.models(repository)
    listed = {name: _selected(repository, name, number, newest) for name in names}
    counts = {name: len(tags.numbers(repository, name)) for name in names if newest and not number}
    more = {name: max(count - NEWEST, 0) for name, count in counts.items() if listed[name]}
    if only and not listed[only.model]:
        near = did_you_mean(only.model, tags.models(repository))
        raise NoVersion(f"no version of {shown(only.model)} at all: `luodi models` lists what there is{near}")
    if as_json:
        from luodi.cli.documents import print_json

        print_json({
            name: {"versions": [_as_json(version) for version, _ in found], "more": more.get(name, 0)}
            for name, found in listed.items()
        })  # fmt: skip
        return
    from luodi.cli import console

    console.show_versions([pair for found in listed.values() for pair in found])
    for name, count in more.items():
        if count:
            print(f"{count:,} more of {name}: `luodi models list {name} --all` lists them")


def compared(there: "Sequence[Version]", newest: int | None = None) -> "Listed":
    """Return the newest versions, and those at a stage, each with that before it, which it is compared to.

    Args:
        there: All versions of a model that were read, newest first.
        newest: So many; None is all.
    """
    first = slice(0, len(there) if newest is None else newest)
    older = [(version, None) for version in there[first.stop :] if version.stage]
    return [*zip_longest(there, there[1:])][first] + older


def _selected(repository: Path, model: str, number: str | None, newest: int | None) -> "Listed":
    from luodi.registry import tags

    if number is None:
        return compared(tags.versions(repository, model, newest and newest + 1), newest)
    chosen = tags.find(repository, model, number)
    return [pair for pair in compared(tags.versions(repository, model)) if pair[0].number == chosen.number]


def _as_json(version: "Version") -> dict[str, Any]:
    return {
        "version": version.name,
        "stage": version.stage,
        **({"share": version.share} if version.share else {}),
        "registered": version.registered,
        "author": version.author,
        "commit": version.commit,
        "facts": version.facts,
    }


@models.command("show", epilog="Examples: luodi models show reviews | luodi models show reviews@v1.0.0 --json")
def models_show(wanted: ReferenceArgument, *, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """Show all that is known of a version: lineage, metrics, verdict, approval, moves; write its model card."""
    from luodi.local import delivery
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    root, runner = find_root(), Runner(print)
    origin = Origin.find(root)
    with Heartbeat("reading the registry"):
        repository = tags.mirror(origin, runner)
    chosen = tags.find(repository, wanted.model, wanted.number or tags.PRODUCTION)
    moves = tags.moves(repository, wanted.model)
    folder = delivery.cards(origin, chosen, moves, language(root, lang))
    if as_json:
        from luodi.cli.documents import print_json

        moved = [{"at": move.at, "by": move.by, "facts": move.facts} for move in moves if move.number == chosen.number]
        print_json({**_as_json(chosen), "moves": moved, "pages": sorted(folder.iterdir())})
    else:
        from luodi.cli import console

        console.show_version(chosen, moves, folder)


def _of_the_same(text: str) -> Reference:
    """Parse a version as --compare takes it: its model may be left out, and is "" then."""
    return reference(f"MODEL{text}")._replace(model="") if text.startswith("@") else reference(text)


@app.command(
    epilog="Examples: luodi report reviews | luodi report reviews --compare reviews@production > review.md | "
    "luodi report reviews@v1.1.0 --compare reviews@v1.0.0 --format html > review.html | luodi report reviews --lang zh"
)
def report(
    wanted: Annotated[
        Reference,
        typer.Argument(
            metavar="MODEL[@VERSION]",
            parser=reference,
            help="A version; MODEL alone is what `dvc repro` made in this checkout.",
        ),
    ],
    *,
    compare: Annotated[
        Reference | None,
        typer.Option(
            metavar="[MODEL]@VERSION",
            parser=_of_the_same,
            help="Say what differs from this version of it; MODEL alone is that in production.",
        ),
    ] = None,
    form: Annotated[Literal["md", "html", "json"], typer.Option("--format", help="What to print.")] = "md",
    lang: LangOption = None,
) -> None:
    """Print what validation and evaluation found, in short: Markdown for a pull request, a page, or JSON."""
    from luodi.cli import documents
    from luodi.local import checkout
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import review, tags
    from luodi.report import language as spoken
    from luodi.report.formatting import texts
    from luodi.system.processes import Runner

    root = find_root()

    def version(which: Reference) -> review.Subject:
        with Heartbeat("reading the registry"):
            repository = tags.mirror(Origin.find(root), Runner(print))
        found = tags.find(repository, which.model, which.number or tags.PRODUCTION)
        return review.Subject(found.name, found.facts, landed=True)

    if wanted.number:
        subject = version(wanted)
    else:
        made = checkout.made(root, wanted.model)
        stale = "" if made["current"] else ", not what dvc.lock records: run `dvc repro`"
        subject = review.Subject(f"{wanted.model} in this checkout{stale}", made)
    if compare and compare.model not in ("", wanted.model):
        raise typer.BadParameter(
            f"expected a version of {shown(wanted.model)}, found {shown(compare)}", param_hint="--compare"
        )
    other = version(compare._replace(model=wanted.model)) if compare else None
    if form == "json":
        documents.print_json(review.as_json(subject, other))
    else:
        said = {"md": review.markdown, "html": review.html}[form](subject, other).rstrip()
        tell = {"md": spoken.markdown, "html": spoken.translated}[form]
        names = frozenset(texts(subject.facts, "params", "labels"))
        documents.print_text(tell(said, language(root, lang), names))


@app.command(
    epilog="Examples: luodi plots reviews | luodi plots reviews HEAD | luodi plots reviews reviews@v1.0.0 HEAD"
)
def plots(
    model: ModelArgument,
    revisions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REVISION",
            help="Such as HEAD, or a version's tag: one is drawn beside the checkout, several beside each other.",
            show_default=False,
        ),
    ] = None,
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to, dvc_plots/MODEL by default.", show_default=False),
    ] = None,
    lang: LangOption = None,
) -> None:
    """Draw what `dvc plots` shows of a model as SVG, a page and a file each: no script, no network."""
    from luodi import config
    from luodi.local import plots
    from luodi.project.paths import PARAMS, find_root
    from luodi.system.processes import Runner

    root = find_root()
    config.settings_of(config.load(root / PARAMS), model)
    with Heartbeat("drawing"):
        drawn = plots.draw(root, model, revisions or (), folder or root / "dvc_plots" / model, Runner(print),
                            language(root, lang))  # fmt: skip
    for line in drawn.missing:
        print(shown(line, 200))
    print(f"{len(drawn.titles)} plots, each an SVG too: {shown(drawn.page)}")


@app.command(epilog="Examples: luodi pull reviews serving/reviews | luodi pull reviews@v1.0.0 net --keras")
def pull(
    wanted: ReferenceArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made, or replaced if an earlier pull made it.")],
    *,
    keras: Annotated[bool, typer.Option("--keras", help="Bring model.keras too, the network alone.")] = False,
    lang: LangOption = None,
) -> None:
    """Bring a registered model into a folder for a deployment: model, encoder, model card and facts, hashes checked."""
    from luodi.local import delivery
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    root, runner = find_root(), Runner(print)
    origin = Origin.find(root)
    with Heartbeat("bringing the model"):
        chosen = tags.find(tags.mirror(origin, runner), wanted.model, wanted.number or tags.PRODUCTION)
        delivery.deploy(origin, chosen, folder, runner, keras=keras, lang=language(root, lang))
    print(f"{chosen.name} is in {shown(folder)}")


@app.command(
    epilog="Examples: luodi export reviews served --to mlflow | luodi export reviews@v1.0.0 hub --to huggingface"
)
def export(
    wanted: ReferenceArgument,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made, or replaced if an earlier export of that form made it.")
    ],
    *,
    form: Annotated[
        Literal["huggingface", "mlflow"],
        typer.Option("--to", help="A repository of the Hugging Face Hub, or a model of MLflow."),
    ],
) -> None:
    """Bring a registered model into a folder that another tool serves or publishes; luodi is not needed there."""
    from luodi.local import exporting
    from luodi.project.origin import Origin
    from luodi.project.paths import find_root
    from luodi.registry import tags
    from luodi.system.processes import Runner

    origin, runner = Origin.find(find_root()), Runner(print)
    with Heartbeat("bringing the model"):
        chosen = tags.find(tags.mirror(origin, runner), wanted.model, wanted.number or tags.PRODUCTION)
        exporting.export(origin, chosen, form, folder, runner)
    print(f"{chosen.name} is in {shown(folder)}, for {form}")


@app.command(epilog="Examples: luodi architectures | luodi architectures --json")
def architectures(*, as_json: JsonOption = False) -> None:
    """List the networks that `train.architecture` may name, and the keys of the train block that shape each."""
    from luodi.cli import console, documents
    from luodi.nets.catalogue import ARCHITECTURES

    if as_json:
        documents.print_json([asdict(one) for one in ARCHITECTURES])
    else:
        console.show_architectures(ARCHITECTURES)
