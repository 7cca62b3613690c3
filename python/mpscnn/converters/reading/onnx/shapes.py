"""Convert operators that change shapes, or compute with them. They serve constants and tensors of the network."""

from __future__ import annotations

from typing import Annotated

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.reading.onnx.expansions import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    IMAGE,
    ROWS_FROM_FRONT,
    TRANSPOSED,
)
from mpscnn.converters.reading.onnx.row_calls import Axes, Whole, X
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.rows import Ints, Operand, Row
from mpscnn.converters.values.value import Value
from mpscnn.errors import WeightsError


def _reshape(
    budget: Budget, x: Whole, shape: Annotated[Constant, Operand("the new shape")], *, allowzero: bool = False
) -> Value:
    """Convert Reshape: an extent of 0 keeps the operand's extent, unless `allowzero` is set."""
    low, high = shape.shapes("the new shape")
    if not allowzero:
        stated = x.trial_shapes()
        for place, extent in enumerate(high):
            if extent == 0:
                if place >= x.rank:
                    raise WeightsError(f"damaged: extent {place} of {x.shown} is to be kept")
                low[place], high[place] = stated[0][place], stated[1][place]
    return x.reshape(Constant.of_extents((low, high), budget))


def _flatten(x: Whole, *, axis: int = 1) -> Value:
    first = x.rank if axis == x.rank else x.axis(axis)
    return x.merge_axes(0, first).merge_axes(1, x.rank - first + 1)


def _squeeze(x: Whole, axes: Axes | None = None) -> Value:
    if axes is None:
        axes = tuple(axis for axis, pair in enumerate(zip(*x.trial_shapes(), strict=True)) if pair == (1, 1))
    return x.squeeze(axes)


def _unsqueeze(x: Whole, axes: Axes) -> Value:
    return x.expand_dims(axes)


def _transpose(x: Whole, *, perm: Ints | None = None) -> Value:
    return x.transpose(range(x.rank)[::-1] if perm is None else perm)


def _channels_first(x: Whole) -> Value:
    return x.transpose([0, x.rank - 1, *range(1, x.rank - 1)])


def _channels_last(x: Whole) -> Value:
    return x.transpose([0, *range(2, x.rank), 1])


def _transpose_last(x: Whole) -> Value:
    return x.transpose([*range(x.rank - 2), x.rank - 1, x.rank - 2])


def _rows_from_front(x: Whole) -> Value:
    return x.transpose([*range(1, x.rank - 1), 0, x.rank - 1])


def _image(x: X) -> Value:
    return x.expand_dims([1, 2]) if x.rank == 2 else x


def _identity(x: Whole) -> Value:
    return x


def _shape(budget: Budget, x: Whole, *, start: int = 0, end: int | None = None) -> Value:
    low, high = x.trial_shapes()
    return Constant.of_extents((low[start:end], high[start:end]), budget)


def _size(budget: Budget, x: Whole) -> Value:
    shape = Constant.of_extents(x.trial_shapes(), budget)
    return shape.reduce("product", None, keeps_axes=False)


SHAPES: dict[str, Row] = {
    CHANNELS_FIRST: _channels_first,
    CHANNELS_LAST: _channels_last,
    IMAGE: _image,
    ROWS_FROM_FRONT: _rows_from_front,
    TRANSPOSED: _transpose_last,
    "Flatten": _flatten,
    "Identity": _identity,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
