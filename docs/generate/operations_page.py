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

Look up every operation of graphs and model files here, with its parameters and the methods of `mpscnn.Network` that
add it. [ops/](ops) has examples. Images are (n, height, width, channels), and vectors (n, features).

- At a *rounding point* a float16 network rounds to half ([definitions.md](definitions.md#numbers)).
- An operation that *takes an activation* applies it to its result before the rounding.
- The type or the allowed values of a parameter stand in parentheses, then its default.

`python docs/generate` writes this page from `mpscnn.operations()`; the definitions are in `cpp/ops`.
"""

TRAINING = """
# Operations of training

Graphs of training have these operations after the layers of the network: losses, gradients and new weights. They always
compute in float32. `mpscnn.Trainer` adds them; `mpscnn.Network` has no methods for them.
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
    if minimum == maximum:
        return f"{minimum} input" + ("s" if minimum > 1 else "")
    return f"{minimum} to {maximum} inputs"


#: Parameters that an earlier operation of the page has are not listed again if they are at least so many.
_MIN_SHARED = 4


def _parameters(entry: dict[str, Any], earlier: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the parameters, with a link to the earlier operation that has the most of them."""
    rows, lines = entry["parameters"], []

    def common(other: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in other["parameters"] if row in rows]

    # Among those, one that has no other parameters is the first choice.
    shared = max(earlier, key=lambda other: (len(common(other)), -len(other["parameters"])), default=entry)
    lacks = [f"`{row['name']}`" for row in shared["parameters"] if row not in rows]
    if len(common(shared)) >= _MIN_SHARED and len(lacks) <= 1:
        without = f" without {', '.join(lacks)}" if lacks else ""
        rows = [row for row in rows if row not in shared["parameters"]]
        lines = [
            f"Parameters as of [{shared['name']}](#{shared['name']}){without}{', and:' if rows else '.'}",
            "",
        ]
    if rows:
        lines += [*map(_row, rows), ""]
    return lines


def _facts(entry: dict[str, Any]) -> str:
    facts = [_inputs(entry), "rounding point" if entry["rounding_point"] else "no rounding"]
    if entry["takes_activation"]:
        facts.append("takes an activation")
    return "; ".join(facts)


def _section(entry: dict[str, Any], methods: list[str], earlier: list[dict[str, Any]]) -> str:
    made_by = ", ".join(f"`Network.{name}`" for name in methods)
    in_python = f" Python: {made_by}." if methods else ""
    alike = [
        other["name"]
        for other in earlier
        if other["parameters"] == entry["parameters"] and _facts(other) == _facts(entry)
    ]
    if alike and len(entry["parameters"]) >= _MIN_SHARED:
        lines = [
            f"## {entry['name']}",
            f"{entry['summary']} Otherwise as [{alike[0]}](#{alike[0]}).{in_python}",
            "",
        ]
    else:
        lines = [f"## {entry['name']}", entry["summary"], "", f"{_facts(entry)}.{in_python}", ""]
        lines += _parameters(entry, earlier)
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
    layers, losses = mpscnn.operations(), mpscnn.operations(training=True)
    entries = layers + losses
    sections = [
        "\n" + _section(entry, methods.get(entry["name"], []), entries[:number])
        for number, entry in enumerate(entries)
    ]
    first_loss = len(layers)
    return INTRODUCTION + "".join(sections[:first_loss]) + TRAINING + "".join(sections[first_loss:])


def files() -> dict[Path, str]:
    """Return the page by its path."""
    return {DOCS / "operations.md": text()}
