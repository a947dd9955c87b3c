"""Python code as a syntax tree: what it imports, and a digest that layout, comments and docstrings do not change."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

IDLE = {"ctx", "kind", "type_comment", "type_params", "type_ignores"}  # fields of a node that compute nothing


def digest(modules: Iterable[str]) -> str:
    """Return 32 hexadecimal digits for modules, each as `described`, in any order; equal for equal code."""
    content = "\n".join(sorted(modules))  # and so by their names
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def imports(tree: ast.Module) -> frozenset[str]:
    """Return the names that a module imports when it runs, wherever the import stands, and the packages above them."""
    found: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found | {parent for one in found for parent in parents(one)})


def parents(name: str) -> Iterator[str]:
    """Give the packages that a module lies in, the nearest first."""
    while name := name.rpartition(".")[0]:
        yield name


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Give the statements within a node, in any depth, but for those that only a checker of types reads."""
    for block in ("body", "orelse", "handlers", "finalbody", "cases"):
        for one in getattr(node, block, ()):
            if not _for_types(one):
                yield one
                yield from _statements(one)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def described(name: str, tree: ast.Module) -> str:
    """Return a module's name and code as a text that its comments, docstrings, layout and Python do not change."""
    return "\n".join((name, *plain(tree)))


def plain(node: Any) -> list[str]:
    """Return a syntax tree as lines, the same whatever the comments, docstrings, layout, and version of Python."""
    lines: list[str] = []
    _add(node, lines)
    return lines


def _add(node: Any, lines: list[str]) -> None:
    if isinstance(node, ast.AST):
        lines.append(type(node).__name__)
        for field, value in ast.iter_fields(node):
            if value is None or value == [] or field in IDLE:
                continue
            lines.append(f".{field}")
            _add(_without_docstrings(value) if field == "body" else value, lines)
        lines.append("/")
    elif isinstance(node, list):
        for one in node:
            _add(one, lines)
    else:
        lines.append(repr(node))


def _without_docstrings(body: Any) -> Any:
    """Statements without texts that stand alone: docstrings, and what describes a name above it."""
    if not isinstance(body, list):
        return body  # of a lambda, or of a conditional expression
    return [
        one
        for one in body
        if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str))
    ]
