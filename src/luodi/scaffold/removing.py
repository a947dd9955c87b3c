"""Retire a model, or give it another name: in params.yaml, dvc.yaml, the lock files and data/; all of it or nothing."""

import codecs
import re
from collections.abc import Mapping
from pathlib import Path

from luodi import config, yaml12
from luodi.config import ModelSettings
from luodi.errors import DataError, ParamsError, WrongValue
from luodi.project import programs
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import changes, pipeline
from luodi.system.processes import Runner


def retire(root: Path, name: str, runner: Runner, *, data: bool) -> None:
    """Take a model out of the project; its versions stay in the registry.

    Args:
        data: Whether its folder leaves data/ and data.dvc too.

    Raises:
        UnknownKey: There is no such model.
        ParamsError: Its block cannot be cut out of params.yaml, or dvc.yaml is no graph.
        DataError: `data`, and data/ is not what data.dvc records.
    """
    paths = ModelPaths(root, name)
    with changes.exclusive(root) as staging:
        models = _models(root, name)
        if data:
            changes.require_data(root)
        left = {key: block for key, block in models.items() if key != name}
        params = proven(paths.params, _without(yaml12.read(paths.params), name), left, staging)
        graph = pipeline.without(pipeline.read(root), name)
        moves = [(paths.data, staging / "data")] if data and paths.data.exists() else []
        if moves:
            programs.dvc(runner, root, "add", "data")  # into DVC's cache, where earlier commits find it
        changes.make(root, params, graph, runner, moves=moves, forget=name)


def rename(root: Path, old: str, new: str, runner: Runner) -> None:
    """Give a model and its data another name; its versions stay in the registry under the old one.

    Raises:
        UnknownKey: There is no model `old`.
        WrongValue: `new` cannot name a model, or names one already.
        ParamsError: Its key cannot be changed in params.yaml, or dvc.yaml is no graph.
        DataError: data/ is not what data.dvc records, or has a folder `new` already.
    """
    paths, target = ModelPaths(root, old), ModelPaths(root, new)
    config.require_name(new)
    with changes.exclusive(root) as staging:
        models = _models(root, old)
        if new in models:
            raise WrongValue(f"{PARAMS} has a model {new} already: choose another name")
        if target.data.exists():
            raise DataError(f"{target.data} exists, though {PARAMS} has no model {new}: move it away, and rename again")
        changes.require_data(root)
        after = {new if key == old else key: block for key, block in models.items()}
        params = proven(paths.params, _renamed(yaml12.read(paths.params), old, new), after, staging)
        graph = pipeline.renamed(pipeline.read(root), old, new)
        moves = [(paths.data, target.data)] if paths.data.exists() else []
        changes.make(root, params, graph, runner, moves=moves, forget=old)


def _models(root: Path, name: str) -> Mapping[str, ModelSettings]:
    params = config.load(root / PARAMS)
    config.settings_of(params, name)
    return params.models


def proven(path: Path, text: str, expected: Mapping[str, ModelSettings], staging: Path) -> bytes:
    """Return the bytes of a new params.yaml, proven to hold these models and no others."""
    draft = staging / PARAMS
    mark = codecs.BOM_UTF8 if path.read_bytes().startswith(codecs.BOM_UTF8) else b""
    draft.write_bytes(mark + text.encode())
    try:
        same = dict(config.load(draft).models) == dict(expected)
    except ParamsError:
        same = False
    if not same:
        raise ParamsError(
            f"{path} cannot be changed without changing other models: expected `models:` in block style, a model "
            "beginning on a line of its own, and nothing in its block that another one names by *; write it so"
        )
    return draft.read_bytes()


def _without(text: str, name: str) -> str:
    """Cut out the block of a model with the comment directly above it; if none is left, `models: {}` stays."""
    names, lines = list(yaml12.parse(text)["models"]), text.splitlines(keepends=True)
    begin, column = _place(text, name)
    after = names[names.index(name) + 1 :]
    end = _place(text, after[0])[0] if after else len(lines)
    while after and (not lines[end - 1].strip() or _comments(lines[end - 1], column)):
        end -= 1  # what stands above the next block is of that
    while begin and _comments(lines[begin - 1], column):
        begin -= 1
    while end < len(lines) and not lines[end].strip():
        end += 1
    rest = "".join(lines[:begin] + lines[end:])
    if len(names) == 1:
        return re.sub(r"^models:(?=\s*(#.*)?$)", "models: {}", rest, count=1, flags=re.MULTILINE)
    return rest if after else rest.rstrip() + "\n"


def _comments(line: str, column: int) -> bool:
    """Whether it is a comment that does not stand inside a block whose key begins at `column`."""
    text = line.lstrip(" ")
    return text.startswith("#") and len(line) - len(text) <= column


def _renamed(text: str, old: str, new: str) -> str:
    lines = text.splitlines(keepends=True)
    number, column = _place(text, old)
    key = lines[number][column:]
    lines[number] = lines[number][:column] + re.sub(rf"(['\"]?){re.escape(old)}\1(?=\s*:)", new, key, count=1)
    return "".join(lines)


def _place(text: str, name: str) -> tuple[int, int]:
    """Line and column, from 0, of a model's key."""
    line, column = yaml12.find(text, ["models", name])
    return line - 1, column - 1
