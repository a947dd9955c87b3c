"""Changes of a project's models: one at a time, and all of each or nothing of it."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luodi.config import locked
from luodi.data import builtin_datasets
from luodi.errors import DataError, MissingData
from luodi.files import private, private_folder, replacing
from luodi.project import locks, workspace
from luodi.project.origin import EMBEDDED
from luodi.project.paths import PARAMS
from luodi.system.processes import Runner

GRAPH = "dvc.yaml"
LOCK = "dvc.lock"


@contextmanager
def exclusive(root: Path) -> Iterator[Path]:
    """Yield an empty folder to prepare a change in, removed after.

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
                "another `luodi add`, `luodi retire` or `luodi rename` runs in this checkout: wait for it to end"
            ) from None
        shutil.rmtree(staging, ignore_errors=True)  # of one that was killed
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def require_data(root: Path) -> None:
    """Raise unless data/ is what data.dvc records: recording it while a part is away would drop that part."""
    data, pointer = root / "data", root / "data.dvc"
    if pointer.exists() and not data.exists():
        raise MissingData(
            f"{data} is away, though {pointer.name} records it: bring it back with `dvc pull`, or "
            "with `luodi fetch` if all of it is embedded datasets"
        )
    if pointer.exists():
        builtin_datasets.verify(data, pointer)


def make(
    root: Path, params: bytes, graph: str, runner: Runner, *, move: tuple[Path, Path] | None = None, forget: str = ""
) -> None:
    """Write params.yaml, dvc.yaml and params.lock, move a folder of data and record that; on any error undo it all.

    Args:
        params, graph: What params.yaml and dvc.yaml are to hold.
        move: A folder, and where it goes.
        forget: A model whose entries leave dvc.lock.
    """
    entries = locks.read(root / LOCK)
    kept = [(path, path.read_bytes() if path.exists() else None) for path in _written(root)]
    made_data = not (root / "data").exists()
    try:
        if move:
            (root / "data").mkdir(exist_ok=True)
            shutil.move(*move)  # .luodi may lie on another disk
        for path, text in ((root / PARAMS, params), (root / GRAPH, graph.encode())):
            with replacing(path) as temporary:
                temporary.write_bytes(text)
        locked.write(root)
        if locks.of_model(entries, forget):
            locks.write(root / LOCK, locks.merge(entries, forget, {}))
        if move:
            workspace.dvc(runner, root, "add", "data")
    except BaseException:
        if move and move[0].exists():
            shutil.rmtree(move[1], ignore_errors=True)  # it went half across
        elif move and move[1].exists():
            shutil.move(move[1], move[0])
        if made_data:
            with contextlib.suppress(FileNotFoundError):
                (root / "data").rmdir()
        for path, content in kept:
            _put_back(path, content)
        raise


def _written(root: Path) -> list[Path]:
    return [root / name for name in (PARAMS, GRAPH, locked.NAME, LOCK, "data.dvc", ".gitignore")]


def _put_back(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif path.read_bytes() != content:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
