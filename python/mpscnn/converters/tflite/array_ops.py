"""Convert TensorFlow Lite's operators that reshape, transpose, pad, cast or requantize."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np

from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.unsupported import CHOOSE_SIZE, MixedImagesError
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation

_IMAGE_RANK = 4

# ---- Shapes ------------------------------------------------------------------------------------------------


def _reshape(c: Reader, operator: FileOperator) -> Made:
    """Convert RESHAPE. The new shape comes from the second input, the options, or the result's stated shape."""
    x = c.seen(operator.inputs[0])
    target = list(c.file.tensors[operator.outputs[0]].shape)
    if operator.kind == "RESHAPE" and len(operator.inputs) > 1:
        if c.constants.holds(operator.inputs[1]) or None in x.shape:
            return _reshape_to(c, operator, x, *c.constants.shapes(operator.inputs[1], "the new shape"))
    elif operator.kind == "RESHAPE" and operator.options and operator.options.has(0):
        target = [int(extent) for extent in operator.options.numbers(0, "<i4")[:9]]
    return _reshape_to(c, operator, x, target, target)


def _squeeze(c: Reader, operator: FileOperator) -> Made:
    x = c.seen(operator.inputs[0])
    axes = [int(axis) for axis in operator.options.numbers(0, "<i4")[:9]] if operator.options else []
    if not axes:  # all extents of 1
        target = list(c.file.tensors[operator.outputs[0]].shape)
        return _reshape_to(c, operator, x, target, target)
    dropped = {x.axis(axis) for axis in axes}
    if any(x.shape[axis] != 1 for axis in dropped):
        raise WeightsError(f"damaged: leaves out axes {sorted(dropped)} of {x.shown}, which must be 1")
    low, high = (
        [one for axis, one in enumerate(extents) if axis not in dropped] for extents in x.trial_shapes()
    )
    return _reshape_to(c, operator, x, low, high)


def _expand(c: Reader, operator: FileOperator) -> Made:
    x = c.seen(operator.inputs[0])
    (axis,) = c.constants.integers(operator.inputs[1], "the new axis")
    if not -x.rank - 1 <= axis <= x.rank:
        raise WeightsError(f"damaged: axis {axis} added to {x.shown}")
    low, high = x.trial_shapes()
    for extents in (low, high):
        extents.insert(axis % (x.rank + 1), 1)
    return _reshape_to(c, operator, x, low, high)


def _reshape_to(c: Reader, operator: FileOperator, x: FileTensor, low: list[int], high: list[int]) -> Made:
    """Reshape to a shape, which is computed with both numbers of each free extent. One extent may be -1 (inferred).

    If the batch stays the first axis and the operand has a free extent, a reshape layer is added. It is also added if
    the batch stays first and the elements are in order, unless a TRANSPOSE is the result's only reader. In all other
    cases only the description of the layout changes (`converters.layout`), or an error refuses the reshape.
    """
    free = None in x.shape
    target = [first if first == second else -1 for first, second in zip(low, high, strict=True)]
    if not free and target.count(-1) == 1:
        known = math.prod(extent for extent in target if extent != -1)
        left = math.prod(extent or 0 for extent in x.shape) // max(known, 1)
        target = [left if extent == -1 else extent for extent in target]
    keeps_batch = bool(target) and target[0] == c.batch and x.has_batch_first
    user = c.only_user(operator.outputs[0])
    is_laid_out = _in_order(x) and (user is None or user.kind != "TRANSPOSE")
    if keeps_batch and (target.count(-1) == 1 if free else is_laid_out):
        tensor = c.value(operator.inputs[0])
        return c.network.reshape(tensor, target[1:], name=c.layer_name(operator))
    fits = not free and math.prod(target) == math.prod(extent or 0 for extent in x.shape)
    if not target or (c.batch != 1 and not (fits or free)):
        raise UnsupportedError(f"changes the batch, {x.shown} to {tuple(target)}")
    if not free and (not fits or min(target) < 1):
        raise WeightsError(f"damaged: makes {tuple(target)} of {x.shown}")
    return x.reshape(low, high)


def _in_order(x: FileTensor) -> bool:
    """Return True if the elements are in memory in the order of the axes."""
    return x.order == tuple(atom for axis in x.axes for atom in axis if not atom.is_batch)


def _transpose(c: Reader, operator: FileOperator) -> Made:
    """Convert TRANSPOSE. Only the description of the layout changes, until a layer needs another memory order."""
    x = c.seen(operator.inputs[0])
    order = [x.axis(axis) for axis in c.constants.integers(operator.inputs[1], "its order")]
    return x.transpose(order)


# ---- Images ------------------------------------------------------------------------------------------------


def _depth_to_space(c: Reader, operator: FileOperator) -> Made:
    block = c.options(operator).integer(0)
    if integer_forms.are_integers(c, operator):
        return c.seen(operator.inputs[0]).depth_to_space(block, block)
    x, name = c.value(operator.inputs[0]), c.layer_name(operator)
    return c.network.depth_to_space(x, block, name=name)


def _sides(c: Reader, operator: FileOperator) -> list[list[int]]:
    """Return the padding before and after each axis."""
    pairs: list[list[int]] = np.reshape(
        c.constants.integers(operator.inputs[1], "the padding"), (-1, 2)
    ).tolist()
    return pairs


def _bordered(c: Reader, operator: FileOperator, settings: dict[str, Any]) -> Made:
    """Pad an image by one layer, and other tensors by a layer for each axis. `settings` are the layer's attributes."""
    x, sides = c.seen(operator.inputs[0]), _sides(c, operator)
    if len(sides) != x.rank:
        raise UnsupportedError(f"pads {len(sides)} axes of {x.shown}")
    if any(sides[0]):
        raise MixedImagesError("pads the batch")
    if x.rank == _IMAGE_RANK and x.has_batch_first:
        names = ("top", "bottom", "left", "right", "front", "back")
        attributes = dict(zip(names, chain(*sides[1:]), strict=True))
        return c.network.layer("padding", [c.tensor(x)], attributes | settings, name=c.layer_name(operator))
    for axis, (before, after) in enumerate(sides):
        if before or after:
            x = x.pad(axis, (before, after), settings)
            c.note_integers(operator.outputs[0], x.tensor)
    return x


def _pad(c: Reader, operator: FileOperator) -> Made:
    value = 0.0
    if len(operator.inputs) > 2:
        value = float(c.constants.real(operator.inputs[2], "the padding's value").reshape(-1)[0])
    return _bordered(c, operator, {"value": value})


def _mirror_pad(c: Reader, operator: FileOperator) -> Made:
    symmetric = operator.integer(0, "b") != 0
    if integer_forms.are_integers(c, operator):
        return integer_forms.mirror_pad(c, operator, _sides(c, operator), with_edge=symmetric)
    return _bordered(c, operator, {"mode": "mirror_with_edge" if symmetric else "mirror"})


# ---- Types -------------------------------------------------------------------------------------------------


def _same_value(c: Reader, operator: FileOperator) -> Made:
    """Convert QUANTIZE and DEQUANTIZE, which only matter for precision "int8".

    A change of scale becomes a neuron layer without a function, because LiteRT rounds it differently from a RELU that
    changes the scale. Clipping to the range of the result's integers follows in another layer.
    """
    index, result = operator.inputs[0], operator.outputs[0]
    if c.is_constant(index):
        c.constants.put_array(result, c.constants.real(index, "its input"))
        return None
    x = c.seen(index)
    if c.has_other_integers(index, result):
        limits = c.fused_activation(operator, None)
        x = x.map({"kind": "none"}, "" if limits is None else "/integers")
        c.note_integers(result, x.tensor)
        if limits is not None:
            x = x.map(limits)
    return x


def _densify(c: Reader, operator: FileOperator) -> None:
    c.constants.put_array(operator.outputs[0], c.constants.stored(operator.inputs[0], "its input"))


def _zeros(c: Reader, operator: FileOperator) -> None:
    x = c.seen(operator.inputs[0])
    if None in x.shape:
        raise UnsupportedError(f"makes zeros like {x.shown}, whose size is free: {CHOOSE_SIZE}")
    c.constants.put_array(
        operator.outputs[0], np.broadcast_to(np.zeros((), np.float32), [extent or 0 for extent in x.shape])
    )


def _cast(c: Reader, operator: FileOperator) -> Made:
    """Convert CAST. Integers and booleans are floats without a fraction here, so casts to wider types do nothing.

    Casts from floats to integers are refused, because they would have to round. So are casts to a type that lacks some
    of the integers, because they would have to wrap, except for positions along an axis, which fit into 32 bits.
    """
    x = c.seen(operator.inputs[0])
    source, target = (c.file.tensors[index].dtype for index in (operator.inputs[0], operator.outputs[0]))
    if target.kind == "b" and source.kind != "b":
        y = _bytes_of(c, operator, x)
        return y.not_equal(0.0)
    fits = source.kind == "b" or np.can_cast(source, target)
    if (
        target.kind != "f"
        and not fits
        and not (target.itemsize >= 4 and _are_positions(c, operator.inputs[0]))
    ):
        raise UnsupportedError(f"makes {target} of {source} numbers that the network computes")
    return _bytes_of(c, operator, x)


def _are_positions(c: Reader, index: int) -> bool:
    """Return True for the results of ARG_MAX and ARG_MIN, also with other shapes."""
    maker = c.file.makers.get(index)
    for _ in c.file.operators:  # a damaged file may have a circle
        if maker is None or maker.kind not in ("EXPAND_DIMS", "RESHAPE", "SQUEEZE", "TRANSPOSE"):
            break
        maker = c.file.makers.get(maker.inputs[0])
    return maker is not None and maker.kind in ("ARG_MAX", "ARG_MIN")


def _bytes_of(c: Reader, operator: FileOperator, x: FileTensor) -> FileTensor:
    """Return the operand of a CAST. If it is quantized, CAST reads its integers, not the numbers they represent."""
    index, result = operator.inputs[0], operator.outputs[0]
    grid = c.grid(index)
    if grid is None:
        return x
    if c.grid(result) is not None:
        raise UnsupportedError("copies integers with one scale to a tensor with another scale")
    line: Activation = {"kind": "linear", "a": 1.0 / grid.step, "b": float(grid.zero_point)}
    return x.map(line, "/integers").map("round")


ARRAY_OPS: dict[str, Handler] = {
    "CAST": _cast,
    "DENSIFY": _densify,
    "DEPTH_TO_SPACE": _depth_to_space,
    "DEQUANTIZE": _same_value,
    "EXPAND_DIMS": _expand,
    "MIRROR_PAD": _mirror_pad,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _same_value,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "TRANSPOSE": _transpose,
    "ZEROS_LIKE": _zeros,
}
