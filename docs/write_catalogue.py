"""Writes docs/catalogue.md: Apple's classes, and what mpscnn has for each.

The names of Apple's classes and the network layers that do the same are in docs/apple_classes.json; everything else is
read from the installed package. Run after a kernel was added: python docs/write_catalogue.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mpscnn
from mpscnn import _core

DOCS = Path(__file__).resolve().parent

INTRODUCTION = """# Catalogue

Apple's classes for convolutional networks and what mpscnn has for each: an object of `mpscnn` or of `mpscnn.kernels`
(raw kernels with Apple's properties and rules), and the method of `mpscnn.Network` that adds such a layer. Written by
`docs/write_catalogue.py`.

*Metal* says whether raw kernels run on a Metal device in this version; which layers networks run there is in
[architecture.md](architecture.md). *Gradient* says whether the operation can be differentiated; a dash means that
the question does not arise.
"""

HEADER = "| Apple's class | in mpscnn | layer | CPU | Metal | gradient |\n|---|---|---|---|---|---|"
TRAINING = ("Gradient", "Loss", "Optimizer")


def raw_kernels() -> dict[str, dict[str, Any]]:
    """The core's raw kernels by the class of Apple's that they follow."""
    return {entry["apple"]: entry for entry in json.loads(_core.kernels())}


def counterpart(apple: str) -> str | None:
    """The object that has Apple's name without its prefix."""
    for prefix in ("MPSCNN", "MPSNN", "MPS"):
        name = apple.removeprefix(prefix)
        if name == apple:
            continue
        if name in mpscnn.kernels.__all__:
            return f"kernels.{name}"
        if name in mpscnn.__all__:
            return name
    return None


def row(apple: str, layer: str | None) -> str:
    """One class's line of the table."""
    kernel = raw_kernels().get(apple)
    found = counterpart(apple)
    name = f"`{found}`" if found else ""
    method = f"`Network.{layer}`" if layer else ""
    computes = kernel is not None or layer is not None
    cpu = "yes" if kernel or found else ("as a layer" if layer else "not yet")
    if any(word in apple for word in TRAINING) and not found:
        cpu = "not yet (training)"
    metal = "not yet" if computes else "—"
    gradient = "not yet" if computes else "—"
    return f"| {apple} | {name} | {method} | {cpu} | {metal} | {gradient} |"


def text() -> str:
    """The whole document."""
    topics = json.loads((DOCS / "apple_classes.json").read_text(encoding="utf-8"))
    parts = [INTRODUCTION]
    for topic, classes in topics.items():
        rows = "\n".join(row(apple, layer) for apple, layer in classes.items())
        parts.append(f"\n## {topic}\n{HEADER}\n{rows}\n")
    return "".join(parts)


if __name__ == "__main__":
    (DOCS / "catalogue.md").write_text(text(), encoding="utf-8")
