"""The project: make one, take it to another luodi, and see its settings."""

from pathlib import Path
from typing import Annotated

import typer

from luodi.cli.arguments import JsonOption, ModelArgument

app = typer.Typer()


@app.command(epilog="Example: luodi init reviews-project && cd reviews-project")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, a repository, or one to be made.")],
) -> None:
    """Make a project: params.yaml, dvc.yaml, the DAGs, git and DVC; it has no model yet."""
    from luodi.scaffold import init as scaffold
    from luodi.system.processes import Runner
    from luodi.terminal import shown

    notes = scaffold.init(folder.absolute(), Runner(print))
    print(
        "\n  ".join([f"made a project in {shown(folder)}", *notes]) + "\n"
        "next:\n"
        + (f"  cd {shown(folder)}\n" if folder.absolute() != Path.cwd() else "")
        + "  luodi add NAME FILE.csv      # or a folder of images or texts, an archive\n"
        "  git add . && git commit -m 'Add NAME'\n"
        "  luodi run NAME"
    )


@app.command(epilog="Example: luodi upgrade && git diff")
def upgrade() -> None:
    """Take the project to the luodi that is installed: dvc.yaml, params.lock, luodi.lock; say what will run again."""
    from luodi.project.paths import find_root
    from luodi.scaffold import upgrade as scaffold

    root = find_root()
    done = scaffold.upgrade(root)
    print("\n".join(done.diff) or "dvc.yaml stays as it is")
    for path in done.removed:
        print(f"removed {path.relative_to(root)}: luodi is installed, the project needs no copy of it")
    print("these stages run again with the next `dvc repro` or run:" if done.reruns else "no stage runs again")
    for stage, why in done.reruns.items():
        print(f"  {stage}: {why}")


@app.command(epilog="Examples: luodi params reviews | luodi params reviews --json")
def params(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """Print every setting of a model in effect, where it comes from, and what it is."""
    from luodi import config
    from luodi.cli import console, documents
    from luodi.config import described
    from luodi.project.paths import ModelPaths, find_root
    from luodi.tuning import best

    paths = ModelPaths(find_root(), model)
    block = config.settings_of(config.load(paths.params), model)
    tuned = best.read(paths) if block.tune and paths.best_params.exists() else {}
    written = config.read(paths.params)["models"][model]
    found = described.settings(best.applied(block, paths) if tuned else block, written, tuned)
    if as_json:
        documents.print_json({one.name: one.as_json() for one in found})
    else:
        console.show_settings(found)
