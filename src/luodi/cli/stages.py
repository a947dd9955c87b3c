"""One command a stage: what dvc.yaml runs."""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import typer

from luodi.cli.arguments import ModelArgument
from luodi.system import progress

app = typer.Typer()


def run_stage(stage: str, name: str) -> None:
    """Load the model's block and run `luodi.stages.STAGE.run(config, paths)`."""
    # Arrow's own allocator gives memory back at once, and faults it in anew: a third of the time of validate.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from importlib import import_module

    from luodi import config
    from luodi.config import locked, user_code
    from luodi.project import fingerprints
    from luodi.project.paths import ModelPaths, find_root

    paths = ModelPaths(find_root(), name)
    params = config.load(paths.params)
    block = config.settings_of(params, name)
    fingerprints.require_current(paths.root, stage, block.modality)
    locked.require_current(paths.root, params, name)
    with (
        user_code.importable(paths.root),
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere if progress.silent() else sys.stdout),
    ):
        import_module(f"luodi.stages.{stage}").run(block, paths)  # what it prints is progress: its results are files


@app.command(epilog="Example: luodi settings")
def settings() -> None:
    """Write params.lock: every setting in effect, of params.yaml and of the defaults."""
    from luodi import config
    from luodi.config import locked, user_code
    from luodi.project import fingerprints
    from luodi.project.paths import PARAMS, find_root

    root = find_root()
    fingerprints.require_current(root, fingerprints.SETTINGS)
    blocks = config.load(root / PARAMS).models.values()
    if code := {file for block in blocks for file in user_code.files(block, root)}:
        from luodi.scaffold import pipeline

        pipeline.require_code(pipeline.read(root), sorted(code))
    locked.write(root)


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
