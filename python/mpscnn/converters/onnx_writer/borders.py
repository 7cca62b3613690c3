"""Pad and crop values of an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mpscnn.converters.explicit_window import crops_first

if TYPE_CHECKING:
    from mpscnn.converters.onnx_writer.layer import Layer


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
