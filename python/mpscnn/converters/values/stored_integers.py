"""Represent the integers of a quantized constant of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredIntegers:
    """The integers of a quantized constant.

    The constant is (values - zero point) * scale, with one scale for all elements or one for each index of an axis.
    """

    values: NDArray[Any]
    scales: NDArray[np.float32]
    zero_points: NDArray[Any]
