"""Compute a fully connected layer. The input is read in its NHWC order."""

from __future__ import annotations

from typing import Any

import numpy as np


def fully_connected(x: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
    """Return the result and the sum of the absolute values of all products."""
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    weight = np.asarray(weight, np.float64).reshape(len(weight), -1)
    bias = np.zeros(len(weight)) if bias is None else np.asarray(bias, np.float64)
    return x @ weight.T + bias, np.abs(x) @ np.abs(weight).T + np.abs(bias)
