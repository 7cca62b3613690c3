"""Batch normalization with given statistics."""

from __future__ import annotations

from typing import Any

import numpy as np


def batch_normalization(x: Any, epsilon: float, mean: Any, variance: Any, gamma: Any, beta: Any) -> Any:
    x, mean, variance = (np.asarray(part, np.float64) for part in (x, mean, variance))
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
