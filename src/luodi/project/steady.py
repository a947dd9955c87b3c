"""What a stage reads has to stay as it was until the stage ends: what DVC records of it is what it finds then.

Rows that came in meanwhile, settings that were written again, another branch that was checked out: DVC would record
that the outputs were made of them, and serve these outputs from its cache of runs wherever they are asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luodi import yaml12
from luodi.errors import DirtyCheckout, LuodiError
from luodi.project import graph
from luodi.project.paths import GRAPH


@contextmanager
def inputs(root: Path, stage: str, model: str, modality: str) -> Iterator[None]:
    """Watch the files and settings that dvc.yaml names for a stage of a model; none, where no DVC would record them.

    Raises:
        DirtyCheckout: One is not what it was.
    """
    path = root / GRAPH
    declared = graph.stages(path, model, modality).get(stage, {}) if path.exists() else {}
    before = _state(root, declared)
    try:
        yield
    except Exception as error:
        if not isinstance(error, LuodiError):  # it may be what comes of reading one file before, another after
            _require(before, _state(root, declared), stage, model)
        raise
    _require(before, _state(root, declared), stage, model)


def _require(before: dict[str, Any], after: dict[str, Any], stage: str, model: str) -> None:
    if changed := [name for name in before if before[name] != after[name]]:
        raise DirtyCheckout(
            f"{', '.join(changed[:5])} changed while {stage} of {model} ran: DVC would record that what was made is of "
            "what is there now; run `dvc repro` again, and change nothing that it reads meanwhile"
        )


def _state(root: Path, declared: dict[str, list[str]]) -> dict[str, Any]:
    """What tells whether an input is as it was: of a setting its value, of files their times, sizes and numbers."""
    found: dict[str, Any] = {path: _stamps(root / path) for path in declared.get("deps", ())}
    files: dict[str, Any] = {}
    for setting in declared.get("params", ()):
        file, _, key = setting.partition(":")
        if file not in files:
            files[file] = _values(root / file)
        found[setting] = _at(files[file], key)
    return found


def _stamps(path: Path) -> list[tuple[Any, ...]]:
    """A file or folder and all below it; a folder's own time tells of what came, and went again."""
    if not path.exists():
        return []
    below = sorted(path.rglob("*")) if path.is_dir() else []
    return [(one.name, seen.st_ino, seen.st_mtime_ns, seen.st_size) for one in (path, *below) for seen in [one.stat()]]


def _values(path: Path) -> Any:
    try:
        return yaml12.parse(yaml12.read(path, yaml12.LARGEST * 16), strict=False)
    except yaml12.Unfit:
        return None


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
