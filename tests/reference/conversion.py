"""Convert colour spaces and alpha of photos, by their formulas in float64."""

from __future__ import annotations

from typing import Any

import numpy as np


def _to_linear(x: Any, space: str) -> Any:
    if space == "srgb":  # IEC 61966-2-1
        power = ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4
        return np.where(x <= 0.04045, x / 12.92, power)
    return np.maximum(x, 0) ** 2.2 if space == "gray_gamma_2_2" else x


def _from_linear(x: Any, space: str) -> Any:
    if space == "srgb":
        power = 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055
        return np.where(x <= 0.0031308, 12.92 * x, power)
    return np.maximum(x, 0) ** (1 / 2.2) if space == "gray_gamma_2_2" else x


def _colors(x: Any, source: str, destination: str) -> Any:
    if source == destination:
        return x
    x = _to_linear(x, source)
    if "gray" in source and "gray" not in destination:
        x = np.repeat(x, 3, axis=-1)
    elif "gray" in destination and "gray" not in source:
        x = x @ np.array([[0.2126], [0.7152], [0.0722]])
    return _from_linear(x, destination)


def conversion(
    x: Any,
    source_alpha: str,
    destination_alpha: str,
    background: Any,
    source_space: str,
    destination_space: str,
    *,
    with_alpha: bool,
) -> Any:
    """Convert an array (..., 1 to 4 channels). The result has the colours, and alpha if `with_alpha`."""
    x = np.asarray(x, np.float64)
    has_alpha = x.shape[-1] in (2, 4)
    colors = x[..., :-1] if has_alpha else x
    alpha = x[..., -1:] if has_alpha and source_alpha != "alpha_is_one" else np.ones_like(x[..., :1])
    if source_alpha == "premultiplied" and has_alpha:
        colors = np.divide(colors, alpha, out=np.zeros_like(colors), where=alpha != 0)
    if destination_alpha == "alpha_is_one":
        behind = np.zeros(colors.shape[-1]) if len(background) == 0 else np.asarray(background, np.float64)
        colors = alpha * colors + (1 - alpha) * behind
        alpha = np.ones_like(alpha)
    colors = _colors(colors, source_space, destination_space)
    if destination_alpha == "premultiplied":
        colors = colors * alpha
    return np.concatenate([colors, alpha], axis=-1) if with_alpha else colors
