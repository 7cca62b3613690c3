"""Compute reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

AXES = {"height": -3, "width": -2, "channels": -1}


def reduction(x: Any, kind: str, axis: str, weight: float = 1.0) -> Any:
    return over_axes(x, kind, (AXES[axis],), weight)


def over_axes(x: Any, kind: str, axes: tuple[int, ...], weight: float = 1.0) -> Any:
    x = np.asarray(x, np.float64)
    along: Any = {"axis": axes, "keepdims": True}
    if kind == "l2_norm":
        return np.sqrt(np.square(x).sum(**along))
    if kind == "sum_of_squares":
        return np.square(x).sum(**along)
    if kind == "log_sum_exp":
        largest = x.max(**along)
        largest = np.where(np.isfinite(largest), largest, 0.0)
        with np.errstate(divide="ignore"):
            return np.log(np.exp(x - largest).sum(**along)) + largest
    if kind in ("variance", "deviation"):
        with np.errstate(invalid="ignore"):  # infinities give NaN
            variance = weight * x.var(**along)
        return variance if kind == "variance" else np.sqrt(variance)
    name = "prod" if kind == "product" else kind
    result = getattr(x, name)(**along)
    return weight * result if kind == "sum" else result


def argument(x: Any, kind: str) -> Any:
    return {"max": np.argmax, "min": np.argmin}[kind](x, axis=-1, keepdims=True).astype(np.float64)


def top_k(x: Any, kind: str, count: int) -> Any:
    """Return the positions of the `count` first numbers. NaN is larger than all, and equal numbers keep their order."""
    keys = (x, np.isnan(x)) if kind == "min" else (-x, ~np.isnan(x))
    order = np.lexsort(keys, axis=-1)
    return order[..., :count].astype(np.float64)


def weighted_reduction(x: Any, weights: Any, kind: str) -> Any:
    weights = np.broadcast_to(np.asarray(weights, np.float64), x.shape)
    total = (np.asarray(x, np.float64) * weights).sum(axis=-1, keepdims=True)
    if kind == "sum":
        return total
    return total / np.maximum((weights != 0).sum(axis=-1, keepdims=True), 1)
