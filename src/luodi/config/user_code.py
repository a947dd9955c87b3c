"""Code of a user's own that settings name as MODULE:OBJECT: `train.architecture: nets:wide` is `wide` of nets.py.

A module lies in the project, tracked by git as params.yaml is, or is installed. Its code counts as a setting:
params.lock holds a digest of it behind the name, so that a change of it reruns what uses it, and a comment does not.
So does the content of each file of the project that it names, by a text such as "banned.txt".
Expectations may also be a suite of Great Expectations' own, a file of the project that ends in .json.
"""

import ast
import hashlib
import json
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from luodi import syntax, yaml12
from luodi.errors import DirtyCheckout, ParamsError, UserCodeFailed
from luodi.files import checksum
from luodi.system import lfs

OBJECT = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
ObjectName = Annotated[str, Field(pattern=OBJECT, max_length=255)]
"""MODULE:OBJECT."""
SuiteName = Annotated[str, Field(pattern=rf"{OBJECT}|^[^:]+\.json$", max_length=255)]
"""MODULE:OBJECT, or FILE.json below the project."""
SETTINGS = (("train", "architecture"), ("validate", "expectations"), ("gate", "metric"))
"""Settings that may name one, or several."""
RECORD = "encoders.yaml"
"""What holds the hashes of encoders, see `luodi.config.encoders`."""
NOT_READ = {"params.yaml", "params.lock", "dvc.yaml", "dvc.lock", "luodi.lock", "data", "artifacts", ".dvc", ".git"}
"""At the top of a project, what no code of its own reads as a setting: they have stages, and steps, of their own."""
_watched: dict[Path, str] = {}
LONGEST = 256  # characters of a text that may name a file
KEPT = {"severity", "description", "notes", "windows"}
"""What counts of an expectation in a suite beside its type and what it is asked for."""


def effective(block: BaseModel, root: Path) -> dict[str, Any]:
    """Return the settings of a model as JSON has them, with what counts of the code that they name: "nets:wide DIGEST".

    So it is of an encoder: its name and the hash of its content.

    Raises:
        ParamsError: There is no such module, or it is not Python; or there is no such encoder, or one of other rows.
    """
    found = block.model_dump(mode="json", by_alias=True)
    for part, setting in SETTINGS:
        value = found[part][setting]
        counted = [f"{one} {_digest(one, root)}" if _is_own(one) else one for one in _several(value)]
        found[part][setting] = counted[0] if isinstance(value, str) else counted
    if found["train"].get("encoder"):
        from luodi.config import encoders  # here, not above: it imports this

        found["train"]["encoder"] = encoders.effective(root, found)
    return found


def files(block: BaseModel, root: Path) -> set[str]:
    """Return the paths, below `root`, of the project's own files that a model's settings name, directly or not.

    Of an encoder that is what is recorded of it.
    """
    found = block.model_dump(mode="json", by_alias=True)
    names = [one for part, setting in SETTINGS for one in _several(found[part][setting]) if _is_own(one)]
    paths = {path for one in names for path in ([root / one] if is_suite(one) else _counted(one, root))}
    recorded = {RECORD} if found["train"].get("encoder") else set()
    return recorded | {path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root)}


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def is_suite(name: str) -> bool:
    """Whether a name of expectations is of a file of Great Expectations."""
    return name.endswith(".json")


def _is_own(name: str) -> bool:
    return ":" in name or is_suite(name)


def suite(name: str, root: Path) -> list[dict[str, Any]]:
    """Return the expectations of a suite as Great Expectations 1 writes it, without its random ids and its `meta`.

    Raises:
        ParamsError: There is no such file in the project, or it is no such suite.
    """
    path = (root / name).resolve()
    if not (path.is_relative_to(root.resolve()) and path.is_file()):
        raise ParamsError(
            f"params.yaml names {name}, and there is no such file in {root}: correct the name, or add the file"
        )
    lfs.require_content(path, ParamsError)
    try:
        found = json.loads(path.read_bytes())["expectations"]
        own = [{key: one[key] for key in ("type", "kwargs", *KEPT & one.keys())} for one in found]
    except (ValueError, LookupError, TypeError, AttributeError):
        own = []
    if not own:
        raise ParamsError(
            f"params.yaml names {name}, and it holds no expectations: expected what `suite.to_json_dict()` of Great "
            "Expectations 1 gives, as JSON; write it anew"
        )
    return own


def load(name: str) -> Any:
    """Return the object of that name, within `importable`.

    Raises:
        UserCodeFailed: The module fails when it is imported, or holds no such object.
    """
    module, _, attribute = name.partition(":")
    fresh = module not in sys.modules
    with running(name):
        found = getattr(import_module(module), attribute)
        if fresh:
            _require_unedited(code=True)
        return found


@contextmanager
def running(name: str) -> Iterator[None]:
    """Turn what a user's own code raises into UserCodeFailed that names its last line there.

    Raises:
        DirtyCheckout: A file that the code reads, or that it was just imported from, is not as `importable` found it.
    """
    try:
        yield
        _require_unedited(code=False)
    except (UserCodeFailed, DirtyCheckout):
        raise  # told already
    except Exception as error:
        module = Path(*name.partition(":")[0].split("."))
        own = {(*module.parts[:-1], f"{module.name}.py"), (*module.parts, "__init__.py")}
        lines = [
            one for one in traceback.extract_tb(error.__traceback__)
            if any(Path(one.filename).parts[-len(end) :] == end for end in own)
        ]  # fmt: skip
        where = f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""
        raise UserCodeFailed(
            f"{name}, which params.yaml names, fails{where}: {type(error).__name__}: {error}"
        ) from None


def _require_unedited(*, code: bool) -> None:
    """Raise DirtyCheckout unless the files that are watched are as they were: modules, or what they read.

    A module that is imported may be edited: what runs is what was recorded of it.
    """
    edited = [path.name for path, md5 in _watched.items() if (path.suffix == ".py") == code and _content(path) != md5]
    if edited:
        raise DirtyCheckout(
            f"{', '.join(edited[:5])} changed between what was recorded of it and its use: run it again, and change "
            "nothing that it reads meanwhile"
        )


def _content(path: Path) -> str:
    return checksum(path) if path.exists() else ""


@contextmanager
def importable(root: Path, watched: Iterable[str] = ()) -> Iterator[None]:
    """Let modules of the project be imported, after all that is installed; then forget them.

    A process may judge the models of several commits, each of which has modules of its own.

    Args:
        watched: The files of the project that are to be as they are now when they are used, see `files`.
    """
    known = set(sys.modules)
    sys.path.append(str(root))
    _watched.update({root / name: _content(root / name) for name in watched})
    try:
        yield
    finally:
        _watched.clear()
        sys.path.remove(str(root))
        for name in sys.modules.keys() - known:
            # Not by getattr, which would load a module that waits for its first use.
            file = object.__getattribute__(sys.modules[name], "__dict__").get("__file__")
            if file and _in_project(name, Path(file), root):
                del sys.modules[name]


def _digest(name: str, root: Path) -> str:
    if is_suite(name):
        return hashlib.sha256(json.dumps(suite(name, root), sort_keys=True).encode()).hexdigest()[:32]
    modules = _sources(name, root)
    code = [syntax.described(one, _tree(path, name)) for one, path in modules.items()]
    return syntax.digest([*code, *(f"{path.name} {checksum(path)}" for path in _named(modules, name, root))])


def _counted(name: str, root: Path) -> list[Path]:
    modules = _sources(name, root)
    return [*modules.values(), *_named(modules, name, root)]


def _named(modules: Mapping[str, Path], name: str, root: Path) -> list[Path]:
    """The files that modules of the project name in a text, from beside themselves or from the top of the project."""
    found = {
        folder / node.value
        for path in modules.values() if path.is_relative_to(root)
        for node in ast.walk(_tree(path, name))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) < LONGEST
        for folder in (path.parent, root)
    }  # fmt: skip
    files = [path for path in found if _is_file(path)]
    for path in files:
        if path.is_relative_to(root) and _is_read(path.relative_to(root)):
            _require_held(path, root, name)
    top = root.resolve()
    below = {path.resolve() for path in files}
    inside = (path.relative_to(top) for path in below if path.is_relative_to(top))
    read = sorted(root / path for path in inside if _is_read(path))
    for path in read:
        lfs.require_content(path, ParamsError)
    return read


def _is_read(path: Path) -> bool:
    """Whether a path below the project is of what code of its own reads as a setting."""
    return ".." not in path.parts and path.parts[0] not in NOT_READ


def _require_held(path: Path, root: Path, name: str) -> None:
    if yaml12.leads_out(path, root):
        raise ParamsError(
            f"params.yaml names {name}, and {path} is {yaml12.LEADS_OUT}: put the file itself in its place, and "
            "commit it"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that no file can be called
        return False


def _sources(name: str, root: Path) -> Mapping[str, Path]:
    """The modules that NAME takes: its own, and those that it imports from its package or from the project."""
    module = name.partition(":")[0]
    found: dict[str, Path] = {}
    queue = [*syntax.parents(module), module]
    while queue:
        one = queue.pop()
        top = one.partition(".")[0]
        path = None if top == "luodi" else _find(one, root)
        ours = path and (top == module.partition(".")[0] or _in_project(one, path, root))
        if path and ours and one not in found:
            if _in_project(one, path, root):
                _require_held(path, root, name)
            found[one] = path
            queue += syntax.imports(_tree(path, name))
    if module not in found:
        raise ParamsError(
            f"params.yaml names {name}, and there is no module {module}: expected {module.replace('.', '/')}.py in "
            f"{root}, tracked by git and in no submodule, or an installed package; correct the name, or add the file"
        )
    return found


def _in_project(module: str, path: Path, root: Path) -> bool:
    """Whether a module is the project's own, and not of an environment that lies in its folder."""
    return path.parent == root or root / module.partition(".")[0] in path.parents


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
    lfs.require_content(path, ParamsError)
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ParamsError(f"params.yaml names {name}, and {path} is not Python ({error}): correct it") from None
