"""The modules of the project as Python's own parser sees them: each is parsed once in a process."""

import ast
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of a file's tree."""
    return tuple(ast.walk(tree_of(path)))


@cache
def texts_of(path: Path) -> tuple[str, ...]:
    """Return every text that stands in a file, those in f-strings as well."""
    return tuple(
        node.value for node in nodes_of(path) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
