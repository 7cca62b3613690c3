"""Convert TensorFlow Lite's operators that slice, gather, tile, concatenate or stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpscnn.converters.strided_slice import MASKS, expand_indices, indices
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.logic import operands
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

# ---- Parts -------------------------------------------------------------------------------------------------


def _taken(x: FileTensor, axis: int, wanted: slice) -> FileTensor:
    """Return x[..., start:stop:step, ...] along an axis."""
    if wanted.start in (0, None) and wanted.stop is None and wanted.step in (1, None):
        return x
    extent = x.known_extent(axis, "takes a part of")
    if wanted.step == 0:
        raise WeightsError("damaged: its step is 0")
    positions = range(extent)[wanted]
    if not positions:
        raise WeightsError(
            f"damaged: takes {wanted.start}:{wanted.stop} of axis {axis} of {x.shown}, which is nothing"
        )
    return x.slice_axis(axis, positions)


def strided_indices(ranges: Sequence[Sequence[Any]], options: Table | None) -> list[Any]:
    """Return the indices of STRIDED_SLICE. An axis that is removed begins at 0 if its begin is masked."""
    masks = [options.integer(field) if options else 0 for field in range(len(MASKS))]
    begins = [0 if masks[0] >> place & 1 else number for place, number in enumerate(ranges[0])]
    return indices([begins, *ranges[1:]], masks)


def _strided_slice(c: Reader, operator: FileOperator) -> Made:
    x = c.seen(operator.inputs[0])
    ranges = [c.constants.integers(index, "its range") for index in operator.inputs[1:4]]
    entries = expand_indices(strided_indices(ranges, operator.options), x.rank)
    x = x.expand_dims(axis for axis, entry in enumerate(entries) if entry is None)
    shrunk = []
    for axis, entry in enumerate(entries):
        if isinstance(entry, int):
            shrunk.append(axis)
            entry = slice(entry, None if entry == -1 else entry + 1)
        if entry is not None:
            x = _taken(x, axis, entry)
    return x.squeeze(shrunk)


def _slice(c: Reader, operator: FileOperator) -> Made:
    x = c.seen(operator.inputs[0])
    begin, size = (c.constants.integers(index, "its range") for index in operator.inputs[1:3])
    if not len(begin) == len(size) == x.rank or min(begin) < 0:
        raise WeightsError(f"damaged: takes {begin} and {size} of {x.shown}")
    for axis, (first, count) in enumerate(zip(begin, size, strict=True)):
        extent = x.shape[axis]
        if count != -1 and extent is not None and first + count > extent:
            raise WeightsError(f"damaged: takes {first}:{first + count} of axis {axis} of {x.shown}")
        x = _taken(x, axis, slice(first, None if count == -1 else first + count))
    return x


def _split(c: Reader, operator: FileOperator) -> None:
    sized = operator.kind == "SPLIT_V"
    x = c.seen(operator.inputs[0 if sized else 1])
    (axis,) = c.constants.integers(operator.inputs[2 if sized else 0], "its axis")
    axis = x.axis(axis)
    extent, count = x.known_extent(axis, "splits"), len(operator.outputs)
    sizes = [extent // count] * count
    if sized:
        sizes = c.constants.integers(operator.inputs[1], "its sizes")
        sizes = [extent - sum(sizes) - 1 if size == -1 else size for size in sizes]
    if len(sizes) != count or min(sizes) < 1 or sum(sizes) != extent:
        raise WeightsError(f"damaged: splits {x.shown} along axis {axis} into {sizes[:5]}")
    start = 0
    for output, size in zip(operator.outputs, sizes, strict=True):
        c.begin(output)
        y = x.slice_axis(axis, range(start, start + size))
        c.set_value(output, c.reinterpreted_as(operator.outputs[0], output, y))
        start += size


def _unpack(c: Reader, operator: FileOperator) -> None:
    x = c.seen(operator.inputs[0])
    axis = x.axis(operator.integer(1))
    if x.shape[axis] != len(operator.outputs):
        raise WeightsError(f"damaged: takes {x.shown} apart along axis {axis} into {len(operator.outputs)}")
    for position, output in enumerate(operator.outputs):
        c.begin(output)
        y = x.slice_axis(axis, range(position, position + 1))
        c.set_value(output, y.squeeze([axis]))


def _gather(c: Reader, operator: FileOperator) -> Made:
    """Convert GATHER. The axes of the indices replace the axis."""
    if c.is_constant(operator.inputs[0]):
        return _look_up(c, operator)
    x = c.seen(operator.inputs[0])
    axis = x.axis(operator.integer(0))
    batches = operator.integer(1)
    if not c.is_constant(operator.inputs[1]):
        if batches not in (0, 1):
            raise UnsupportedError(f"takes other positions for each element of {batches} axes of {x.shown}")
        places = c.seen(operator.inputs[1])
        return x.gather(axis, places, of_each_image=bool(batches))
    if batches:
        raise UnsupportedError("takes other positions for each image of the batch")
    table, extent = (
        c.constants.stored(operator.inputs[1], "its positions"),
        x.known_extent(axis, "takes a part of"),
    )
    if table.dtype.kind not in "iu" or table.size == 0:
        raise WeightsError(f"damaged: its positions are {table.dtype} of shape {table.shape}")
    c.constants.count(8 * table.size)
    if not 0 <= int(table.min()) <= int(table.max()) < extent:
        raise WeightsError(
            f"damaged: takes positions {int(table.min())} to {int(table.max())} of axis {axis} of {x.shown}"
        )
    return x.take_by_table(axis, table)


def _look_up(c: Reader, operator: FileOperator) -> Made:
    """Convert GATHER of a constant by computed indices: an embedding lookup."""
    table = c.constants.real(operator.inputs[0], "its table")
    if operator.integer(0) or operator.integer(1) or table.ndim < 2:
        raise UnsupportedError(f"looks up a constant {table.shape} along another axis than the first one")
    return c.seen(operator.inputs[1]).look_up(table)


def _reverse(c: Reader, operator: FileOperator) -> Made:
    x = c.seen(operator.inputs[0])
    for axis in c.constants.integers(operator.inputs[1], "its axes"):
        x = x.reverse(x.axis(axis))
    return x


# ---- Repetition --------------------------------------------------------------------------------------------


def _tile(c: Reader, operator: FileOperator) -> Made:
    x, counts = c.seen(operator.inputs[0]), c.constants.integers(operator.inputs[1], "its counts")
    if len(counts) != x.rank or min(counts) < 1:
        raise UnsupportedError(f"repeats {x.shown} {counts} times")
    return x.tile(counts)


def _broadcast(c: Reader, operator: FileOperator) -> Made:
    x, target = c.seen(operator.inputs[0]), c.constants.integers(operator.inputs[1], "its shape")
    if len(target) < x.rank:
        raise WeightsError(f"damaged: spreads {x.shown} to {target}")
    x = x.expand_dims(range(len(target) - x.rank))
    return x.tile([_repeats(x, axis, wanted) for axis, wanted in enumerate(target)])


def _repeats(x: FileTensor, axis: int, wanted: int) -> int:
    extent = x.shape[axis]
    if extent == wanted:
        return 1
    if extent is None:
        raise UnsupportedError(f"spreads {x.shown}, whose size is free: {CHOOSE_SIZE}")
    if extent != 1 or wanted < 1:
        raise WeightsError(f"damaged: spreads axis {axis} of {x.shown} to {wanted}")
    return wanted


# ---- Concatenation ----------------------------------------------------------------------------------------


def _concatenation(c: Reader, operator: FileOperator) -> Made:
    if c.activation(operator, 1) is not None:
        raise UnsupportedError("it ends with an activation, which is not supported")
    first, *others = operands(c, operator)
    return first.concat(others, first.axis(c.options(operator).integer(0)))


def _pack(c: Reader, operator: FileOperator) -> Made:
    axis = operator.integer(1)
    first, *others = (part.expand_dims([axis]) for part in operands(c, operator))
    return first.concat(others, first.axis(axis))


def _space_to_depth(c: Reader, operator: FileOperator) -> Made:
    """Convert SPACE_TO_DEPTH: pixel (y, x) of a block becomes the channels (y * block + x) * channels + c."""
    return c.seen(operator.inputs[0]).space_to_depth(c.options(operator).integer(0))


PARTS: dict[str, Handler] = {
    "BROADCAST_TO": _broadcast,
    "CONCATENATION": _concatenation,
    "GATHER": _gather,
    "PACK": _pack,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "UNPACK": _unpack,
}
