"""Choose the padding of a transposed convolution whose file states the size of the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.converters.window_sizes import crop, left_out
from mpscnn.errors import UnsupportedError


def deconvolution_padding(
    b: Builder,
    x: str,
    wanted: Sequence[int],
    reach: Sequence[int],
    strides: Sequence[int],
    padding: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the attributes of a transposed convolution of an image that gives the stated output size.

    The other arguments and errors are those of `padding_of_result`. Raises UnsupportedError if the size of the image is
    free, too.
    """
    sides = [side for side in b.extents(x)[2:] if side is not None]
    if len(sides) < b.rank(x) - 2:
        raise UnsupportedError(f"the size of its result is stated, that of the image is free: {CHOOSE_SIZE}")
    return padding_of_result(sides, wanted, reach, strides, padding)


def padding_of_result(
    sides: Sequence[int],
    wanted: Sequence[int],
    reach: Sequence[int],
    strides: Sequence[int],
    padding: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the attributes of a transposed convolution that gives the stated output size.

    Pixels are cut off at both sides. If fewer remain than wanted, pixels that no window reaches are added at the end.

    Args:
        sides: the height and width of the image.
        wanted: the height and width of the result.
        reach: the pixels that a window covers along each axis.
        strides: the stride along each axis.
        padding: "pads": their first numbers are cut off at the beginning. "auto_pad": half of what is too much is cut
            off at each side. Empty: nothing is cut off at the beginning.

    Raises UnsupportedError if a whole stride of pixels would be added.
    """
    cropped = []
    for place, (side, window, stride, size) in enumerate(zip(sides, reach, strides, wanted, strict=True)):
        total = left_out(side, stride, window, size)
        if "auto_pad" in padding:
            cropped.append(crop(total, more_first=padding["auto_pad"] != "SAME_UPPER"))
        else:
            cropped.append(crop(total, first=padding["pads"][place] if "pads" in padding else 0))
    before, after, added = map(list, zip(*cropped, strict=True))
    if any(more >= stride for more, stride in zip(added, strides, strict=True)):
        raise UnsupportedError(f"its result is to have {list(wanted)} pixels, more than its windows cover")
    return {"pads": [*before, *after], "output_padding": added}
