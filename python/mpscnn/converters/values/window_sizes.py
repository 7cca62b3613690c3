"""Compute the padding and the number of windows along one axis, by the rules that several formats share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
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


def crop_to_size(
    sides: Iterable[int | None],
    sizes: Iterable[int],
    reach: Iterable[int],
    strides: Iterable[int],
    padding: Mapping[str, Any],
) -> list[Cropping]:
    """Return how a transposed convolution gets a result of a stated size, for each axis.

    Args:
        sides, sizes: the pixels of the image and of the result along each axis.
        reach: the pixels that a window covers along each axis.
        strides: the stride along each axis.
        padding: attributes of ONNX. "pads": their first numbers are cut off at the beginning. "auto_pad": half of what
            is too much is cut off at each side. Empty: nothing is cut off at the beginning.

    Raises UnsupportedError if the size of the image is free.
    """
    cropped = []
    for place, (side, size, window, stride) in enumerate(zip(sides, sizes, reach, strides, strict=True)):
        if side is None:
            raise UnsupportedError(
                f"the size of its result is stated, that of the image is free: {CHOOSE_SIZE}"
            )
        total = left_out(side, stride, window, size)
        if "auto_pad" in padding:
            cropped.append(crop(total, more_first=padding["auto_pad"] != "SAME_UPPER"))
        else:
            cropped.append(crop(total, first=padding["pads"][place] if "pads" in padding else 0))
    return cropped


def padding_of_result(cropped: Iterable[Cropping], strides: Sequence[int]) -> dict[str, list[int]]:
    """Return the attributes of ONNX' ConvTranspose for what it cuts off; see `crop_to_size`.

    Raises UnsupportedError if a whole stride of pixels would be added.
    """
    before, after, added = map(list, zip(*cropped, strict=True))
    if any(more >= stride for more, stride in zip(added, strides, strict=True)):
        raise UnsupportedError(f"its result is to have {added} pixels more than its windows cover")
    return {"pads": [*before, *after], "output_padding": added}


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
