"""Compute gradients of softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np


def softmax_gradient(gradient: Any, result: Any, *, logarithm: bool = False) -> Any:
    gradient, result = np.asarray(gradient, np.float64), np.asarray(result, np.float64)
    if logarithm:
        return gradient - np.exp(result) * gradient.sum(axis=-1, keepdims=True)
    return result * (gradient - (gradient * result).sum(axis=-1, keepdims=True))
