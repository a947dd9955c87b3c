"""Modules that are imported at their first use."""

import sys
from importlib import util


def when_used(package: str, name: str) -> None:
    """Let `from package import name` cost nothing until something of that module is used.

    The recipe of importlib's documentation for its LazyLoader.
    """
    whole = f"{package}.{name}"
    spec = util.find_spec(whole)
    if whole not in sys.modules and spec is not None and spec.loader is not None:
        loader = spec.loader = util.LazyLoader(spec.loader)
        sys.modules[whole] = module = util.module_from_spec(spec)
        setattr(sys.modules[package], name, module)  # or the package looks for it, which is a use
        loader.exec_module(module)
