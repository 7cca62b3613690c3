"""Write padding, slices and resizes as ONNX nodes."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.values.layout import TO_NCHW
from mpscnn.converters.writing.onnx.borders import pad
from mpscnn.converters.writing.onnx.layer import Layer
from mpscnn.errors import UnsupportedError

_SIDES = (("front", "back", 3), ("top", "bottom", 1), ("left", "right", 2))
"""The attributes for the padding of each axis, in ONNX' order (channels, height, width), and mpscnn's axis number."""


def padding(layer: Layer) -> str:
    """Write padding: constant borders as Pad, clamped and mirrored ones as Gather, since Pad lacks some of them."""
    sides = layer.attributes
    if sides["mode"] != "constant":
        return _gathered(layer)
    before, after = [sides[first] for first, _, _ in _SIDES], [sides[last] for _, last, _ in _SIDES]
    (x,) = layer.inputs
    extents = [x.shape[axis] for _, _, axis in _SIDES]
    bordered = pad(layer, x.name, extents, before, after, fill=float(sides["value"]))
    if not sides["values"]:
        return bordered
    _, height, width, channels = layer.shape
    border = np.ones((channels, height, width), np.float32)
    covered = [
        slice(max(first, 0), max(extent - max(last, 0), 0))
        for first, last, extent in zip(before, after, border.shape, strict=True)
    ]
    border[tuple(covered)] = 0
    values = np.asarray(sides["values"], np.float32).reshape(-1, 1, 1)
    return layer.add("Add", bordered, layer.constant(border * values, "values"))


def _gathered(layer: Layer) -> str:
    sides, name = layer.attributes, layer.inputs[0].name
    modes = {"clamp": "edge", "mirror": "reflect", "mirror_with_edge": "symmetric"}
    for onnx_axis, (first, last, axis) in enumerate(_SIDES, start=1):
        size, before, after = layer.inputs[0].shape[axis], sides[first], sides[last]
        if before == after == 0:
            continue
        widths = (max(before, 0), max(after, 0))
        mode = "edge" if size == 1 else modes[sides["mode"]]
        positions = np.pad(np.arange(size), widths, mode=mode)  # type: ignore[call-overload]
        positions = positions[max(-before, 0) : len(positions) - max(-after, 0)]
        name = layer.add("Gather", name, layer.constant(positions, f"positions{axis}"), axis=onnx_axis)
    return name if name != layer.inputs[0].name else layer.add("Identity", name)


def part(layer: Layer) -> str:
    """Write a Slice."""
    (x,), sides, rank = layer.inputs, layer.attributes, len(layer.shape)
    names = (("front", "stride_channels"), ("left", "stride_x"), ("top", "stride_y"))
    numbers: dict[str, list[int]] = {"starts": [], "ends": [], "axes": [], "steps": []}
    for from_end, (first, stride) in zip(range(1, rank), names, strict=False):
        axis, step = rank - from_end, sides[stride]
        start = sides[first] % x.shape[axis]
        end = start + (layer.shape[axis] - 1) * step + (1 if step > 0 else -1)
        place = TO_NCHW.index(axis) if x.is_image else axis
        # An end of -1 would mean the last element, so the end before the first element is written as -extent - 1.
        values = (start, end if end >= 0 else -x.shape[axis] - 1, place, step)
        for role, value in zip(numbers, values, strict=True):
            numbers[role].append(value)
    constants = [layer.constant(values, role) for role, values in numbers.items()]
    return layer.add("Slice", x.name, *constants)


def resize(layer: Layer) -> str:
    """Write a Resize. ONNX supports no offset, and no magnification that differs from the ratio of the sizes."""
    attributes = layer.attributes
    if attributes["kind"] == "lanczos":
        raise UnsupportedError(f"layer {layer.name!r}: ONNX' resize has no Lanczos filter")
    shape = layer.inputs[0].shape
    stated = [attributes[name] for name in ("magnification_y", "magnification_x", "offset_y", "offset_x")]
    scales = [attributes["scale_y"], attributes["scale_x"]]
    uneven = attributes["alignment"] != "corners" and any(
        fixed == 0 and size * scale != result
        for fixed, size, scale, result in zip(
            (attributes["height"], attributes["width"]), shape[1:3], scales, layer.shape[1:3], strict=True
        )
    )
    if any(stated) or attributes["edge"] != "clamp" or uneven:
        raise UnsupportedError(
            f"layer {layer.name!r}: ONNX' resize has no offset, no magnification apart from the sizes, no scale "
            "whose result is rounded, and no zeros outside the image"
        )
    name = layer.inputs[0].name
    sizes = [(layer.shape[1], layer.shape[2])]
    # onnxruntime moves transpositions behind a Resize. Its linear Resize changes two axes only if they are neighbours.
    changes_both = shape[1] != layer.shape[1] and shape[2] != layer.shape[2]
    if attributes["kind"] == "bilinear" and changes_both and layer.builder.may_move_apart(name):
        sizes.insert(0, (layer.shape[1], shape[2]))
    for size in sizes:
        name = _resized(layer, name, size)
    return name


def _resized(layer: Layer, name: str, size: tuple[int, int]) -> str:
    """Write a Resize to a height and width."""
    attributes = layer.attributes
    # The batch is known only when the graph runs; onnxruntime 1.31 fails on Resize for chosen axes.
    batch_and_channels = layer.add("Shape", name, start=0, end=2)
    sizes = layer.add("Concat", batch_and_channels, layer.constant(list(size), "size"), axis=0)
    alignment = attributes["alignment"]
    rounding = attributes["rounding"]
    if rounding == "by_alignment":
        rounding = "floor" if alignment == "asymmetric" else "round_prefer_ceil"
    return layer.add(
        "Resize",
        name,
        "",  # region of interest and scales: not given
        "",
        sizes,
        mode="linear" if attributes["kind"] == "bilinear" else "nearest",
        coordinate_transformation_mode="align_corners" if alignment == "corners" else alignment,
        nearest_mode=rounding,
    )
