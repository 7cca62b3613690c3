"""Build the recipes of raw kernels as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Recipe = dict[str, Any]
#: Cases by the name of the bound for their errors. Each has a name and a recipe.
Bounded = Mapping[str, Sequence[tuple[str, Recipe]]]

IMAGE = [2, 7, 5, 6]


def noise(*shape: int, seed: int = 1, positive: bool = False) -> Recipe:
    """Return a description of a pseudo-random array."""
    return {"noise": list(shape), "seed": seed, "positive": positive}


def made(kernel: str, *arguments: Any, **named: Any) -> Recipe:
    """Return a description of an object of a class of `mpscnn.kernels`."""
    return {"kernel": kernel, "arguments": list(arguments), "named": named}
