"""Convert Core AI's operations that read or write a part of a tensor: steps from a first to a last element."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.blocks import take_part
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Ints
from mpscnn.errors import UnsupportedError, WeightsError


def read_backwards(
    b: Builder, x: str, starts: Sequence[int], ends: Sequence[int], strides: Ints, extents: Ints | None
) -> str:
    """Read a part, along some axes backwards.

    By its documentation, an end before the first element includes that element. By the shapes that Apple's library
    computes, it does not. So the shape that the program states decides.
    """
    parts = []
    for axis, (start, end, step) in enumerate(zip(starts, ends, strides, strict=True)):
        count = b.extents(x)[axis]
        if count is None or extents is None:
            raise UnsupportedError("takes a part of an axis backwards whose extent is free")
        if step > 0:
            parts.append(slice(start, end, step))
            continue
        first = min(max(start + count if start < 0 else start, 0), count - 1)
        beyond = end + count if end < 0 else end
        choices = [range(first, max(beyond, last), step) for last in (-1, 0)]
        chosen = next((one for one in choices if len(one) == extents[axis]), None)
        if not chosen:
            raise WeightsError(
                f"damaged: takes {extents[axis]} elements backwards from {start} to {end} of {count}"
            )
        after = chosen[-1] + step
        parts.append(slice(first, None if after < 0 else after, step))
    return take_part(b, x, parts)


def write_part(b: Builder, x: str, begins: Ints, ends: Ints, strides: Ints, update: str) -> str:
    """Return x with another part: along each axis, the last one first, join what is before, the part, what is after."""
    parts = []
    for extent, begin, end, step in zip(b.extents(x), begins, ends, strides, strict=True):
        if extent is None or step != 1:
            raise UnsupportedError("writes into an axis whose extent is free, or with steps")
        first, last, _ = slice(begin, end).indices(extent)
        parts.append((slice(0, first), slice(first, max(first, last)), slice(max(first, last), extent)))
    for axis in reversed(range(len(parts))):
        around = [inside for _, inside, _ in parts[:axis]]
        joined = [
            update if part is parts[axis][1] else take_part(b, x, [*around, part, ...])
            for part in parts[axis]
            if part is parts[axis][1] or part.start < part.stop
        ]
        update = ops.concatenate(b, *joined, axis=axis) if len(joined) > 1 else update
    return update
