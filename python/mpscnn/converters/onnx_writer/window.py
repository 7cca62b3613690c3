"""Pad or crop the inputs of convolutions and poolings in ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpscnn.converters.explicit_window import Window, crops_first
from mpscnn.converters.onnx_writer.borders import pad

if TYPE_CHECKING:
    from mpscnn.converters.onnx_writer.layer import Layer


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
