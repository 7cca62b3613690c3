"""Write functions of vectors so that a file that is read and written again keeps its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def of_channels(mb: Any, value: Any, function: Callable[..., Any], **named: str) -> Any:
    """Apply a function to the last axis of a tensor, and return its result.

    A reader moves a reshape of one pixel to a vector behind the function. So the function is written before it.

    Args:
        mb: coremltools' builder of programs.
        value: the tensor.
        function: it gets the builder, a tensor and an axis, and adds its operation with the name, if it gets one.
        named: the name of the result, if it has one.
    """
    pixel = _pixel_before(value)
    if pixel is None:
        return function(mb, value, len(value.shape) - 1, **named)
    return mb.reshape(x=function(mb, pixel, 1), shape=value.shape, **named)


def _pixel_before(vector: Any) -> Any:
    """Return the image of one pixel that an operation reshapes to a vector; None for other values."""
    operation = getattr(vector, "op", None)  # constants have none
    if operation is None or operation.op_type not in ("reshape", "squeeze"):
        return None
    image = operation.x
    shape = tuple(image.shape)
    return image if len(shape) == 4 and shape == (1, vector.shape[-1], 1, 1) else None
