"""Compute the padding and the number of windows along one axis, by the rules that several formats share."""

from __future__ import annotations

from typing import NamedTuple

from mpscnn.errors import UnsupportedError


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


def same_padding(size: int, stride: int, reach: int, *, more_first: bool = False) -> tuple[int, int]:
    """Return the padding before and after an axis with which windows begin at each stride of it ("same").

    Args:
        size: the pixels of the image along the axis.
        stride: the stride.
        reach: the pixels from the first to the last tap of the kernel.
        more_first: whether the additional pixel of an odd total is before the axis, as in SAME_LOWER of ONNX.
    """
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    half = total // 2
    return (total - half, half) if more_first else (half, total - half)


def count_of_caffe(size: int, stride: int, taps: int, pad: int, *, upwards: bool, padded: bool) -> int:
    """Return the number of windows of a pooling of Caffe along an axis.

    Args:
        size, stride, taps: the pixels of the image, the stride and the pixels of a window.
        pad: the padding on both sides.
        upwards: whether the number is rounded up.
        padded: whether any axis has padding. A last window that lies in the padding is then left out on all axes.

    Raises UnsupportedError if the last window lies outside of the image.
    """
    room = size + 2 * pad - taps
    count = (-(-room // stride) if upwards else room // stride) + 1
    if padded and (count - 1) * stride >= size + pad:
        count -= 1
    if (count - 1) * stride >= size + pad:
        raise UnsupportedError("its last window lies outside of the image, which is not supported")
    return count
