"""The command line, which hears signals before its commands are imported: that takes long enough to press Ctrl-C."""

import gc

from luodi.system import guard


def main() -> None:
    """Entry point: run the command that was typed; whatever it starts ends with it."""
    guard.contain()
    guard.end_in_order()
    with guard.ending():
        from luodi.cli import commands
    try:
        commands.run()
    finally:
        gc.freeze()  # else Python looks through all of a library's objects for cycles as the process ends
