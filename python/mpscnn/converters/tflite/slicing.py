"""Convert TensorFlow Lite's operators that slice, gather, tile, concatenate or stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mpscnn.converters.constant import listed
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.image_blocks import space_to_depth
from mpscnn.converters.strided_slice import MASKS, from_begins_and_sizes, indices
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError, WeightsError

# ---- Parts -------------------------------------------------------------------------------------------------


def _strided_slice(o: Operation) -> Made:
    """Convert STRIDED_SLICE. An axis that is removed begins at 0 if its begin is masked."""
    masks = [o.integer(field) for field in range(len(MASKS))]
    if o.flag(len(MASKS)):
        raise UnsupportedError("its ends are relative to its begins, which is not supported")

    def parts(_: tuple[int, ...], *ranges: Array) -> list[Any]:
        begins, *others = (listed(one, "its range") for one in ranges)
        if any(mask >> len(begins) for mask in masks[2:]):
            raise WeightsError(f"damaged: its masks {masks} are of more indices than it has")
        begins = [0 if masks[0] >> place & 1 else number for place, number in enumerate(begins)]
        return indices([begins, *others], masks)

    return o.value().slice(parts, *(o.constant(place, "its range") for place in (1, 2, 3)))


def _slice(o: Operation) -> Made:
    x, ranges = o.value(), [o.constant(place, "its range") for place in (1, 2)]
    begins, sizes = (listed(one.low, "its range") for one in ranges)
    if not len(begins) == len(sizes) == x.rank or min(begins) < 0:
        raise WeightsError(f"damaged: takes {begins} and {sizes} of {x.shown}")
    for axis, (first, count, low, high) in enumerate(zip(begins, sizes, *x.trial_shapes(), strict=True)):
        if low == high < first + count:
            raise WeightsError(f"damaged: takes {first}:{first + count} of axis {axis} of {x.shown}")
    return x.slice(lambda _, *numbers: from_begins_and_sizes(*numbers), *ranges)


def _split(o: Operation) -> Iterator[Value]:
    sized = o.kind == "SPLIT_V"
    x = o.value(0 if sized else 1)
    (axis,) = o.integers(2 if sized else 0, "its axis")
    axis = x.axis(axis)
    extent, count = x.known_extent(axis, "splits"), len(o.outputs)
    sizes = [extent // count] * count
    if sized:
        sizes = o.integers(1, "its sizes")
        sizes = [extent - sum(sizes) - 1 if size == -1 else size for size in sizes]
    if len(sizes) != count:
        raise WeightsError(f"damaged: splits {x.shown} into {len(sizes)} parts, but has {count} results")
    for output, part in zip(o.outputs, x.split(axis, sizes), strict=True):
        yield o.reinterpreted(part, output)


def _unpack(o: Operation) -> Iterator[Value]:
    x, count = o.value(), len(o.outputs)
    axis = x.axis(o.integer(1))
    if any(shape[axis] != count for shape in x.trial_shapes()):
        raise WeightsError(f"damaged: takes {x.shown} apart along axis {axis} into {count}")
    for part in x.split(axis, [1] * count):
        yield part.squeeze([axis])


def _gather(o: Operation) -> Made:
    """Convert GATHER. The axes of the indices replace the axis."""
    batches = o.integer(1)
    if o.is_constant(0) and not o.is_constant(1):
        return _look_up(o)
    x = o.value()
    axis = x.axis(o.integer(0))
    if not o.is_constant(1):
        if batches not in (0, 1):
            raise UnsupportedError(f"takes other positions for each element of {batches} axes of {x.shown}")
        return o.x().gather(axis, o.x(1), of_each_image=bool(batches))
    if batches:
        raise UnsupportedError("takes other positions for each image of the batch")
    positions = o.constant(1, "its positions")
    if (positions.fixed("its positions") < 0).any():
        raise WeightsError(f"damaged: takes positions below 0 of axis {axis} of {x.shown}")
    return x.take(axis, positions)


def _look_up(o: Operation) -> Made:
    """Convert GATHER of a constant by computed indices: an embedding lookup."""
    table = o.real(0, "its table")
    if o.integer(0) or o.integer(1) or table.ndim < 2:
        raise UnsupportedError(f"looks up a constant {table.shape} along another axis than the first one")
    return o.x(1).look_up(table)


def _reverse(o: Operation) -> Made:
    x = o.x()
    for axis in o.integers(1, "its axes"):
        x = x.reverse(x.axis(axis))
    return x


# ---- Concatenation ----------------------------------------------------------------------------------------


def _concatenation(o: Operation) -> Made:
    o.refuse_activation(1)
    first, *others = o.values()
    return first.concat(others, first.axis(o.integer(0)))


def _pack(o: Operation) -> Made:
    first, *others = o.values()
    return first.stack(others, o.integer(1))


PARTS: dict[str, Handler] = {
    "BROADCAST_TO": lambda o: o.value().broadcast_to(o.constant(1, "its shape")),
    "CONCATENATION": _concatenation,
    "GATHER": _gather,
    "PACK": _pack,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": lambda o: space_to_depth(o.x(), o.options.integer(0)),
    "SPLIT": _split,
    "SPLIT_V": _split,
    "STRIDED_SLICE": _strided_slice,
    "TILE": lambda o: o.value().tile(o.integers(1, "its counts")),
    "UNPACK": _unpack,
}
