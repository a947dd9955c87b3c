"""Code of a user's own that settings name as MODULE:OBJECT: `train.architecture: nets:wide` is `wide` of nets.py.

A module lies in the project, tracked by git as params.yaml is, or is installed. Its code counts as a setting:
params.lock holds a digest of it beside the name, so that a change of it reruns what uses it, and a comment does not.
"""

import ast
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from luodi import syntax
from luodi.errors import ParamsError, UserCodeFailed

ObjectName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=255)]
"""MODULE:OBJECT."""
SETTINGS = ("architecture", "expectations")
"""Settings that may name one, or several."""


def named(block: BaseModel) -> dict[str, list[str]]:
    """Return what a model's settings name of a user's own: {"train": ["nets:wide"]}."""
    parts = {info.alias or name: getattr(block, name) for name, info in type(block).model_fields.items()}
    found = {part: list(_objects(values)) for part, values in parts.items() if isinstance(values, BaseModel)}
    return {part: names for part, names in found.items() if names}


def _objects(part: BaseModel) -> Iterator[str]:
    for setting in SETTINGS:
        value = getattr(part, setting, ())
        yield from (one for one in ([value] if isinstance(value, str) else value) if ":" in one)


def digests(block: BaseModel, root: Path) -> dict[str, dict[str, str]]:
    """Return {"train": {"nets:wide": digest}}: what counts of the code that a model's settings name.

    Raises:
        ParamsError: There is no such module, or it is not Python.
    """
    return {part: {one: _digest(one, root) for one in names} for part, names in named(block).items()}


def files(block: BaseModel, root: Path) -> set[str]:
    """Return the paths, below `root`, of the project's own files that a model's settings name, directly or not."""
    paths = {path for names in named(block).values() for one in names for path in _sources(one, root).values()}
    return {path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root)}


def load(name: str) -> Any:
    """Return the object of that name; `importable` has been called.

    Raises:
        UserCodeFailed: The module fails when it is imported, or holds no such object.
    """
    module, _, attribute = name.partition(":")
    with running(name):
        return getattr(import_module(module), attribute)


@contextmanager
def running(name: str) -> Iterator[None]:
    """Turn what a user's own code raises into UserCodeFailed that names its last line there."""
    try:
        yield
    except Exception as error:
        module = name.partition(":")[0].replace(".", "/")
        lines = [one for one in traceback.extract_tb(error.__traceback__) if module in one.filename]
        where = f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""
        raise UserCodeFailed(
            f"{name}, which params.yaml names, fails{where}: {type(error).__name__}: {error}"
        ) from None


def importable(root: Path) -> None:
    """Let modules of the project be imported, after all that is installed."""
    if str(root) not in sys.path:
        sys.path.append(str(root))


def _digest(name: str, root: Path) -> str:
    return syntax.digest({module: _tree(path, name) for module, path in _sources(name, root).items()})


def _sources(name: str, root: Path) -> Mapping[str, Path]:
    """The modules that NAME takes: its own, and those that it imports from its package or from the project."""
    module = name.partition(":")[0]
    found: dict[str, Path] = {}
    queue = [*syntax.parents(module), module]
    while queue:
        one = queue.pop()
        top = one.partition(".")[0]
        path = None if top == "luodi" else _find(one, root)
        ours = path and (top == module.partition(".")[0] or path.parent == root or root / top in path.parents)
        if path and ours and one not in found:
            found[one] = path
            queue += syntax.imports(_tree(path, name))
    if module not in found:
        raise ParamsError(
            f"params.yaml names {name}, and there is no module {module}: expected {module.replace('.', '/')}.py in "
            f"{root}, tracked by git, or an installed package; correct the name, or add the file"
        )
    return found


def _find(module: str, root: Path) -> Path | None:
    """The file of a module; nothing is imported."""
    top, *below = module.split(".")
    spec = PathFinder.find_spec(top, [*(one for one in sys.path if one != str(root)), str(root)])
    if spec is None or not below:
        return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *below)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _tree(path: Path, name: str) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ParamsError(f"params.yaml names {name}, and {path} is not Python ({error}): correct it") from None
