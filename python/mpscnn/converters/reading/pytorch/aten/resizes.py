"""Write resizes of a PyTorch graph as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Writer
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError

_NEAREST: dict[str, dict[str, Any]] = {
    "nearest": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "nearest-exact": {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
}


def _settings(mode: str, align_corners: bool | None, antialias: bool = False) -> dict[str, Any]:
    """Return the attributes of ONNX's Resize for a mode of `interpolate`."""
    if mode in _NEAREST:
        return {"mode": "nearest", **_NEAREST[mode]}
    if antialias and align_corners:  # PyTorch takes the scale of the corners and the places of half pixels
        raise UnsupportedError("antialias with align_corners")
    places = "align_corners" if align_corners else "half_pixel"
    settings: dict[str, Any] = {
        "mode": "cubic" if mode == "bicubic" else "linear",
        "coordinate_transformation_mode": places,
    }
    if antialias:
        settings |= {"antialias": 1, "exclude_outside": 1}
    if mode == "bicubic":
        settings |= {"cubic_coeff_a": -0.5 if antialias else -0.75}
    return settings


def _resize(
    g: Writer,
    x: str,
    _size: Sequence[int] | None,
    factors: Sequence[float] | None,
    mode: str,
    align_corners: bool | None,
    antialias: bool = False,
) -> str:
    """Write the operator `resize` of `torch_backend.resizes` as ONNX's Resize.

    If scale factors are given, PyTorch computes with these and not with the ratio of the sizes.
    """
    settings = _settings(mode, align_corners, antialias)
    if factors is None or (align_corners and all(isinstance(extent, int) for extent in g.result)):
        return ops.resize(g, x, None, g.result, **settings)
    scales = g.constant(np.asarray([1.0, 1.0, *factors], np.float32))
    return ops.resize(g, x, scales, **settings)


def _of_mode(mode: str, antialias: bool = False) -> Row:
    """Return a function that writes the forms `vec` of upsample, which `interpolate` calls."""

    def write(g: Writer, x: str, size: Sequence[int] | None, *given: Any) -> str:
        align_corners = None if mode in _NEAREST else given[0]
        return _resize(g, x, size, given[-1], mode, align_corners, antialias)

    return write


def _of_scales(mode: str, antialias: bool = False) -> Row:
    """Return a function that writes the other forms of upsample, which list the scale of each axis."""

    def write(g: Writer, x: str, size: Sequence[int], *given: Any, **named: float | None) -> str:
        align_corners = None if mode in _NEAREST else given[0]
        scales = [*(given if mode in _NEAREST else given[1:]), *named.values()]
        is_scaled = scales and all(scale is not None for scale in scales)
        return _resize(g, x, size, scales if is_scaled else None, mode, align_corners, antialias)

    return write


_FORMS = {
    "upsample_nearest1d": ("nearest", False),
    "upsample_nearest2d": ("nearest", False),
    "_upsample_nearest_exact1d": ("nearest-exact", False),
    "_upsample_nearest_exact2d": ("nearest-exact", False),
    "upsample_linear1d": ("linear", False),
    "upsample_bilinear2d": ("bilinear", False),
    "upsample_bicubic2d": ("bicubic", False),
    "_upsample_bilinear2d_aa": ("bilinear", True),
    "_upsample_bicubic2d_aa": ("bicubic", True),
}

RESIZES: dict[str, Row] = {
    "mpscnn.resize.default": _resize,
    **{f"{name}.vec": _of_mode(*mode) for name, mode in _FORMS.items()},
    **{f"{name}.default": _of_scales(*mode) for name, mode in _FORMS.items()},
}
