"""Find the shapes of layers, and describe windows with explicit padding, for one input size and for all writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.window_sizes import crop, left_out, same_padding
from mpscnn.graph.network import Network


@dataclass(frozen=True)
class Axis:
    """One axis of a window: output o covers the input positions o * stride - before + t * dilation."""

    size: int
    output: int
    kernel: int
    stride: int
    dilation: int
    before: int
    stated_after: int
    """The padding after the input that the network states."""

    @property
    def reach(self) -> int:
        """The extent of the dilated kernel."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def after(self) -> int:
        """The padding after the input with which a framework computes exactly `output` positions.

        It is the stated padding, even if windows do not reach it all, because converters recognise symmetric
        padding. It is larger than stated in ceil_mode, where windows reach further. It is smaller than stated where
        a framework would compute one more position, which ceil_mode leaves out because it lies only in the padding.
        """
        unread = self.stated_after - self.exact_after
        return self.stated_after if 0 <= unread < self.stride else max(self.exact_after, 0)

    @property
    def is_valid(self) -> bool:
        """True if TensorFlow's padding "valid" gives the same positions."""
        return self.before == 0 and self.output == (self.size - self.reach) // self.stride + 1

    @property
    def is_same(self) -> bool:
        """True if TensorFlow's padding "same" gives the same positions."""
        total = max((self.output - 1) * self.stride + self.reach - self.size, 0)
        return self.output == -(-self.size // self.stride) and self.before == total // 2

    @property
    def exact_after(self) -> int:
        """The padding after the input that windows reach; negative if they do not read the last elements."""
        return (self.output - 1) * self.stride + self.reach - self.size - self.before

    def counts(self, before: int, after: int) -> list[int]:
        """Return, for each output, the number of taps that lie on the input widened by `before` and `after`."""
        starts = (output * self.stride - self.before for output in range(self.output))
        return [
            sum(-before <= start + tap * self.dilation < self.size + after for tap in range(self.kernel))
            for start in starts
        ]


@dataclass(frozen=True)
class Window:
    """The vertical and horizontal axis of a window."""

    vertical: Axis
    horizontal: Axis

    @property
    def pads(self) -> list[int]:
        """The padding: top, left, bottom, right."""
        return [self.vertical.before, self.horizontal.before, self.vertical.after, self.horizontal.after]

    @property
    def kernel(self) -> list[int]:
        """The height and width of the kernel."""
        return [self.vertical.kernel, self.horizontal.kernel]

    @property
    def strides(self) -> list[int]:
        """The vertical and horizontal stride."""
        return [self.vertical.stride, self.horizontal.stride]

    @property
    def dilations(self) -> list[int]:
        """The vertical and horizontal dilation."""
        return [self.vertical.dilation, self.horizontal.dilation]

    @property
    def sizes(self) -> dict[str, list[int]]:
        """The window as attributes of ONNX' Conv and MaxPool."""
        return {"kernel_shape": self.kernel, "strides": self.strides, "dilations": self.dilations}

    @property
    def crops(self) -> bool:
        """True if the network states negative padding, which other frameworks do not support."""
        return any(min(axis.before, axis.stated_after) < 0 for axis in (self.vertical, self.horizontal))


def window_of(
    attributes: Mapping[str, Any], input_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> Window:
    """Return the window of a convolution or pooling. Its padding follows from the output shape if it is "same"."""
    return Window(
        _axis(attributes, "height", "y", ("pad_top", "pad_bottom"), input_shape[1], output_shape[1]),
        _axis(attributes, "width", "x", ("pad_left", "pad_right"), input_shape[2], output_shape[2]),
    )


def _axis(
    attributes: Mapping[str, Any], side: str, suffix: str, pads: tuple[str, str], size: int, output: int
) -> Axis:
    kernel = attributes[f"kernel_{side}"]
    stride = attributes[f"stride_{suffix}"]
    dilation = attributes[f"dilation_{suffix}"]
    reach = (kernel - 1) * dilation + 1
    policy = attributes["padding"]
    if policy == "same":
        before, after = same_padding(size, stride, reach)
    elif policy == "full":
        before = after = reach - 1
    else:
        before, after = attributes[pads[0]], attributes[pads[1]]
    return Axis(size, output, kernel, stride, dilation, before, after)


def crops_first(extents: Sequence[int], before: Sequence[int], after: Sequence[int]) -> bool:
    """Return True if crops, the negative numbers, leave something of each axis before the padding is added."""
    return all(
        extent + min(first, 0) + min(last, 0) > 0
        for extent, first, last in zip(extents, before, after, strict=True)
    )


def divisors_of(attributes: Mapping[str, Any], window: Window) -> NDArray[np.float32]:
    """Return, for each output of an average pooling, the number of taps by which the sum is divided."""

    def counts(axis: Axis, zeros: int) -> list[int]:
        if attributes["edge"] == "zero":
            return [axis.kernel] * axis.output
        if attributes["count_padding"]:
            return axis.counts(axis.before, axis.stated_after)
        return axis.counts(zeros, zeros)

    rows = counts(window.vertical, attributes["zero_pad_y"])
    columns = counts(window.horizontal, attributes["zero_pad_x"])
    divisors: NDArray[np.float32] = np.maximum(np.outer(rows, columns), 1).astype(np.float32)
    return divisors


def removed_from(
    attributes: Mapping[str, Any], input_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return how many rows and columns of a transposed convolution's full result are cropped before and after.

    Negative numbers pad.
    """
    return (
        _removed(attributes, "height", "y", "pad_top", input_shape[1], output_shape[1]),
        _removed(attributes, "width", "x", "pad_left", input_shape[2], output_shape[2]),
    )


def _removed(
    a: Mapping[str, Any], side: str, suffix: str, first: str, size: int, output: int
) -> tuple[int, int]:
    stride = a[f"stride_{suffix}"]
    reach = (a[f"kernel_{side}"] - 1) * a[f"dilation_{suffix}"] + 1
    total = left_out(size, stride, reach, output)
    before = crop(total).before if a["padding"] == "same" else a[first]
    return before, total - before


def shapes_of(network: Network, size: tuple[int, int] | None) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all inputs and layers for one image, by name."""
    described = network.describe(size)
    shapes = {layer["name"]: tuple(layer["output"]) for layer in described["layers"]}
    for tensor in network.inputs:
        shape = [1 if extent is None else extent for extent in tensor.shape]
        if size is not None and len(shape) == 4:
            given = zip(tensor.shape[1:3], size, strict=True)
            shape[1:3] = [wanted if extent is None else extent for extent, wanted in given]
        shapes[tensor.name] = tuple(shape)
    return shapes
