"""Convert ONNX' operators that move elements to operations of Core AI."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreai.operator import Array, Operator, shape_of, unsigned
from mpscnn.errors import UnsupportedError


def _reshape(op: Operator) -> Any:
    target = [int(one) for one in op.constant(1).reshape(-1)]
    target = [op.shape[place] if one == 0 else one for place, one in enumerate(target)]
    if -1 in target:
        rest = math.prod(one for one in target if one != -1)
        target[target.index(-1)] = math.prod(op.shape) // rest
    return op.reshaped(op.x, target)


def _flatten(op: Operator) -> Any:
    axis = int(op.attribute("axis", 1))
    return op.reshaped(op.x, (math.prod(op.shape[:axis]), math.prod(op.shape[axis:])))


def _transpose(op: Operator) -> Any:
    order = op.integers("perm", range(len(op.shape))[::-1])
    return op.ai.transpose(op.x, unsigned(order))


def _squeeze(op: Operator) -> Any:
    return op.ai.shrink_dims(op.x, np.array(op.axes(), np.int32))


def _unsqueeze(op: Operator) -> Any:
    return op.ai.expand_dims(op.x, op.constant(1).reshape(-1).astype(np.int32))


def _concat(op: Operator) -> Any:
    return op.ai.concat(np.array(op.axis(0), np.int32), [op.value(place) for place in range(len(op.inputs))])


def _split(op: Operator) -> Any:
    axis = op.axis(0)
    sizes = [int(one) for one in op.constant(1).reshape(-1)]
    return list(op.ai.split(op.x, unsigned(sizes), np.array(axis, np.int32)))


def _slice(op: Operator) -> Any:
    return sliced(op, op.x, op.ranges())


def sliced(op: Operator, x: Any, ranges: Mapping[int, range]) -> Any:
    """Take ranges of axes. Those that go backwards are reversed first: Core AI's slices end before element 0."""
    extents = shape_of(x)
    backwards = [axis for axis, one in ranges.items() if one.step < 0]
    if backwards:
        x = op.ai.reverse(x, op.of(np.array(backwards, np.int32)))
    chosen = [ranges.get(axis, range(extent)) for axis, extent in enumerate(extents)]
    for axis in backwards:
        one, last = chosen[axis], extents[axis] - 1
        chosen[axis] = range(last - one.start, last - one.stop, -one.step)
    numbers = zip(*((one.start, one.stop, one.step) for one in chosen), strict=True)
    return op.ai.slice_(x, *(np.array(one, np.int32) for one in numbers))


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(op: Operator) -> Any:
    mode = _MODES.get(op.attribute("mode", "constant"))
    if mode is None:
        raise UnsupportedError(f"a border by {op.attribute('mode')}")
    pads, rank, x = [int(one) for one in op.constant(1).reshape(-1)], len(op.shape), op.x
    before, after = pads[:rank], pads[rank:]
    if min(pads) < 0:  # negative amounts crop
        ranges = {
            axis: range(max(-before[axis], 0), extent + min(after[axis], 0))
            for axis, extent in enumerate(op.shape)
        }
        x = sliced(op, x, ranges)
        before, after = ([max(one, 0) for one in side] for side in (before, after))
    value = float(op.constant(2).reshape(())) if op.given(2) else 0.0
    return op.padded(x, before, after, mode, value)


def _gather(op: Operator) -> Any:
    axis, indices, shape = op.axis(0), op.constant(1), op.shape
    places = indices.reshape(-1)
    made = _taken(op, op.x, axis, np.where(places < 0, places + shape[axis], places).astype(np.int32))
    return (
        op.reshaped(made, (*shape[:axis], *indices.shape, *shape[axis + 1 :])) if indices.ndim != 1 else made
    )


def _taken(op: Operator, x: Any, axis: int, places: Array) -> Any:
    """Take places of an axis: a slice if they are neighbours, otherwise by Core AI's gather of the first axis."""
    if places.size and (np.diff(places) == 1).all():
        return sliced(op, x, {axis: range(int(places[0]), int(places[-1]) + 1)})
    order = [axis, *(one for one in range(len(shape_of(x))) if one != axis)]
    made = op.ai.gather_nd(op.ai.transpose(x, unsigned(order)), op.of(places[:, None]))
    return op.ai.transpose(made, unsigned([order.index(place) for place in range(len(order))]))


def _gather_elements(op: Operator) -> Any:
    return op.ai.gather_along_axis(op.x, op.value(1), np.array(op.axis(0), np.int32))


def _top_k(op: Operator) -> Any:
    count, axis = int(op.constant(1).reshape(-1)[0]), op.axis(-1)
    descending = np.array(bool(op.attribute("largest", 1)))
    numbers = (np.array(axis, np.int32), descending, np.array(True))
    places = op.ai.cast(op.ai.argsort(op.x, *numbers), np.int32)
    places = sliced(op, places, {axis: range(count)})
    return [op.ai.gather_along_axis(op.x, places, np.array(axis, np.int32)), places]


def _tile(op: Operator) -> Any:
    return op.ai.tile(op.x, unsigned([int(one) for one in op.constant(1).reshape(-1)]))


def _expand(op: Operator) -> Any:
    shape = np.broadcast_shapes(op.shape, tuple(int(one) for one in op.constant(1).reshape(-1)))
    return op.ai.broadcast_to(op.x, unsigned(shape))


def _depth_to_space(op: Operator) -> Any:
    block, (count, channels, height, width) = int(op.attribute("blocksize")), op.shape
    left = channels // block**2
    if op.attribute("mode", "DCR") == "CRD":
        apart, order = (count, left, block, block, height, width), (0, 1, 4, 2, 5, 3)
    else:
        apart, order = (count, block, block, left, height, width), (0, 3, 4, 1, 5, 2)
    moved = op.ai.transpose(op.reshaped(op.x, apart), unsigned(order))
    return op.reshaped(moved, (count, left, height * block, width * block))


def _resize(op: Operator) -> Any:
    if len(op.shape) != 4:
        raise UnsupportedError("a resize of sequences, which Core AI does not have")
    sides = op.shape[2:]
    if op.given(3):
        size = [int(one) for one in op.constant(3).reshape(-1)[-2:]]
    else:
        factors = op.constant(2).reshape(-1)[-2:]
        size = [math.floor(side * factor) for side, factor in zip(sides, factors, strict=True)]
    where = op.attribute("coordinate_transformation_mode", "half_pixel")
    if where not in _SAMPLES:
        raise UnsupportedError(f"a resize with samples as {where} puts them, which Core AI does not have")
    scales, offsets = zip(*(_SAMPLES[where](*one) for one in zip(sides, size, strict=True)), strict=True)
    x, mode = op.x, "linear"
    if op.attribute("mode", "nearest") != "linear":
        mode = "nearest_neighbor"
        rounding = _ROUNDING[op.attribute("nearest_mode", "round_prefer_floor")]
        samples = [
            (np.arange(count) + 0.5 - offset) / scale - 0.5
            for count, scale, offset in zip(size, scales, offsets, strict=True)
        ]
        if any(not np.array_equal(rounding(one), np.rint(one)) for one in samples):
            for axis, (one, side) in enumerate(zip(samples, sides, strict=True), start=2):
                x = _taken(op, x, axis, np.clip(rounding(one), 0, side - 1).astype(np.int32))
            return x
    numbers = [
        np.array([*whole, *of_sides], np.float32) for whole, of_sides in (((1, 1), scales), ((0, 0), offsets))
    ]
    return op.ai.interpolate(x, np.array([*op.shape[:2], *size], np.int32), *numbers, mode)


# The scale and the offset of an axis: element i samples (i + 0.5 - offset) / scale - 0.5.
_SAMPLES: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "half_pixel": lambda side, count: (count / side, 0.0),
    "asymmetric": lambda side, count: (count / side, 0.5 * (1 - count / side)),
    "align_corners": lambda side, count: (
        ((count - 1) / (side - 1), 0.5 * (1 - (count - 1) / (side - 1)))
        if side > 1 and count > 1
        else (1.0, 0.0)
    ),
}
_ROUNDING: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda places: np.ceil(places - 0.5),
    "round_prefer_ceil": lambda places: np.floor(places + 0.5),
}


def _cumulative(op: Operator) -> Any:
    if op.attribute("exclusive", 0):
        raise UnsupportedError("cumulative sums without the element itself")
    axis = int(op.constant(1).reshape(())) % len(op.shape)
    return op.ai.scan(op.x, np.array(axis, np.uint32), np.array(bool(op.attribute("reverse", 0))), "sum")


ARRAY_OPS: dict[str, Write[Operator, Any]] = {
    "Concat": _concat,
    "CumSum": _cumulative,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""The functions that convert these operators, by ONNX' name."""
