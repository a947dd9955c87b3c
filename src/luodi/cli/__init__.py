"""The command line, which hears signals before its commands are imported: that takes long enough to press Ctrl-C."""

from luodi.system import guard


def main() -> None:
    """Entry point: run the command that was typed; whatever it starts ends with it."""
    guard.contain()
    guard.end_in_order()
    with guard.ending():
        from luodi.cli import commands
    commands.run()
