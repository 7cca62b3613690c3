"""Concatenate tensors along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np


def concatenation(parts: list[Any], axis: int) -> Any:
    return np.concatenate(parts, axis=axis)
