"""Bring two operands of elementwise arithmetic into one layout, by the rules of NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.layout import Arranged, Atom, Axis, product, without_batch
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor

_REPEATED_AXES = 3  # the engine broadcasts an operand only if its tensor has at most 3 axes after the batch


@dataclass(frozen=True)
class Aligned:
    """Two operands in one layout, and the layout of their result."""

    first: Tensor
    second: Tensor
    axes: tuple[Axis, ...]
    order: Axis

    def result(self, tensor: Tensor) -> Arranged:
        """Return the value of a tensor that was computed from both operands."""
        return Arranged(tensor, self.axes, self.order)


def align(arranger: Arranger, first: Arranged, second: Arranged) -> Aligned:
    """Bring both operands into a common layout, if possible that of the first operand.

    Raises UnsupportedError if the shapes do not fit, or if mpscnn cannot move or repeat the elements as needed.
    """
    rank = max(first.rank, second.rank)
    first, second = (_widened(value, rank) for value in (first, second.with_own_atoms()))
    first, second = with_common_atoms(*_with_whole_axes(arranger, first, second))
    order = _common_order(first, second)
    axes = tuple(map(_longer, first.axes, second.axes))
    groups = _groups(arranger, first, second, order)
    if len(groups) > _REPEATED_AXES and set(first.order) != set(second.order):
        order = _shared_first(first, second, order)
        groups = _groups(arranger, first, second, order)
    return Aligned(
        _tensor_with_axes(arranger, first, groups), _tensor_with_axes(arranger, second, groups), axes, order
    )


def varying_atoms(value: Arranged, constant: NDArray[np.generic]) -> tuple[Axis, NDArray[np.float32]]:
    """Find the last atoms (parts of axes) in the value's memory, from the first one along which a constant varies on.

    Returns these atoms, and the constant's elements in the order of these atoms, repeated along the others among them.
    Raises UnsupportedError if the constant's shape would broadcast the value, or if one of these atoms is free.
    """
    shape = _widened_shape(value, constant)
    if not _fits(value, shape):
        if any(None is product(axis) for axis in value.axes[1:]):
            raise UnsupportedError(
                f"a constant of shape {constant.shape} and {value.shown}, whose size is free: {CHOOSE_SIZE}"
            )
        raise UnsupportedError(
            f"a constant of shape {constant.shape} and {value.shown}, which it would repeat"
        )
    varying = [
        atom
        for extent, axis in zip(shape, value.axes, strict=True)
        if extent > 1
        for atom in axis
        if not atom.is_batch
    ]
    if not varying:
        return (), constant.reshape(-1).astype(np.float32)
    first = min(value.order.index(atom) for atom in varying)
    suffix = value.order[first:]
    if any(atom.is_free for atom in suffix):
        raise UnsupportedError(
            f"a constant of shape {constant.shape} and {value.shown}, whose size is free: {CHOOSE_SIZE}"
        )
    by_atom = constant.reshape([atom.high for atom in varying])
    present = [atom for atom in suffix if atom in varying]
    moved = by_atom.transpose([varying.index(atom) for atom in present])
    spread = moved.reshape([atom.high if atom in varying else 1 for atom in suffix])
    full = np.broadcast_to(spread, [atom.high for atom in suffix])
    return suffix, full.reshape(-1).astype(np.float32)


def move_varying_last(arranger: Arranger, value: Arranged, constant: NDArray[np.generic]) -> Arranged:
    """Return the value with the atoms along which a constant varies moved after all atoms of free extent."""
    shape = _widened_shape(value, constant)
    if not _fits(value, shape):
        return value
    varying = tuple(
        atom
        for extent, axis in zip(shape, value.axes, strict=True)
        if extent > 1
        for atom in axis
        if not atom.is_batch
    )
    places = [value.order.index(atom) for atom in varying]
    if not any(atom.is_free for atom in value.order[min(places, default=len(value.order)) :]):
        return value
    tensor, rest, tail = arranger.channels_last(value, varying)
    return value.with_tensor(tensor, rest + tail)


def repeats(value: Arranged, constant: NDArray[np.generic]) -> bool:
    """Return True if a constant operand broadcasts the value, or has an element for each image of the batch.

    It is False for a value with a free extent.
    """
    return not _fits(value, _widened_shape(value, constant)) and None not in value.shape[1:]


def _widened_shape(value: Arranged, constant: NDArray[np.generic]) -> tuple[int, ...]:
    extents = constant.shape
    while len(extents) > value.rank and extents[0] == 1:
        extents = extents[1:]
    return (1,) * (value.rank - len(extents)) + extents


def _fits(value: Arranged, shape: tuple[int, ...]) -> bool:
    return len(shape) == value.rank and all(
        extent == 1 or (extent == product(axis) and not any(atom.is_batch and atom.high > 1 for atom in axis))
        for extent, axis in zip(shape, value.axes, strict=True)
    )


# ---- Common atoms --------------------------------------------------------------------------------------------------


def _widened(value: Arranged, rank: int) -> Arranged:
    """Add axes of extent 1 in front, as NumPy does."""
    if value.rank == rank:
        return value
    if value.has_batch_first and value.axes[0][0].high != 1:
        raise UnsupportedError(f"operands of {value.rank} and of {rank} axes, whose batches do not meet")
    return value.expand_dims(range(rank - value.rank))


def _with_whole_axes(arranger: Arranger, first: Arranged, second: Arranged) -> tuple[Arranged, Arranged]:
    """Return both operands with undivided axes where no common atoms exist, as for an axis of 5 x 8 and of 8 x 5."""
    for number, (a, b) in enumerate(zip(first.axes, second.axes, strict=True)):
        if _total(a) is not None and _total(a) == _total(b) and not _is_chain(_cuts(a) | _cuts(b)):
            first, second = (_with_whole_axis(arranger, one, number) for one in (first, second))
    return first, second


def _with_whole_axis(arranger: Arranger, value: Arranged, number: int) -> Arranged:
    axis = value.axes[number]
    if any(atom.is_batch for atom in axis[1:]):
        return value
    atoms = without_batch(axis)
    value = arranger.make_contiguous(value, atoms)
    (whole,) = arranger.atoms([product(atoms)])
    place = value.order.index(atoms[0])
    order = (*value.order[:place], *whole, *value.order[place + len(atoms) :])
    axes = (*value.axes[:number], axis[: len(axis) - len(atoms)] + whole, *value.axes[number + 1 :])
    return replace(value, axes=axes, order=order)


def with_common_atoms(first: Arranged, second: Arranged) -> tuple[Arranged, Arranged]:
    """Return both operands with the same atoms for equal extents; the second gets the atoms of the first."""
    if _extents(first) == _extents(second):
        # Nothing needs to be divided. Files may concatenate 100,000 values of the same shape.
        atoms = zip(chain(*second.axes), chain(*first.axes), strict=True)
        return first, second.with_atoms(dict(atoms))
    second = _with_batch_of(first, second)
    for number in range(first.rank):
        a, b = first.axes[number], second.axes[number]
        if not a or not b:
            continue
        if any(atom.is_batch for atom in a) != any(atom.is_batch for atom in b):
            raise UnsupportedError(f"operands {first.shown} and {second.shown}, whose batches do not meet")
        is_single = all(atom.high == 1 for atom in (*a, *b) if atom.is_batch)
        if is_single and bool(without_batch(a)) != bool(without_batch(b)):
            continue  # an operand with nothing but a batch of 1 on this axis is broadcast
        cuts = _cuts(a) | _cuts(b)
        if _total(a) != _total(b) or not _is_chain(cuts):
            raise UnsupportedError(f"operands {first.shown} and {second.shown}, which do not fit")
        if not is_single and _after_batch(a) != _after_batch(b):
            raise UnsupportedError(f"operands {first.shown} and {second.shown}, whose batches do not meet")
        first, second = _refined(first, number, cuts), _refined(second, number, cuts)
        # A batch of 1 may be at different places of the axis in both operands.
        pairs = dict(zip(without_batch(second.axes[number]), without_batch(first.axes[number]), strict=True))
        if any(one.extent != other.extent for one, other in pairs.items()):  # a free extent meets another one
            raise UnsupportedError(
                f"operands {first.shown} and {second.shown}, which do not fit: {CHOOSE_SIZE}"
            )
        second = second.with_atoms(pairs)
    return first, second


def _after_batch(axis: Axis) -> object:
    """Return the extent of what follows the batch on an axis. Another extent means another order of the images."""
    place = next((number for number, atom in enumerate(axis) if atom.is_batch), None)
    return None if place is None else _total(axis[place:])


def _extents(value: Arranged) -> list[list[tuple[int, int, bool]]]:
    return [[(atom.low, atom.high, atom.is_batch) for atom in axis] for axis in value.axes]


def _with_batch_of(first: Arranged, second: Arranged) -> Arranged:
    """Move the second operand's batch, which must be 1, to the axis that has the first operand's batch."""
    place, own = (
        next((number for number, axis in enumerate(value.axes) if any(atom.is_batch for atom in axis)), None)
        for value in (first, second)
    )
    if place is None or own is None or place == own:
        return second
    batch = next(atom for atom in second.axes[own] if atom.is_batch)
    if batch.high != 1:
        raise UnsupportedError(f"operands {first.shown} and {second.shown}, whose batches do not meet")
    axes = [without_batch(axis) for axis in second.axes]
    axes[place] = (batch, *axes[place])
    return replace(second, axes=tuple(axes))


def _longer(first: Axis, second: Axis) -> Axis:
    """Return the axis of the result of two operands. The shorter one, if there is one, is broadcast."""
    return first if len(first) >= len(second) else second


def _total(axis: Axis) -> object:
    """Return the extent of an axis for the comparison of two operands: None if it is free.

    The converted network compares free extents when it runs.
    """
    return product(without_batch(axis))


def _cuts(axis: Axis) -> set[int]:
    """Return the places where an axis is divided into atoms: the products of the extents of its last atoms.

    The batch is left out, and a free extent counts as 1.
    """
    result, after = set(), 1
    for atom in reversed(without_batch(axis)):
        after *= 1 if atom.is_free else atom.high
        result.add(after)
    return result


def _is_chain(cuts: set[int]) -> bool:
    ordered = sorted(cuts)
    return all(b % a == 0 for a, b in pairwise(ordered))


def _refined(value: Arranged, number: int, cuts: set[int]) -> Arranged:
    """Return the value with an axis divided into more atoms, at all of these cuts (see `_cuts`)."""
    axis: list[Atom] = []
    order = list(value.order)
    after = 1
    for atom in reversed(value.axes[number]):
        inner = sorted(cut for cut in cuts if after < cut < after * atom.high)
        if atom.is_batch or atom.is_free or not inner:
            axis.insert(0, atom)
            after *= 1 if atom.is_batch or atom.is_free else atom.high
            continue
        bounds = [after, *inner, after * atom.high]
        parts = [Atom(high // low) for low, high in pairwise(bounds)][::-1]
        place = order.index(atom)
        order[place : place + 1] = parts
        axis[:0] = parts
        after *= atom.high
    axes = (*value.axes[:number], tuple(axis), *value.axes[number + 1 :])
    return replace(value, axes=axes, order=tuple(order))


# ---- Common order --------------------------------------------------------------------------------------------------


def _common_order(first: Arranged, second: Arranged) -> Axis:
    """Return the memory order of the result.

    It is the order of an operand that has all atoms of the result. Without such an operand it is the order of an NHWC
    image, or of the file's axes.
    """
    if set(second.order) <= set(first.order):
        return first.order
    if set(first.order) <= set(second.order):
        return second.order
    axes = [without_batch(_longer(a, b)) for a, b in zip(first.axes, second.axes, strict=True)]
    plain = tuple(atom for axis in axes for atom in axis)
    candidates = [plain]
    if len(axes) in (3, 4) and not axes[0]:
        candidates.insert(0, tuple(atom for axis in (*axes[2:], axes[1]) for atom in axis))

    def keeps(order: Axis) -> bool:
        return all(
            tuple(atom for atom in order if atom in value.order) == value.order for value in (first, second)
        )

    return next(filter(keeps, candidates), candidates[0])


def _shared_first(first: Arranged, second: Arranged, order: Axis) -> Axis:
    """Sort the atoms so that those which both operands have come first. Then few axes have to be broadcast."""
    members = [set(first.order), set(second.order)]
    return tuple(sorted(order, key=lambda atom: [atom not in member for member in members]))


def _groups(arranger: Arranger, first: Arranged, second: Arranged, order: Axis) -> list[Axis]:
    """Return the axes for the tensors of both operands. On each axis an operand has all atoms, or the extent 1.

    If the present axes of an operand's tensor meet this condition, they are kept. If both do, the axes of the operand
    that is computed last are kept. The engine can then add the other operand in the layer that computes this one.
    """
    members = [set(first.order), set(second.order)]
    for value in sorted((first, second), key=lambda one: -one.tensor.index):
        kept = arranger.grouping(value) if value.order == order else None
        if kept is None:
            continue
        held = [{tuple(atom in member for member in members) for atom in group} for group in kept]
        repeats = any(kinds != {(True, True)} for kinds in held if kinds)
        if all(len(kinds) <= 1 for kinds in held) and not (repeats and len(kept) > _REPEATED_AXES):
            return kept
    runs: list[Axis] = []
    kind: tuple[bool, ...] | None = None
    for atom in order:
        here = tuple(atom in member for member in members)
        # Two free extents get separate axes, because neither could be recovered from their product.
        if here == kind and not (atom.is_free and any(one.is_free for one in runs[-1])):
            runs[-1] += (atom,)
        else:
            runs.append((atom,))
        kind = here
    return runs or [()]


def _tensor_with_axes(arranger: Arranger, value: Arranged, groups: list[Axis]) -> Tensor:
    present = [group if set(group) <= set(value.order) else () for group in groups]
    repeated = [place for place, group in enumerate(groups) if group and not present[place]]
    if repeated and len(groups) > _REPEATED_AXES:
        raise UnsupportedError(f"repeats {value.shown} along more axes than mpscnn can")
    return arranger.physical(value, present)
