"""Constant border."""

from __future__ import annotations

from typing import Any

import numpy as np


def padding(x: Any, attributes: dict[str, Any]) -> Any:
    sides = [("top", "bottom"), ("left", "right"), ("front", "back")]
    widths = [(0, 0), *((attributes.get(before, 0), attributes.get(after, 0)) for before, after in sides)]
    return np.pad(x, widths, constant_values=attributes.get("value", 0.0))
