"""Convert quantizations whose scale is computed from the numbers that are quantized, and products of integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mpscnn.converters.budget import Cost
from mpscnn.converters.layout import without_batch
from mpscnn.converters.onnx_reader.attention_masks import constant_of_node
from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.expansions import ALIGNED
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.quantized_operators import EXACT
from mpscnn.converters.onnx_reader.row_calls import Computed
from mpscnn.converters.rows import Name, Row
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.unsupported import ONE_IMAGE, MixedImagesError

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
    """Return True if the zero point is subtracted from the integers before they are used, and the scale multiplied."""
    integers, scale, zero = [*node.outputs, "", ""][:3]
    if any(name in c.results for name in (integers, scale, zero)):
        return False
    zeros = _cast(c, zero)
    centred = all(
        user.kind == EXACT
        or (user.kind == "Cast" and all(_subtracts(one, user, zeros) for one in c.users(user.outputs[0])))
        for user in c.users(integers)
    )
    scaled = all(user.kind == "Mul" for user in c.users(scale))
    removed = all(user.kind in ("Cast", ALIGNED) for user in c.users(zero))
    return centred and scaled and removed and not zeros & c.results


def _cast(c: Context, name: str) -> frozenset[str]:
    """Return the names of a zero point as floats."""
    found, waiting = set(), [name]
    while waiting:
        for user in c.users(waiting.pop()):
            if user.kind in ("Cast", ALIGNED) and user.outputs[0] not in found:
                found.add(user.outputs[0])
                waiting.append(user.outputs[0])
    return frozenset(found)


def _subtracts(node: Node, cast: Node, zeros: frozenset[str]) -> bool:
    if node.kind == ALIGNED:
        return node.inputs[1] == cast.outputs[0]
    return node.kind == "Sub" and node.inputs[0] == cast.outputs[0] and node.inputs[1] in zeros


def _exact(c: Context, x: Computed, *integers: Name) -> FileTensor:
    """Convert `EXACT`: products of computed integers stay float32."""
    if any(name in c.values and c.values[name].whole_numbers for name in integers):
        c.network.keep_float32([x.tensor.name])
        return x.mark_as_integers()
    return x


DYNAMIC: dict[str, Row] = {"DynamicQuantizeLinear": _dynamic_quantize, EXACT: _exact}
