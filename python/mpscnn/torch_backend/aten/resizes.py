"""Write resizes of a PyTorch graph as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.torch_backend.aten.writer import Operator, Writer

_NEAREST = {
    "nearest": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "nearest-exact": {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
}


def _resize(
    g: Writer,
    x: str,
    _size: Sequence[int] | None,
    factors: Sequence[float] | None,
    mode: str,
    align_corners: bool | None,
) -> str:
    """Write the operator `resize` of `torch_backend.resizes` as ONNX's Resize.

    If scale factors are given, PyTorch computes with these and not with the ratio of the sizes.
    """
    if mode in _NEAREST:
        settings: dict[str, Any] = {"mode": "nearest", **_NEAREST[mode]}
    else:
        places = "align_corners" if align_corners else "half_pixel"
        settings = {"mode": "linear", "coordinate_transformation_mode": places}
    if factors is None or align_corners:
        return g.add("Resize", x, None, None, g.integers(g.result), **settings)
    scales = g.constant(np.asarray([1.0, 1.0, *factors], np.float32))
    return g.add("Resize", x, None, scales, **settings)


RESIZES: dict[str, Operator] = {
    "mpscnn.resize.default": _resize,
}
