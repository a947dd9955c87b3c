"""The command line. Stages are imported when they run: start-up cost dominates small runs."""

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from luodi.errors import DiskFull, LuodiError

app = typer.Typer(
    name="luodi",
    help="Retrain classifiers on a schedule; land a new version only when it is proven better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A key of `models:` in params.yaml.")]


def run_stage(stage: str, name: str) -> None:
    """Load the model's block and run `luodi.stages.STAGE.run(config, paths)`."""
    from importlib import import_module

    from luodi import config
    from luodi.paths import ModelPaths, find_root

    root = find_root()
    paths = ModelPaths(root, name)
    block = config.model(config.load(paths.params), name)
    import_module(f"luodi.stages.{stage}").run(block, paths)


@app.command(epilog="Example: luodi validate reviews")
def validate(model: ModelArgument) -> None:
    """Check the raw data; split it into clean rows and quarantined rows; write the validation report."""
    run_stage("validate", model)


@app.command(epilog="Example: luodi preprocess reviews")
def preprocess(model: ModelArgument) -> None:
    """Clean, drop duplicates, split by content hash, and encode the clean rows."""
    run_stage("preprocess", model)


@app.command(epilog="Example: luodi baseline reviews")
def baseline(model: ModelArgument) -> None:
    """Train the linear baseline that every version is measured against."""
    run_stage("baseline", model)


@app.command(epilog="Example: luodi train reviews")
def train(model: ModelArgument) -> None:
    """Train the architecture named in params.yaml and export it to ONNX."""
    run_stage("train", model)


@app.command(epilog="Example: luodi evaluate reviews")
def evaluate(model: ModelArgument) -> None:
    """Score the exported model on the test rows and write metrics, plots and the report."""
    run_stage("evaluate", model)


def main() -> None:
    """Entry point: a LuodiError or a full disk becomes one message and an exit code."""
    try:
        app()
    except LuodiError as error:
        sys.exit(_tell(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {Path(error.filename)}" if error.filename else ""
        sys.exit(_tell(DiskFull(f"the disk is full{where}: free some space and run the command again")))


def _tell(error: LuodiError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
