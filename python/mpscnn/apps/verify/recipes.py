"""Build the recipes of raw kernels as plain JSON."""

from __future__ import annotations

from typing import Any

IMAGE = [2, 7, 5, 6]


def noise_recipe(*shape: int, seed: int = 1, positive: bool = False) -> dict[str, Any]:
    """Return a description of a pseudo-random array."""
    return {"noise": list(shape), "seed": seed, "positive": positive}


def object_recipe(kernel: str, *arguments: Any, **named: Any) -> dict[str, Any]:
    """Return a description of an object of a class of `mpscnn.kernels`."""
    return {"kernel": kernel, "arguments": list(arguments), "named": named}
