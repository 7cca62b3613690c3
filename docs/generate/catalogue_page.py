"""Write docs/catalogue.md: Apple's classes, and the counterpart of each in mpscnn.

The names of Apple's classes and of the corresponding network layers are in docs/apple_classes.json. Everything else is
read from the installed package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from operations_page import network_methods

import mpscnn
from mpscnn import _core

DOCS = Path(__file__).resolve().parent.parent

INTRODUCTION = """# Catalogue

Look up a class of Apple's for convolutional networks here, and find its counterpart in mpscnn.

| column | meaning |
|---|---|
| in mpscnn | the object of `mpscnn` or `mpscnn.kernels` with Apple's properties and rules |
| layer | the method of `mpscnn.Network` that adds such a layer |
| CPU, Metal | whether this engine runs the layer in networks, with rows of [exceptions](#unsupported-features) |
| gradient | whether networks learn through the layer |

A dash means that the column does not apply. Raw kernels run on the device of their queue.

Apple's kernels for matrices and arrays of any rank (MPSMatrix, MPSNDArray) are missing. So are its nodes of
gradients and losses: `mpscnn.Trainer` makes the backward pass of a network.
`python docs/generate` writes this page.
"""

HEADER = "| Apple's class | in mpscnn | layer | CPU | Metal | gradient |\n|---|---|---|---|---|---|"

NODES = """
## Graph nodes
Graphs of these become networks ([nodes.md](nodes.md)). Each has the properties of its raw kernel.

| Apple's class | in mpscnn | kernel |
|---|---|---|
| MPSNNGraph | `nodes.MPSNNGraph` | — |
| MPSNNImageNode | `nodes.MPSNNImageNode` | — |
"""

UNSUPPORTED = """
## Unsupported features
An engine runs every operation with all of its parameters, except for the rows of this table
(`cpp/ops/unsupported.cpp`).
A violation is an `UnsupportedError` when a network is compiled, or when it first runs with the extents that were free.
*any* stands for every engine or operation.

"""
UNSUPPORTED_HEADER = "| row | engine | operation | property | must be |\n|---|---|---|---|---|"


#: Classes without a gradient in mpscnn, although their operation has a gradient for other parameters.
NO_GRADIENT = {"MPSImageLanczosScale"}


def raw_kernels() -> dict[str, dict[str, Any]]:
    """Return the core's raw kernels by the name of Apple's class."""
    return {entry["apple"]: entry for entry in json.loads(_core.kernels())}


def counterpart(apple: str) -> str | None:
    """Return the object of mpscnn that has the name of Apple's class without prefix; None if there is none."""
    for prefix in ("MPSCNN", "MPSNN", "MPS"):
        name = apple.removeprefix(prefix)
        if name == apple:
            continue
        if name in mpscnn.kernels.__all__:
            return f"kernels.{name}"
        if name in mpscnn.__all__:
            return name
    return None


def operations_of(layer: str) -> list[str]:
    """Return the operations that a method of Network adds."""
    return [operation for operation, methods in network_methods().items() if layer in methods]


def unsupported_features(engine: str) -> dict[str, list[int]]:
    """Return the numbers of the rows on each operation in an engine's table of unsupported features."""
    rows: dict[str, list[int]] = {}
    for number, entry in numbered_features():
        if entry["engine"] in (engine, "any"):
            rows.setdefault(entry["operation"], []).append(number)
    return rows


def numbered_features() -> list[tuple[int, dict[str, Any]]]:
    """Return the rows of the core's table of unsupported features, numbered from 1."""
    return list(enumerate(json.loads(_core.unsupported_features()), 1))


def support(engine: str, operations: list[str]) -> str:
    """Return the table cell that says whether an engine supports operations."""
    rows = [number for operation in operations for number in unsupported_features(engine).get(operation, [])]
    return f"yes, except {', '.join(map(str, rows))}" if rows else "yes"


def differentiable(operations: list[str]) -> str:
    """Return the table cell that says whether operations have a gradient."""
    having = [entry["name"] for entry in mpscnn.operations() if entry["gradient"]]
    return "yes" if operations and all(operation in having for operation in operations) else "no"


def row(apple: str, layer: str | None) -> str:
    """Return the line of the table for one class."""
    kernel = raw_kernels().get(apple)
    found = counterpart(apple)
    name = f"`{found}`" if found else ""
    method = f"`Network.{layer}`" if layer else ""
    operations = operations_of(layer) if layer else []
    cpu = support("cpu", operations) if kernel or found else ("as a layer" if layer else "not yet")
    metal = support("metal", operations) if operations else "—"
    gradient = differentiable([] if apple in NO_GRADIENT else operations) if operations else "—"
    return f"| {apple} | {name} | {method} | {cpu} | {metal} | {gradient} |"


def kernel_of(node: str) -> str:
    """Return the table cell with the raw kernel whose properties a node has."""
    kernel = getattr(mpscnn.nodes, node).kernel_class
    return f"`kernels.{kernel}`" if kernel else "—"


def feature_row(number: int, entry: dict[str, Any]) -> str:
    """Return one line of the table of unsupported features."""
    cells = [str(number), *(entry[name] for name in ("engine", "operation", "field", "allowed"))]
    return f"| {' | '.join(cells)} |"


def text() -> str:
    """Return the whole page."""
    topics = json.loads((DOCS / "apple_classes.json").read_text(encoding="utf-8"))
    parts = [INTRODUCTION]
    for topic, classes in topics.items():
        rows = "\n".join(row(apple, layer) for apple, layer in classes.items())
        parts.append(f"\n## {topic}\n{HEADER}\n{rows}\n")
    graph_nodes = "\n".join(
        f"| {node} | `nodes.{node}` | {kernel_of(node)} |" for node in mpscnn.nodes.names()
    )
    parts.append(f"{NODES}{graph_nodes}\n")
    refused = "\n".join(feature_row(number, entry) for number, entry in numbered_features())
    return "".join(parts) + f"{UNSUPPORTED}{UNSUPPORTED_HEADER}\n{refused}\n"


def files() -> dict[Path, str]:
    """Return the page by its path."""
    return {DOCS / "catalogue.md": text()}
