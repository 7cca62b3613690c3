"""Find the padding with which a transposed convolution gives a result of a stated size."""

from __future__ import annotations

from typing import NamedTuple


class Cropping(NamedTuple):
    """The pixels of one axis that a transposed convolution removes before and after its result, or adds at the end."""

    before: int
    after: int
    added: int


def left_out(side: int, stride: int, reach: int, size: int) -> int:
    """Return how many pixels of the full result a stated size leaves out. A negative number lacks pixels.

    Args:
        side: the pixels of the image along the axis.
        stride: the stride.
        reach: the pixels from the first to the last tap of the kernel.
        size: the pixels of the result.
    """
    return (side - 1) * stride + reach - size


def crop(total: int, *, first: int | None = None, more_first: bool = False) -> Cropping:
    """Divide the pixels that are left out between the beginning and the end.

    Args:
        total: the result of `left_out`.
        first: the pixels to remove at the beginning; None: one half.
        more_first: whether an odd pixel is removed at the beginning.
    """
    if first is None:
        half = max(total, 0) // 2
        first = max(total, 0) - half if more_first else half
    rest = total - first
    return Cropping(first, max(rest, 0), max(-rest, 0))
