"""luodi.lock: which luodi a project is written for, as a fingerprint of the code and libraries of each stage.

A stage depends on its fingerprint alone, so that an upgrade reruns what it changes and nothing else. Counted are the
modules that the stage imports, directly or not, without comments and docstrings, and the versions of the libraries that
decide its bytes. Not counted is what cannot change what a stage writes for another stage, or is recorded elsewhere:
"""

import ast
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from luodi import __version__, syntax, yaml12
from luodi.config import MODALITIES
from luodi.errors import StaleProject
from luodi.files import write_text

NAME = "luodi.lock"
HEAD = (
    "# The luodi that this project is written for, by stage; written by `luodi upgrade`. Do not edit it; commit it.\n"
)
PACKAGE = Path(__file__).resolve().parent.parent

SETTINGS = "settings"
STAGES = ("validate", "tune", "preprocess", "baseline", "train", "compress", "evaluate")
DOORS = {
    "luodi.data.modality": "luodi.data.{}",
    "luodi.checks.modality": "luodi.checks.{}",
    "luodi.checks.nearest": "luodi.checks.{}.nearest",
    "luodi.nets.catalogue": "luodi.nets.{}",
    "luodi.linear": "luodi.linear.{}",
    "luodi.pretrained": "luodi.pretrained.{}",
}
"""Modules that import those of one modality by its name, and which these are."""

UNCOUNTED = (
    "luodi.config",  # its values stand in params.lock
    "luodi.yaml12",  # reads them
    "luodi.syntax",
    "luodi.report",  # pages: no stage reads one
    "luodi.errors",
    "luodi.system",
    "luodi.terminal",
    "luodi.project.fingerprints",
    "luodi.project.graph",
    "luodi.project.steady",
)

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "PIL": ("pillow",),
    "great_expectations": ("great-expectations",),
    "jieba": ("jieba",),
    "keras": ("keras", "tensorflow"),
    "numpy": ("numpy",),
    "optuna": ("optuna",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime",),
    "pandas": ("pandas",),
    "pyarrow": ("pyarrow",),
    "scipy": ("scipy",),
    "sklearn": ("scikit-learn", "scipy"),
    "tensorflow": ("tensorflow",),
    "tf2onnx": ("tf2onnx",),
    "tokenizers": ("tokenizers",),
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
        found = yaml12.parse(yaml12.committed(root / NAME), strict=False)
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
    queue = {module, *(one for one in syntax.parents(module) if not _uncounted(one))}
    while queue:
        name = queue.pop()
        seen.add(name)
        found = {one for one in imports(name) if one in _modules()}
        if name in DOORS:
            behind = {one for one in _modules() if _within(one, DOORS[name].format(modality))}
            found |= behind | {above for one in behind for above in syntax.parents(one)}
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
    return syntax.imports(_tree(name))


def _versions(modules: list[str]) -> dict[str, str]:
    imported = {one.partition(".")[0] for name in modules for one in imports(name)}
    wanted = {library for one in imported & LIBRARIES.keys() for library in LIBRARIES[one]}
    return {library: metadata.version(library) for library in sorted(wanted)}


def _digest(modules: list[str]) -> str:
    return syntax.digest(map(_described, modules))


@cache
def _described(name: str) -> str:
    return syntax.described(name, _tree(name))


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
