"""Search settings: run it, see where it stands, write what it found into params.yaml."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from luodi.cli.arguments import JsonOption, ModelArgument
from luodi.cli.stages import run_stage

app = typer.Typer()
RUN, IF_SET = "run", "--if-set"


class Searching(TyperGroup):
    """`luodi tune MODEL` is `luodi tune run MODEL`, and `luodi tune status --if-set` that of a model named status."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        command = args[0] in self.commands and args[1:] != [IF_SET]
        return super().resolve_command(ctx, args if command else [RUN, *args])


tune = typer.Typer(
    cls=Searching, no_args_is_help=True, help="Search better settings of preprocess and train: luodi tune MODEL."
)
app.add_typer(
    tune, name="tune", epilog="Examples: luodi tune reviews | luodi tune status reviews | luodi tune apply reviews"
)


@tune.command(RUN, epilog="Examples: luodi tune run reviews | luodi tune reviews")
def run(
    model: ModelArgument,
    *,
    if_set: Annotated[
        bool, typer.Option(IF_SET, help="Find nothing where the model has no block tune: what dvc.yaml runs.")
    ] = False,
    trial: Annotated[
        int | None, typer.Option(min=0, help="Run this one alone, for the study: what a task of Airflow does.")
    ] = None,
) -> None:
    """Search the settings that block tune names, or the usual ones; go on where an earlier search stood."""
    run_stage("tune", model, search=not if_set, trial=trial)


@tune.command(epilog="Examples: luodi tune status reviews | luodi tune status reviews --json")
def status(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """Print every trial of the search that runs, or ran last, with what came of it and its time."""
    from luodi import config
    from luodi.cli import console, documents
    from luodi.config import user_code
    from luodi.project.paths import ModelPaths, find_root
    from luodi.tuning import progress

    paths = ModelPaths(find_root(), model)
    with user_code.importable(paths.root):
        found = progress.of(config.settings_of(config.load(paths.params), model), paths)
    if as_json:
        documents.print_json(found)
    else:
        console.show_trials(found)


@tune.command(epilog="Example: luodi tune apply reviews && git diff params.yaml")
def apply(model: ModelArgument) -> None:
    """Write what was found into params.yaml, where comments and order stay."""
    from luodi import config
    from luodi.project.paths import ModelPaths, find_root
    from luodi.scaffold import settling
    from luodi.tuning import best

    paths = ModelPaths(find_root(), model)
    config.settings_of(config.load(paths.params), model)
    values = best.read(paths)
    settling.settle(paths.params, model, best.nested(values))
    print(f"params.yaml: {best.told(values)}" if values else "params.yaml stays: nothing better was found")
