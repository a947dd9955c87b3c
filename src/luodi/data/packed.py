"""Files in compressed form and in archives, unpacked with bounds: an archive may be made to do harm.

Of an archive nothing but regular files is taken, under names that stay inside the folder they are put into, and no more
bytes than real data of its size unpacks to.
"""

import bz2
import errno
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from luodi.errors import BrokenData, MissingData
from luodi.system import lfs
from luodi.terminal import shown

COMPRESSED = (".gz", ".bz2", ".zst")
ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2")
RATIO, FLOOR = 200, 2**30  # bytes unpacked: so many times those of the file, and no less than that is let through
BLOCK = 2**20
BROKEN = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    OSError,
)
CLUTTER = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin", "lost+found")
"""What file managers and file systems leave, in lower case."""


def suffix(name: str | PurePosixPath) -> str:
    """Return the suffix below those of compression, in lower case: ".csv" of "a.CSV.gz"."""
    path = PurePosixPath(name)
    while path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    return path.suffix.lower()


def is_archive(path: Path) -> bool:
    """Tell by the suffix alone."""
    return suffix(path.name) in ARCHIVES


@contextmanager
def opened(path: Path, raw: Callable[[BinaryIO], object] = id) -> Iterator[tuple[BinaryIO, str]]:
    """Open the one file that `path` holds, itself or in compressed form, and give its bytes and its suffix.

    Args:
        raw: Is given the file as it lies there, whose place says how much of it was read.

    Raises:
        MissingData: There is no such file.
        BrokenData: It is not what its suffix says, is cut short, or is an archive of no file or of several.
    """
    with ExitStack() as stack, _told(path):
        raw(file := _file(path, stack))
        stream = _inflated(file, path.name, stack)
        if not is_archive(path):
            yield stream, suffix(path.name)
            return
        stream = _archive(stream, path, stack)
        names = [name for name, _ in _members(stream, path)]
        if len(names) != 1:
            some = ", ".join(shown(name, 60) for name in names[:5]) or "none"
            raise BrokenData(
                f"{path}: expected an archive of one table, found {len(names):,} files ({some}); unpack it"
            )
        stream.seek(0)
        for name, file in _members(stream, path):
            yield _inflated(file, name, stack), suffix(name)


def several(path: Path) -> bool:
    """Tell whether an archive holds more than one file. Raises BrokenData as `unpack`."""
    return len(names(path, 2)) > 1


def names(path: Path, most: int) -> list[str]:
    """Return the names of the first files, at most so many, of an archive. Raises BrokenData as `unpack`."""
    with ExitStack() as stack, _told(path):
        stream = _archive(_inflated(_file(path, stack), path.name, stack), path, stack)
        return [name for name, _ in islice(_members(stream, path), most)]


@contextmanager
def seekable(stream: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """Give `stream`, or a copy of it on the disk, where any place is read as fast. Raises BrokenData as `unpack`."""
    if type(stream) is io.BufferedReader:  # a file of the disk as it is
        yield stream
        return
    with tempfile.TemporaryFile() as file:
        _copy(stream, cast(BinaryIO, file), path, _allowed(path))
        file.seek(0)
        yield cast(BinaryIO, file)


def _archive(stream: BinaryIO, path: Path, stack: ExitStack) -> BinaryIO:
    """What the readers of archives can go back in."""
    return stream if stream.seekable() else stack.enter_context(seekable(stream, path))


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into `folder`; hidden files and clutter are left out.

    Raises:
        BrokenData: It is broken, leads out of the folder, holds a link, or unpacks to more than real data does.
    """
    with ExitStack() as stack, _told(path):
        stream = _archive(_inflated(_file(path, stack), path.name, stack), path, stack)
        left = _allowed(path)
        for name, file in _members(stream, path):
            target = folder / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as copy:
                    left -= _copy(file, copy, path, left)
            except (FileExistsError, NotADirectoryError):
                raise BrokenData(f"{path} holds {shown(name, 100)} twice: pack it again") from None


def _file(path: Path, stack: ExitStack) -> BinaryIO:
    try:
        file = stack.enter_context(path.open("rb"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        if ":/" in str(path):  # of a URL, its second / is lost
            raise MissingData(
                f"{path} is no file of this machine: bring it here first; what lies at a URL, with the name of an "
                "Airflow connection before an @ or without, Airflow takes in where ingest.inbox in params.yaml names it"
            ) from None
        raise MissingData(f"{path} is not a file: give a table, such as hotels.csv, or an archive") from None
    lfs.require_content(path, BrokenData)
    return file


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the readers say of a broken file into BrokenData; an error of the disk stays what it is."""
    try:
        yield
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # a place before the beginning
            raise
        raise BrokenData(
            f"{path} cannot be unpacked ({error or 'it is cut short'}): pack it again, without a password"
        ) from None


def _inflated(file: BinaryIO, name: str, stack: ExitStack) -> BinaryIO:
    """Undo what the suffixes of `name` say, the last first."""
    path = PurePosixPath(name)
    kind = {".tgz": ".gz", ".tbz2": ".bz2"}.get(path.suffix.lower(), path.suffix.lower())
    if kind == ".gz":
        file = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file)))
    elif kind == ".bz2":
        file = cast(BinaryIO, stack.enter_context(bz2.BZ2File(file)))
    elif kind == ".zst":
        import pyarrow as pa

        file = cast(BinaryIO, stack.enter_context(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")))
    return _inflated(file, path.stem, stack) if path.suffix.lower() in COMPRESSED else file


def _members(stream: BinaryIO, path: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Yield the name and the bytes of each file in an archive that is none of the clutter."""
    for name, kind, file in _zipped(stream) if suffix(path.name) == ".zip" else _tarred(stream):
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if kind == "folder" or any((part[0] == "." and part != "..") or part.lower() in CLUTTER for part in parts):
            continue
        if kind != "file":
            raise BrokenData(f"{path}: {shown(name, 100)} is no regular file but a {kind}: pack it again without")
        if not parts or ".." in parts or parts[0].startswith("/") or "\0" in name:
            raise BrokenData(f"{path}: {shown(name, 100)} leads out of the archive: pack it again")
        if file is not None:
            yield "/".join(parts), file


def _zipped(stream: BinaryIO) -> Iterator[tuple[str, str, BinaryIO | None]]:
    with zipfile.ZipFile(stream) as archive:
        for entry in archive.infolist():
            kind = entry.external_attr >> 28  # the type of a Unix file
            if entry.is_dir():
                yield _name(entry), "folder", None
            elif kind not in (0, 8):
                yield _name(entry), "link" if kind == 10 else "device", None
            else:
                with archive.open(entry) as file:
                    yield _name(entry), "file", cast(BinaryIO, file)


def _name(entry: zipfile.ZipInfo) -> str:
    """The name of an entry; where no flag says UTF-8, it is that or, from Windows in China, GBK."""
    if entry.flag_bits & 0x800 or entry.filename.isascii():
        return entry.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return entry.filename.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return entry.filename


def _tarred(stream: BinaryIO) -> Iterator[tuple[str, str, BinaryIO | None]]:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for entry in archive:
            if entry.isdir():
                yield entry.name, "folder", None
            elif entry.isfile():
                yield entry.name, "file", cast(BinaryIO, archive.extractfile(entry))
            else:
                yield entry.name, "link" if entry.issym() or entry.islnk() else "device", None


def _allowed(path: Path) -> int:
    return max(FLOOR, RATIO * path.stat().st_size)


def _copy(source: BinaryIO, target: BinaryIO, path: Path, allowed: int) -> int:
    """Copy no more than `allowed` bytes; return how many they were."""
    size = 0
    while block := source.read(BLOCK):
        size += len(block)
        if size > allowed:
            raise BrokenData(
                f"{path} unpacks to more than {RATIO} times its size: expected real data; unpack it by hand"
            )
        target.write(block)
    return size
