"""Compute gradients of resizes.

Resizes are linear: the gradient of a pixel is the sum of `gradient` times the resized image in which that pixel is 1
and all others are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .resize import resize


def resize_gradient(gradient: Any, shape: tuple[int, ...], attributes: dict[str, Any]) -> Any:
    _, height, width, _ = shape
    pixels = np.eye(height * width).reshape(height * width, height, width, 1)
    shares = resize(
        pixels,
        attributes["height"],
        attributes["width"],
        attributes["kind"],
        attributes["alignment"],
        edge=attributes.get("edge", "clamp"),
        magnification=(attributes.get("magnification_y", 0.0), attributes.get("magnification_x", 0.0)),
        offset=(attributes.get("offset_y", 0.0), attributes.get("offset_x", 0.0)),
        rounding=attributes.get("rounding", "by_alignment"),
    )[..., 0]
    given = np.einsum("pyx,nyxc->npc", shares, np.asarray(gradient, np.float64))
    return given.reshape(shape)
