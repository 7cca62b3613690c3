"""Repeat a weight that is a tensor of the network for each image of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np


def constant(batch: int, value: Any) -> Any:
    return np.stack([np.asarray(value, np.float64)] * batch)
