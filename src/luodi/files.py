"""Write files so that a reader sees the old bytes or the new ones, never half of them."""

import contextlib
import csv
import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luodi.errors import ArtifactError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORMAT = 2
"""Of the facts that stages write and of those of a version, as their "format". The first had none, and the same facts.

A later luodi reads the form of an earlier one; the number says which it is.
"""
ACTING = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes for a formula what begins so."""
OWNER = 0o077
"""The umask under which only this user may read what is made."""

_umask_lock = threading.Lock()
_umasks: list[int] = []  # of who are in `private` now, in all threads: the user's first


@contextmanager
def private() -> Iterator[None]:
    """Make files 0600 and folders 0700, whatever the umask, and so do the processes started meanwhile.

    The folder of clones, logs, databases and settings holds passwords; data, artifacts and a remote folder are for
    whom their user's umask lets read them, so what writes there stays outside, or asks for `users_umask`.
    """
    with _umask_lock:
        _umasks.append(os.umask(OWNER))
    try:
        yield
    finally:
        with _umask_lock:
            users = _umasks[0]
            _umasks.pop()
            if not _umasks:
                os.umask(users)


def users_umask() -> int:
    """Return the umask of this process outside of `private`; -1, for a child the same as here, if it is outside."""
    return next(iter(_umasks), -1)


def private_folder(path: Path) -> Path:
    """Make a folder that only this user may enter; where it has let others in, close it and all below it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with private():
        path.mkdir(exist_ok=True)
    if path.stat().st_mode & OWNER:
        close(path)
    return path


def close(path: Path) -> None:
    """Take all rights of others from a file, or from a folder and all below it; the folder itself comes last.

    Links are not followed, and a file with another name is copied first: a team's repository may have that name too, as
    git links what it clones. What somebody else made, or removes meanwhile, is passed over.
    """
    with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            for inner in os.scandir(path):
                close(Path(inner.path))
        if not found.st_mode & OWNER or stat.S_ISLNK(found.st_mode):
            return
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            with replacing(path) as copy:
                shutil.copyfile(path, copy)
        path.chmod(stat.S_IMODE(found.st_mode) & ~OWNER)


@contextmanager
def _as(path: Path, temporary: Path) -> Iterator[None]:
    """Let an error of the system name `path`, which the user knows: not the temporary one beside it, nor, as a write
    does for which there is no room, nothing."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str) and Path(error.filename).is_relative_to(temporary):
            error.filename = str(path / Path(error.filename).relative_to(temporary))
        elif error.filename is None and error.errno in NO_ROOM:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it over `path`.

    On any error the temporary file is removed and `path` keeps what it had.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with _as(path, temporary):
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_sheet(path: Path, head: Iterable[str], lines: Iterable[Iterable[object]]) -> None:
    """Write CSV atomically for a spreadsheet, in which no cell is a formula; None is an empty cell, see `unmarked`."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([_cell(value) for value in line] for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if _acts(text) else text


def unmarked(cell: str) -> str:
    """Return what a cell of a sheet says: the inverse of the mark that `write_sheet` puts before a formula."""
    return cell[1:] if cell.startswith("'") and _acts(cell) else cell


def _acts(text: str) -> bool:
    """Whether it is a formula, or one that was marked already: it gets one more mark, so that one can be taken off."""
    return text.lstrip("'").startswith(ACTING)


def in_use(path: Path) -> bool:
    """Whether a living process holds the lock of a file: the kernel drops it when that process ends."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys sorted, so that equal values are equal bytes."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    write_text(path, text + "\n")


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Write what a stage found, with the number of its form, as `write_json` does."""
    write_json(path, {"format": FORMAT, **facts})


def read_facts(path: Path) -> dict[str, Any]:
    """Return what `write_facts` wrote, by this luodi or an older one, without the number.

    Raises:
        FileNotFoundError: No stage wrote it yet.
        ValueError: It is no JSON object.
        ArtifactError: A newer luodi wrote it.
    """
    facts = read_json(path)
    if not isinstance(facts, dict):
        raise ValueError(f"{path}: expected a JSON object")
    if (found := format_of(facts)) > FORMAT:
        raise ArtifactError(
            f"{path} was written by a newer luodi: it is of format {found}, and this one reads up to {FORMAT}: install "
            "the newer one here"
        )
    return {name: value for name, value in facts.items() if name != "format"}


def format_of(facts: Mapping[str, Any]) -> int:
    """Return the number of the form of facts, see `FORMAT`; 1 if they do not say."""
    found = facts.get("format")
    return found if isinstance(found, int) and not isinstance(found, bool) else 1


def write_array(path: Path, array: Any) -> None:
    """Write a NumPy array, not atomically. `numpy.save` on a file raises an OSError without a number on a full disk."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    path.write_bytes(buffer.getbuffer())


def read_json(path: Path) -> Any:
    """Read JSON in UTF-8."""
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; on success swap it in for `path`, on any error remove it.

    The old folder is moved aside first: a reader sees all of it, or none, or all of the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    old = path.with_name(f"{temporary.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with _as(path, temporary):
            temporary.mkdir()
            yield temporary
            if path.exists():
                path.replace(old)
            temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def folder_checksum(folder: Path, without: Collection[str] = ()) -> str:
    """Return the MD5 that DVC gives a folder: that of the JSON list of its files' MD5s and relative paths.

    Args:
        without: Relative paths that do not count.
    """
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    listing = [{"md5": checksum(folder / name), "relpath": name} for name in files if name not in without]
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest() + ".dir"


def checksum(path: Path) -> str:
    """Return the MD5 of a file as DVC counts it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
