"""Convert TensorFlow Lite's operators that slice, gather, tile, concatenate or stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from mpscnn.converters.reading.tflite.operation import Operation, Source, together
from mpscnn.converters.reading.tflite.row_calls import Either, Given, X
from mpscnn.converters.values.constant import Constant, listed
from mpscnn.converters.values.constant_pair import Array
from mpscnn.converters.values.image_blocks import space_to_depth
from mpscnn.converters.values.rows import Ints, Operand, Row, ignores
from mpscnn.converters.values.strided_slice import from_begins_and_sizes, indices
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError

Range = Annotated[Constant, Operand("its range")]
Axis = Annotated[int, Operand("its axis")]

# ---- Parts -------------------------------------------------------------------------------------------------


def _strided_slice(
    x: Either, begins: Range, ends: Range, steps: Range, *, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0, offset: bool = False,
) -> Value:  # fmt: skip
    """Convert STRIDED_SLICE. An axis that is removed begins at 0 if its begin is masked."""
    masks = [begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask]
    if offset:
        raise UnsupportedError("its ends are relative to its begins, which is not supported")

    def parts(_: tuple[int, ...], *ranges: Array) -> list[Any]:
        begins, *others = (listed(one, "its range") for one in ranges)
        if any(mask >> len(begins) for mask in masks[2:]):
            raise WeightsError(f"damaged: its masks {masks} are of more indices than it has")
        begins = [0 if masks[0] >> place & 1 else number for place, number in enumerate(begins)]
        return indices([begins, *others], masks)

    return x.slice(parts, begins, ends, steps)


def _slice(x: Either, first: Range, extents: Range) -> Value:
    begins, sizes = (listed(one.low, "its range") for one in (first, extents))
    if not len(begins) == len(sizes) == x.rank or min(begins) < 0:
        raise WeightsError(f"damaged: takes {begins} and {sizes} of {x.shown}")
    for axis, (begin, count, low, high) in enumerate(zip(begins, sizes, *x.trial_shapes(), strict=True)):
        if low == high < begin + count:
            raise WeightsError(f"damaged: takes {begin}:{begin + count} of axis {axis} of {x.shown}")
    return x.slice(lambda _, *numbers: from_begins_and_sizes(*numbers), first, extents)


@ignores("num_splits")
def _split(op: Operation, axis: Axis, x: Either) -> Iterator[Value]:
    axis = x.axis(axis)
    extent, count = x.known_extent(axis, "splits"), len(op.stated.outputs)
    return _parts(op, x, axis, [extent // count] * count)


@ignores("num_splits")
def _split_v(
    op: Operation, x: Either, sizes: Annotated[Ints, Operand("its sizes")], axis: Axis
) -> Iterator[Value]:
    axis = x.axis(axis)
    extent = x.known_extent(axis, "splits")
    return _parts(op, x, axis, [extent - sum(sizes) - 1 if size == -1 else size for size in sizes])


def _parts(op: Operation, x: Value, axis: int, sizes: Sequence[int]) -> Iterator[Value]:
    outputs = op.stated.outputs
    if len(sizes) != len(outputs):
        raise WeightsError(
            f"damaged: splits {x.shown} into {len(sizes)} parts, but has {len(outputs)} results"
        )
    for output, part in zip(outputs, x.split(axis, sizes), strict=True):
        yield op.reinterpreted(part, output)


@ignores("num")
def _unpack(op: Operation, x: Either, *, axis: int = 0) -> Iterator[Value]:
    count, axis = len(op.stated.outputs), x.axis(axis)
    if any(shape[axis] != count for shape in x.trial_shapes()):
        raise WeightsError(f"damaged: takes {x.shown} apart along axis {axis} into {count}")
    for part in x.split(axis, [1] * count):
        yield part.squeeze([axis])


def _gather(source: Given, places: Given, *, axis: int = 0, batch_dims: int = 0) -> Value:
    """Convert GATHER. The axes of the indices replace the axis."""
    if source.is_constant and not places.is_constant:
        return _look_up(source, places, axis, batch_dims)
    x = source.value()
    axis = x.axis(axis)
    if not places.is_constant:
        if batch_dims not in (0, 1):
            raise UnsupportedError(
                f"takes other positions for each element of {batch_dims} axes of {x.shown}"
            )
        return source.computed().gather(axis, places.computed(), of_each_image=bool(batch_dims))
    if batch_dims:
        raise UnsupportedError("takes other positions for each image of the batch")
    positions = places.constant("its positions")
    if (positions.fixed("its positions") < 0).any():
        raise WeightsError(f"damaged: takes positions below 0 of axis {axis} of {x.shown}")
    return x.take(axis, positions)


def _look_up(source: Source, places: Source, axis: int, batch_dims: int) -> Value:
    """Convert GATHER of a constant by computed indices: an embedding lookup."""
    table = source.real("its table")
    if axis or batch_dims or table.ndim < 2:
        raise UnsupportedError(f"looks up a constant {table.shape} along another axis than the first one")
    return places.computed().look_up(table)


def _reverse(x: X, axes: Annotated[Ints, Operand("its axes")]) -> Value:
    for axis in axes:
        x = x.reverse(x.axis(axis))
    return x


def _tile(x: Either, counts: Annotated[Ints, Operand("its counts")]) -> Value:
    return x.tile(counts)


def _broadcast(x: Either, shape: Annotated[Constant, Operand("its shape")]) -> Value:
    return x.broadcast_to(shape)


def _space_to_depth(x: X, *, block_size: int) -> Value:
    return space_to_depth(x, block_size)


# ---- Concatenation ----------------------------------------------------------------------------------------


def _concatenation(*x: Given, axis: int = 0, fused_activation_function: Literal["NONE"] = "NONE") -> Value:
    del fused_activation_function
    first, *others = together(x)
    return first.concat(others, first.axis(axis))


@ignores("values_count")
def _pack(*x: Given, axis: int = 0) -> Value:
    first, *others = together(x)
    return first.stack(others, axis)


PARTS: dict[str, Row] = {
    "BROADCAST_TO": _broadcast,
    "CONCATENATION": _concatenation,
    "GATHER": _gather,
    "PACK": _pack,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "UNPACK": _unpack,
}
