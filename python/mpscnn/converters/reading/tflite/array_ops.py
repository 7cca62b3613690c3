"""Convert TensorFlow Lite's operators that reshape, transpose, pad, cast or requantize, or that compute shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Literal

import numpy as np

from mpscnn.converters.opening.unsupported import MixedImagesError
from mpscnn.converters.reading.tflite import integer_forms
from mpscnn.converters.reading.tflite.operation import Operation, Source
from mpscnn.converters.reading.tflite.row_calls import Either, Given, X
from mpscnn.converters.values.constant import CHEAP, Constant, listed
from mpscnn.converters.values.constant_pair import Array
from mpscnn.converters.values.image_blocks import depth_to_space
from mpscnn.converters.values.rows import Ints, Operand, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Shape = Annotated[Constant, Operand("its shape")]
Numbers = Annotated[Constant, Operand("its numbers")]


def _broadcast_args(first: Shape, second: Shape) -> Value:
    """Compute BROADCAST_ARGS: the shape to which two shapes are broadcast."""

    def broadcast(*shapes: Array) -> Array:
        extents = [listed(shape, "its shape") for shape in shapes]
        return first.run(shapes[0].size, CHEAP, lambda: np.array(np.broadcast_shapes(*extents), np.int64))

    return first.compute(broadcast, second)


def _fill(shape: Shape, number: Annotated[Constant, Operand("its number")]) -> Value:
    return number.fill(shape)


def _range(first: Numbers, end: Numbers, step: Numbers) -> Value:
    return first.count_up_to(end, step)


def _rank(op: Operation, x: Either) -> Value:
    return Constant.of(np.array(x.rank, np.int64), op.budget)


@ignores("out_type")
def _shape(op: Operation, x: Either) -> Value:
    return Constant.of_extents(x.trial_shapes(), op.budget)


SHAPES: dict[str, Row] = {
    "BROADCAST_ARGS": _broadcast_args,
    "FILL": _fill,
    "RANGE": _range,
    "RANK": _rank,
    "SHAPE": _shape,
}


_IMAGE_RANK = 4

# ---- Shapes ------------------------------------------------------------------------------------------------


def _reshape(op: Operation, x: Either, shape: Given | None = None, *, new_shape: Ints = ()) -> Value | Tensor:
    """Convert RESHAPE. The new shape comes from the second input, the options, or the result's stated shape."""
    if shape is not None and (shape.is_constant or None in x.trial_shapes()):
        return _reshape_to(op, x, *shape.extents("the new shape"))
    if shape is None and new_shape:
        return _reshape_to(op, x, new_shape, new_shape)
    return _reshape_to(op, x, *_stated_extents(op))


def _stated_extents(op: Operation) -> tuple[list[int], list[int]]:
    """Return the result's shape in the file, with both numbers of the batch if it is free there."""
    stated, batch = op.stated_result, op.c.batch
    high = list(stated.shape)
    if 0 in stated.free_axes and high[0] == batch.low:
        high[0] = batch.high
    return list(stated.shape), high


def _squeeze(op: Operation, x: Either, *, squeeze_dims: Ints = ()) -> Value | Tensor:
    if not squeeze_dims and isinstance(x, Constant):
        return x.squeeze(None)
    if not squeeze_dims:  # all extents of 1
        return _reshape_to(op, x, *_stated_extents(op))
    dropped = {x.axis(axis) for axis in squeeze_dims}
    low, high = x.trial_shapes()
    if any((low[axis], high[axis]) != (1, 1) for axis in dropped):
        raise WeightsError(f"damaged: leaves out axes {sorted(dropped)} of {x.shown}, which must be 1")
    return _reshape_to(
        op, x, *([one for axis, one in enumerate(own) if axis not in dropped] for own in (low, high))
    )


def _expand(op: Operation, x: Either, axis: Annotated[int, Operand("the new axis")]) -> Value | Tensor:
    if not -x.rank - 1 <= axis <= x.rank:
        raise WeightsError(f"damaged: axis {axis} added to {x.shown}")
    low, high = x.trial_shapes()
    for extents in (low, high):
        extents.insert(axis % (x.rank + 1), 1)
    return _reshape_to(op, x, low, high)


def _reshape_to(op: Operation, x: Value, low: Sequence[int], high: Sequence[int]) -> Value | Tensor:
    """Reshape to a shape, which is computed with both numbers of each free extent. One extent may be -1 (inferred).

    If the batch stays the first axis and the operand has a free extent, a reshape layer is added. It is also added if
    the batch stays first and the elements are in order, unless a TRANSPOSE is the result's only reader. In all other
    cases only the description of the layout changes (`converters.values.layout`), or an error refuses the reshape.
    """
    if not isinstance(x, FileTensor):
        return x.reshape(Constant.of_extents((low, high), op.budget))
    free, batch = any(atom.is_free for atom in x.order), op.c.batch
    if not free:
        low, high = map(_inferred, (low, high), map(math.prod, x.trial_shapes()))
    keeps_batch = bool(high) and (low[0], high[0]) == (batch.low, batch.high) and x.has_batch_first
    own = [first if first == second else -1 for first, second in zip(low[1:], high[1:], strict=True)]
    is_laid_out = _in_order(x) and (op.only_user is None or op.only_user.kind != "TRANSPOSE")
    if keeps_batch and (own.count(-1) == 1 if free else is_laid_out and x.rank > 1):
        return op.network.reshape(op.c.tensor(x), own, name=op.name())
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


def _transpose(x: Either, order: Annotated[Ints, Operand("its order")]) -> Value:
    """Convert TRANSPOSE. Only the description of the layout changes, until a layer needs another memory order."""
    return x.transpose([x.axis(axis) for axis in order])


# ---- Images ------------------------------------------------------------------------------------------------

Borders = Annotated[Ints, Operand("the padding")]


def _depth_to_space(op: Operation, x: Given, *, block_size: int) -> Value | Tensor:
    if op.are_integers(x):
        return depth_to_space(x.computed(), block_size, block_size)
    tensor, name = x.tensor(), op.name()
    return op.network.depth_to_space(tensor, block_size, name=name)


def _sides(padding: Ints) -> list[list[int]]:
    """Return the padding before and after each axis."""
    pairs: list[list[int]] = np.reshape(padding, (-1, 2)).tolist()
    return pairs


def _bordered(op: Operation, x: FileTensor, padding: Ints, settings: dict[str, Any]) -> Value | Tensor:
    """Pad an image by one layer, and other tensors by a layer for each axis. `settings` are the layer's attributes."""
    sides = _sides(padding)
    if len(sides) != x.rank:
        raise UnsupportedError(f"pads {len(sides)} axes of {x.shown}")
    if any(sides[0]):
        raise MixedImagesError("pads the batch")
    if x.rank == _IMAGE_RANK and x.has_batch_first:
        names = ("top", "bottom", "left", "right", "front", "back")
        attributes = dict(zip(names, chain(*sides[1:]), strict=True))
        return op.network.layer("padding", [op.c.tensor(x)], attributes | settings, name=op.name())
    for axis, (before, after) in enumerate(sides):
        if before or after:
            x = x.pad(axis, (before, after), settings)
            op.note(x.tensor)
    return x


def _pad(
    op: Operation, x: X, padding: Borders, value: Annotated[float, Operand("the padding's value")] = 0.0
) -> Value | Tensor:
    return _bordered(op, x, padding, {"value": value})


def _mirror_pad(
    op: Operation, x: Given, padding: Borders, *, mode: Literal["REFLECT", "SYMMETRIC"] = "REFLECT"
) -> Value | Tensor:
    symmetric = mode == "SYMMETRIC"
    if op.are_integers(x):
        return integer_forms.mirror_pad(x, _sides(padding), with_edge=symmetric)
    kind = "mirror_with_edge" if symmetric else "mirror"
    return _bordered(op, x.computed(), padding, {"mode": kind})


# ---- Types -------------------------------------------------------------------------------------------------


def _same_value(op: Operation, source: Given) -> Value:
    """Convert QUANTIZE and DEQUANTIZE, which only matter for precision "int8".

    A change of scale becomes a neuron layer without a function, because LiteRT rounds it differently from a RELU that
    changes the scale. Clipping to the range of the result's integers follows in another layer.
    """
    if source.is_constant:
        op.c.constants.note_dequantized(op.result, source.index)
        return Constant.of(source.real("its input"), op.budget)
    x = source.computed()
    if op.changes_integers(source):
        limits = op.fused(None)
        x = x.map({"kind": "none"}, "" if limits is None else "/integers")
        op.note(x.tensor)
        if limits is not None:
            x = x.map(limits)
    return x


def _densify(x: Annotated[Constant, Operand("its input")]) -> Value:
    return x


def _zeros(op: Operation, x: Either) -> Value:
    shape = Constant.of_extents(x.trial_shapes(), op.budget)
    return Constant.of(np.zeros((), np.float32), op.budget).fill(shape)


@ignores("in_data_type", "out_data_type")
def _cast(op: Operation, given: Given) -> Value:
    """Convert CAST. Integers and booleans are floats without a fraction here, so casts to wider types do nothing.

    Casts from floats to integers are refused, because they would have to round. So are casts to a type that lacks some
    of the integers, because they would have to wrap, except for positions along an axis, which fit into 32 bits.
    """
    source, target = given.stated.dtype, op.stated_result.dtype
    x = given.value()
    if isinstance(x, Constant):  # integers keep their type, so that the numbers of free extents fit into it
        are_whole = target.kind in "iu" and x.low.dtype.kind in "iu"
        return x if are_whole else x.cast(lambda numbers: numbers.astype(target))
    if target.kind == "b" and source.kind != "b":
        return _bytes_of(op, given).not_equal(0.0)
    fits = source.kind == "b" or np.can_cast(source, target)
    if target.kind != "f" and not fits and not (target.itemsize >= 4 and _are_positions(given)):
        raise UnsupportedError(f"makes {target} of {source} numbers that the network computes")
    return _bytes_of(op, given)


def _are_positions(x: Source) -> bool:
    """Return True for the results of ARG_MAX and ARG_MIN, also with other shapes."""
    maker, file = x.maker, x.c.file
    for _ in file.operators:  # a damaged file may have a circle
        if maker is None or maker.kind not in ("EXPAND_DIMS", "RESHAPE", "SQUEEZE", "TRANSPOSE"):
            break
        maker = file.makers.get(maker.inputs[0])
    return maker is not None and maker.kind in ("ARG_MAX", "ARG_MIN")


def _bytes_of(op: Operation, x: Source) -> FileTensor:
    """Return the operand of a CAST. If it is quantized, CAST reads its integers, not the numbers they represent."""
    grid = op.c.integers.grid(x.index)
    if grid is None:
        return x.computed()
    if op.c.integers.grid(op.result) is not None:
        raise UnsupportedError("copies integers with one scale to a tensor with another scale")
    line: Activation = {"kind": "linear", "a": 1.0 / grid.step, "b": float(grid.zero_point)}
    return x.computed().map(line, "/integers").map("round")


ARRAY_OPS: dict[str, Row] = {
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
