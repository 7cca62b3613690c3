"""Compute the positions of the maxima of poolings, and unpool by them.

The position within a window is found by comparing the pooling's result with each tap (position in a window), one tap of
all windows at a time. Layers compute in float32, so positions up to 2^24 are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.window_sizes import same_padding
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Pair = tuple[int, int]
_LOWEST = -float(np.finfo(np.float32).max)
_MAX_POSITION = 1 << 24
_MAX_TAPS = 64


@dataclass(frozen=True)
class Windows:
    """The windows of a max pooling, with (vertical, horizontal) pairs.

    Attributes:
        kernel, strides, dilation: the window.
        before: the padding before the first row and column.
        size: the size of the image.
        results: the size of the result.
    """

    kernel: Pair
    strides: Pair
    dilation: Pair
    before: Pair
    size: Pair
    results: Pair

    @classmethod
    def of(cls, x: Tensor, y: Tensor, kernel: Pair, strides: Pair, dilation: Pair, before: Pair) -> Windows:
        """Return the windows of a pooling of x whose result is y. Raises UnsupportedError for free sizes."""
        size, results = _size_of(x), _size_of(y)
        if kernel[0] * kernel[1] > _MAX_TAPS:
            raise UnsupportedError(
                f"positions of maxima in windows of {kernel}; supported are {_MAX_TAPS} pixels"
            )
        return cls(kernel, strides, dilation, before, size, results)

    @property
    def offsets(self) -> list[int]:
        """The position of each tap relative to the first tap of its window, in pixels of the image."""
        rows, columns = self.kernel
        return [
            row * self.dilation[0] * self.size[1] + column * self.dilation[1]
            for row in range(rows)
            for column in range(columns)
        ]

    def first_positions(self) -> NDArray[np.float32]:
        """Return the position of the first tap of each window, of shape (height, width) of the result."""
        rows, columns = (
            np.arange(count, dtype=np.float32) * stride - pad
            for count, stride, pad in zip(self.results, self.strides, self.before, strict=True)
        )
        return rows[:, None] * self.size[1] + columns


@dataclass(frozen=True)
class Maxima:
    """The places of the maxima of a pooling.

    Attributes:
        places: a tensor that has, for each result of the pooling, the label of the tap with the maximum.
        labels: a number for each tap (position in a window), row by row. The numbers increase.
        windows: the windows of the pooling.
    """

    places: Tensor
    labels: Sequence[int]
    windows: Windows


def find_maxima(a: Arranger, x: Tensor, y: Tensor, windows: Windows, labels: Sequence[int]) -> Maxima:
    """Find the first maximum of each window.

    Args:
        a: adds the layers.
        x: the image (n, height, width, channels).
        y: the result of its max pooling.
        windows: the windows.
        labels: the labels of the result, such as `Windows.offsets`.
    """
    network = a.network
    borders = []
    for axis in range(2):
        last = (windows.results[axis] - 1) * windows.strides[axis] - windows.before[axis]
        reach = last + (windows.kernel[axis] - 1) * windows.dilation[axis] + 1
        borders.append((windows.before[axis], reach - windows.size[axis]))
    if any(map(any, borders)):
        x = network.pad(x, (borders[0], borders[1]), value=_LOWEST, name=a.name("/border"))
    beyond = float(labels[-1] + 1)
    first_place: Tensor | None = None
    for number, label in enumerate(labels):
        parts = []
        for axis, tap in enumerate(divmod(number, windows.kernel[1])):
            first, stride = tap * windows.dilation[axis], windows.strides[axis]
            parts.append(slice(first, first + (windows.results[axis] - 1) * stride + 1, stride))
        taps = network.slice(x, rows=parts[0], columns=parts[1], name=a.name("/tap"))
        # The label where the tap is the maximum, otherwise a number beyond all labels.
        chosen: Activation = {"kind": "linear", "a": label - beyond, "b": beyond}
        place = network.equal(taps, y, activation=chosen, name=a.name("/is_maximum"))
        first_place = (
            place if first_place is None else network.minimum(first_place, place, name=a.name("/place"))
        )
    assert first_place is not None
    return Maxima(first_place, labels, windows)


def flat_positions(a: Arranger, maxima: Maxima) -> Tensor:
    """Return the position of each maximum in the image (channels, height, width). Labels must be `Windows.offsets`."""
    windows, channels = maxima.windows, _channels_of(maxima.places)
    pixels = windows.size[0] * windows.size[1]
    if pixels * channels > _MAX_POSITION:
        raise UnsupportedError(f"positions of maxima in images of more than {_MAX_POSITION} elements")

    def first() -> NDArray[np.float32]:
        # The numbers are below 2^24, so float32 has them exactly.
        return windows.first_positions()[..., None] + np.arange(channels, dtype=np.float32) * pixels

    shape = (*windows.results, channels)
    return a.network.add(maxima.places, a.constant(a.name("/first"), shape, first), name=a.name(""))


def unpool(a: Arranger, x: Tensor, maxima: Maxima) -> Tensor:
    """Place each element of x where the pooling found its maximum. All other elements of the result are zeros.

    Raises UnsupportedError for windows that overlap or have gaps, and if x has another size than the pooling's result.
    """
    network, windows = a.network, maxima.windows
    if windows.kernel != windows.strides or windows.dilation != (1, 1):
        raise UnsupportedError(
            f"undoes a pooling with windows of {windows.kernel} and strides of {windows.strides}; supported are "
            "windows that neither overlap nor have gaps"
        )
    if _size_of(x) != windows.results or _channels_of(x) != _channels_of(maxima.places):
        raise UnsupportedError(f"places {x.shape[1:]} at the maxima of another shape")
    whole = [count * extent for count, extent in zip(windows.results, windows.kernel, strict=True)]
    border = [
        (-before, size - extent + before)
        for before, size, extent in zip(windows.before, windows.size, whole, strict=True)
    ]

    def spread(tensor: Tensor, suffix: str) -> Tensor:
        large = network.upsample(tensor, size=(whole[0], whole[1]), name=a.name(f"{suffix}/repeat"))
        if not any(map(any, border)):
            return large
        return network.pad(large, (border[0], border[1]), name=a.name(f"{suffix}/border"))

    def labels_of_pixels() -> NDArray[np.float32]:
        """Return the label of each pixel's tap: that of its place in its window, or -1 outside of all windows."""
        own = np.full(windows.size, -1.0, np.float32)
        for number, label in enumerate(maxima.labels):
            places = (
                slice((tap - before) % taps, count * taps - before, taps)
                for tap, before, taps, count in zip(
                    divmod(number, windows.kernel[1]),
                    windows.before,
                    windows.kernel,
                    windows.results,
                    strict=True,
                )
            )
            own[tuple(places)] = label
        return own

    labels = a.constant(a.name("/labels"), (*windows.size, 1), labels_of_pixels)
    here = network.equal(spread(maxima.places, "/place"), labels, name=a.name("/is_here"))
    return network.mask(here, spread(x, "/element"), name=a.name(""))


def padding_before(x: Tensor, kernel: Pair, strides: Pair) -> Pair:
    """Return the padding before the first row and column of a pooling of x with "same" padding."""
    (top, _), (left, _) = map(same_padding, _size_of(x), strides, kernel)
    return top, left


def _size_of(x: Tensor) -> Pair:
    height, width = x.shape[1:3]
    if height is None or width is None:
        raise UnsupportedError(f"positions of maxima in images of a free size: {CHOOSE_SIZE}")
    return height, width


def _channels_of(x: Tensor) -> int:
    channels = x.shape[3]
    if channels is None:
        raise UnsupportedError("positions of maxima in a free number of channels")
    return channels
