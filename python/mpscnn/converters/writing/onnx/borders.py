"""Pad and crop values of an ONNX graph, such as the inputs of convolutions and poolings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpscnn.converters.writing.explicit_window import Window, crops_first
from mpscnn.converters.writing.onnx.layer import Layer


def pad(
    layer: Layer,
    name: str,
    extents: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    *,
    fill: float | None = None,
    mode: str = "constant",
) -> str:
    """Pad the last axes of a value (n, channels, height, width). Negative numbers crop.

    One Pad node does both, unless it crops an axis by its whole extent or more: ONNX Runtime crops before it pads. Then
    a Slice after the Pad crops.

    Args:
        layer: the layer that the nodes belong to.
        name: the value.
        extents: the extents of the axes.
        before: the number of elements that are added before each axis.
        after: the number of elements that are added after each axis.
        fill: the value of constant elements; None: zero.
        mode: the attribute `mode` of Pad.
    """
    constants = [] if fill is None else [layer.constant(fill, "fill")]
    attributes = {} if mode == "constant" else {"mode": mode}
    lead = [0] * (4 - len(extents))
    if crops_first(extents, before, after):
        pads = layer.constant([*lead, *before, *lead, *after], "pads")
        return layer.add("Pad", name, pads, *constants, **attributes)
    added_before, added_after = ([max(amount, 0) for amount in side] for side in (before, after))
    pads = layer.constant([*lead, *added_before, *lead, *added_after], "pads")
    name = layer.add("Pad", name, pads, *constants, **attributes)
    starts = [max(-amount, 0) for amount in before]
    ends = [min(amount, 0) or np.iinfo(np.int64).max for amount in after]
    axes = list(range(len(lead), 4))
    bounds = (starts, "starts"), (ends, "ends"), (axes, "axes")
    return layer.add("Slice", name, *(layer.constant(numbers, role) for numbers, role in bounds))


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
