"""Convert Keras's layers and functions that rearrange, slice, concatenate, reduce or multiply tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from mpscnn.converters.keras.arithmetic import operands
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.keras.normalizations import l2_normalize
from mpscnn.converters.slicing import PAD_MODES
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

Handler = Callable[[LayerCall], Any]
_MAX_PARTS = 1024

# ---- Axes ----------------------------------------------------------------------------------------------------------


def _flatten(c: LayerCall) -> FileTensor:
    if c.settings.text("data_format", "channels_last") != "channels_last":
        raise UnsupportedError("it flattens with the channels first; only channels_last is supported")
    x = c.x()
    return x.merge_axes(1, x.rank)


def _reshape(c: LayerCall, shape: list[int | None]) -> FileTensor:
    """Reshape to a shape with the batch, which None stands for. One extent may be -1."""
    x = c.x()
    return x.reshape_to(
        *([one[0] if extent is None else extent for extent in shape] for one in x.trial_shapes())
    )


def _new_shape(c: LayerCall) -> FileTensor:
    shape = c.settings.values.get("newshape")
    known = [1 if extent is None else extent for extent in shape] if isinstance(shape, list) else shape
    if not isinstance(known, list) or not all(isinstance(extent, int) for extent in known):
        raise UnsupportedError(f"its new shape is {str(shape)[:80]}, not numbers")
    return _reshape(c, list(shape or []))


def _transpose(c: LayerCall) -> FileTensor:
    x = c.x()
    axes = c.settings.wholes("axes") if "axes" in c.settings else range(x.rank - 1, -1, -1)
    return x.transpose([x.axis(axis) for axis in axes])


def _move_axis(c: LayerCall) -> FileTensor:
    x = c.x()
    sources, targets = (
        [x.axis(axis) for axis in c.settings.wholes(name)] for name in ("source", "destination")
    )
    order = [axis for axis in range(x.rank) if axis not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return x.transpose(order)


def _swap_axes(c: LayerCall) -> FileTensor:
    x = c.x()
    first, second = (x.axis(c.settings.whole(name, 0)) for name in ("axis1", "axis2"))
    order = list(range(x.rank))
    order[first], order[second] = second, first
    return x.transpose(order)


def _squeeze(c: LayerCall) -> FileTensor:
    x = c.x()
    given = c.axes(x) if "axis" in c.settings else [axis for axis in range(x.rank) if x.shape[axis] == 1]
    return x.squeeze(given)


# ---- Parts ---------------------------------------------------------------------------------------------------------


def _get_item(c: LayerCall) -> FileTensor:
    """Convert x[...] with numbers, slices, None and Ellipsis."""
    x, indices = c.arguments if len(c.arguments) == 2 else (None, None)
    given = indices if isinstance(indices, list) else [indices]
    known = all(isinstance(one, (int, slice)) or one in (None, Ellipsis) for one in given)
    if not isinstance(x, FileTensor) or not known:
        raise UnsupportedError("takes elements at places that are computed or listed")
    return x.slice(lambda _: given)


def _split(c: LayerCall) -> list[FileTensor]:
    x, given = c.x(), c.settings.wholes("indices_or_sections")
    axis = x.axis(c.settings.whole("axis", 0))
    extent = x.known_extent(axis, "splits")
    if not isinstance(c.settings.values["indices_or_sections"], list):
        if given[0] < 1 or extent % given[0]:
            raise WeightsError(f"damaged: splits {x.shown} into {given[0]} parts along axis {axis}")
        if given[0] > _MAX_PARTS:
            raise UnsupportedError(f"splits {x.shown} into {given[0]} parts; supported are {_MAX_PARTS}")
        given = [*range(extent // given[0], extent, extent // given[0])]
    return list(x.split(axis, [last - first for first, last in pairwise([0, *given, extent])]))


def _take(c: LayerCall) -> FileTensor:
    x, places = c.arguments if len(c.arguments) == 2 else (None, None)
    if not isinstance(x, FileTensor) or isinstance(places, FileTensor) or "axis" not in c.settings:
        raise UnsupportedError("supported are constant places along an axis")
    return x.take(c.axis(x), np.asarray(places, np.int64))


def _concatenate(c: LayerCall) -> FileTensor:
    first, *others = c.inputs()
    return first.concat(others, first.axis(c.settings.whole("axis", -1)))


def _stack(c: LayerCall) -> FileTensor:
    first, *others = c.inputs()
    return first.stack(others, c.settings.whole("axis", 0) % (first.rank + 1))


def _repeat(c: LayerCall) -> FileTensor:
    x, axis = c.x(), c.axis(c.x(), None)
    if not isinstance(c.settings.values.get("repeats"), int):
        raise UnsupportedError("repeats each position another number of times, which is not supported")
    times = [1] * (x.rank + 1)
    times[axis + 1] = c.settings.whole("repeats", 1)
    return x.wrap(x.expand_dims([axis + 1])).tile(times).merge_axes(axis, axis + 2)


def _tile(c: LayerCall) -> FileTensor:
    x, times = c.x(), c.settings.wholes("repeats")
    return x.expand_dims(range(len(times) - x.rank)).tile([1] * (x.rank - len(times)) + times)


def _roll(c: LayerCall) -> FileTensor:
    x, axis = c.x(), c.axis(c.x(), None)
    extent = x.known_extent(axis, "rolls")
    shift = c.settings.single("shift", 0) % extent
    parts = (range(extent - shift, extent), range(extent - shift))
    first, *others = (x.slice_axis(axis, part) for part in parts if part)
    return first.concat(others, axis)


def _flip(c: LayerCall) -> FileTensor:
    x = c.x()
    for axis in c.axes(x):
        x = x.reverse(axis)
    return x


def _pad(c: LayerCall) -> FileTensor:
    x, mode, value = c.x(), c.settings.text("mode", "constant"), c.keywords.get("constant_values")
    sides = np.broadcast_to(c.settings.array("pad_width").astype(np.int64), (x.rank, 2)).tolist()
    if mode not in PAD_MODES or any(sides[0]) or not isinstance(value, (int, float, type(None))):
        raise UnsupportedError(f"pads {x.shown} by {sides} with the mode {mode!r}, which is not supported")
    for axis, (before, after) in enumerate(sides):
        if before or after:
            x = x.pad(axis, (before, after), {"mode": PAD_MODES[mode], "value": float(value or 0.0)})
    return x


# ---- Reductions and products ---------------------------------------------------------------------------------------


def _without(c: LayerCall, y: FileTensor, axes: list[int]) -> FileTensor:
    return y if c.settings.flag("keepdims", False) else y.squeeze(axes)


def _reduce(c: LayerCall, kind: str) -> FileTensor:
    if "initial" in c.settings:
        raise UnsupportedError("with a first number it is not supported")
    x = c.x()
    axes = c.axes(x)
    return _without(c, x.reduce(kind, axes), axes)


def _norm(c: LayerCall) -> FileTensor:
    order = c.settings.values.get("ord")
    if order not in (None, 2, "fro"):
        raise UnsupportedError(f"a norm of order {order!r} is not supported")
    if order == 2 and len(c.axes(c.x())) > 1:  # the largest singular value
        raise UnsupportedError("a norm of order 2 of matrices is not supported")
    return _reduce(c, "l2_norm")


def _normalize(c: LayerCall) -> FileTensor:
    if c.settings.whole("order", 2) != 2 or c.settings.number("epsilon", 0.0):
        raise UnsupportedError("with this order or epsilon it is not supported")
    return l2_normalize(c, c.x(), c.axis(c.x()))


def _argument(c: LayerCall, *, minimum: bool) -> FileTensor:
    x, axis = c.x(), c.axis(c.x(), None)
    return _without(c, x.argmax_or_argmin(axis, minimum=minimum), [axis])


def _one_hot(c: LayerCall) -> FileTensor:
    x = c.x()
    axis, count = c.settings.whole("axis", -1), c.settings.whole("num_classes", 1)
    return x.one_hot(axis % (x.rank + 1), count, 1.0, 0.0)


def _matmul(c: LayerCall) -> FileTensor:
    a, b = operands(c, 2)
    if isinstance(a, FileTensor) and isinstance(b, FileTensor):
        return a @ b
    if isinstance(a, FileTensor) and isinstance(b, np.ndarray) and b.ndim == 2:
        return c.dense(a, b.astype(np.float32), None)
    raise UnsupportedError(
        "multiplies a constant by a tensor; supported are tensors, and a constant matrix after one"
    )


ARRAYS: dict[str, Handler] = {
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Permute": lambda c: c.x().transpose([0, *c.settings.wholes("dims")]),
    # (n, features) becomes (n, times, features).
    "RepeatVector": lambda c: c.x().expand_dims([1]).tile([1, c.settings.whole("n", 1), 1]),
    "Reshape": lambda c: _reshape(c, [None, *c.settings.wholes("target_shape")]),
}
"""The functions that convert layers, by the name of the class."""

ARRAY_FUNCTIONS: dict[str, Handler] = {
    "Argmax": partial(_argument, minimum=False),
    "Argmin": partial(_argument, minimum=True),
    "Concatenate": _concatenate,
    "Cumsum": lambda c: c.x().cumsum(c.axis(c.x(), None), exclusive=False, backwards=False),
    "ExpandDims": lambda c: c.x().expand_dims(c.settings.wholes("axis", [-1])),
    "Flip": _flip,
    "GetItem": _get_item,
    "Logsumexp": partial(_reduce, kind="log_sum_exp"),
    "Matmul": _matmul,
    "Max": partial(_reduce, kind="max"),
    "Mean": partial(_reduce, kind="mean"),
    "Min": partial(_reduce, kind="min"),
    "Moveaxis": _move_axis,
    "Norm": _norm,
    "Normalize": _normalize,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Prod": partial(_reduce, kind="product"),
    "Repeat": _repeat,
    "Reshape": _new_shape,
    "Roll": _roll,
    "Split": _split,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "Std": partial(_reduce, kind="deviation"),
    "Sum": partial(_reduce, kind="sum"),
    "Swapaxes": _swap_axes,
    "Take": _take,
    "Tile": _tile,
    "Transpose": _transpose,
    "Var": partial(_reduce, kind="variance"),
}
"""The functions that convert calls of keras.ops, by the name of the class."""
