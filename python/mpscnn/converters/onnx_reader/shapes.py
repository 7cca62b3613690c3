"""Convert operators that change shapes, or compute with them. They serve constants and tensors of the network."""

from __future__ import annotations

from mpscnn.converters.constant import Constant
from mpscnn.converters.onnx_reader.expansions import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    IMAGE,
    ROWS_FROM_FRONT,
    TRANSPOSED,
)
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.value import Value
from mpscnn.errors import WeightsError


def _reshape(o: Operands) -> Value:
    """Convert Reshape: an extent of 0 keeps the operand's extent, unless `allowzero` is set."""
    x = o.x(whole_numbers=True)
    low, high = o.constant(1, "the new shape").shapes("the new shape")
    if not o.node.flag("allowzero", default=False):
        stated = x.trial_shapes()
        for place, extent in enumerate(high):
            if extent == 0:
                if place >= x.rank:
                    raise WeightsError(f"damaged: extent {place} of {x.shown} is to be kept")
                low[place], high[place] = stated[0][place], stated[1][place]
    return x.reshape(Constant.of_extents((low, high), o.budget))


def _flatten(o: Operands) -> Value:
    x, axis = o.x(whole_numbers=True), o.node.integer("axis", 1)
    first = x.rank if axis == x.rank else x.axis(axis)
    return x.merge_axes(0, first).merge_axes(1, x.rank - first + 1)


def _squeeze(o: Operands) -> Value:
    x, axes = o.x(whole_numbers=True), o.integers("axes", 1, "its axes")
    if axes is None:
        axes = [axis for axis, pair in enumerate(zip(*x.trial_shapes(), strict=True)) if pair == (1, 1)]
    return x.squeeze(axes)


def _unsqueeze(o: Operands) -> Value:
    axes = o.integers("axes", 1, "its axes")
    if axes is None:
        raise WeightsError("damaged: it has no axes")
    return o.x(whole_numbers=True).expand_dims(axes)


def _transpose(o: Operands) -> Value:
    x = o.x(whole_numbers=True)
    return x.transpose(o.node.integers("perm", list(range(x.rank))[::-1]))


def _channels_first(o: Operands) -> Value:
    x = o.x(whole_numbers=True)
    return x.transpose([0, x.rank - 1, *range(1, x.rank - 1)])


def _channels_last(o: Operands) -> Value:
    x = o.x(whole_numbers=True)
    return x.transpose([0, *range(2, x.rank), 1])


def _transpose_last(o: Operands) -> Value:
    x = o.x(whole_numbers=True)
    return x.transpose([*range(x.rank - 2), x.rank - 1, x.rank - 2])


def _rows_from_front(o: Operands) -> Value:
    x = o.x(whole_numbers=True)
    return x.transpose([*range(1, x.rank - 1), 0, x.rank - 1])


def _image(o: Operands) -> Value:
    x = o.x()
    return x.expand_dims([1, 2]) if x.rank == 2 else x


def _shape(o: Operands) -> Value:
    low, high = o.x(whole_numbers=True).trial_shapes()
    start, end = o.node.integer("start", 0), o.node.integer("end", len(low))
    return Constant.of_extents((low[start:end], high[start:end]), o.budget)


def _size(o: Operands) -> Value:
    shape = Constant.of_extents(o.x(whole_numbers=True).trial_shapes(), o.budget)
    return shape.reduce("product", None, keeps_axes=False)


SHAPES: dict[str, Row] = {
    CHANNELS_FIRST: _channels_first,
    CHANNELS_LAST: _channels_last,
    IMAGE: _image,
    ROWS_FROM_FRONT: _rows_from_front,
    TRANSPOSED: _transpose_last,
    "Flatten": _flatten,
    "Identity": lambda o: o.x(whole_numbers=True),
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
