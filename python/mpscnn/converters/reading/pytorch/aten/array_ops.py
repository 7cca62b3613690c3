"""Write ATen's operators that move, repeat or select elements as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Operand, Writer, several
from mpscnn.converters.reading.pytorch.extents import Extent
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError


def _same(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return ops.identity(g, x)


def _view(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.reshaped(x, g.result)


def _converted(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.cast(x, g.kind) if g.kind_of(x) != g.kind else ops.identity(g, x)


def _unsqueeze(g: Writer, x: str, axis: int) -> str:
    return ops.unsqueeze(g, x, [axis % len(g.result)])


def _squeeze(g: Writer, x: str, axes: Sequence[int] | int | None = None) -> str:
    if isinstance(axes, Sequence) and not axes:  # no axis, unlike None
        return ops.identity(g, x)
    single = [axis for axis in g.axes(x, axes) if g.shapes[x][axis] == 1]
    if g.rank(x) - len(single) != len(g.result):
        raise UnsupportedError("removes axes whose extents are free")
    return ops.squeeze(g, x, single) if single else ops.identity(g, x)


def _strided(
    g: Writer, x: str, shape: Sequence[int], strides: Sequence[int], offset: int | None = None
) -> str:
    """Write as_strided if it changes nothing. Strides of axes of extent 1 have no effect, so they may differ."""
    told = zip(shape, strides, g.strides, strict=True) if len(shape) == g.rank(x) else None
    is_same = told is not None and all(extent == 1 or one == other for extent, one, other in told)
    if tuple(shape) != g.shapes[x] or not is_same or offset:
        raise UnsupportedError("a view of other elements")
    return ops.identity(g, x)


def _permute(g: Writer, x: str, axes: Sequence[int]) -> str:
    return ops.transpose(g, x, perm=g.axes(x, axes))


def _exchanged(g: Writer, x: str, first: int = 0, second: int = 1) -> str:
    axes = list(range(g.rank(x)))
    if len(axes) < 2:
        return ops.identity(g, x)
    axes[first], axes[second] = axes[second], axes[first]
    return ops.transpose(g, x, perm=axes)


def _moved(g: Writer, x: str, sources: Sequence[int] | int, places: Sequence[int] | int) -> str:
    """Write movedim: some axes move to other places, and the others keep their order."""
    moved = dict(zip(g.axes(x, places), g.axes(x, sources), strict=True))
    others = iter([axis for axis in range(g.rank(x)) if axis not in moved.values()])
    return ops.transpose(
        g, x, perm=[moved[axis] if axis in moved else next(others) for axis in range(g.rank(x))]
    )


def _expand(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return ops.expand(g, x, g.result)


def _concatenation(g: Writer, tensors: Sequence[str], axis: int = 0) -> str:
    kept = [one for one in tensors if 0 not in g.shapes[one]]
    return ops.concatenate(g, *(g.operand(one) for one in kept), axis=axis % len(g.result))


def _stack(g: Writer, tensors: Sequence[str], axis: int = 0) -> str:
    along = [axis % len(g.result)]
    return ops.concatenate(g, *[ops.unsqueeze(g, one, along) for one in tensors], axis=axis % len(g.result))


#: The end of a slice that reaches to the end of its axis.
_END = 2**63 - 1


def _slice(
    g: Writer,
    x: str,
    axis: int = 0,
    start: Extent | None = None,
    end: Extent | None = None,
    step: int = 1,
) -> str:
    number = g.axis(x, axis)
    extent = g.shapes[x][number]
    begin, stop = 0 if start is None else start, _END if end is None else end
    if isinstance(begin, int) and isinstance(stop, int) and isinstance(extent, int):
        begin, stop, _ = slice(begin, stop, step).indices(extent)
        stop = _END if stop == extent else stop
    if begin == 0 and stop in (_END, extent) and step == 1:
        return ops.identity(g, x)
    ends = min(stop, 2**31 - 1) if isinstance(stop, int) else stop
    return ops.slice_axes(g, x, *([value] for value in (begin, ends, number, step)))


def _select(g: Writer, x: str, axis: int, place: Extent) -> str:
    number = g.axis(x, axis)
    end = 2**31 - 1 if place == -1 else place + 1
    part = ops.slice_axes(g, x, *([value] for value in (place, end, number)))
    return ops.squeeze(g, part, [number])


def _split(g: Writer, x: str, _: Any, axis: int = 0) -> tuple[str, ...]:
    """Write any split into parts. The extents of the parts are those of the results."""
    number = g.axis(x, axis)
    return _split_into(g, x, [shape[number] for shape in g.results], number)


def _split_into(g: Writer, x: str, sizes: Sequence[Extent], axis: int = 0) -> tuple[str, ...]:
    if len(sizes) == 1:
        return (ops.identity(g, x),)
    return g.split(x, g.axis(x, axis), sizes)


def _unbind(g: Writer, x: str, axis: int = 0) -> tuple[str, ...]:
    number = g.axis(x, axis)
    parts = _split_into(g, x, [1] * len(g.results), number)
    return tuple(ops.squeeze(g, part, [number]) for part in parts)


def _flip(g: Writer, x: str, axes: Sequence[int]) -> str:
    if not axes:
        return ops.identity(g, x)
    for axis in g.axes(x, axes):
        x = ops.slice_axes(g, x, *([value] for value in (-1, -(2**31), axis, -1)))
    return x


def _roll(g: Writer, x: str, shifts: Sequence[int] | int, axes: Sequence[int] | int = ()) -> str:
    shifts, axes = ([one] if isinstance(one, int) else one for one in (shifts, axes))
    if not axes:
        raise UnsupportedError("rolls all axes as one")
    for shift, axis in zip(shifts, axes, strict=True):
        extent = int(g.shapes[x][axis])
        cut = -shift % extent
        if cut:
            shape = g.shapes[x]
            after, before = g.split(x, axis % len(shape), [cut, extent - cut])
            x = ops.concatenate(g, before, after, axis=axis % len(shape))
            g.shapes[x] = shape
    return x


def _repeat(g: Writer, x: str, repeats: Sequence[int]) -> str:
    if (more := len(repeats) - g.rank(x)) > 0:
        x = g.reshaped(x, [1] * more + list(g.shapes[x]))
    repeats = [1] * (g.rank(x) - len(repeats)) + list(repeats)
    return ops.tile(g, x, repeats)


def _repeat_each(g: Writer, x: str, times: int, axis: int | None = None, **_: Any) -> str:
    """Write repeat_interleave: each element, one after the other."""
    if axis is None:
        x, axis = g.reshaped(x, [math.prod(g.shapes[x])]), 0
    number = g.axis(x, axis)
    apart = ops.unsqueeze(g, x, [number + 1])
    repeats = [1] * (g.rank(x) + 1)
    repeats[number + 1] = times
    return g.reshaped(ops.tile(g, apart, repeats), g.result)


def _windows_of_axis(g: Writer, x: str, axis: int, size: int, step: int) -> str:
    """Write Tensor.unfold: the windows of an axis, whose elements become a new last axis."""
    number = g.axis(x, axis)
    count = (int(g.shapes[x][number]) - size) // step + 1
    places = np.arange(count)[:, np.newaxis] * step + np.arange(size)
    shape = [*g.shapes[x][:number], count, size, *g.shapes[x][number + 1 :]]
    taken = ops.gather(g, x, g.constant(places.reshape(-1).astype(np.int64)), axis=number)
    others = [place for place in range(len(shape)) if place != number + 1]
    return ops.transpose(g, g.reshaped(taken, shape), perm=[*others, number + 1])


def _pixel_shuffle(g: Writer, x: str, factor: int) -> str:
    *batch, channels, height, width = g.shapes[x]
    if len(batch) == 1:
        return ops.depth_to_space(g, x, blocksize=factor, mode="CRD")
    apart = g.reshaped(x, [*batch, channels // factor**2, factor, factor, height, width])
    rank = len(batch)
    turned = ops.transpose(g, apart, perm=[*range(rank), *(rank + axis for axis in (0, 3, 1, 4, 2))])
    return g.reshaped(turned, g.result)


def _pixel_unshuffle(g: Writer, x: str, factor: int) -> str:
    *batch, channels, height, width = g.shapes[x]
    apart = g.reshaped(x, [*batch, channels, height // factor, factor, width // factor, factor])
    rank = len(batch)
    turned = ops.transpose(g, apart, perm=[*range(rank), *(rank + axis for axis in (0, 2, 4, 1, 3))])
    return g.reshaped(turned, g.result)


def _channel_shuffle(g: Writer, x: str, groups: int) -> str:
    batch, channels, *space = g.shapes[x]
    apart = g.reshaped(x, [batch, groups, channels // groups, *space])
    turned = ops.transpose(g, apart, perm=[0, 2, 1, *range(3, 3 + len(space))])
    return g.reshaped(turned, g.result)


def _pad(g: Writer, x: str, padding: Sequence[int], mode: str = "constant", value: float | None = 0.0) -> str:
    """Write a Pad. PyTorch lists (before, after) from the last axis on; ONNX lists all begins, then all ends."""
    rank, pairs = g.rank(x), len(padding) // 2
    before, after = [0] * rank, [0] * rank
    for place in range(pairs):
        before[rank - 1 - place], after[rank - 1 - place] = padding[2 * place : 2 * place + 2]
    inputs: list[Operand] = [x, before + after]
    if mode == "constant":
        inputs.append(g.operand(value or 0.0, g.kind_of(x)))
    return ops.pad(g, *inputs, mode=_MODES.get(mode, mode))


_MODES = {"replicate": "edge", "circular": "wrap"}


def _padding(mode: str) -> Row:
    return lambda g, x, padding, value=0.0: _pad(g, x, padding, mode, value)


def _slice_scatter(
    g: Writer,
    x: str,
    source: str,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> str:
    """Write an assignment to a slice: the elements before it, the new ones, and the elements after it.

    With a step, the elements are taken from the old and the new ones together.
    """
    number = g.axis(x, axis)
    extent = int(g.shapes[x][number])
    begin, stop, _ = slice(start, end, step).indices(extent)
    if step != 1:
        taken = np.arange(extent)
        taken[begin:stop:step] = extent + np.arange(len(range(begin, stop, step)))
        both = ops.concatenate(g, g.operand(x), g.operand(source), axis=number)
        return ops.gather(g, both, g.constant(taken), axis=number)
    parts = [source]
    if begin > 0:
        parts.insert(0, ops.slice_axes(g, x, *([value] for value in (0, begin, number))))
    if stop < extent:
        parts.append(ops.slice_axes(g, x, *([value] for value in (stop, extent, number))))
    return ops.concatenate(g, *(g.operand(one) for one in parts), axis=number)


def _select_scatter(g: Writer, x: str, source: str, axis: int, place: int) -> str:
    number = g.axis(x, axis)
    begin = place % int(g.shapes[x][number])
    apart = ops.unsqueeze(g, g.operand(source), [number])
    return _slice_scatter(g, x, apart, number, begin, begin + 1)


def _filled(g: Writer, shape: Sequence[Extent], value: float = 0.0) -> str:
    return ops.expand(g, g.operand(value), shape)


def _filled_like(default: float | None) -> Row:
    def write(g: Writer, _: str, *given: Any) -> str:
        return _filled(g, g.result, given[-1] if default is None else default)

    return write


def _range(g: Writer, *given: Extent | float) -> str:
    """Write a range of free extent."""
    start, end, step = given if len(given) == 3 else (*([0] if len(given) == 1 else []), *given, 1)
    return ops.progression(g, *(g.operand(one) for one in (start, end, step)))


def _copied(g: Writer, _x: str, source: str, *_: Any) -> str:
    """Write copy_: the elements of `source`, in the shape of x."""
    taken = g.operand(source)
    if g.shapes.get(source) == g.result:
        return taken if taken != source else ops.identity(g, taken)
    return ops.expand(g, taken, g.result)


ARRAY_OPS: dict[str, Row] = {
    **several(
        _view, "view _unsafe_view reshape _reshape_copy view_as reshape_as flatten.using_ints unflatten.int"
    ),
    "unsqueeze.default": _unsqueeze,
    **several(_squeeze, "squeeze squeeze.dim squeeze.dims"),
    "as_strided.default": _strided,
    "permute.default": _permute,
    **several(_exchanged, "transpose.int t"),
    "numpy_T.default": lambda g, x: ops.transpose(g, x, perm=list(range(g.rank(x)))[::-1]),
    "mT.default": lambda g, x: _exchanged(g, x, -2, -1),
    **several(_moved, "movedim.intlist movedim.int"),
    **several(_expand, "expand expand_as broadcast_to"),
    **several(_same, "clone contiguous alias detach lift_fresh_copy detach_ positive lift_fresh"),
    **several(_converted, "_to_copy to.dtype to.dtype_layout to.device to.other type_as"),
    **several(_converted, "_cast_Float _cast_Long _cast_Int"),
    "copy.default": _copied,
    **several(_concatenation, "cat concat"),
    "stack.default": _stack,
    "slice.Tensor": _slice,
    "select.int": _select,
    "narrow.default": lambda g, x, axis, start, length: _slice(g, x, axis, start, start + length),
    **several(_split, "split.Tensor split.sizes split_with_sizes chunk unsafe_chunk unsafe_split.Tensor"),
    **several(_split, "tensor_split.sections tensor_split.indices"),
    "slice_scatter.default": _slice_scatter,
    "select_scatter.default": _select_scatter,
    "unbind.int": _unbind,
    "flip.default": _flip,
    "roll.default": _roll,
    **several(_repeat, "repeat tile"),
    "repeat_interleave.self_int": _repeat_each,
    "unfold.default": _windows_of_axis,
    "pixel_shuffle.default": _pixel_shuffle,
    "pixel_unshuffle.default": _pixel_unshuffle,
    **several(_channel_shuffle, "channel_shuffle native_channel_shuffle"),
    "pad.default": _pad,
    "constant_pad_nd.default": _padding("constant"),
    **several(_padding("reflect"), "reflection_pad1d reflection_pad2d"),
    **several(_padding("edge"), "replication_pad1d replication_pad2d"),
    **several(_filled, "full zeros"),
    "ones.default": lambda g, shape: _filled(g, shape, 1.0),
    **several(_filled_like(0.0), "zeros_like new_zeros"),
    **several(_filled_like(1.0), "ones_like new_ones"),
    **several(_filled_like(None), "full_like new_full"),
    **several(_range, "arange arange.start arange.start_step"),
    "scalar_tensor.default": lambda g, value: g.operand(value),
}

#: Operators that convert elements to another type.
CONVERSIONS = frozenset(name for name, operator in ARRAY_OPS.items() if operator is _converted)
#: Operators that only change shapes or strides. A network with only such operators is not worth a call.
VIEWS = frozenset(
    {
        *(
            name
            for name, operator in ARRAY_OPS.items()
            if operator in (_same, _converted, _view, _unsqueeze, _squeeze, _strided, _permute, _exchanged)
        ),
        *("expand.default", "slice.Tensor", "select.int", "split.Tensor", "split_with_sizes.default"),
        "unbind.int",
    }
)
