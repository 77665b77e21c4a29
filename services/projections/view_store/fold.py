"""What tells one way of making rows of events from another: the code that does it."""

import ast
import hashlib
import inspect
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final

BEGINS_AT: Final = "services.projections.views.projector"
OURS: Final = ("services.projections.views", "goal_contracts")


@cache
def fingerprint() -> str:
    """Of the projector and all of ours that it imports; comments and layout are of no account."""
    digest = hashlib.sha256()
    for _, code in sorted(_imported(BEGINS_AT, {}).items()):
        digest.update(code.encode())
    return digest.hexdigest()[:16]


def _imported(name: str, found: dict[str, str]) -> dict[str, str]:
    """The code of a module and of those it imports, by name, added to what was found."""
    if name in found or not name.startswith(OURS) or not _is_module(name):
        return found
    tree = _WithoutProse().visit(ast.parse(inspect.getsource(import_module(name))))
    found[name] = ast.dump(tree)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)):
                _imported(module, found)
                for alias in node.names:
                    _imported(f"{module}.{alias.name}", found)
            case ast.Import():
                for alias in node.names:
                    _imported(alias.name, found)
    return found


class _WithoutProse(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_prose = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_prose else node


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a name inside a module
        return False
