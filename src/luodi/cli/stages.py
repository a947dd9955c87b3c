"""One command a stage: what dvc.yaml runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from luodi.cli.arguments import ModelArgument
from luodi.system import progress

if TYPE_CHECKING:
    from luodi.config import ModelSettings
    from luodi.project.paths import ModelPaths

app = typer.Typer()


SILENT = ("validate", "preprocess", "baseline", "evaluate")
"""Stages that tell nothing of their own while they run."""
TUNED = ("preprocess", "train", "compress")
"""Stages whose settings stage tune may have found."""


def run_stage(stage: str, name: str, *, search: bool = False, trial: int | None = None) -> None:
    """Load the model's block and run `luodi.stages.STAGE.run(config, paths)`.

    Args:
        search: Without a block `tune`, take its defaults.
        trial: Of stage tune, run this trial alone.
    """
    # Arrow's own allocator gives memory back at once, and faults it in anew: a third of the time of validate.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from importlib import import_module

    from luodi import config
    from luodi.config import locked, user_code
    from luodi.project import fingerprints, steady
    from luodi.project.paths import ModelPaths, find_root

    paths = ModelPaths(find_root(), name)
    params = config.load(paths.params)
    block = config.settings_of(params, name)
    if search and block.tune is None:
        block = block.model_copy(update={"tune": config.Tune()})
    with (
        steady.inputs(paths.root, stage, name, block.modality),
        user_code.importable(paths.root, user_code.files(block, paths.root)),
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere if progress.silent() else sys.stdout),
    ):
        fingerprints.require_current(paths.root, stage, block.modality)
        locked.require_current(paths.root, params, name)
        if stage in TUNED:
            block = _tuned(stage, block, paths)
        if trial is not None and block.tune:
            import_module("luodi.tuning.search").run_trial(block, paths, block.tune, trial)
            return
        with _told(stage):
            import_module(f"luodi.stages.{stage}").run(
                block, paths
            )  # what it prints is progress: its results are files


@contextmanager
def _told(stage: str) -> Iterator[None]:
    """Tell how far a stage is, unless it does so itself."""
    if stage not in SILENT:
        yield
        return
    from luodi.cli.bar import Bar

    with Bar(stage) as bar, progress.followed(bar.at):
        yield


def _tuned(stage: str, block: "ModelSettings", paths: "ModelPaths") -> "ModelSettings":
    """The settings with what stage tune found over those of params.yaml, which is told."""
    if block.tune is None:
        return block
    from luodi.tuning import best

    if values := best.read(paths):
        print(f"{stage}: tuned, over params.yaml: {best.told(values)}", flush=True)
    return best.applied(block, paths)


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
    code = {file for block in blocks for file in user_code.files(block, root)}
    if code or any(block.tune or block.compress for block in blocks):
        from luodi.scaffold import pipeline

        pipeline.require_code(pipeline.read(root), sorted(code), pipeline.asked(blocks))
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


@app.command(epilog="Example: luodi compress reviews")
def compress(model: ModelArgument) -> None:
    """Make smaller models of the exported one; take the smallest that validation rows prove no worse."""
    run_stage("compress", model)


@app.command(epilog="Example: luodi evaluate reviews")
def evaluate(model: ModelArgument) -> None:
    """Score the exported model on the test rows and write metrics, plots and the report."""
    run_stage("evaluate", model)
