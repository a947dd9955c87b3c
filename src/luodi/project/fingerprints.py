"""luodi.lock: which luodi a project is written for, as a fingerprint of the code and libraries of each stage.

A stage depends on its fingerprint alone, so that an upgrade reruns what it changes and nothing else. Counted are the
modules that the stage imports, directly or not, without comments and docstrings, and the versions of the libraries that
decide its bytes. Not counted is what cannot change what a stage writes for another stage, or is recorded elsewhere:
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from luodi import __version__, yaml12
from luodi.config import MODALITIES
from luodi.errors import StaleProject
from luodi.files import write_text

NAME = "luodi.lock"
HEAD = (
    "# The luodi that this project is written for, by stage; written by `luodi upgrade`. Do not edit it; commit it.\n"
)
PACKAGE = Path(__file__).resolve().parent.parent

SETTINGS = "settings"
STAGES = ("validate", "preprocess", "baseline", "train", "evaluate")
DOORS = {
    "luodi.data.modality": "luodi.data",
    "luodi.checks.modality": "luodi.checks",
    "luodi.nets.catalogue": "luodi.nets",
}
"""Modules that import those of one modality by its name, and where these lie."""

UNCOUNTED = (
    "luodi.config",  # its values stand in params.lock
    "luodi.yaml12",  # reads them
    "luodi.report",  # pages: no stage reads one
    "luodi.errors",
    "luodi.system",
    "luodi.terminal",
    "luodi.project.fingerprints",
)

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "PIL": ("pillow",),
    "great_expectations": ("great-expectations",),
    "jieba": ("jieba",),
    "keras": ("keras", "tensorflow"),
    "numpy": ("numpy",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime",),
    "pandas": ("pandas",),
    "pyarrow": ("pyarrow",),
    "sklearn": ("scikit-learn", "scipy"),
    "tensorflow": ("tensorflow",),
    "tf2onnx": ("tf2onnx",),
}
"""From what is imported to the distributions that decide what it computes."""


def stage(name: str, modality: str) -> dict[str, str]:
    """Return the fingerprint of a stage: "code", and the version of each library that decides its bytes."""
    modules = closure(f"luodi.stages.{name}", modality)
    return {"code": _digest(modules), **_versions(modules)}


def settings() -> dict[str, str]:
    """Return the fingerprint of what writes params.lock."""
    return {"code": _digest([name for name in _modules() if _within(name, "luodi.config")])}


def everything() -> dict[str, Any]:
    """Return what luodi.lock holds for the luodi that runs."""
    stages: dict[str, Any] = {SETTINGS: settings()}
    stages |= {modality: {name: stage(name, modality) for name in STAGES} for modality in MODALITIES}
    return {"luodi": __version__, "stages": stages}


def text() -> str:
    """Return the content of luodi.lock for the luodi that runs."""
    return HEAD + yaml12.dump(everything())


def read(root: Path) -> dict[str, Any]:
    """Return what the project's luodi.lock holds.

    Raises:
        StaleProject: There is none, or it is none.
    """
    remedy = f"restore it with `git checkout HEAD -- {NAME}`, or write it with `luodi upgrade`"
    try:
        found = yaml12.parse(yaml12.read(root / NAME), strict=False)
    except yaml12.Unfit as error:
        raise StaleProject(f"{root / NAME} {error}; or write it with `luodi upgrade`") from None
    if not isinstance(found, dict) or not isinstance(found.get("stages"), dict):
        raise StaleProject(f"{root / NAME}: expected a mapping `stages:`, found none; {remedy}")
    return found


def write(root: Path) -> bool:
    """Write luodi.lock for the luodi that runs; return whether it changed."""
    path, fresh = root / NAME, text()
    if path.exists() and path.read_bytes() == fresh.encode():
        return False
    write_text(path, fresh)
    return True


def require_current(root: Path, name: str, modality: str | None = None) -> None:
    """Raise StaleProject unless the code that runs is the one that luodi.lock names for a stage.

    What another luodi makes is not what the project's commit describes, and DVC would record it as that.
    """
    held = read(root)
    stages = held["stages"]
    recorded = stages.get(name) if modality is None else (stages.get(modality) or {}).get(name)
    running = settings() if modality is None else stage(name, modality)
    if recorded != running:
        raise StaleProject(
            f"{NAME} names another {name} than is installed ({differences(recorded, running)}; written by luodi "
            f"{held.get('luodi')}, running {__version__}): install that luodi and its libraries, or take the project "
            "to this one with `luodi upgrade`"
        )


def closure(module: str, modality: str) -> list[str]:
    """Return the counted modules that `module` imports, directly or not, and itself; of the modalities only one."""
    others = MODALITIES.keys() - {modality}
    seen: set[str] = set()
    queue = {module, *(one for one in _parents(module) if not _uncounted(one))}
    while queue:
        name = queue.pop()
        seen.add(name)
        found = {one for one in imports(name) if one in _modules()}
        if name in DOORS:
            found |= {one for one in _modules() if _within(one, f"{DOORS[name]}.{modality}")}
        queue |= {one for one in found if not others & set(one.split(".")) and not _uncounted(one)} - seen
    return sorted(seen)


def _uncounted(name: str) -> bool:
    return name == "luodi" or any(_within(name, one) for one in UNCOUNTED)


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@cache
def _modules() -> Mapping[str, Path]:
    """Every module of the package, by its name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(_modules()[name].read_bytes())


@cache
def imports(name: str) -> frozenset[str]:
    """Names that the code of a module imports when it runs, wherever the import stands."""
    tree = _tree(name)
    idle = {id(node) for block in ast.walk(tree) if _for_types(block) for node in ast.walk(block)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in idle:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found | {parent for one in found for parent in _parents(one)})


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _versions(modules: list[str]) -> dict[str, str]:
    imported = {one.partition(".")[0] for name in modules for one in imports(name)}
    wanted = {library for one in imported & LIBRARIES.keys() for library in LIBRARIES[one]}
    return {library: metadata.version(library) for library in sorted(wanted)}


def _digest(modules: list[str]) -> str:
    content = "\n".join(line for name in sorted(modules) for line in (name, *plain(_tree(name))))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def plain(node: Any) -> Iterator[str]:
    """A syntax tree as lines that are the same whatever the comments, docstrings, layout, and version of Python."""
    if isinstance(node, ast.AST):
        yield type(node).__name__
        for field, value in ast.iter_fields(node):
            if field in ("ctx", "kind", "type_comment", "type_params", "type_ignores") or value is None or value == []:
                continue
            yield f".{field}"
            yield from plain(_without_docstrings(value) if field == "body" else value)
        yield "/"
    elif isinstance(node, list):
        for one in node:
            yield from plain(one)
    else:
        yield repr(node)


def _without_docstrings(body: Any) -> Any:
    """Statements without texts that stand alone: docstrings, and what describes a name above it."""
    if not isinstance(body, list):
        return body  # of a lambda, or of a conditional expression
    return [
        one
        for one in body
        if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str))
    ]


def differences(recorded: Any, running: Mapping[str, str]) -> str:
    """Return what differs between a recorded fingerprint and the running one, in a few words."""
    if not isinstance(recorded, dict):
        return "it names none"
    names = [name for name in {**recorded, **running} if recorded.get(name) != running.get(name)]
    return ", ".join(
        "other code"
        if name == "code"
        else f"{name} {recorded.get(name, 'none')} there, {running.get(name, 'none')} here"
        for name in names
    )
