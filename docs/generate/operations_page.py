"""Write docs/operations.md from the table of operations that the installed package has."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import mpscnn

DOCS = Path(__file__).resolve().parent.parent
LAYERS = DOCS.parent / "python" / "mpscnn" / "graph" / "layers"

INTRODUCTION = """# Operations

Look up every operation of graphs and model files here, and the methods of `mpscnn.Network` that add it. [ops/](ops) has
examples. [layer.hpp](../cpp/include/mpscnn/layer.hpp) has a struct for each operation, with the parameters, their
defaults and meanings; `mpscnn.operations()` returns them in Python. Images are (n, height, width, channels), and
vectors (n, features).

- At a *rounding point* a float16 network rounds to half ([definitions.md](definitions.md#numbers)).
- An operation that *takes an activation* applies it to its result before the rounding.

`python docs/generate` writes this page; the definitions are in `cpp/ops`.

| operation | result | inputs | rounding point | takes an activation | `mpscnn.Network` |
|---|---|---|---|---|---|
"""

TRAINING = """
# Operations of training

Graphs of training have these operations after the layers of the network: losses, gradients and new weights. They always
compute in float32. `mpscnn.Trainer` adds them; `mpscnn.Network` has no methods for them. The type or the allowed values
of a parameter stand in parentheses, then its default.
"""


#: Methods whose first argument is the operation of the layer that they add.
_ADDS = ("layer", "_of_two")


def network_methods() -> dict[str, list[str]]:
    """Return, for each operation, the methods of `mpscnn.Network` that add it. They are found in the source code."""
    methods = []
    for path in sorted(LAYERS.glob("*.py")):
        classes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
        methods += [node for kind in classes for node in kind.body if isinstance(node, ast.FunctionDef)]
    made = {method.name: _operations_made(method) for method in methods}
    # A method that calls a private method also adds the operations of that method.
    for method in methods:
        for helper in _calls(method):
            if helper.startswith("_"):
                made[method.name] |= made.get(helper, set())
    found: dict[str, list[str]] = {}
    for name, operations in made.items():
        for operation in operations:
            if not name.startswith("_"):
                found.setdefault(operation, []).append(name)
    return found


def _self_calls(method: ast.FunctionDef) -> list[tuple[str, ast.Call]]:
    return [
        (node.func.attr, node)
        for node in ast.walk(method)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "self"
    ]


def _calls(method: ast.FunctionDef) -> set[str]:
    return {name for name, _ in _self_calls(method)}


def _operations_made(method: ast.FunctionDef) -> set[str]:
    first = [call.args[0] for name, call in _self_calls(method) if name in _ADDS and call.args]
    return {node.value for node in first if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _inputs(entry: dict[str, Any]) -> str:
    minimum, maximum = entry["min_inputs"], entry["max_inputs"]
    return str(minimum) if minimum == maximum else f"{minimum} to {maximum}"


def _layer(entry: dict[str, Any], methods: list[str]) -> str:
    """Return the row of an operation that layers of networks have."""
    rounds, activation = ("yes" if entry[key] else "no" for key in ("rounding_point", "takes_activation"))
    made_by = ", ".join(f"`{name}`" for name in methods)
    cells = (f"`{entry['name']}`", entry["summary"].rstrip("."), _inputs(entry), rounds, activation, made_by)
    return f"| {' | '.join(cells)} |\n"


#: Parameters that another operation has are not listed again if they are at least so many.
_MIN_SHARED = 4


def _parameters(entry: dict[str, Any], others: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the parameters, with the name of the other operation that has the most of them."""
    rows, lines = entry["parameters"], []

    def common(other: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in other["parameters"] if row in rows]

    # Among those with as many, the one that has the fewest other parameters is the first choice.
    shared = max(others, key=lambda other: (len(common(other)), -len(other["parameters"])))
    lacks = [f"`{row['name']}`" for row in shared["parameters"] if row not in rows]
    if len(common(shared)) >= _MIN_SHARED and len(lacks) <= 1:
        without = f" without {', '.join(lacks)}" if lacks else ""
        rows = [row for row in rows if row not in shared["parameters"]]
        lines = [f"Parameters as of `{shared['name']}`{without}{', and:' if rows else '.'}", ""]
    if rows:
        lines += [*map(_row, rows), ""]
    return lines


def _section(entry: dict[str, Any], others: list[dict[str, Any]]) -> str:
    inputs = _inputs(entry)
    noun = "input" if inputs == "1" else "inputs"
    lines = [f"## {entry['name']}", f"{entry['summary']} {inputs} {noun}.", "", *_parameters(entry, others)]
    return "\n".join(lines)


def _row(parameter: dict[str, Any]) -> str:
    kind = ", ".join(f"`{name}`" for name in parameter.get("allowed", [])) or parameter["type"]
    default = parameter["default"]
    if isinstance(default, float):
        default = float(f"{default:.7g}")  # the shortest decimal form of a float32
    return f"- `{parameter['name']}` ({kind}; `{json.dumps(default)}`): {parameter['meaning']}"


def text() -> str:
    """Return the whole page."""
    methods = network_methods()
    layers, training = mpscnn.operations(), mpscnn.operations(training=True)
    rows = "".join(_layer(entry, methods.get(entry["name"], [])) for entry in layers)
    sections = ["\n" + _section(entry, layers + training[:number]) for number, entry in enumerate(training)]
    return INTRODUCTION + rows + TRAINING + "".join(sections)


def files() -> dict[Path, str]:
    """Return the page by its path."""
    return {DOCS / "operations.md": text()}
