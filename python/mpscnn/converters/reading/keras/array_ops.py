"""Convert Keras's layers and functions that rearrange, slice, concatenate, reduce or multiply tensors."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np

from mpscnn.converters.reading.keras.functions import axes_of, axis_of
from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.normalizations import l2_normalize
from mpscnn.converters.reading.keras.row_calls import Argument, X
from mpscnn.converters.reading.keras.settings import (
    Array,
    Flag,
    Number,
    Single,
    Text,
    Whole,
    Wholes,
    wholes_of,
)
from mpscnn.converters.values.rows import Row, Stated
from mpscnn.converters.values.slicing import PAD_MODES
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_PARTS = 1024

# ---- Axes ----------------------------------------------------------------------------------------------------------


def _flatten(x: X, *, data_format: Literal["channels_last"] = "channels_last") -> FileTensor:
    del data_format
    return x.merge_axes(1, x.rank)


def _reshape_to(x: FileTensor, shape: list[int | None]) -> FileTensor:
    """Reshape to a shape with the batch, which None stands for. One extent may be -1."""
    return x.reshape_to(
        *([one[0] if extent is None else extent for extent in shape] for one in x.trial_shapes())
    )


def _reshape(x: X, *, target_shape: Wholes) -> FileTensor:
    return _reshape_to(x, [None, *target_shape])


def _new_shape(x: X, *, newshape: Any = None) -> FileTensor:
    known = [1 if extent is None else extent for extent in newshape] if isinstance(newshape, list) else None
    if known is None or not all(isinstance(extent, int) for extent in known):
        raise UnsupportedError(f"its new shape is {str(newshape)[:80]}, not numbers")
    return _reshape_to(x, list(newshape))


def _permute(x: X, *, dims: Wholes) -> FileTensor:
    return x.transpose([0, *dims])


def _transpose(x: X, *, axes: Wholes | None = None) -> FileTensor:
    order = range(x.rank - 1, -1, -1) if axes is None else axes
    return x.transpose([x.axis(axis) for axis in order])


def _move_axis(x: X, *, source: Wholes, destination: Wholes) -> FileTensor:
    sources, targets = ([x.axis(axis) for axis in axes] for axes in (source, destination))
    order = [axis for axis in range(x.rank) if axis not in sources]
    for target, moved in sorted(zip(targets, sources, strict=True)):
        order.insert(target, moved)
    return x.transpose(order)


def _swap_axes(x: X, *, axis1: Whole = 0, axis2: Whole = 0) -> FileTensor:
    first, second = (x.axis(axis) for axis in (axis1, axis2))
    order = list(range(x.rank))
    order[first], order[second] = second, first
    return x.transpose(order)


def _expand(x: X, *, axis: Wholes = (-1,)) -> FileTensor:
    return x.expand_dims(axis)


def _squeeze(x: X, *, axis: Wholes | None = None) -> FileTensor:
    ones = [place for place in range(x.rank) if x.shape[place] == 1]
    return x.squeeze(ones if axis is None else axes_of(x, axis))


# ---- Parts ---------------------------------------------------------------------------------------------------------


def _get_item(c: LayerCall) -> FileTensor:
    """Convert x[...] with numbers, slices, None and Ellipsis."""
    x, indices = c.arguments if len(c.arguments) == 2 else (None, None)
    given = indices if isinstance(indices, list) else [indices]
    known = all(isinstance(one, (int, slice)) or one in (None, Ellipsis) for one in given)
    if not isinstance(x, FileTensor) or not known:
        raise UnsupportedError("takes elements at places that are computed or listed")
    return x.slice(lambda _: given)


def _split(x: X, *, indices_or_sections: Any, axis: Whole = 0) -> list[FileTensor]:
    given = wholes_of(indices_or_sections, "indices_or_sections")
    axis = x.axis(axis)
    extent = x.known_extent(axis, "splits")
    if not isinstance(indices_or_sections, list):
        (count,) = given
        if count < 1 or extent % count:
            raise WeightsError(f"damaged: splits {x.shown} into {count} parts along axis {axis}")
        if count > _MAX_PARTS:
            raise UnsupportedError(f"splits {x.shown} into {count} parts; supported are {_MAX_PARTS}")
        given = tuple(range(extent // count, extent, extent // count))
    return list(x.split(axis, [last - first for first, last in pairwise([0, *given, extent])]))


def _take(c: LayerCall, *, axis: Wholes | None = None) -> FileTensor:
    x, places = c.arguments if len(c.arguments) == 2 else (None, None)
    if not isinstance(x, FileTensor) or isinstance(places, FileTensor) or axis is None:
        raise UnsupportedError("supported are constant places along an axis")
    return x.take(axis_of(x, axis), np.asarray(places, np.int64))


def _concatenate(*x: X, axis: Whole = -1) -> FileTensor:
    first, *others = x
    return first.concat(others, first.axis(axis))


def _stack(*x: X, axis: Whole = 0) -> FileTensor:
    first, *others = x
    return first.stack(others, axis % (first.rank + 1))


def _repeat(x: X, *, repeats: Any = None, axis: Wholes | None = None) -> FileTensor:
    place = axis_of(x, axis)
    if not isinstance(repeats, int):
        raise UnsupportedError("repeats each position another number of times, which is not supported")
    times = [1] * (x.rank + 1)
    (times[place + 1],) = wholes_of(repeats, "repeats")
    return x.wrap(x.expand_dims([place + 1])).tile(times).merge_axes(place, place + 2)


def _repeat_vector(x: X, *, n: Whole = 1) -> FileTensor:
    """Convert RepeatVector: (n, features) becomes (n, times, features)."""
    return x.expand_dims([1]).tile([1, n, 1])


def _tile(x: X, *, repeats: Wholes) -> FileTensor:
    missing = x.rank - len(repeats)
    return x.expand_dims(range(-missing)).tile([*[1] * missing, *repeats])


def _roll(x: X, *, shift: Single = 0, axis: Wholes | None = None) -> FileTensor:
    place = axis_of(x, axis)
    extent = x.known_extent(place, "rolls")
    shift = shift % extent
    parts = (range(extent - shift, extent), range(extent - shift))
    first, *others = (x.slice_axis(place, part) for part in parts if part)
    return first.concat(others, place)


def _flip(x: X, *, axis: Wholes | None = None) -> FileTensor:
    for place in axes_of(x, axis):
        x = x.reverse(place)
    return x


def _pad(c: LayerCall, x: X, *, pad_width: Array, mode: Text = "constant") -> FileTensor:
    value = c.keywords.get("constant_values")
    sides = np.broadcast_to(pad_width.astype(np.int64), (x.rank, 2)).tolist()
    if mode not in PAD_MODES or any(sides[0]) or not isinstance(value, (int, float, type(None))):
        raise UnsupportedError(f"pads {x.shown} by {sides} with the mode {mode!r}, which is not supported")
    for axis, (before, after) in enumerate(sides):
        if before or after:
            x = x.pad(axis, (before, after), {"mode": PAD_MODES[mode], "value": float(value or 0.0)})
    return x


# ---- Reductions and products ---------------------------------------------------------------------------------------


def _reduce(kind: str) -> Row:
    def row(x: X, *, axis: Wholes | None = None, keepdims: Flag = False) -> FileTensor:
        return _reduced(x, kind, axis, keepdims)

    return row


def _extreme(kind: str) -> Row:
    def row(x: X, *, axis: Wholes | None = None, keepdims: Flag = False, initial: Any = None) -> FileTensor:
        if initial is not None:
            raise UnsupportedError("with a first number it is not supported")
        return _reduced(x, kind, axis, keepdims)

    return row


def _reduced(x: FileTensor, kind: str, axis: tuple[int, ...] | None, keeps_axes: bool) -> FileTensor:
    axes = axes_of(x, axis)
    y = x.reduce(kind, axes)
    return y if keeps_axes else y.squeeze(axes)


def _norm(
    x: X, *, order: Annotated[Any, Stated("ord")] = None, axis: Wholes | None = None, keepdims: Flag = False
) -> FileTensor:
    if order not in (None, 2, "fro"):
        raise UnsupportedError(f"a norm of order {order!r} is not supported")
    if order == 2 and len(axes_of(x, axis)) > 1:  # the largest singular value
        raise UnsupportedError("a norm of order 2 of matrices is not supported")
    return _reduced(x, "l2_norm", axis, keepdims)


def _normalize(
    c: LayerCall, x: X, *, axis: Wholes = (-1,), order: Whole = 2, epsilon: Number = 0.0
) -> FileTensor:
    if order != 2:
        raise UnsupportedError("with this order it is not supported")
    return l2_normalize(c, x, axis_of(x, axis), *([epsilon] if epsilon else []))


def _argument(*, minimum: bool) -> Row:
    def row(x: X, *, axis: Wholes | None = None, keepdims: Flag = False) -> FileTensor:
        place = axis_of(x, axis)
        y = x.argmax_or_argmin(place, minimum=minimum)
        return y if keepdims else y.squeeze([place])

    return row


def _cumulative_sum(x: X, *, axis: Wholes | None = None) -> FileTensor:
    return x.cumsum(axis_of(x, axis), exclusive=False, backwards=False)


def _one_hot(x: X, *, num_classes: Whole = 1, axis: Whole = -1) -> FileTensor:
    return x.one_hot(axis % (x.rank + 1), num_classes, 1.0, 0.0)


def _matmul(c: LayerCall, a: Argument, b: Argument) -> FileTensor:
    if isinstance(a, FileTensor) and isinstance(b, FileTensor):
        return a @ b
    if isinstance(a, FileTensor) and isinstance(b, np.ndarray) and b.ndim == 2:
        return c.dense(a, b.astype(np.float32), None)
    raise UnsupportedError(
        "multiplies a constant by a tensor; supported are tensors, and a constant matrix after one"
    )


ARRAYS: dict[str, Row] = {
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Permute": _permute,
    "RepeatVector": _repeat_vector,
    "Reshape": _reshape,
}
"""The functions that convert layers, by the name of the class."""

ARRAY_FUNCTIONS: dict[str, Row] = {
    "Argmax": _argument(minimum=False),
    "Argmin": _argument(minimum=True),
    "Concatenate": _concatenate,
    "Cumsum": _cumulative_sum,
    "ExpandDims": _expand,
    "Flip": _flip,
    "GetItem": _get_item,
    "Logsumexp": _reduce("log_sum_exp"),
    "Matmul": _matmul,
    "Max": _extreme("max"),
    "Mean": _reduce("mean"),
    "Min": _extreme("min"),
    "Moveaxis": _move_axis,
    "Norm": _norm,
    "Normalize": _normalize,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Prod": _reduce("product"),
    "Repeat": _repeat,
    "Reshape": _new_shape,
    "Roll": _roll,
    "Split": _split,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "Std": _reduce("deviation"),
    "Sum": _reduce("sum"),
    "Swapaxes": _swap_axes,
    "Take": _take,
    "Tile": _tile,
    "Transpose": _transpose,
    "Var": _reduce("variance"),
}
"""The functions that convert calls of keras.ops, by the name of the class."""
