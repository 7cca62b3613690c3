"""Reshape a tensor: the same elements get other extents."""

from __future__ import annotations

from typing import Any

import numpy as np


def reshape(x: Any, shape: list[int]) -> Any:
    return np.reshape(x, (len(x), *shape))
