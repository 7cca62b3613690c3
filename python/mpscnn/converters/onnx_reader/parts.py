"""Parts of tensors."""

from __future__ import annotations

from mpscnn.converters.layout import Atom, Axis, Value
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.file import Node
from mpscnn.converters.onnx_reader.joins import joined
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

_IMAGE_RANK = 4
_MOST_RUNS = 256


def part(c: Context, node: Node, x: Value, axis: int, start: int, count: int, step: int = 1) -> Value:
    """Some of the positions of an axis: start, start + step, ..., as many as `count`."""
    atoms = x.axes[axis]
    if any(atom.is_batch for atom in atoms):
        raise UnsupportedError(f"takes a part of the batch of {x.shown}")
    new: Axis = () if count == 1 else (Atom(count),)
    axes = (*x.axes[:axis], new, *x.axes[axis + 1 :])
    sides = (("top", "height", "stride_y"), ("left", "width", "stride_x"), ("front", "channels", ""))
    x = c.arranger.in_one_piece(x, atoms)
    groups = c.arranger.grouping(x) if len(x.tensor.shape) == _IMAGE_RANK else None
    if atoms and groups and atoms in groups and (step == 1 or groups.index(atoms) < len(groups) - 1):
        tensor, place = x.tensor, groups.index(atoms)
        order = tuple(atom for group in (*groups[:place], new, *groups[place + 1 :]) for atom in group)
    else:
        tensor, before, behind = c.arranger.around(x, atoms)
        order, place = before + new + behind, 1
    first, extent, stride = sides[place]
    attributes = {first: start, extent: count} | ({stride: step} if stride else {})
    y = c.network.layer("slice", [tensor], attributes, name=c.layer_name(node))
    return Value(y, axes, order)


def _slice(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    for axis, start, count, step in _ranges(c, node, x):
        if not (start == 0 and step == 1 and count == x.shape[axis]):
            x = part(c, node, x, axis, start, count, step)
    c.result(node, x)


def _ranges(c: Context, node: Node, x: Value) -> list[tuple[int, int, int, int]]:
    """Axis, first position, how many, and the step."""
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
        if step < 0:
            raise UnsupportedError(f"reads axis {number} backwards, which is not supported")
        if not positions:
            raise UnsupportedError(f"takes nothing of axis {number} of {x.shown}")
        result.append((number, positions.start, len(positions), step))
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
            y = x if size == extent else part(c, node, x, axis, start, size)
            c.result(node, y, place)
        start += size


def _gather(c: Context, node: Node) -> None:
    """Positions of an axis, joined where they do not follow each other."""
    x = c.value(node.inputs[0])
    axis = x.axis(node.integer("axis", 0))
    indices = c.constants.fixed(node.input(1), "its indices")
    extent = x.shape[axis]
    if extent is None:
        raise UnsupportedError(f"takes a part of {x.shown}, whose size is free: {CHOOSE_SIZE}")
    numbers = [int(one) + (extent if one < 0 else 0) for one in indices.reshape(-1)]
    if not numbers or min(numbers) < 0 or max(numbers) >= extent:
        raise WeightsError(f"damaged: takes positions {numbers[:5]} of axis {axis} of {x.shown}")
    if indices.ndim > 1:
        raise UnsupportedError("takes positions that lie in a table, which is not supported")
    runs = _runs(numbers)
    if len(runs) > _MOST_RUNS:
        raise UnsupportedError(
            f"takes {len(runs)} parts of axis {axis} of {x.shown}; supported are {_MOST_RUNS}"
        )
    pieces = [
        x if (first, count, step) == (0, extent, 1) else part(c, node, x, axis, first, count, step)
        for first, count, step in runs
    ]
    y = joined(c, node, pieces, axis)
    c.result(node, y.without_axes([axis]) if indices.ndim == 0 else y)


def _runs(numbers: list[int]) -> list[tuple[int, int, int]]:
    """Positions as parts: the first, how many, and the step. A step other than 1 is only taken for all of them."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if step > 0 and numbers == list(range(numbers[0], numbers[-1] + 1, step)):
        return [(numbers[0], len(numbers), step)]
    runs: list[tuple[int, int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][0] + runs[-1][1]:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, 1)
        else:
            runs.append((number, 1, 1))
    return runs


PARTS: dict[str, Handler] = {"Slice": _slice, "Split": _split, "Gather": _gather}
