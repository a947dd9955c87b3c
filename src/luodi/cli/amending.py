"""What a person looks at and hands back: the quarantine, and labels that the data contradicts."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from luodi.cli.arguments import JsonOption, ModelArgument
from luodi.system.progress import Heartbeat
from luodi.terminal import shown

app = typer.Typer()
LIST = "list"
SHOWN = 10

Sheet = Annotated[Path, typer.Argument(metavar="FILE", help="What was written by --csv, changed.")]
Table = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every row there, a line each.")]


class Listing(TyperGroup):
    """`luodi quarantine MODEL` is `luodi quarantine list MODEL`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else [LIST, *args])


quarantine = typer.Typer(
    cls=Listing, no_args_is_help=True, rich_markup_mode=None,
    help="Rows that validation held back: list them, release them corrected, discard them.",
)  # fmt: skip
app.add_typer(
    quarantine, name="quarantine",
    epilog="Examples: luodi quarantine reviews --csv held.csv | luodi quarantine release reviews held.csv",
)  # fmt: skip
labels = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Labels that the rest of the data contradicts: review them."
)
app.add_typer(
    labels, name="labels",
    epilog="Examples: luodi labels review reviews --csv doubts.csv | luodi labels apply reviews doubts.csv",
)  # fmt: skip


@quarantine.command(LIST, epilog="Examples: luodi quarantine list reviews | luodi quarantine reviews --csv held.csv")
def quarantine_list(model: ModelArgument, *, table: Table = None, as_json: JsonOption = False) -> None:
    """List the rows that validation held back: each reason with its number of rows, and where some of them stand."""
    from luodi.checks import held_back
    from luodi.cli import documents
    from luodi.cli.arguments import known_model
    from luodi.data import shards
    from luodi.project.paths import ModelPaths, find_root

    root = find_root()
    known_model(root, model)
    paths = ModelPaths(root, model)
    rows = held_back.read(paths.quarantine)
    reasons = held_back.by_reason(rows)
    if table:
        held_back.write_csv(rows, table)
    if as_json:
        found = {one.name: {"rows": one.rows, "examples": list(map(str, one.examples))} for one in reasons}
        documents.print_json({"rows": len(rows), "reasons": found})
        return
    print(f"{model}: {len(rows):,} rows are held back")
    checked = held_back.rows_checked(paths.validation_summary)
    if checked is not None and checked != (here := shards.rows(paths.data)):
        print(
            f"  of the {checked:,} that were checked; data/{model} has {here:,}: `luodi validate {model}` checks them"
        )
    for one in reasons:
        print("\n    ".join([f"  {one.name}: {one.rows:,}", *map(str, one.examples)]))
    if table:
        print(f"all of them are in {shown(table)}")


@quarantine.command(
    "show", epilog="Examples: luodi quarantine show reviews | luodi quarantine show reviews 'week 48.csv'"
)
def quarantine_show(
    model: ModelArgument,
    batch: Annotated[str, typer.Argument(metavar="[BATCH]", help="File or name of a batch; the last if none.")] = "",
    *,
    rows: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """Show the rows of a batch that validation held back, whole, each with its reasons and where it came from."""
    from luodi.checks import held_back
    from luodi.cli.arguments import known_model
    from luodi.project.paths import ModelPaths, find_root

    root = find_root()
    known_model(root, model)
    paths = ModelPaths(root, model)
    one, found = held_back.of_batch(held_back.read(paths.quarantine), paths.data, batch)
    print(f"{model}, {', '.join(map(shown, one.files))}: {len(found):,} of {one.new:,} rows are held back")
    for where, why, label, item in found[:rows]:
        print(f"  {shown(where)}: {shown(why)}\n    [{shown(label, 40)}] {shown(item, 2000)}")
    if len(found) > rows:
        print(f"  and {len(found) - rows:,} more: --rows {len(found)}")


@quarantine.command("release", epilog="Example: luodi quarantine release reviews held.csv")
def quarantine_release(model: ModelArgument, sheet: Sheet) -> None:
    """Take rows back that were corrected in the CSV, if they pass the checks now; what is as it was stays held back."""
    _amend(model, sheet, what="released")


@quarantine.command("discard", epilog="Example: luodi quarantine discard reviews held.csv")
def quarantine_discard(model: ModelArgument, sheet: Sheet) -> None:
    """Leave the rows of the CSV out for good: they stay in the shards, and are neither used nor held back."""
    _amend(model, sheet, what="discarded", discard=True)


@labels.command("review", epilog="Examples: luodi labels review reviews | luodi labels review reviews --csv doubts.csv")
def labels_review(model: ModelArgument, *, table: Table = None, as_json: JsonOption = False) -> None:
    """List rows whose label the rest of the data contradicts, the most suspicious first; nothing is changed.

    They stand on a copy of the page of validation too. Each row is scored by linear models that did not see it. Fill in
    `verdict` in the CSV (keep, relabel, drop) and hand it back to `luodi labels apply`.
    """
    from dataclasses import asdict

    from luodi.cli import documents
    from luodi.project.paths import ModelPaths, find_root
    from luodi.scaffold import reviewing

    root = find_root()
    with Heartbeat("scoring each row by models that did not see it"):
        found, rows = reviewing.review(root, model)
    report = reviewing.write_page(ModelPaths(root, model), found, rows)
    if table:
        reviewing.write(table, found)
    if as_json:
        documents.print_json({"rows": rows, "suspects": [asdict(one) for one in found]})
        return
    print(f"{model}: the data contradict the label of {len(found):,} of {rows:,} rows")
    for one in found[:SHOWN]:
        print(f"  [{shown(one.label, 40)}] {one.own:.0%}, rather {shown(one.suggested, 40)} {one.other:.0%}: "
              f"{shown(one.item, 60)}")  # fmt: skip
    if table:
        print(f"all of them are in {shown(table)}: fill in `verdict`, and `luodi labels apply {model} {shown(table)}`")
    elif found:
        print(f"all of them, to be handed back: luodi labels review {model} --csv doubts.csv")
    print(f"see {shown(report.relative_to(root))}")


@labels.command("apply", epilog="Example: luodi labels apply reviews doubts.csv")
def labels_apply(model: ModelArgument, sheet: Sheet) -> None:
    """Do what a person wrote under `verdict`: keep, relabel (as `label` says, else as suggested) or drop."""
    _amend(model, sheet, what="labels reviewed")


@labels.command("admit", epilog="Examples: luodi labels admit reviews | luodi labels admit reviews neutral mixed")
def labels_admit(
    model: ModelArgument,
    label: Annotated[
        list[str] | None, typer.Argument(metavar="[LABEL]...", help="Without one, they are listed.")
    ] = None,
) -> None:
    """Admit classes that came with new rows, which are held back until then: they join `labels` in params.yaml."""
    from luodi.cli.arguments import known_model
    from luodi.cli.data import made_ready
    from luodi.project.paths import find_root
    from luodi.scaffold import admitting
    from luodi.system.processes import Runner

    if label:
        with Heartbeat("counting rows"):
            done = admitting.admit(made_ready(), model, label, Runner(print))
        print(done)
        return
    root = find_root()
    known_model(root, model)
    found = admitting.unknown(root, model)
    print(f"{model}: {len(found):,} labels of rows that it does not have")
    for name, count in found.most_common():
        print(f"  {shown(name, 60)} {count:,}")


def _amend(model: str, sheet: Path, *, what: str, discard: bool = False) -> None:
    from luodi.cli.data import made_ready
    from luodi.scaffold import amending
    from luodi.system.processes import Runner

    root = made_ready()
    with Heartbeat("taking it in"):
        done = amending.amend(root, model, sheet, Runner(print), what=what, discard=discard)
    print(done)
