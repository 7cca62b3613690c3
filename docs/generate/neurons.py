"""Write the texts that repeat the table of activation functions, `shaders/neuron_kind.h`.

- The table in docs/ops/neuron.md: formulas, Apple's classes, and the names that Python's `activation=` accepts.
- `_private/plain_activations.py`: the names of functions without parameters, for type checkers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mpscnn import _core
from mpscnn.graph.layer_arguments import ACTIVATIONS_WITH_PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "ops" / "neuron.md"
PLAIN = ROOT / "python" / "mpscnn" / "_private" / "plain_activations.py"
#: Kinds whose parameters have no usual values, so that only a mapping selects them.
ONLY_MAPPINGS = {"none", "linear", "relun", "power", "clamp"}
#: Apple's names of kinds for which Apple has no class of its own.
TYPES = {"none": "MPSCNNNeuronTypeNone", "gelu": "MPSCNNNeuronTypeGeLU"}


def formulas() -> dict[str, str]:
    """Return the formula of each kind in the order of the table."""
    header = (ROOT / "shaders" / "neuron_kind.h").read_text("utf-8")
    return dict(re.findall(r"^    NEURON\((\w+)\) +/\* (.*?) \*/", header, re.MULTILINE))


def plain() -> list[str]:
    """Return the kinds that `activation=` accepts by their own name and that have no parameters."""
    with_parameters = {own["kind"] for own in ACTIVATIONS_WITH_PARAMETERS.values()}
    return [kind for kind in formulas() if kind not in with_parameters | ONLY_MAPPINGS]


def names_of(kind: str) -> str:
    """Return the names of a kind in Python, with their parameters."""
    if kind in plain():
        return f'`"{kind}"`'
    cells = []
    for name, own in ACTIVATIONS_WITH_PARAMETERS.items():
        if own["kind"] == kind:
            parameters = ", ".join(f"{key} = {value:g}" for key, value in own.items() if key != "kind")
            cells.append(f'`"{name}"`' + (f" ({parameters})" if parameters else ""))
    return ", ".join(cells)


def table() -> str:
    """Return the table of all kinds."""
    apples = {entry["name"].lower(): entry["apple"] for entry in json.loads(_core.kernels())}
    lines = ["| kind | f(x) | Apple | `activation=` |", "|---|---|---|---|"]
    for kind, formula in formulas().items():
        apple = apples.get("neuron" + kind.replace("_", ""), TYPES.get(kind, ""))
        text = formula.replace(" * ", " ").replace("|", "\\|")
        cells = f"`{kind}`", text, apple, names_of(kind)
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """Return the page and the module by their paths."""
    page = PAGE.read_text("utf-8")
    begin = page.index("| kind |")
    end = page.index("\n\n", begin) + 1
    names = "\n".join(f'    "{kind}",' for kind in plain())
    module = f'''"""Names of activation functions without parameters. `python docs/generate` writes this module."""

from typing import Literal

PlainActivationName = Literal[
{names}
]
'''
    return {PAGE: page[:begin] + table() + page[end:], PLAIN: module}
