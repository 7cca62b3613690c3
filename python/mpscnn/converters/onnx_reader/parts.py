"""Parts of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpscnn.converters.layout import Atom, Axis, Value
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.file import Node
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

_IMAGE_RANK = 4
# Parameters of the operations for axis 1, 2 and 3 of a tensor of four axes.
_SLICES = (
    ("top", "height", "stride_y"),
    ("left", "width", "stride_x"),
    ("front", "channels", "stride_channels"),
)
_TILES = ("rows", "columns", "channels")


def part(c: Context, node: Node, x: Value, axis: int, positions: range) -> Value:
    """Some of the positions of an axis, in steps that may be negative."""
    if positions == range(x.shape[axis] or 0):
        return x
    new: Axis = () if len(positions) == 1 else (Atom(len(positions)),)

    def attributes(place: int) -> dict[str, Any]:
        first, extent, stride = _SLICES[place]
        return {first: positions.start, extent: len(positions), stride: positions.step}

    return _changed(c, node, x, axis, new, "slice", attributes)


def repeated(c: Context, node: Node, x: Value, axis: int, times: int) -> Value:
    """All of an axis, so many times one behind the other."""
    new = (Atom(times), *x.axes[axis])
    return _changed(c, node, x, axis, new, "tile", lambda place: {_TILES[place]: times})


def _changed(
    c: Context,
    node: Node,
    x: Value,
    axis: int,
    new: Axis,
    operation: str,
    attributes: Callable[[int], dict[str, Any]],
) -> Value:
    """What an operation makes of one axis: `new` are the atoms that it has then.

    `attributes` gets the axis of the operation's image: 0 rows, 1 columns, 2 channels.
    """
    atoms = x.axes[axis]
    if any(atom.is_batch for atom in atoms):
        raise UnsupportedError(f"changes the batch of {x.shown}")
    axes = (*x.axes[:axis], new, *x.axes[axis + 1 :])
    x = c.arranger.in_one_piece(x, atoms)
    groups = c.arranger.grouping(x) if len(x.tensor.shape) == _IMAGE_RANK else None
    if atoms and groups and atoms in groups:
        tensor, place = x.tensor, groups.index(atoms)
    else:
        tensor, before, behind = c.arranger.around(x, atoms)
        groups, place = [before, atoms, behind], 1
    order = tuple(atom for group in (*groups[:place], new, *groups[place + 1 :]) for atom in group)
    y = c.network.layer(operation, [tensor], attributes(place), name=c.layer_name(node))
    return Value(y, axes, order)


def _slice(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    for axis, positions in _ranges(c, node, x):
        x = part(c, node, x, axis, positions)
    c.result(node, x)


def _ranges(c: Context, node: Node, x: Value) -> list[tuple[int, range]]:
    """Axes, and what is taken of each."""
    if c.file.opset < 10:
        starts, ends = node.integers("starts"), node.integers("ends")
        axes, steps = node.integers("axes", list(range(len(starts)))), [1] * len(starts)
    else:
        starts = c.constants.integers(node.input(1), "its starts")
        ends = _ends(c, node)
        given = node.input(3)
        axes = list(range(len(starts))) if given is None else c.constants.integers(given, "its axes")
        given = node.input(4)
        steps = [1] * len(starts) if given is None else c.constants.integers(given, "its steps")
    result = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        number = x.axis(axis)
        extent = x.shape[number]
        if extent is None:
            if start == 0 and step == 1 and end >= _NO_END:
                continue
            raise UnsupportedError(f"takes a part of {x.shown}, whose size is free: {CHOOSE_SIZE}")
        if step == 0:
            raise WeightsError("damaged: its step is 0")
        positions = range(extent)[start:end:step]
        if not positions:
            raise UnsupportedError(f"takes nothing of axis {number} of {x.shown}")
        result.append((number, positions))
    return result


_NO_END = 2**31 - 1


def _ends(c: Context, node: Node) -> list[int]:
    """Of a free extent the end is that extent, or a large number."""
    low, high = c.constants.shapes(node.input(2), "its ends")
    if low != high:
        raise UnsupportedError(f"its ends depend on an extent that is free: {CHOOSE_SIZE}")
    return high


def _split(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    axis = x.axis(node.integer("axis", 0))
    extent = x.shape[axis]
    if extent is None:
        raise UnsupportedError(f"splits {x.shown} along an axis that is free: {CHOOSE_SIZE}")
    if node.has("split"):
        sizes = node.integers("split")
    elif node.input(1) is not None:
        sizes = c.constants.integers(node.input(1), "its parts")
    else:
        parts = node.integer("num_outputs", len(node.outputs))
        size = -(-extent // max(parts, 1))
        sizes = [size] * (parts - 1) + [extent - size * (parts - 1)]
    if 0 in sizes:
        raise UnsupportedError(f"splits {x.shown} into parts of which some are empty")
    if sum(sizes) != extent or len(sizes) != len(node.outputs) or min(sizes) < 1:
        raise WeightsError(f"damaged: splits {x.shown} along axis {axis} into {sizes}")
    start = 0
    for place, size in enumerate(sizes):
        if node.outputs[place]:
            c.result(node, part(c, node, x, axis, range(start, start + size)), place)
        start += size


def _gather(c: Context, node: Node) -> None:
    """Positions of an axis, which become the axes of the table that lists them."""
    x = c.value(node.inputs[0])
    axis = x.axis(node.integer("axis", 0))
    indices = c.constants.fixed(node.input(1), "its indices")
    extent = x.shape[axis]
    if extent is None:
        raise UnsupportedError(f"takes a part of {x.shown}, whose size is free: {CHOOSE_SIZE}")
    numbers = [int(one) + (extent if one < 0 else 0) for one in indices.reshape(-1)]
    if not numbers or min(numbers) < 0 or max(numbers) >= extent:
        raise WeightsError(f"damaged: takes positions {numbers[:5]} of axis {axis} of {x.shown}")
    y = taken(c, node, x, axis, numbers)
    if indices.ndim == 0:
        y = y.without_axes([axis])
    elif indices.ndim > 1:
        low, high = ([*one[:axis], *indices.shape, *one[axis + 1 :]] for one in y.stand_ins())
        y = y.reshaped(low, high)
    c.result(node, y)


def taken(c: Context, node: Node, x: Value, axis: int, numbers: Sequence[int]) -> Value:
    """Positions of an axis in any order."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    steps = range(numbers[0], numbers[-1] + (1 if step > 0 else -1), step) if step else ()
    if list(numbers) == list(steps):
        return part(c, node, x, axis, range(numbers[0], numbers[0] + step * len(numbers), step))

    def attributes(place: int) -> dict[str, Any]:
        return {"axis": place + 1, "indices": list(numbers)}

    return _changed(c, node, x, axis, (Atom(len(numbers)),), "gather", attributes)


def _tile(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    times = c.constants.integers(node.input(1), "its repeats")
    if len(times) != x.rank or min(times) < 1:
        raise UnsupportedError(f"repeats {x.shown} {times} times")
    c.result(node, tiled(c, node, x, times))


def tiled(c: Context, node: Node, x: Value, times: Sequence[int]) -> Value:
    """How often each axis is repeated."""
    for axis, count in enumerate(times):
        if count != 1:
            x = repeated(c, node, x, axis, count)
    return x


PARTS: dict[str, Handler] = {"Slice": _slice, "Split": _split, "Gather": _gather, "Tile": _tile}
