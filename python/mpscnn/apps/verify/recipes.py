"""Build the recipes and the inputs of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def pseudo_random(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return pseudo-random numbers in [-1, 1] that are the same on all machines, from a hash of the index."""
    state = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(6364136223846793005)
    state = (state ^ np.uint64(seed + 1)) * np.uint64(1442695040888963407)
    state ^= state >> np.uint64(29)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    high = (state >> np.uint64(40)).astype(np.float64)
    values: NDArray[np.float32] = (high / 2.0**23 - 1).astype(np.float32).reshape(shape)
    return values
