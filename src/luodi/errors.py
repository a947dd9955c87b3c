"""Every error a person may meet, each with its own exit code.

    LuodiError                1
    ├── ValidationFailed      3   the data broke a critical expectation
    │   └── NothingLeft       4   every row was quarantined
    ├── Held                  5   the model is not good enough to land, or was rejected
    │   └── Unproven          6   too few test rows to tell whether it is
    ├── Alarmed               7   what a model in use is asked drifted, or it is less often right
    ├── ParamsError          10   params.yaml (or dvc.yaml) cannot be used
    │   ├── UnknownKey       11
    │   ├── WrongValue       12
    │   └── UserCodeFailed   13   code of a user's own that params.yaml names
    ├── DataError            20   the raw data cannot be used
    │   ├── MissingData      21
    │   ├── EmptyData        22
    │   ├── BrokenData       23
    │   ├── MissingColumn    24
    │   └── SourceMismatch   25   fetched data is not what data.dvc records
    ├── ArtifactError        30   an artifact of an earlier stage is missing or broken
    ├── GitError             40
    │   ├── NotARepository   41
    │   ├── DirtyCheckout    42
    │   ├── NoIdentity       43
    │   └── PushRejected     44
    ├── RemoteError          50   the git or DVC remote cannot be reached
    ├── RegistryError        60
    │   └── NoVersion        61
    ├── DiskFull             70
    ├── StageFailed          80   a stage's process ended with an error
    ├── MemoryExhausted      81   training could not allocate what a step needs
    └── StaleProject         90   the project's lock files are not of its params.yaml, or not of this luodi

A message names the thing, what was expected, what was found, and what to do.
"""

from collections.abc import Iterable
from typing import ClassVar

from luodi.terminal import shown

NO_DATABASE = 3
"""Exit code of `local_run` and `command` of luodi.airflow, and of no command of Airflow, where Airflow's database could
not be made or updated."""

LINE, LINES = 2000, 60  # characters of a line of a message, and lines


class LuodiError(Exception):
    """Base of all errors that end in one message and an exit code, never a traceback.

    Each argument is a line. What values in it hold stays in that line, see `luodi.terminal`.

    Attributes:
        retryable: Another try may go well. It cannot where the same commit and the same data would fail the same way.
    """

    exit_code: ClassVar[int] = 1
    retryable: bool = True

    def __str__(self) -> str:
        lines = [shown(line, LINE) for line in self.args]
        if len(lines) > LINES:
            lines[1 : 2 - LINES] = [f"… ({len(lines) - LINES + 1:,} more lines)"]
        return "\n".join(lines)


class ValidationFailed(LuodiError):
    exit_code = 3
    retryable = False


class NothingLeft(ValidationFailed):
    exit_code = 4


class Held(LuodiError):
    exit_code = 5
    retryable = False


class Unproven(Held):
    exit_code = 6


class Alarmed(LuodiError):
    exit_code = 7
    retryable = False


class ParamsError(LuodiError):
    exit_code = 10
    retryable = False


class UnknownKey(ParamsError):
    exit_code = 11


class WrongValue(ParamsError):
    exit_code = 12


class UserCodeFailed(ParamsError):
    exit_code = 13


class DataError(LuodiError):
    exit_code = 20
    retryable = False


class MissingData(DataError):
    exit_code = 21


class EmptyData(DataError):
    exit_code = 22


class BrokenData(DataError):
    exit_code = 23


class MissingColumn(DataError):
    """Attributes:
    options: Of the command line, which may name the columns; a guess.
    """

    exit_code = 24
    options: str = ""


class SourceMismatch(DataError):
    exit_code = 25


class ArtifactError(LuodiError):
    exit_code = 30


class GitError(LuodiError):
    exit_code = 40


class NotARepository(GitError):
    exit_code = 41


class DirtyCheckout(GitError):
    exit_code = 42


class NoIdentity(GitError):
    exit_code = 43


class PushRejected(GitError):
    exit_code = 44


class RemoteError(LuodiError):
    exit_code = 50


class RegistryError(LuodiError):
    exit_code = 60


class NoVersion(RegistryError):
    exit_code = 61


class DiskFull(LuodiError):
    exit_code = 70


class MemoryExhausted(LuodiError):
    exit_code = 81


class StageFailed(LuodiError):
    """`code` is the exit code of the stage's own process, and says which error ended it."""

    exit_code = 80

    def __init__(self, *lines: str, code: int = 1) -> None:
        super().__init__(*lines)
        self.code = code
        self.retryable = _of_exit_code(code).retryable


class StaleProject(LuodiError):
    exit_code = 90


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'reviews'?" for the end of a message, or nothing where no known word is near."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _of_exit_code(code: int) -> type[LuodiError]:
    """The error that a command of luodi ends with that code for; LuodiError where it is the code of none."""
    kinds: list[type[LuodiError]] = [LuodiError]
    for kind in kinds:  # grows as it goes
        kinds += kind.__subclasses__()
    return next((kind for kind in kinds if kind.exit_code == code), LuodiError)
