"""Permute axes and channels."""

from __future__ import annotations

from typing import Any

import numpy as np


def transposed(x: Any, axes: list[int]) -> Any:
    return np.transpose(x, (0, *axes))


def channel_shuffle(x: Any, groups: int) -> Any:
    channels = x.shape[-1]
    order = [g * (channels // groups) + k for k in range(channels // groups) for g in range(groups)]
    return np.stack([x[..., channel] for channel in order], axis=-1)
