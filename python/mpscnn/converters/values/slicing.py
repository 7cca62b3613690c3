"""Add operations on one axis of a value: slice, repeat, pad, gather."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, ONE_IMAGE
from mpscnn.converters.values.layout import Arranged, Atom, Axis, product, trial_shapes
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.errors import UnsupportedError, WeightsError

_IMAGE_RANK = 4
_MAX_PLACES = 1 << 20  # a layer's list of positions is part of the network's JSON, whose length is limited
# Parameters of the operations for axis 1, 2 and 3 of a tensor of four axes.
_SLICES = (
    ("top", "height", "stride_y"),
    ("left", "width", "stride_x"),
    ("front", "channels", "stride_channels"),
)
_BORDERS = (("top", "bottom"), ("left", "right"), ("front", "back"))
_TILES = ("rows", "columns", "channels")
PAD_MODES = {"constant": "constant", "edge": "clamp", "reflect": "mirror", "symmetric": "mirror_with_edge"}
"""The modes of mpscnn's padding layer by the names that NumPy, ONNX and Keras give them."""

_NO_END = 2**31 - 1  # a larger end stands for the end of any axis


def slice_axis(a: Arranger, x: Arranged, axis: int, positions: range) -> Arranged:
    """Slice an axis: take the positions of a range, whose step may be negative."""
    if positions == range(product(x.axes[axis]) or 0):
        return x
    if positions.step > 0 and any(atom.is_batch and atom.high != 1 for atom in x.axes[axis]):
        raise UnsupportedError(f"leaves out images of the batch of {x.shown}: {ONE_IMAGE}")
    new: Axis = () if len(positions) == 1 else (Atom(len(positions)),)

    def attributes(place: int) -> dict[str, Any]:
        first, extent, stride = _SLICES[place]
        return {first: positions.start, extent: len(positions), stride: positions.step}

    return _changed(a, x, axis, new, "slice", attributes)


def reverse(a: Arranger, x: Arranged, axis: int) -> Arranged:
    """Reverse an axis, whose extent may be free."""
    new = tuple(Atom(atom.low, atom.high) for atom in x.axes[axis] if not atom.is_batch)

    def attributes(place: int) -> dict[str, Any]:
        first, extent, stride = _SLICES[place]
        return {first: -1, extent: 0, stride: -1}  # 0 stands for all elements

    return _changed(a, x, axis, new, "slice", attributes)


def repeat(a: Arranger, x: Arranged, axis: int, times: int) -> Arranged:
    """Tile an axis: repeat it as a whole this many times."""
    new = (Atom(times), *(atom for atom in x.axes[axis] if not atom.is_batch))
    return _changed(a, x, axis, new, "tile", lambda place: {_TILES[place]: times})


def pad(a: Arranger, x: Arranged, axis: int, sides: tuple[int, int], settings: dict[str, Any]) -> Arranged:
    """Pad an axis before and after; negative sides crop. `settings` are attributes of mpscnn's padding layer."""
    extent = product(x.axes[axis])
    (new,) = a.atoms([None if extent is None else extent + sum(sides)])

    def attributes(place: int) -> dict[str, Any]:
        return {**dict(zip(_BORDERS[place], sides, strict=True)), **settings}

    return _changed(a, x, axis, new, "padding", attributes)


def _changed(
    a: Arranger,
    x: Arranged,
    axis: int,
    new: Axis,
    operation: str,
    attributes: Callable[[int], dict[str, Any]],
) -> Arranged:
    """Apply an operation on images to one axis of a value. `new` is this axis of the result, as atoms (see arrange.py).

    `attributes` returns the operation's attributes. Its argument is the image axis that holds the value's axis: 0 for
    rows, 1 for columns, 2 for channels.
    """
    x = x.with_batch_outside(axis)
    atoms = x.axes[axis]
    axes = (*x.axes[:axis], new, *x.axes[axis + 1 :])
    x = a.make_contiguous(x, atoms)
    groups = a.grouping(x) if len(x.tensor.shape) == _IMAGE_RANK else None
    keeps_sizes = sum(atom.is_free for atom in x.order) > 1
    if groups and atoms in groups and (atoms or keeps_sizes):
        tensor, place = x.tensor, groups.index(atoms)
    else:
        tensor, groups, place = a.image_around(x, atoms)
    order = tuple(atom for group in (*groups[:place], new, *groups[place + 1 :]) for atom in group)
    y = a.network.layer(operation, [tensor], attributes(place), name=a.name(""))
    return Arranged(y, axes, order, whole_numbers=x.whole_numbers)


def gather(a: Arranger, x: Arranged, axis: int, numbers: Sequence[int] | NDArray[np.int64]) -> Arranged:
    """Gather positions of an axis in any order."""
    places = np.asarray(numbers, np.int64)
    first, step = (int(places[0]), int(places[1] - places[0])) if len(places) > 1 else (int(places[0]), 1)
    if step and bool((np.diff(places) == step).all()):
        return slice_axis(a, x, axis, range(first, first + step * len(places), step))
    if len(places) > _MAX_PLACES:
        raise UnsupportedError(f"takes {len(places)} positions of {x.shown}; supported are {_MAX_PLACES}")
    a.budget.spend(Cost.of_list(len(places)))

    def attributes(place: int) -> dict[str, Any]:
        return {"axis": place + 1, "indices": places.tolist()}

    return _changed(a, x, axis, (Atom(len(places)),), "gather", attributes)


def tile(a: Arranger, x: Arranged, times: Sequence[int]) -> Arranged:
    """Repeat each axis as a whole as many times as `times` says."""
    for axis, count in enumerate(times):
        if count != 1:
            x = repeat(a, x, axis, count)
    return x


def take_part(a: Arranger, x: Arranged, axis: int, low: slice, high: slice) -> Arranged:
    """Return x[..., part, ...] along an axis. The part is given with both numbers of each free extent."""
    if low == high == slice(None):
        return x
    (low_extent,), (high_extent,) = trial_shapes([x.axes[axis]])
    is_free = low_extent != high_extent
    if _is_whole(low, low_extent, is_free) and _is_whole(high, high_extent, is_free):
        return x
    if is_free and _is_reversal(low) and _is_reversal(high):
        return reverse(a, x, axis)
    if 0 in (low.step, high.step):
        raise WeightsError("damaged: its step is 0")
    extent = x.known_extent(axis, "takes a part of")
    positions = range(extent)[low]
    if positions != range(extent)[high]:
        raise UnsupportedError(
            f"takes a part of {x.shown} that depends on an extent that is free: {CHOOSE_SIZE}"
        )
    if not positions:
        raise UnsupportedError(f"takes nothing of axis {axis} of {x.shown}")
    return slice_axis(a, x, axis, positions)


def as_slice(entry: int | slice) -> slice:
    """Return an index of one axis as a slice."""
    return entry if isinstance(entry, slice) else slice(entry, None if entry == -1 else entry + 1)


def _is_whole(part: slice, extent: int, is_free: bool) -> bool:
    """Return True for a part that is the whole axis. If its extent is free, that must hold for all extents."""
    if is_free:
        ends = part.stop is None or part.stop >= _NO_END or part.stop == extent
        return part.start in (0, None) and part.step in (1, None) and ends
    return part.step != 0 and range(extent)[part] == range(extent)


def _is_reversal(part: slice) -> bool:
    begins = part.start in (-1, None) or part.start >= _NO_END
    return part.step == -1 and begins and (part.stop is None or part.stop <= -_NO_END)
