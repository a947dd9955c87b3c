"""Changes of a project's models: one at a time, and all of each or nothing of it, whatever ends it.

What a change will touch is put aside first. Where it fails, that is put back; where it was killed, the next change puts
it back before anything else, so that doing the same again does it. After a commit it is not put back any more: whoever
made that took the change for done.
"""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from luodi.config import encoders, locked
from luodi.errors import DataError, MissingData, SourceMismatch
from luodi.files import checksum, private, private_folder, replacing, replacing_folder
from luodi.project import data_pointer, dvc_store, locks, programs
from luodi.project.origin import EMBEDDED
from luodi.project.paths import PARAMS
from luodi.system.processes import CommandFailed, Runner

GRAPH = "dvc.yaml"
LOCK = "dvc.lock"
FILES = (GRAPH, locked.NAME, "data.dvc", ".gitignore", encoders.NAME, PARAMS)
"""What every change writes; dvc.lock too where it drops entries."""
PLAN = "plan.json"
RUNNING = ".dvc/tmp/rwlock"
"""Where DVC says what its commands read and write now."""


@contextmanager
def exclusive(root: Path) -> Iterator[Path]:
    """Yield an empty folder to prepare a change in, removed after; first take back one that was killed.

    Raises:
        DataError: Another change is being made in this checkout.
    """
    staging = private_folder(root / EMBEDDED) / "adding"
    with private():
        lock = (staging.parent / "adding.lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                "another `luodi add`, `ingest`, `retire` or `rename` runs in this checkout: wait for it to end"
            ) from None
        _take_back(root)
        shutil.rmtree(staging, ignore_errors=True)  # of one that was killed
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def require_data(root: Path, model: str = "", runner: Runner | None = None) -> str:
    """Raise unless data/ is this project's own and what data.dvc records: recording a part would drop the others.

    A change of one model needs no other's rows: where its folder alone is here, as it is recorded, that is enough.

    Returns:
        What to record then: data, or data/MODEL.
    """
    data, pointer = root / "data", root / "data.dvc"
    data_pointer.require_own(pointer)
    if pointer.exists() and not data.exists():
        raise MissingData(
            f"{data} is away, though {pointer.name} records it: bring it back with `dvc pull`, or "
            "with `luodi fetch` if all of it is embedded datasets"
        )
    try:
        if pointer.exists():
            data_pointer.verify(data, pointer)
    except SourceMismatch:
        if not (model and runner and _alone(root, model, runner)):
            raise
        return f"data/{model}"
    return "data"


def _alone(root: Path, model: str, runner: Runner) -> bool:
    """Whether nothing but the folder of this model lies in data/, as data.dvc records it."""
    folder, md5 = root / "data" / model, data_pointer.recorded(root / "data.dvc")
    if [path.name for path in folder.parent.iterdir()] != [model]:
        return False
    cache = root / programs.dvc(runner, root, "cache", "dir").strip()
    here = {path.relative_to(folder).as_posix(): checksum(path) for path in folder.rglob("*") if path.is_file()}
    return dvc_store.recorded([cache], md5, f"data/{model}") == here


def make(
    root: Path,
    params: bytes,
    graph: str,
    runner: Runner,
    *,
    moves: Sequence[tuple[Path, Path]] = (),
    record: str = "data",
    forget: str = "",
    also: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write params.yaml, dvc.yaml and params.lock, move data and record that; on any error undo it all.

    Args:
        params, graph: What params.yaml and dvc.yaml are to hold.
        moves: Folders or files, and where each goes.
        record: What of data/ these change, see `require_data`.
        forget: A model whose entries leave dvc.lock.
        also: What others of `FILES` are to hold.

    Raises:
        DataError: A stage is reading data/.
    """
    if moves:
        _require_unread(root)
    entries = locks.read(root / LOCK)
    leaving = locks.of_model(entries, forget)
    _put_aside(root, (*FILES, LOCK) if leaving else FILES, params, moves)
    try:
        for move in moves:
            move[1].parent.mkdir(parents=True, exist_ok=True)
            shutil.move(*move)  # .luodi may lie on another disk
        for name, text in {PARAMS: params, GRAPH: graph.encode(), **also}.items():
            with replacing(root / name) as temporary:
                temporary.write_bytes(text)
        locked.write(root)
        if leaving:
            locks.write(root / LOCK, locks.merge(entries, forget, {}))
        if moves:
            programs.dvc(runner, root, "add", record)
    except BaseException:
        _take_back(root)
        raise
    _forget(root)


def _require_unread(root: Path) -> None:
    """Raise where DVC runs what reads or writes in data/: rows would be moved under that, and DVC record nothing."""
    import psutil

    try:
        held = json.loads((root / RUNNING).read_text(encoding="utf-8"))
        infos = [(Path(path), one) for path, found in held["read"].items() for one in found]
        infos += [(Path(path), one) for path, one in held["write"].items()]
        at_work = [one["pid"] for path, one in infos if path.is_relative_to(root / "data") or path == root]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, or of another DVC, which tells it
        return
    if busy := [pid for pid in at_work if psutil.pid_exists(pid)]:
        raise DataError(
            f"a `dvc` in this checkout reads data/ now (process {busy[0]}): wait for it to end, and run it again"
        )


def _aside(root: Path) -> Path:
    return private_folder(root / EMBEDDED) / "undo"


def _put_aside(root: Path, files: Sequence[str], params: bytes, moves: Sequence[tuple[Path, Path]]) -> None:
    """Keep what is to be changed, whole or not at all: the folder has its name when everything is in it."""
    plan = {
        "files": files,
        "head": _head(root),
        "moves": [[str(source), str(target)] for source, target in moves],
        "made_data": not (root / "data").exists(),
    }
    with private(), replacing_folder(_aside(root)) as folder:
        for name in files:
            if (root / name).exists():
                shutil.copyfile(root / name, folder / name)
        (folder / "after").write_bytes(params)
        (folder / PLAN).write_text(json.dumps(plan), encoding="utf-8")


def _take_back(root: Path) -> None:
    """Put back what a change put aside that did not come to its end; nothing if there is none."""
    aside = _aside(root)
    if not aside.exists():
        return
    plan = json.loads((aside / PLAN).read_text(encoding="utf-8"))
    if plan["head"] != _head(root):
        _forget(root)
        return
    for source, target in (map(Path, move) for move in plan["moves"]):
        if source.exists():  # it went half across, or not at all
            target.unlink() if target.is_file() else shutil.rmtree(target, ignore_errors=True)
        elif target.exists():
            shutil.move(target, source)
        with contextlib.suppress(OSError):  # it is not empty
            target.parent.rmdir()
    if plan["made_data"]:
        with contextlib.suppress(OSError):  # it is not there, or not empty any more
            (root / "data").rmdir()
    edited = (root / PARAMS).read_bytes() not in ((aside / PARAMS).read_bytes(), (aside / "after").read_bytes())
    for name in plan["files"]:
        for left in root.glob(f".{name}.[0-9]*"):  # half-written, under the names that `files.replacing` gives
            left.unlink()
        if name != PARAMS or not edited:  # what a person wrote since stays
            _put_back(root / name, (aside / name).read_bytes() if (aside / name).exists() else None)
    _forget(root)


def _head(root: Path) -> str:
    """The commit that is checked out; empty before the first one."""
    try:
        return Runner(lambda line: None).run("git", "rev-parse", "--verify", "--quiet", "HEAD", cwd=root).strip()
    except CommandFailed:
        return ""


def _forget(root: Path) -> None:
    """Drop what was put aside, at once: what is half removed would be put back."""
    done = _aside(root).with_name("undone")
    shutil.rmtree(done, ignore_errors=True)
    _aside(root).rename(done)
    shutil.rmtree(done, ignore_errors=True)


def _put_back(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif not path.exists() or path.read_bytes() != content:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
