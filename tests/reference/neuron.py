"""Activation functions of the ReLU family."""

from __future__ import annotations

from typing import Any

import numpy as np


def neuron(x: Any, attributes: dict[str, Any], slope: Any = None) -> Any:
    """MPSCNNNeuronType's functions."""
    x = np.asarray(x, np.float64)
    kind, a, b = attributes.get("kind", "none"), attributes.get("a", 0.0), attributes.get("b", 0.0)
    if kind == "none":
        return x
    if kind == "linear":
        return a * x + b
    if kind == "prelu":
        return np.where(x >= 0, x, x * np.asarray(slope, np.float64))
    rectified = np.where(x >= 0, x, a * x if a != 0 else np.where(np.isnan(x), x, 0.0))
    return np.minimum(rectified, b) if kind == "relun" else rectified
