"""Compute softmax over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np


def softmax(x: Any) -> Any:
    x = np.asarray(x, np.float64)
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def log_softmax(x: Any) -> Any:
    shifted = np.asarray(x, np.float64) - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
