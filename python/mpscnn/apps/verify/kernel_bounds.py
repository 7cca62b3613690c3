"""Compute the allowed differences between results of raw kernels on two engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.apps.verify.error_bounds import FLOAT32_EPS, Promise
from mpscnn.apps.verify.kernel_runs import run_kernel, source_values
from mpscnn.apps.verify.layers import Arrays


def kernel_bounds(recipe: dict[str, Any], right: Arrays, promises: Sequence[Promise]) -> Arrays:
    """Return how much results may differ from `right`. The recipe's "bound" names the kind of operation."""
    kind = recipe["bound"]
    if kind == "exact":
        return {name: np.zeros_like(values) for name, values in right.items()}
    if kind == "sum":
        sums = run_kernel(recipe | recipe.get("magnitude", {}), "cpu", np.abs)
        return _added([{name: promise.linear_bound(sums[name]) for name in right} for promise in promises])
    if kind == "lanczos":
        largest = float(np.abs(source_values(200, recipe["sources"][0], positive=False)).max())
        bound = sum(promise.lanczos_bound(largest) for promise in promises)
        return {name: np.full(values.shape, bound) for name, values in right.items()}
    if kind in ("function", "update"):
        return _added([_moved(recipe, right, _rounding(kind, promise)) for promise in promises])
    if kind == "loss":
        return _added([_loss(recipe, right, promise) for promise in promises])
    ulps = sum(_ulps(kind, promise) for promise in promises)
    return {name: np.full(values.shape, ulps * _unit(values)) for name, values in right.items()}


def _ulps(bound: str, promise: Promise) -> float:
    return {
        "elementwise": promise.elementwise_ulps,
        "neuron": 4 * promise.neuron_ulps,
        "softmax": 4 * promise.softmax_ulps,
        "normalization": 4 * promise.power_ulps + promise.statistics_ulps,
    }[bound]


def _unit(values: NDArray[Any]) -> float:
    """Return the largest magnitude, but at least 1, times the distance from 1 to the next float32."""
    return FLOAT32_EPS * max(float(np.abs(values).max()), 1.0)


def _added(bounds: Sequence[Arrays]) -> Arrays:
    return {name: np.sum([bound[name] for bound in bounds], axis=0) for name in bounds[0]}


def _rounding(kind: str, promise: Promise) -> float:
    """Return the relative error of functions such as exp, or of products, quotients and roots."""
    return FLOAT32_EPS * (promise.neuron_ulps if kind == "function" else promise.elementwise_ulps)


def _moved(recipe: dict[str, Any], right: Arrays, rounding: float) -> Arrays:
    """Return the error of each result from rounding each operand and the result itself.

    The effect of rounding an operand x is measured: the kernel runs on x changed by rounding * (|x| + 1). The 1 is
    there because kernels add constants of the order of 1 to operands, and the sum is rounded, too.
    """
    bounds: Arrays = {
        name: np.float32(rounding) * np.abs(values) + np.float32(1e-37) for name, values in right.items()
    }
    # The index after those of the sources stands for the arrays of the kernel.
    for operand in range(len(recipe["sources"]) + 1):
        above, below = (
            run_kernel(recipe, "cpu", _Moving(operand, sign * rounding, len(recipe["sources"])))
            for sign in (1.0, -1.0)
        )
        for name, values in right.items():
            bounds[name] = bounds[name] + np.maximum(
                np.abs(above[name] - values), np.abs(below[name] - values)
            )
    return bounds


class _Moving:
    """Changes one of the arrays of a case by its rounding error. `operand` is its position in the order of creation."""

    def __init__(self, operand: int, by: float, sources: int) -> None:
        self._operand, self._by, self._sources = operand, by, sources
        self._made = 0

    def __call__(self, x: Any) -> NDArray[np.float32]:
        operand, self._made = min(self._made, self._sources), self._made + 1
        moved = x + self._by * (np.abs(x) + 1) if operand == self._operand else x
        return np.asarray(moved, np.float32)


def _loss(recipe: dict[str, Any], right: Arrays, promise: Promise) -> Arrays:
    """Return the allowed errors of losses and their gradients, and of their sums.

    They include the errors of the terms and of the additions. The recipe's "terms" describe the unreduced loss that a
    sum adds up; without them the loss is not reduced.
    """
    rounding = _rounding("function", promise)
    bounds = dict(_moved(recipe, right, rounding))
    if "terms" not in recipe:
        return bounds
    (name,) = (name for name in right if name == "loss" or len(right) == 1)
    whole = recipe | recipe["terms"]
    elements = run_kernel(whole, "cpu")
    extents = (1,) * (elements[name].ndim - right[name].ndim) + right[name].shape
    axes = tuple(axis for axis, extent in enumerate(extents) if extent == 1)

    def added(values: NDArray[Any]) -> NDArray[Any]:
        total: NDArray[Any] = np.sum(values, axis=axes, dtype=np.float64).reshape(right[name].shape)
        return total

    divided = np.abs(right[name] / added(elements[name]))  # 1, or the number that a mean divides by
    errors = added(_moved(whole, elements, rounding)[name])
    # A shader of mpscnn adds these terms as the CPU does, so the bound has no part for sums that MPS computes.
    sums = promise.linear_factor * FLOAT32_EPS * added(np.abs(elements[name]))
    bounds[name] = divided * (errors + sums) + rounding * np.abs(right[name])
    return bounds
