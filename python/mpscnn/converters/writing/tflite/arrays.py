"""Add the operators that move elements: reshapes, transpositions, slices, borders and gathers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mpscnn.converters.writing.explicit_window import crops_first
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import Layer


def reshaped(layer: Layer, x: Value, shape: Sequence[int]) -> Value:
    """Reshape to extents without the batch, which stays the first axis.

    A reshape of a reshape reads what the first one reads, so that fewer operands must be copied (`shared_memory`).
    """
    if tuple(shape) == x.shape[1:]:
        return x
    sources = layer.builder.reshape_sources
    source = sources.get(x.number, x)
    target = layer.constant([-1, *shape], "shape")
    made = layer.add("RESHAPE", source, target, shape=[x.shape[0], *shape], like=x)
    sources[made.number] = source
    return made


def transposed(layer: Layer, x: Value, order: Sequence[int]) -> Value:
    """Transpose all axes, also the batch."""
    if list(order) == list(range(len(order))):
        return x
    return layer.add(
        "TRANSPOSE", x, layer.constant(list(order), "order"), shape=[x.shape[axis] for axis in order], like=x
    )


def gathered(layer: Layer, x: Value, positions: Sequence[int], axis: int) -> Value:
    """Take these positions of an axis."""
    if list(positions) == list(range(x.shape[axis])):
        return x
    shape = [*x.shape[:axis], len(positions), *x.shape[axis + 1 :]]
    taken = layer.constant([int(one) for one in positions], "positions")
    return layer.add("GATHER", x, taken, shape=shape, like=x, axis=axis, batches=0)


def sliced(layer: Layer, x: Value, ranges: Mapping[int, range]) -> Value:
    """Take the positions of some axes, other than the batch.

    The operator SLICE is not used, because LiteRT fails on it when the batch changes.
    """
    ranges = {axis: one for axis, one in ranges.items() if one != range(x.shape[axis])}
    if not ranges:
        return x
    rank = len(x.shape)
    shape = [len(ranges[axis]) if axis in ranges else x.shape[axis] for axis in range(rank)]
    begins = [ranges[axis].start if axis in ranges else 0 for axis in range(rank)]
    ends, steps, mask = [0] * rank, [1] * rank, 0
    for axis in range(rank):
        positions = ranges.get(axis)
        end = -1 if positions is None else positions[-1] + positions.step
        if positions is None or not 0 <= end <= x.shape[axis]:
            mask |= 1 << axis  # an end of -1 would be the last element
        ends[axis] = max(end, 0)
        steps[axis] = 1 if positions is None else positions.step
    limits = [
        layer.constant(numbers, role)
        for numbers, role in ((begins, "begin"), (ends, "end"), (steps, "steps"))
    ]
    untouched = sum(1 << axis for axis in range(rank) if axis not in ranges)
    return layer.add("STRIDED_SLICE", x, *limits, shape=shape, like=x, begin_mask=untouched, end_mask=mask)


def bordered(layer: Layer, x: Value, sides: Mapping[int, tuple[int, int]], fill: float = 0.0) -> Value:
    """Add elements before and after axes, or crop where the numbers are negative."""
    sides = {axis: side for axis, side in sides.items() if any(side)}
    extents = [x.shape[axis] for axis in sides]
    if crops_first(extents, *zip(*sides.values(), strict=True)) if sides else True:
        return _widened(layer, _cropped(layer, x, sides), sides, fill)
    return _cropped(layer, _widened(layer, x, sides, fill), sides)


def _cropped(layer: Layer, x: Value, sides: Mapping[int, tuple[int, int]]) -> Value:
    return sliced(
        layer,
        x,
        {
            axis: range(max(-before, 0), x.shape[axis] - max(-after, 0))
            for axis, (before, after) in sides.items()
        },
    )


def _widened(layer: Layer, x: Value, sides: Mapping[int, tuple[int, int]], fill: float) -> Value:
    added = [[max(amount, 0) for amount in sides.get(axis, (0, 0))] for axis in range(len(x.shape))]
    if not any(map(any, added)):
        return x
    shape = [extent + sum(pair) for extent, pair in zip(x.shape, added, strict=True)]
    amounts = layer.constant(added, "padding")
    if fill == 0.0:
        return layer.add("PAD", x, amounts, shape=shape, like=x)
    value = layer.number(fill, "fill", like=x)
    return layer.add("PADV2", x, amounts, value, shape=shape, like=x)


def joined(layer: Layer, values: Sequence[Value], axis: int) -> Value:
    """Join tensors along an axis."""
    if len(values) == 1:
        return values[0]
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    return layer.add("CONCATENATION", *values, shape=shape, like=values[0], axis=axis, activation="NONE")


def positions_of_border(size: int, before: int, after: int, mode: str) -> np.ndarray:
    """Return the position of each element of a border without a constant value, and of the axis between."""
    widths = (max(before, 0), max(after, 0))
    numpy_mode = {"clamp": "edge", "mirror": "reflect", "mirror_with_edge": "symmetric"}[mode]
    positions = np.pad(np.arange(size), widths, mode="edge" if size == 1 else numpy_mode)  # type: ignore[call-overload]
    return np.asarray(positions[max(-before, 0) : len(positions) - max(-after, 0)])
