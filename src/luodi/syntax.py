"""Python code as a syntax tree: what it imports, and a digest that layout, comments and docstrings do not change."""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any


def digest(trees: Mapping[str, ast.Module]) -> str:
    """Return 32 hexadecimal digits for modules, by their names; equal for equal code."""
    content = "\n".join(line for name in sorted(trees) for line in (name, *plain(trees[name])))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def imports(tree: ast.Module) -> frozenset[str]:
    """Return the names that a module imports when it runs, wherever the import stands, and the packages above them."""
    idle = {id(node) for block in ast.walk(tree) if _for_types(block) for node in ast.walk(block)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in idle:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found | {parent for one in found for parent in parents(one)})


def parents(name: str) -> Iterator[str]:
    """Give the packages that a module lies in, the nearest first."""
    while name := name.rpartition(".")[0]:
        yield name


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


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
