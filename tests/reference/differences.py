"""Compute gradients by central differences, for tests of gradients and of references that have no other proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def numeric_gradient(function: Callable[[Any], Any], x: Any, gradient: Any = 1.0) -> Any:
    """Return the gradient of sum(gradient * function(x)) with respect to x."""
    x, step = np.asarray(x, np.float64), 1e-5
    result = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        changed = x.copy()
        changed[place] += step
        above = function(changed.copy())
        changed[place] -= 2 * step
        result[place] = (gradient * (above - function(changed))).sum() / (2 * step)
    return result
