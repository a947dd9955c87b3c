"""All commands, and what becomes of their errors. Stages are imported when they run: start-up dominates small runs."""

import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer

from luodi import __version__, terminal
from luodi.cli import (
    amending,
    data,
    encoder,
    landing,
    models,
    monitoring,
    prediction,
    project,
    runs,
    serving,
    stages,
    tuning,
)
from luodi.errors import LuodiError
from luodi.system import guard, progress

app = typer.Typer(
    name="luodi",
    help="Retrain classifiers on a schedule; land a new version only when it is proven better.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich would double the start-up time
    pretty_exceptions_enable=False,
)
for noun in (project, data, amending, encoder, runs, landing, models, monitoring, prediction, serving, stages, tuning):
    app.add_typer(noun.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"luodi {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors, no progress.")] = False,
) -> None:
    progress.silence(quiet)


MOVED = "production moved as a whole or not at all: `luodi models list` tells"
STOPPED = {
    "run": "production is what it was, unless register ended; what stages made is kept: run it again, and it goes on",
    "tune": "trials that ended are kept: run it again, and it goes on",
    "train": "run it again, and it goes on from its last checkpoint",
    "pretrain": "run it again, and it goes on from the last round that ended",
    **dict.fromkeys(("register", "promote", "rollback"), MOVED),
}
"""What stands when a command was stopped; of the others nothing is left half done."""


def run() -> None:
    """Run the command in `sys.argv`: a LuodiError, a full disk or a file in the way becomes a message and a code."""
    terminal.cover()
    sys.excepthook = _tell_unexpected
    try:
        with guard.ending():
            app()
    except SystemExit as end:
        if guard.interrupted() and end.code == 128 + signal.SIGINT:
            command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
            print(f"stopped: {STOPPED.get(command, 'nothing is left half done')}", file=sys.stderr)
        raise
    except LuodiError as error:
        sys.exit(_tell(_explained(error)))
    except Exception as error:
        from luodi.system import disk

        if told := disk.explain(error):
            sys.exit(_tell(told))
        if not isinstance(error, OSError) or error.filename is None:
            raise
        remedy = "move away what is in the way, or let this user read and write there"
        sys.exit(_tell(LuodiError(f"{error.filename}: {error.strerror}: {remedy}")))


def _explained(error: LuodiError) -> LuodiError:
    """What a command that nobody else explained met, if it was the disk."""
    from luodi.system import disk
    from luodi.system.processes import CommandFailed

    if not isinstance(error, CommandFailed):
        return error
    told = disk.full_in(error.output, Path.cwd()) or disk.refused_in(error.output)
    return told or disk.probe(Path.cwd()) or error


def _tell(error: LuodiError) -> int:
    from luodi.system.masking import redact

    print(f"error: {redact(str(error))}", file=sys.stderr)
    return error.exit_code


def _tell_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of a fault of ours, without the secrets that it may quote."""
    import traceback

    from luodi.system.masking import redact

    print(redact("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)
