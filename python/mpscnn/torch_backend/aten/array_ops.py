"""Write ATen's operators that move, repeat or select elements as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.errors import UnsupportedError
from mpscnn.torch_backend.aten.writer import Operator, Writer


def _same(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.add("Identity", x)


def _view(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.reshaped(x, g.result)


def _strided(
    g: Writer, x: str, shape: Sequence[int], strides: Sequence[int], offset: int | None = None
) -> str:
    """Write as_strided if it changes nothing. Strides of axes of extent 1 have no effect, so they may differ."""
    told = zip(shape, strides, g.strides, strict=True) if len(shape) == g.rank(x) else None
    is_same = told is not None and all(extent == 1 or one == other for extent, one, other in told)
    if tuple(shape) != g.shapes[x] or not is_same or offset:
        raise UnsupportedError("a view of other elements")
    return g.add("Identity", x)


def _permute(g: Writer, x: str, axes: Sequence[int]) -> str:
    return g.add("Transpose", x, perm=g.axes(x, axes))


def _exchanged(g: Writer, x: str, first: int = 0, second: int = 1) -> str:
    axes = list(range(g.rank(x)))
    if len(axes) < 2:
        return g.add("Identity", x)
    axes[first], axes[second] = axes[second], axes[first]
    return g.add("Transpose", x, perm=axes)


def _expand(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.add("Expand", x, g.integers(g.result))


def _concatenation(g: Writer, tensors: Sequence[str], axis: int = 0) -> str:
    kept = [one for one in tensors if 0 not in g.shapes[one]]
    return g.add("Concat", *kept, axis=axis % len(g.result))


def _stack(g: Writer, tensors: Sequence[str], axis: int = 0) -> str:
    along = g.integers([axis % len(g.result)])
    return g.add("Concat", *[g.add("Unsqueeze", one, along) for one in tensors], axis=axis % len(g.result))


def _slice(
    g: Writer, x: str, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> str:
    (number,) = g.axes(x, axis)
    begin, stop, _ = slice(start, end, step).indices(g.shapes[x][number])
    if (begin, stop, step) == (0, g.shapes[x][number], 1):
        return g.add("Identity", x)
    return g.add("Slice", x, *(g.integers([value]) for value in (begin, stop, number, step)))


def _select(g: Writer, x: str, axis: int, place: int) -> str:
    (number,) = g.axes(x, axis)
    begin = place % g.shapes[x][number]
    part = g.add("Slice", x, *(g.integers([value]) for value in (begin, begin + 1, number)))
    return g.reshaped(part, g.result)


def _split(g: Writer, x: str, size: int, axis: int = 0) -> tuple[str, ...]:
    (number,) = g.axes(x, axis)
    extent = g.shapes[x][number]
    return _split_into(g, x, [min(size, extent - start) for start in range(0, extent, size)], axis)


def _split_into(g: Writer, x: str, sizes: Sequence[int], axis: int = 0) -> tuple[str, ...]:
    (number,) = g.axes(x, axis)
    if len(sizes) == 1:
        return (g.add("Identity", x),)
    return g.split(x, number, sizes)


def _unbind(g: Writer, x: str, axis: int = 0) -> tuple[str, ...]:
    (number,) = g.axes(x, axis)
    extents = list(g.shapes[x])
    parts = _split_into(g, x, [1] * extents.pop(number), number)
    return tuple(g.reshaped(part, extents) for part in parts)


def _index(g: Writer, x: str, indices: Sequence[str | None]) -> str:
    """Write indexing of one axis by constant positions."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if len(given) != 1:
        raise UnsupportedError(f"takes places of {len(given)} axes at once; supported is 1")
    return _index_select(g, x, *given[0])


def _index_select(g: Writer, x: str, axis: int, index: str) -> str:
    if index not in g.arrays or g.arrays[index].dtype != np.int64:
        raise UnsupportedError("takes places that are computed or are no integers")
    return g.add("Gather", x, index, axis=axis)


def _flip(g: Writer, x: str, axes: Sequence[int]) -> str:
    for axis in g.axes(x, axes):
        x = g.add("Slice", x, *(g.integers([value]) for value in (-1, -(2**31), axis, -1)))
    return x


def _roll(g: Writer, x: str, shifts: Sequence[int], axes: Sequence[int] = ()) -> str:
    if not axes:
        raise UnsupportedError("rolls all axes as one")
    shape = g.shapes[x]
    for shift, axis in zip(shifts, axes, strict=True):
        cut = -shift % shape[axis]
        if cut:
            after, before = g.split(x, axis % len(shape), [cut, shape[axis] - cut])
            x = g.add("Concat", before, after, axis=axis % len(shape))
    return x


def _repeat(g: Writer, x: str, repeats: Sequence[int]) -> str:
    if (more := len(repeats) - g.rank(x)) > 0:
        x = g.reshaped(x, [1] * more + list(g.shapes[x]))
    return g.add("Tile", x, g.integers(repeats))


def _pixel_shuffle(g: Writer, x: str, factor: int) -> str:
    *batch, channels, height, width = g.shapes[x]
    if len(batch) == 1:
        return g.add("DepthToSpace", x, blocksize=factor, mode="CRD")
    apart = g.reshaped(x, [*batch, channels // factor**2, factor, factor, height, width])
    rank = len(batch)
    turned = g.add("Transpose", apart, perm=[*range(rank), *(rank + axis for axis in (0, 3, 1, 4, 2))])
    return g.reshaped(turned, g.result)


def _pixel_unshuffle(g: Writer, x: str, factor: int) -> str:
    *batch, channels, height, width = g.shapes[x]
    apart = g.reshaped(x, [*batch, channels, height // factor, factor, width // factor, factor])
    rank = len(batch)
    turned = g.add("Transpose", apart, perm=[*range(rank), *(rank + axis for axis in (0, 2, 4, 1, 3))])
    return g.reshaped(turned, g.result)


def _channel_shuffle(g: Writer, x: str, groups: int) -> str:
    batch, channels, *space = g.shapes[x]
    apart = g.reshaped(x, [batch, groups, channels // groups, *space])
    turned = g.add("Transpose", apart, perm=[0, 2, 1, *range(3, 3 + len(space))])
    return g.reshaped(turned, g.result)


def _pad(g: Writer, x: str, padding: Sequence[int], mode: str, value: float = 0.0) -> str:
    """Write a Pad. PyTorch lists (before, after) from the last axis on; ONNX lists all begins, then all ends."""
    rank, pairs = g.rank(x), len(padding) // 2
    before, after = [0] * rank, [0] * rank
    for place in range(pairs):
        before[rank - 1 - place], after[rank - 1 - place] = padding[2 * place : 2 * place + 2]
    inputs = [x, g.integers(before + after)]
    return g.add("Pad", *inputs, *([g.number(value)] if mode == "constant" else []), mode=mode)


def _padding(mode: str) -> Operator:
    return lambda g, x, padding, value=0.0: _pad(g, x, padding, mode, value)


ARRAY_OPS: dict[str, Operator] = {
    "view.default": _view,
    "_unsafe_view.default": _view,
    "reshape.default": _view,
    "_reshape_copy.default": _view,
    "unsqueeze.default": _view,
    "squeeze.default": _view,
    "squeeze.dim": _view,
    "squeeze.dims": _view,
    "as_strided.default": _strided,
    "permute.default": _permute,
    "transpose.int": _exchanged,
    "t.default": _exchanged,
    "expand.default": _expand,
    "clone.default": _same,
    "contiguous.default": _same,
    "alias.default": _same,
    "detach.default": _same,
    "_to_copy.default": _same,
    "cat.default": _concatenation,
    "stack.default": _stack,
    "slice.Tensor": _slice,
    "select.int": _select,
    "split.Tensor": _split,
    "split_with_sizes.default": _split_into,
    "unbind.int": _unbind,
    "index.Tensor": _index,
    "index_select.default": _index_select,
    "flip.default": _flip,
    "roll.default": _roll,
    "repeat.default": _repeat,
    "pixel_shuffle.default": _pixel_shuffle,
    "pixel_unshuffle.default": _pixel_unshuffle,
    "channel_shuffle.default": _channel_shuffle,
    "native_channel_shuffle.default": _channel_shuffle,
    "constant_pad_nd.default": _padding("constant"),
    "reflection_pad1d.default": _padding("reflect"),
    "reflection_pad2d.default": _padding("reflect"),
    "replication_pad1d.default": _padding("edge"),
    "replication_pad2d.default": _padding("edge"),
}

#: Operators that only change shapes or strides. A network with only such operators is not worth a call.
VIEWS = frozenset(
    {
        *(
            name
            for name, operator in ARRAY_OPS.items()
            if operator in (_same, _view, _strided, _permute, _exchanged)
        ),
        *("expand.default", "slice.Tensor", "select.int", "split.Tensor", "split_with_sizes.default"),
        "unbind.int",
    }
)
