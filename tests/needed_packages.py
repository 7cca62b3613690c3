"""Find the tests that need packages which only some environments have, by their calls of `pytest.importorskip`."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def defined_by(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def used_by(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement uses, also those of fixtures."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def asks_for(statement: ast.stmt, packages: tuple[str, ...]) -> bool:
    """Return true if a statement calls `importorskip` for a module of these packages."""
    calls = (node for node in ast.walk(statement) if isinstance(node, ast.Call) and node.args)
    return any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "importorskip"
        and isinstance(call.args[0], ast.Constant)
        and str(call.args[0].value).partition(".")[0] in packages
        for call in calls
    )


@functools.cache
def names_that_need(file: Path, packages: tuple[str, ...]) -> frozenset[str]:
    """Return the names of a module that need these packages, directly or through others. "*" stands for all names."""
    statements = ast.parse(file.read_text("utf-8")).body
    asking: set[str] = set()
    for statement in statements:
        if asks_for(statement, packages):
            is_definition = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            asking |= set(defined_by(statement)) if is_definition else {"*"}
    if not asking or "*" in asking:
        return frozenset(asking)
    uses = [(set(defined_by(statement)), set(used_by(statement))) for statement in statements]
    while more := {name for names, used in uses if used & asking for name in names} - asking:
        asking |= more
    return frozenset(asking)


def needs(item: pytest.Item, packages: tuple[str, ...]) -> bool:
    """Return true if a test needs one of these packages."""
    if not isinstance(item, pytest.Function):
        return False
    # A file of tests may import tests of other files.
    source = Path(str(sys.modules[item.function.__module__].__file__))
    names = {"*", item.originalname, item.cls.__name__ if item.cls else "", *item.fixturenames}
    return bool(names_that_need(source, packages) & names)
