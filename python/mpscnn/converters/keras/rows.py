"""Reshape sequences (n, positions, channels) to images of one row, and back."""

from __future__ import annotations

from mpscnn.converters.keras.applied import Applied
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor


def along_rows(c: Applied, x: Tensor) -> Tensor:
    """Reshape (n, positions, channels) to (n, 1, positions, channels)."""
    if c.settings.text("data_format", "channels_last") != "channels_last":
        raise UnsupportedError("its sequences have the channels first; only channels_last is supported")
    if len(x.shape) != 3:
        raise WeightsError(f"damaged: it takes sequences, its input is {x.shape}")
    _, positions, channels = x.shape
    extents = [1, -1 if positions is None else positions, channels or 0]
    return c.network.reshape(x, extents, name=c.name("/row"))


def back(c: Applied, y: Tensor) -> Tensor:
    """Reshape (n, 1, positions, channels) to (n, positions, channels)."""
    _, _, positions, channels = y.shape
    extents = [-1 if positions is None else positions, channels or 0]
    return c.network.reshape(y, extents, name=c.name("/sequence"))
