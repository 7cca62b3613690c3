"""Turn channels into pixels, computed index by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convolution import convolution


def depth_to_space(x: Any, scale: int, order: str = "position_major") -> Any:
    """Read for each output the channel that the definition names."""
    batch, height, width, channels = x.shape
    outputs = channels // scale**2
    result = np.zeros((batch, height * scale, width * scale, outputs), x.dtype)
    for y, x_out, c in np.ndindex(height * scale, width * scale, outputs):
        position = y % scale * scale + x_out % scale
        channel = position * outputs + c if order == "position_major" else c * scale**2 + position
        result[:, y, x_out, c] = x[:, y // scale, x_out // scale, channel]
    return result


def subpixel_convolution(x: Any, weight: Any, bias: Any, attributes: dict[str, Any]) -> tuple[Any, Any]:
    """Return the result and, for error bounds, the sum of the absolute values of all products."""
    scale, order = attributes.get("scale", 1), attributes.get("order", "position_major")
    result, magnitude = (
        depth_to_space(part, scale, order) for part in convolution(x, weight, bias, attributes)
    )
    rows = attributes.get("output_height", 0) or result.shape[1]
    columns = attributes.get("output_width", 0) or result.shape[2]
    return result[:, :rows, :columns], magnitude[:, :rows, :columns]
