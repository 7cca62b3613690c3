"""Convert TensorFlow Lite's operators that reshape, transpose, pad, cast or requantize, or that compute shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from mpscnn.converters.constant import CHEAP, Constant, listed
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.image_blocks import depth_to_space
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.converters.unsupported import MixedImagesError
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


def _broadcast_args(o: Operation) -> Made:
    """Compute BROADCAST_ARGS: the shape to which two shapes are broadcast."""

    def broadcast(*shapes: Array) -> Array:
        extents = [listed(shape, "its shape") for shape in shapes]
        return first.run(shapes[0].size, CHEAP, lambda: np.array(np.broadcast_shapes(*extents), np.int64))

    first, second = (o.constant(place, "its shape") for place in (0, 1))
    return first.compute(broadcast, second)


def _range(o: Operation) -> Made:
    first, end, step = (o.constant(place, "its numbers") for place in range(3))
    return first.count_up_to(end, step)


SHAPES: dict[str, Handler] = {
    "BROADCAST_ARGS": _broadcast_args,
    "FILL": lambda o: o.constant(1, "its number").fill(o.constant(0, "its shape")),
    "RANGE": _range,
    "RANK": lambda o: Constant.of(np.array(o.value().rank, np.int64), o.budget),
    "SHAPE": lambda o: Constant.of_extents(o.value().trial_shapes(), o.budget),
}


_IMAGE_RANK = 4

# ---- Shapes ------------------------------------------------------------------------------------------------


def _reshape(o: Operation) -> Made:
    """Convert RESHAPE. The new shape comes from the second input, the options, or the result's stated shape."""
    x = o.value()
    if o.has(1) and (o.is_constant(1) or None in x.trial_shapes()):
        return _reshape_to(o, x, *o.extents(1, "the new shape"))
    options = o.operator.options
    if not o.has(1) and options and options.has(0):
        target = [int(extent) for extent in options.numbers(0, "<i4")[:9]]
        return _reshape_to(o, x, target, target)
    return _reshape_to(o, x, *_stated_extents(o))


def _stated_extents(o: Operation) -> tuple[list[int], list[int]]:
    """Return the result's shape in the file, with both numbers of the batch if it is free there."""
    stated, batch = o.stated_result, o.c.batch
    high = list(stated.shape)
    if 0 in stated.free_axes and high[0] == batch.low:
        high[0] = batch.high
    return list(stated.shape), high


def _squeeze(o: Operation) -> Made:
    x, options = o.value(), o.operator.options
    axes = [int(axis) for axis in options.numbers(0, "<i4")[:9]] if options else []
    if not axes and isinstance(x, Constant):
        return x.squeeze(None)
    if not axes:  # all extents of 1
        return _reshape_to(o, x, *_stated_extents(o))
    dropped = {x.axis(axis) for axis in axes}
    low, high = x.trial_shapes()
    if any((low[axis], high[axis]) != (1, 1) for axis in dropped):
        raise WeightsError(f"damaged: leaves out axes {sorted(dropped)} of {x.shown}, which must be 1")
    return _reshape_to(
        o, x, *([one for axis, one in enumerate(own) if axis not in dropped] for own in (low, high))
    )


def _expand(o: Operation) -> Made:
    x, (axis,) = o.value(), o.integers(1, "the new axis")
    if not -x.rank - 1 <= axis <= x.rank:
        raise WeightsError(f"damaged: axis {axis} added to {x.shown}")
    low, high = x.trial_shapes()
    for extents in (low, high):
        extents.insert(axis % (x.rank + 1), 1)
    return _reshape_to(o, x, low, high)


def _reshape_to(o: Operation, x: Value, low: Sequence[int], high: Sequence[int]) -> Made:
    """Reshape to a shape, which is computed with both numbers of each free extent. One extent may be -1 (inferred).

    If the batch stays the first axis and the operand has a free extent, a reshape layer is added. It is also added if
    the batch stays first and the elements are in order, unless a TRANSPOSE is the result's only reader. In all other
    cases only the description of the layout changes (`converters.layout`), or an error refuses the reshape.
    """
    if not isinstance(x, FileTensor):
        return x.reshape(Constant.of_extents((low, high), o.budget))
    free, batch = any(atom.is_free for atom in x.order), o.c.batch
    if not free:
        low, high = map(_inferred, (low, high), map(math.prod, x.trial_shapes()))
    keeps_batch = bool(high) and (low[0], high[0]) == (batch.low, batch.high) and x.has_batch_first
    own = [first if first == second else -1 for first, second in zip(low[1:], high[1:], strict=True)]
    is_laid_out = _in_order(x) and (o.only_user is None or o.only_user.kind != "TRANSPOSE")
    if keeps_batch and (own.count(-1) == 1 if free else is_laid_out and x.rank > 1):
        return o.network.reshape(o.tensor(), own, name=o.name())
    fits = not free and math.prod(high) == math.prod(x.trial_shapes()[1])
    if not high or (batch.high != 1 and not (fits or free)):
        raise UnsupportedError(f"changes the batch, {x.shown} to {tuple(low)}")
    if not free and (not fits or min(high) < 1):
        raise WeightsError(f"damaged: makes {tuple(low)} of {x.shown}")
    return x.reshape_to(low, high)


def _inferred(extents: Sequence[int], count: int) -> list[int]:
    """Return a shape for this number of elements, with the extent for which -1 stands."""
    known = math.prod(extent for extent in extents if extent != -1)
    left = count // max(known, 1) if list(extents).count(-1) == 1 else -1
    return [left if extent == -1 else extent for extent in extents]


def _in_order(x: FileTensor) -> bool:
    """Return True if the elements are in memory in the order of the axes."""
    return x.order == tuple(atom for axis in x.axes for atom in axis if not atom.is_batch)


def _transpose(o: Operation) -> Made:
    """Convert TRANSPOSE. Only the description of the layout changes, until a layer needs another memory order."""
    x = o.value()
    return x.transpose([x.axis(axis) for axis in o.integers(1, "its order")])


# ---- Images ------------------------------------------------------------------------------------------------


def _depth_to_space(o: Operation) -> Made:
    block = o.options.integer(0)
    if o.are_integers(0):
        return depth_to_space(o.x(), block, block)
    x, name = o.tensor(), o.name()
    return o.network.depth_to_space(x, block, name=name)


def _sides(o: Operation) -> list[list[int]]:
    """Return the padding before and after each axis."""
    pairs: list[list[int]] = np.reshape(o.integers(1, "the padding"), (-1, 2)).tolist()
    return pairs


def _bordered(o: Operation, settings: dict[str, Any]) -> Made:
    """Pad an image by one layer, and other tensors by a layer for each axis. `settings` are the layer's attributes."""
    x, sides = o.x(), _sides(o)
    if len(sides) != x.rank:
        raise UnsupportedError(f"pads {len(sides)} axes of {x.shown}")
    if any(sides[0]):
        raise MixedImagesError("pads the batch")
    if x.rank == _IMAGE_RANK and x.has_batch_first:
        names = ("top", "bottom", "left", "right", "front", "back")
        attributes = dict(zip(names, chain(*sides[1:]), strict=True))
        return o.network.layer("padding", [o.c.tensor(x)], attributes | settings, name=o.name())
    for axis, (before, after) in enumerate(sides):
        if before or after:
            x = x.pad(axis, (before, after), settings)
            o.note_result(x.tensor)
    return x


def _pad(o: Operation) -> Made:
    value = 0.0
    if o.has(2):
        value = float(o.real(2, "the padding's value").reshape(-1)[0])
    return _bordered(o, {"value": value})


def _mirror_pad(o: Operation) -> Made:
    symmetric = o.integer(0, "b") != 0
    if o.are_integers(0):
        return integer_forms.mirror_pad(o, _sides(o), with_edge=symmetric)
    return _bordered(o, {"mode": "mirror_with_edge" if symmetric else "mirror"})


# ---- Types -------------------------------------------------------------------------------------------------


def _same_value(o: Operation) -> Made:
    """Convert QUANTIZE and DEQUANTIZE, which only matter for precision "int8".

    A change of scale becomes a neuron layer without a function, because LiteRT rounds it differently from a RELU that
    changes the scale. Clipping to the range of the result's integers follows in another layer.
    """
    if o.is_constant(0):
        o.c.constants.note_dequantized(o.outputs[0], o.inputs[0])
        return Constant.of(o.real(0, "its input"), o.budget)
    x = o.x()
    if o.changes_integers():
        limits = o.fused_activation(None)
        x = x.map({"kind": "none"}, "" if limits is None else "/integers")
        o.note_result(x.tensor)
        if limits is not None:
            x = x.map(limits)
    return x


def _zeros(o: Operation) -> Made:
    shape = Constant.of_extents(o.value().trial_shapes(), o.budget)
    return Constant.of(np.zeros((), np.float32), o.budget).fill(shape)


def _cast(o: Operation) -> Made:
    """Convert CAST. Integers and booleans are floats without a fraction here, so casts to wider types do nothing.

    Casts from floats to integers are refused, because they would have to round. So are casts to a type that lacks some
    of the integers, because they would have to wrap, except for positions along an axis, which fit into 32 bits.
    """
    source, target = o.stated(0).dtype, o.stated_result.dtype
    x = o.value()
    if isinstance(x, Constant):  # integers keep their type, so that the numbers of free extents fit into it
        are_whole = target.kind in "iu" and x.low.dtype.kind in "iu"
        return x if are_whole else x.cast(lambda numbers: numbers.astype(target))
    if target.kind == "b" and source.kind != "b":
        return _bytes_of(o).not_equal(0.0)
    fits = source.kind == "b" or np.can_cast(source, target)
    if target.kind != "f" and not fits and not (target.itemsize >= 4 and _are_positions(o)):
        raise UnsupportedError(f"makes {target} of {source} numbers that the network computes")
    return _bytes_of(o)


def _are_positions(o: Operation) -> bool:
    """Return True for the results of ARG_MAX and ARG_MIN, also with other shapes."""
    maker = o.maker(0)
    for _ in o.c.file.operators:  # a damaged file may have a circle
        if maker is None or maker.kind not in ("EXPAND_DIMS", "RESHAPE", "SQUEEZE", "TRANSPOSE"):
            break
        maker = o.c.file.makers.get(maker.inputs[0])
    return maker is not None and maker.kind in ("ARG_MAX", "ARG_MIN")


def _bytes_of(o: Operation) -> FileTensor:
    """Return the operand of a CAST. If it is quantized, CAST reads its integers, not the numbers they represent."""
    grid = o.c.integers.grid(o.inputs[0])
    if grid is None:
        return o.x()
    if o.c.integers.grid(o.result) is not None:
        raise UnsupportedError("copies integers with one scale to a tensor with another scale")
    line: Activation = {"kind": "linear", "a": 1.0 / grid.step, "b": float(grid.zero_point)}
    return o.x().map(line, "/integers").map("round")


ARRAY_OPS: dict[str, Handler] = {
    "CAST": _cast,
    "DENSIFY": lambda o: o.constant(0, "its input"),
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
