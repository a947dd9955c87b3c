"""What a full disk, a limit or a missing right looks like, in errors of Python and in what git and DVC print."""

import errno
import os
import re
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

from luodi.errors import DiskFull, LuodiError
from luodi.system.processes import CommandFailed

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
TOO_MANY = (errno.EMFILE, errno.ENFILE)
ROOM = 1 << 20  # bytes: with less than that free, a failed command is taken to have failed for it

# Libraries tell it in words only: h5py and numpy without a number, SQLite and TensorFlow in errors of their own.
_FULL = re.compile(
    r"No space left on device|Out of diskspace|Disk quota exceeded|File too large|database or disk is full|disk is full"
    r"|(?:[Ee]rrno(?: =)? ?)(?:28|122|27)\b|requested and \d+ written|died of signal 25|File size limit exceeded"
)
_REFUSED = re.compile(r"(Permission denied|Read-only file system|Operation not permitted|Too many open files)")
_NAMED = re.compile(r"(?:Errno \d+\][^:\n]*: |(?:^|[ :'])(?:(?:fatal|error): )?)'?(/[^'\n:]+)'?")


def explain(error: BaseException) -> LuodiError | None:
    """Return the error of ours for one that a full disk, a limit or a missing right raised; None for any other."""
    for one in _chain(error):
        if isinstance(one, DiskFull):
            return one
        number = one.errno if isinstance(one, OSError) else None
        if number in NO_ROOM or (not isinstance(one, LuodiError) and _FULL.search(str(one))):
            name = getattr(one, "filename", None)
            return full(name if isinstance(name, str) else None, limited=number == errno.EFBIG)
        if number in NO_RIGHT + TOO_MANY:
            return LuodiError(_sentence(one.filename, os.strerror(number or 0)))  # type: ignore[attr-defined]
    if "No usable temporary directory" in str(error):
        return full(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108, where tempfile looks
    return None


def full_in(output: str, folder: Path) -> DiskFull | None:
    """Return the error of a full disk if a command that worked in `folder` printed one before it failed."""
    # "disk I/O error" is what SQLite says of a file that may not grow, and of a broken disk.
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    found = _FULL.search(output) or (limit != resource.RLIM_INFINITY and re.search("disk I/O error", output))
    if not found:
        return None
    limited = found[0].startswith(("File", "died", "disk I/O")) or found[0].endswith("27")
    return full(_named(output, found.start()) or f"below {folder}", limited)


def refused_in(output: str) -> LuodiError | None:
    """Return the error of a missing right if a command printed one, and of which file, before it failed."""
    if (found := _REFUSED.search(output)) and (name := _named(output, found.start())):
        return LuodiError(_sentence(name, found[1]))
    return None


def full(where: str | Path | None, limited: bool = False) -> DiskFull:
    """Return the error of a full disk, or of a file that may not grow, met while writing `where`."""
    place = f" while writing {where}" if where else ""
    if limited:
        return DiskFull(
            f"a file may not grow further{place}: raise the limit on its size (`ulimit -f`) and run the command again"
        )
    return DiskFull(f"the disk is full{place}: free some space and run the command again")


def or_full(error: LuodiError, *folders: Path) -> LuodiError:
    """Return `error`, or that of a full disk: git and DVC often do not say that it was one. Silence is an answer."""
    if isinstance(error, CommandFailed) and not error.output.strip():
        return error
    return probe(*folders, Path(tempfile.gettempdir())) or error


def probe(*folders: Path) -> DiskFull | None:
    """Return the error of a full disk if one of the folders has no room for a file of `ROOM` bytes, or for any file."""
    for folder in folders:
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, ROOM)
        except OSError as error:
            if error.errno in NO_ROOM:
                return full(f"below {folder}", limited=error.errno == errno.EFBIG)
    return None


def _sentence(name: object, reason: str) -> str:
    what = f"{name}: {reason}" if name else reason
    if reason.startswith("Too many"):
        return f"{what}: raise the limit of open files (see `ulimit -n`) and run the command again"
    return f"{what}: expected a place where this user may write; mend it and run the command again"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _named(output: str, place: int) -> str | None:
    """The path in the line of `output` at `place`."""
    start, end = output.rfind("\n", 0, place) + 1, output.find("\n", place)
    found = _NAMED.search(output[start : end if end >= 0 else None])
    return found[1] if found else None
