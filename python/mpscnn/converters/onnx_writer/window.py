"""Describe convolution and pooling windows for ONNX, with explicit padding for one input size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.converters.onnx_writer.borders import crops_first, pad

if TYPE_CHECKING:
    from mpscnn.converters.onnx_writer.layer import Layer


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
        """The padding after the input with which ONNX computes exactly `output` positions.

        It is the stated padding, even if windows do not reach it all, because converters recognise symmetric
        padding. It is larger than stated in ceil_mode, where windows reach further. It is smaller than stated where
        ONNX would compute one more position, which ceil_mode leaves out because it lies only in the padding.
        """
        unread = self.stated_after - self.exact_after
        return self.stated_after if 0 <= unread < self.stride else max(self.exact_after, 0)

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
        """The padding in ONNX' order: top, left, bottom, right."""
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
        """The window as attributes of Conv and MaxPool."""
        return {"kernel_shape": self.kernel, "strides": self.strides, "dilations": self.dilations}

    @property
    def crops(self) -> bool:
        """True if the network states negative padding, which ONNX' Conv and poolings do not support."""
        return any(min(axis.before, axis.stated_after) < 0 for axis in (self.vertical, self.horizontal))


def widen_input(layer: Layer, window: Window, fill: float | None) -> str:
    """Pad or crop the layer's input to exactly the area that its windows read.

    The border has the value `fill`, or with None the nearest pixel.
    """
    name = layer.inputs[0].name
    axes = (window.vertical, window.horizontal)
    if fill is None:
        for onnx_axis, axis in enumerate(axes, start=2):
            positions = np.arange(-axis.before, axis.size + axis.exact_after).clip(0, axis.size - 1)
            name = layer.add("Gather", name, layer.constant(positions, "positions"), axis=onnx_axis)
        return name
    before, after = [axis.before for axis in axes], [axis.exact_after for axis in axes]
    return pad(layer, name, [axis.size for axis in axes], before, after, fill=fill)


def crop_input(layer: Layer, window: Window) -> tuple[str, list[int]]:
    """Return the layer's input without the pixels that negative padding crops, and the padding for a Conv."""
    if not window.crops:
        return layer.inputs[0].name, window.pads
    axes = (window.vertical, window.horizontal)
    extents = [axis.size for axis in axes]
    before, after = [axis.before for axis in axes], [axis.exact_after for axis in axes]
    if not crops_first(extents, before, after):
        return widen_input(layer, window, 0.0), [0] * 4  # the crop removes padding, too
    cuts = ([min(amount, 0) for amount in side] for side in (before, after))
    return pad(layer, layer.inputs[0].name, extents, *cuts), [max(amount, 0) for amount in before + after]


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
    # The total padding that the output size needs; an odd one has the extra element after.
    if policy == "same":
        total = max((output - 1) * stride + reach - size, 0)
        before, after = total // 2, total - total // 2
    elif policy == "full":
        before = after = reach - 1
    else:
        before, after = attributes[pads[0]], attributes[pads[1]]
    return Axis(size, output, kernel, stride, dilation, before, after)
