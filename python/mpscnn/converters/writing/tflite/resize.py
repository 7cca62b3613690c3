"""Write resizes of images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.writing.tflite.arrays import gathered
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import Layer
from mpscnn.errors import UnsupportedError

_ROUNDINGS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}


def resize(layer: Layer) -> Value:
    """Write a RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR, or a GATHER for other ways of rounding positions."""
    attributes = layer.attributes
    (x,) = layer.inputs
    _refuse(layer)
    alignment = attributes["alignment"]
    if alignment == "pytorch_half_pixel":  # it differs from half_pixel in results of one row or column only
        alignment = "half_pixel"
        for axis in (1, 2):
            x = gathered(layer, x, [0], axis) if layer.shape[axis] == 1 else x
    if attributes["kind"] == "nearest" and (
        alignment == "corners" or attributes["rounding"] != "by_alignment"
    ):
        for axis in (1, 2):
            x = gathered(layer, x, list(_positions(layer, x.shape[axis], layer.shape[axis])), axis)
        return x
    size = layer.constant(list(layer.shape[1:3]), "size")
    return layer.add(
        "RESIZE_BILINEAR" if attributes["kind"] == "bilinear" else "RESIZE_NEAREST_NEIGHBOR",
        x,
        size,
        aligns_corners=alignment == "corners",
        half_pixel_centers=alignment == "half_pixel",
    )


def _refuse(layer: Layer) -> None:
    """Raise UnsupportedError for a resize that TensorFlow Lite lacks."""
    attributes = layer.attributes
    if attributes["kind"] == "lanczos":
        raise UnsupportedError(f"layer {layer.name!r}: TensorFlow Lite's resize has no Lanczos filter")
    sizes = list(zip(layer.inputs[0].shape[1:3], layer.shape[1:3], strict=True))
    stated = [attributes[name] for name in ("magnification_y", "magnification_x", "offset_y", "offset_x")]
    scales = attributes["scale_y"], attributes["scale_x"]
    fixed = attributes["height"], attributes["width"]
    is_uneven = attributes["alignment"] != "corners" and any(
        not extent and size * scale != result
        for extent, (size, result), scale in zip(fixed, sizes, scales, strict=True)
    )
    if any(stated) or attributes["edge"] != "clamp" or is_uneven:
        raise UnsupportedError(
            f"layer {layer.name!r}: TensorFlow Lite's resize has no offset, no magnification apart from the sizes, no "
            "scale whose result is rounded, and no zeros outside the image"
        )


def _positions(layer: Layer, size: int, result: int) -> NDArray[np.int64]:
    """Return the pixel that each pixel of the result is, along one axis."""
    alignment, rounding = layer.attributes["alignment"], layer.attributes["rounding"]
    if rounding == "by_alignment":
        rounding = "floor" if alignment == "asymmetric" else "round_prefer_ceil"
    places = np.arange(result, dtype=np.float64)
    if alignment == "corners":
        places *= (size - 1) / max(result - 1, 1)
    elif alignment == "asymmetric":
        places *= size / result
    else:
        places = (places + 0.5) * (size / result) - 0.5
    return np.asarray(_ROUNDINGS[rounding](places).clip(0, size - 1), np.int64)
