"""Compute products of the matrices in two tensors."""

from __future__ import annotations

from typing import Any

import numpy as np


def matrix_product(a: Any, b: Any, attributes: dict[str, Any]) -> Any:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    left = "km" if attributes.get("transpose_first") else "mk"
    right = "pk" if attributes.get("transpose_second") else "kp"
    return attributes.get("scale", 1.0) * np.einsum(f"...{left},...{right}->...mp", a, b)
