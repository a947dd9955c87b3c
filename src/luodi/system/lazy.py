"""Modules that are imported at their first use, or not at all where a library only asks whether they are there."""

import sys
from collections.abc import Sequence
from importlib import util
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NoReturn


class WhenUsed(MetaPathFinder):
    """An import of `modules` costs nothing until something of them is used.

    To be put at the head of `sys.meta_path` before the first such import: the recipe of importlib's documentation for
    its LazyLoader, as a finder, for Python asks a module that is there already where it is from, which is a use.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find what the finders behind this one do, of these modules."""
        if name not in self._modules:
            return None
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
        spec = next((spec for one in behind if (spec := one.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = util.LazyLoader(spec.loader)
        return spec


class Unneeded(MetaPathFinder, Loader):
    """While `package` is imported, `others` are as if not installed: it does without. Later they are there.

    To be put at the head of `sys.meta_path` before the package is imported.
    """

    def __init__(self, package: str, *others: str) -> None:
        self._package = package
        self._others = others

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Leave every module to the other finders, but for these at this time.

        Who only asks where one of them is, as PyTorch does while Keras imports it, is told of no place.
        """
        spec = getattr(sys.modules.get(self._package), "__spec__", None)
        return ModuleSpec(name, self) if name in self._others and getattr(spec, "_initializing", False) else None

    def create_module(self, spec: ModuleSpec) -> NoReturn:
        """Python calls this where one of the others is imported at that time.

        Raises:
            ModuleNotFoundError: Always.
        """
        raise ModuleNotFoundError(f"{self._package} starts without {spec.name}", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Never called: no module is created."""
