"""Where a DVC cache, or a remote that is a folder, keeps what it stores: read without starting DVC."""

import contextlib
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from luodi.files import checksum, read_json
from luodi.system.masking import redact

FILLED = 10  # seconds within which DVC fills a folder that it made


def place(store: str | Path, md5: str) -> str:
    """Return where a DVC cache or remote keeps a file."""
    return f"{store}/files/md5/{md5[:2]}/{md5[2:]}"


def removal(url: str, places: list[str]) -> str:
    """Return the commands that remove files from a DVC remote; where only its owner knows them, their addresses."""
    quoted = [shlex.quote(redact(place)) for place in places]
    if "://" not in url:
        return f"`rm -f {' '.join(quoted)}`"
    return ", ".join(f"`aws s3 rm {place}`" if url.startswith("s3:") else place for place in quoted)


def lacks(store: Path, md5: str) -> bool:
    """Return whether a DVC cache or remote lacks a file, or the list of a folder, or holds it damaged."""
    path = Path(place(store, md5))
    return not path.exists() or checksum(path) != md5.removesuffix(".dir")


def damaged(cache: Path, md5: str) -> list[str]:
    """Return the MD5s of what a DVC cache lacks or holds damaged of an output; with a file of a folder its list."""
    if lacks(cache, md5):
        return [md5]
    bad = [file for file in sorted({file for file, _ in files(cache, md5)} - {md5}) if damaged(cache, file)]
    return [*bad, md5] if bad else []


def files(store: Path, md5: str) -> list[tuple[str, str]]:
    """Return (MD5, path below it) of each file of an output; a folder's list must be in the cache or remote."""
    if not md5.endswith(".dir"):
        return [(md5, "")]
    return [(file["md5"], file["relpath"]) for file in read_json(Path(place(store, md5)))]


def recorded(stores: Sequence[Path], md5: str, folder: str) -> dict[str, str] | None:
    """Return path below `folder` (data/MODEL) -> MD5 of what data/ of that MD5 holds; None if no store has its list."""
    inside = f"{folder.removeprefix('data/')}/"
    for store in stores:
        if not lacks(store, md5):
            return {path.removeprefix(inside): one for one, path in files(store, md5) if path.startswith(inside)}
    return None


def holds(store: Path, md5: str) -> bool:
    """Return whether a DVC cache or remote has all files of an output, by their names; a folder's list is read."""
    if not Path(place(store, md5)).exists() or (md5.endswith(".dir") and lacks(store, md5)):
        return False
    return all(Path(place(store, file)).exists() for file, _ in files(store, md5))


def sweep_runs(cache: Path) -> None:
    """Remove what DVC left empty in its cache of runs, killed before it filled it: there it would fail from then on."""
    for folder in (cache / "runs").glob("*/*"):
        with contextlib.suppress(OSError):  # it is filled, or somebody else removed it
            if time.time() - folder.stat().st_mtime > FILLED:
                folder.rmdir()
