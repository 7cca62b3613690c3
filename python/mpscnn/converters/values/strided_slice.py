"""Read the StridedSlice of TensorFlow and TensorFlow Lite: vectors of numbers, and masks with a bit for each index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mpscnn.errors import UnsupportedError, WeightsError

_MAX_AXES = 32
MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
"""The names of the masks, in the order of TensorFlow Lite's options."""


def indices(ranges: Sequence[Sequence[Any]], masks: Sequence[int]) -> list[Any]:
    """Return the indices of x[...] in NumPy: slices, numbers, None for new axes, and at most one Ellipsis.

    Args:
        ranges: begins, ends and strides, with one integer for each index. None stands for an integer that depends on a
            free size.
        masks: the masks in the order of `MASKS`.

    Raises WeightsError if they contradict each other, and UnsupportedError if an index depends on a free size.
    """
    begins, ends, strides = ranges
    if not len(begins) == len(ends) == len(strides) <= _MAX_AXES:
        raise WeightsError("damaged: its begins, ends and strides differ in number")
    made: list[Any] = []
    for place, (first, last, step) in enumerate(zip(begins, ends, strides, strict=True)):
        has = {name for name, mask in zip(MASKS, masks, strict=True) if mask >> place & 1}
        if "ellipsis" in has:
            made.append(Ellipsis)
        elif "new_axis" in has:
            made.append(None)
        elif "shrink_axis" in has:
            made.append(_number(first))
        else:
            start = None if "begin" in has else _number(first)
            made.append(slice(start, None if "end" in has else _number(last), _number(step)))
    if made.count(Ellipsis) > 1:
        raise WeightsError("damaged: more than one ellipsis")
    return made


def from_begins_and_sizes(begins: Iterable[Any], sizes: Iterable[Any]) -> list[slice]:
    """Return the indices of Slice: a begin and a size for each axis. A size of -1 takes all from the begin on."""
    return [
        slice(int(first), None if int(count) == -1 else int(first) + int(count))
        for first, count in zip(begins, sizes, strict=True)
    ]


def expand_indices(made: Sequence[Any], rank: int) -> list[int | slice | None]:
    """Return a slice, a number or None (a new axis) for each axis of a tensor of this rank, and for each new axis."""
    used = sum(entry is not None and entry is not Ellipsis for entry in made)
    if used > rank:
        raise WeightsError(f"damaged: takes places along {used} of {rank} axes")
    entries: list[int | slice | None] = []
    for entry in made if Ellipsis in made else [*made, Ellipsis]:
        entries += [slice(None)] * (rank - used) if entry is Ellipsis else [entry]
    return entries


def _number(value: Any) -> int:
    if value is None:
        raise UnsupportedError("a place depends on a free size")
    return int(value)
