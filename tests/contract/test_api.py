"""A module's ``__all__`` is the list of its public names: what is not in it starts with an underscore."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "tools/zipstrap"

PUBLIC = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
    if not any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(ROOT).parts)
}

each_module = pytest.mark.parametrize("module", PUBLIC)


def defined(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that *body* binds by itself; imported ones are not its own."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            yield from defined([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)])


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_imported(path: Path, name: str) -> bool:
    """Tell whether a package hands on *name* from a module of its own."""
    return any(
        name == (alias.asname or alias.name)
        for node in parse(path).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )


@each_module
def test_all_is_what_is_public(module: str) -> None:
    path = PUBLIC[module]
    listed = {
        name
        for name in getattr(importlib.import_module(module), "__all__", [])
        if not name.startswith("_") and not (path.name == "__init__.py" and is_imported(path, name))
    }
    own = {name for name in defined(parse(path).body) if not name.startswith("_")}
    assert listed == own


@each_module
def test_what_all_names_is_there(module: str) -> None:
    loaded = importlib.import_module(module)
    assert [name for name in getattr(loaded, "__all__", []) if not hasattr(loaded, name)] == []
