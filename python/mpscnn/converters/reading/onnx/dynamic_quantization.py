"""Convert quantizations whose scale is computed from the numbers that are quantized, and products of integers."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto

import numpy as np

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import ONE_IMAGE, MixedImagesError
from mpscnn.converters.reading.onnx.attention_masks import constant_of_node
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.expansions import ALIGNED, CHANNELS_FIRST, CHANNELS_LAST, TRANSPOSED
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.quantized_operators import EXACT
from mpscnn.converters.reading.onnx.row_calls import Computed
from mpscnn.converters.values.layout import without_batch
from mpscnn.converters.values.rows import Name, Row
from mpscnn.converters.values.tensor import FileTensor

_LARGEST = float(np.finfo(np.float32).max)
_LAYERS = 20  # the number of layers of a quantization
_STEPS = 255.0  # the number of steps between the integers of 8 bits
_OF_EACH_IMAGE = (
    "DynamicQuantizeLinear takes the range of each image of a batch, not that of the whole batch, because no layer "
    "computes with several images; for one image at a time both are the same"
)


def _dynamic_quantize(c: Context, node: Node, x: Computed) -> list[FileTensor] | None:
    """Convert DynamicQuantizeLinear: the scale and zero point of 8-bit integers follow from the largest numbers.

    If the integers are only multiplied after the zero point is subtracted, they are made of the rounded numbers, and
    the scale is 1. This is the same for any scale, so each image of a batch may have its own.
    """
    batch = c.arranger.batch
    c.constants.budget.spend(Cost.of_layers(_LAYERS))
    is_scaled = _is_scaled_again(c, node)
    if batch is not None and batch.high != 1 and not (is_scaled and batch.is_free):
        raise MixedImagesError(f"takes the range of {x.shown}, of all images of its batch: {ONE_IMAGE}")
    others = tuple(atom for axis in x.axes for atom in without_batch(axis))
    flat = replace(x, axes=(others,) if batch is None else ((batch,), others))
    along = [flat.rank - 1]
    low = flat.reduce("min", along, pools=False).map({"kind": "clamp", "a": -_LARGEST, "b": 0.0}, "/low")
    high = flat.reduce("max", along, pools=False).map("relu", "/high")
    span = high.combine("subtract", low, "/span")
    span = span.combine("add", _equal_to_zero(span), "/range")  # numbers that are all 0 have the range 1
    steps = constant_of_node(c, node, np.array([_STEPS], np.float32), "steps", flat.rank)
    scale = span.combine("divide", steps, "/scale")
    limits = {"kind": "clamp", "a": 0.0, "b": _STEPS}
    zero = low.combine("divide", scale, "/below").linear(-1.0, suffix="/above").map(limits, "/limited")
    zero = zero.map("round", "/zero_point")
    y = flat.combine("divide", scale, "/divided").map("round", "/rounded").combine("add", zero, "/moved")
    y = y.map(limits, "/integers" if is_scaled else "")
    names = [*node.outputs, "", ""]
    if not is_scaled:
        numbers = [
            replace(one, axes=()) if batch is None else replace(one, axes=(one.axes[0],)).squeeze([0])
            for one in (scale, zero)
        ]
        return [replace(y, axes=x.axes).mark_as_integers(), numbers[0], numbers[1].mark_as_integers()]
    if batch is not None and batch.is_free and _OF_EACH_IMAGE not in c.notes:
        c.notes.append(_OF_EACH_IMAGE)
    y = y.combine("subtract", zero, "/centred").combine("multiply", scale)
    c.constants.put(names[1], np.float32(1.0))
    c.constants.put(names[2], np.uint8(0))
    return [replace(y, axes=x.axes)]


def _equal_to_zero(x: FileTensor) -> FileTensor:
    return x.not_equal(0.0, "/some").mark_as_floats().linear(-1.0, 1.0, "/none")


def _is_scaled_again(c: Context, node: Node) -> bool:
    """Return True if all results are as if the scale were 1 and the integers were the rounded numbers.

    That is so if the zero point is subtracted from the integers before they are used, and if each result that is
    proportional to the integers is multiplied by the scale once, before anything else is added to it.
    """
    found = dict(zip(node.outputs, _Part, strict=False))
    if any(name in c.results for name in found):
        return False
    places = c.file.positions
    waiting = sorted({places[id(user)] for name in found if name for user in c.users(name)})
    known = set(waiting)
    while waiting:
        user = c.file.nodes[heapq.heappop(waiting)]
        part = _part_of_result(user, found)
        if part is None or any(name in c.results for name in user.outputs if part is not _Part.SCALED):
            return False
        if part is not _Part.SCALED:
            found[user.outputs[0]] = part
            for place in {places[id(one)] for one in c.users(user.outputs[0])} - known:
                known.add(place)
                heapq.heappush(waiting, place)
    return True


class _Part(Enum):
    """The role of a result in a quantization. The first three are its results, in order."""

    INTEGERS = auto()
    SCALE = auto()
    ZERO_POINT = auto()
    CENTRED = auto()  # proportional to the integers without their zero point
    SCALED = auto()  # proportional to the numbers, or independent of them


_PRODUCTS = frozenset({("MatMul", 2), ("Conv", 2), ("ConvTranspose", 2)})
"""Operators that are proportional to an operand, with their number of operands: a third one is added."""
_MOVES = frozenset(
    {
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
    | {CHANNELS_FIRST, CHANNELS_LAST, TRANSPOSED}
)
_FLOATS = (1, 10, 11, 16)  # the numbers of the types of floats


def _part_of_result(node: Node, found: Mapping[str, _Part]) -> _Part | None:
    """Return what an operator makes of parts of a quantization; None: something else, for which the scale matters."""
    given = [found.get(name) for name in node.inputs]
    first, others = given[0], [part for part in given[1:] if part is not None]
    if node.kind in (ALIGNED, EXACT):  # the other operands are only looked at
        return first or _Part.SCALED
    if node.kind == "Sub" and given == [_Part.INTEGERS, _Part.ZERO_POINT]:
        return _Part.CENTRED
    if node.kind == "Cast" and first is _Part.CENTRED and node.integer("to", 0) not in _FLOATS:
        return None
    if node.kind in _MOVES | {"Cast"}:
        return None if others else first
    if node.kind in ("Neg", "Div"):
        return first if first in (_Part.CENTRED, _Part.SCALE) and not others else None
    if node.kind in ("Add", "Sub"):
        return _Part.CENTRED if given == [_Part.CENTRED] * 2 else None
    parts = [part for part in given if part is not None]
    if node.kind == "Mul":
        if set(parts) == {_Part.CENTRED, _Part.SCALE}:
            return _Part.SCALED
        return parts[0] if parts in ([_Part.CENTRED], [_Part.SCALE]) else None
    is_product = (node.kind, len(node.inputs)) in _PRODUCTS
    return _Part.CENTRED if is_product and parts == [_Part.CENTRED] else None


def _exact(c: Context, x: Computed, *integers: Name) -> FileTensor:
    """Convert `EXACT`: products of computed integers stay float32."""
    if any(name in c.values and c.values[name].whole_numbers for name in integers):
        c.network.keep_float32([x.tensor.name])
        return x.mark_as_integers()
    return x


DYNAMIC: dict[str, Row] = {"DynamicQuantizeLinear": _dynamic_quantize, EXACT: _exact}
