"""Fold constants of ONNX operators that the package onnx computes slowly, one element at a time, or wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.broadcast_views import is_filled
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]
Compute = Callable[[Node, list[Array | None]], Array]

_REDUCTIONS: dict[str, np.ufunc] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


# ---- Constants of one number ---------------------------------------------------------------------------------------


def _constant_of_shape(node: Node, operands: list[Array | None]) -> Array:
    import onnx

    value = np.zeros(1, np.float32)
    if node.has("value"):
        value = np.asarray(onnx.numpy_helper.to_array(node.tensor("value")))
    if value.size != 1:
        raise WeightsError(f"damaged: its value has {value.size} elements, expected one")
    return np.broadcast_to(value.reshape(()), _extents(_given(operands, 0)))


def _expand(_: Node, operands: list[Array | None]) -> Array:
    values, target = _given(operands, 0), tuple(_extents(_given(operands, 1)))
    expanded = np.broadcast_to(values, np.broadcast_shapes(values.shape, target))
    return expanded if is_filled(expanded) else np.ascontiguousarray(expanded)


def _extents(shape: Array) -> list[int]:
    extents = [int(extent) for extent in shape.reshape(-1)]
    if min(extents, default=0) < 0:
        raise WeightsError(f"damaged: its shape is {extents[:8]}")
    return extents


# ---- Softmax -------------------------------------------------------------------------------------------------------


def _softmax_of_later_axes(node: Node, operands: list[Array | None]) -> Array:
    """Compute Softmax as opsets up to 12 define it: over the stated axis and all axes after it."""
    values = _given(operands, 0)
    axis = node.integer("axis", 1)
    axis += values.ndim if axis < 0 else 0
    if not 0 <= axis <= values.ndim:
        raise WeightsError(f"damaged: its axis is {axis}, its operand has {values.ndim} axes")
    rows = values.reshape(math.prod(values.shape[:axis]), -1)
    shares = np.exp(rows - rows.max(1, keepdims=True))
    return np.asarray((shares / shares.sum(1, keepdims=True)).reshape(values.shape))


# ---- Positions -----------------------------------------------------------------------------------------------------


def slice_positions(extent: int, start: int, end: int, step: int) -> range:
    """Return the positions of Slice on an axis. A start before the axis means its first position for any step."""
    return range(extent)[max(start, -extent) : end : step]


def _slice(node: Node, operands: list[Array | None]) -> Array:
    values = _given(operands, 0)
    if node.has("starts"):
        lists = [node.integers("starts"), node.integers("ends"), node.integers("axes", []), []]
    else:
        places = range(1, len(operands))
        lists = [[] if operands[at] is None else _given(operands, at).reshape(-1).tolist() for at in places]
        lists += [[]] * (4 - len(lists))
    starts, ends, axes, steps = lists
    parts = [slice(None)] * values.ndim
    numbers = zip(axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=True)
    for axis, start, end, step in numbers:
        if step == 0:
            raise WeightsError("damaged: its step is 0")
        taken = slice_positions(values.shape[axis], start, end, step)
        parts[axis] = slice(taken.start, taken.stop if taken.stop >= 0 else None, taken.step)
    return values[tuple(parts)]


def _gather_elements(node: Node, operands: list[Array | None]) -> Array:
    data, indices = _given(operands, 0), _given(operands, 1)
    return np.asarray(data[_places(node, data, indices)])


def _gather_nd(node: Node, operands: list[Array | None]) -> Array:
    data, indices = _given(operands, 0), _given(operands, 1)
    if node.integer("batch_dims", 0):
        raise UnsupportedError("takes other places of each part of a constant, which is not supported")
    return np.asarray(data[tuple(np.moveaxis(indices, -1, 0))])


def _scatter_elements(node: Node, operands: list[Array | None]) -> Array:
    data, indices, updates = (_given(operands, place) for place in range(3))
    return _scattered(node, data, _places(node, data, indices), updates)


def _scatter_nd(node: Node, operands: list[Array | None]) -> Array:
    data, indices, updates = (_given(operands, place) for place in range(3))
    return _scattered(node, data, tuple(np.moveaxis(indices, -1, 0)), updates)


def _places(node: Node, data: Array, indices: Array) -> tuple[Array, ...]:
    """Return index arrays for GatherElements: each element's own position, except for the given index along `axis`."""
    if indices.ndim != data.ndim:
        raise WeightsError(f"damaged: it has indices {indices.shape} for {data.shape}")
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[node.integer("axis", 0)] = indices
    return tuple(places)


def _scattered(node: Node, data: Array, places: tuple[Array, ...], updates: Array) -> Array:
    result = np.array(data)
    reduction = node.text("reduction", "none")
    if reduction == "none":
        result[places] = updates
        return result
    if reduction not in _REDUCTIONS:
        raise UnsupportedError(f"scatters by {reduction!r}, which is not supported")
    _REDUCTIONS[reduction].at(result, places, updates)
    return result


# ---- Quantisation and normalization --------------------------------------------------------------------------------


def fits_along(node: Node, values: Array, parameters: Array) -> None:
    """Check the shape of scales or zero points. Raises WeightsError if it does not fit the values.

    There may be one for all values, one for each index of the axis, or one for each block along the axis.
    """
    if parameters.size == 1:
        return
    axis, block = node.integer("axis", 1), node.integer("block_size", 0)
    wanted: tuple[int, ...] = (values.shape[axis],)
    if block > 0:
        axis %= values.ndim
        wanted = (*values.shape[:axis], -(-values.shape[axis] // block), *values.shape[axis + 1 :])
    if block < 0 or parameters.shape != wanted:
        raise WeightsError(
            f"damaged: it has {parameters.size} scales or zero points {parameters.shape} for axis {axis} of "
            f"{values.shape}"
        )


def _dequantized(node: Node, operands: list[Array | None]) -> Array:
    """Compute (x - zero point) * scale. The package onnx does not support this in older opsets."""
    values, scale = _given(operands, 0), _given(operands, 1)
    zero_point = operands[2] if len(operands) > 2 else None
    if values.dtype.kind not in "iu":
        raise UnsupportedError("dequantises something other than integers")
    offset = 0 if zero_point is None else _along(node, values, zero_point).astype(np.float32)
    return (values.astype(np.float32) - offset) * _along(node, values, scale).astype(np.float32)


def _along(node: Node, values: Array, parameters: Array) -> Array:
    """Return scales or zero points in a shape that broadcasts to the values. `fits_along` has checked them."""
    if parameters.size == 1:
        return parameters.reshape(())
    axis, block = node.integer("axis", 1), node.integer("block_size", 0)
    if block:
        repeated = np.repeat(parameters, min(block, values.shape[axis]), axis)
        return np.take(repeated, np.arange(values.shape[axis]), axis)
    extents = [1] * values.ndim
    extents[axis] = -1
    return parameters.reshape(extents)


def _batch_normalization(node: Node, operands: list[Array | None]) -> Array:
    """Normalize by the given statistics. The package onnx wrongly uses the batch's statistics for some opsets."""
    if node.integer("training_mode", 0) or len(list(filter(None, node.outputs))) > 1:
        raise UnsupportedError("normalises constants by their own statistics, which is not supported")
    values, *parameters = (_given(operands, place) for place in range(5))
    if values.ndim < 2 or any(one.shape != (values.shape[1],) for one in parameters):
        raise WeightsError(f"damaged: weights {[one.shape for one in parameters]} for {values.shape}")
    along = (-1, *[1] * (values.ndim - 2))
    scale, offset, mean, variance = (one.reshape(along) for one in parameters)
    normalised = (values - mean) / np.sqrt(variance + np.float32(node.number("epsilon", 1e-5)))
    return np.asarray((scale * normalised + offset).astype(values.dtype))


def _given(operands: list[Array | None], place: int) -> Array:
    operand = operands[place] if place < len(operands) else None
    if operand is None:
        raise WeightsError(f"damaged: its operand {place + 1} is missing")
    return operand


FOLDED: dict[str, Compute] = {
    "BatchNormalization": _batch_normalization,
    "ConstantOfShape": _constant_of_shape,
    "DequantizeLinear": _dequantized,
    "Expand": _expand,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Identity": lambda _node, operands: _given(operands, 0),
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Slice": _slice,
}
"""The functions by operator. Their costs are in `foldable`."""

FOLDED_BEFORE_13 = {**FOLDED, "Softmax": _softmax_of_later_axes}
"""The functions by operator for opsets up to 12."""
