"""Concatenate values along an axis of the file."""

from __future__ import annotations

from dataclasses import replace

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import ONE_IMAGE, MixedImagesError
from mpscnn.converters.values.broadcast import with_common_atoms
from mpscnn.converters.values.layout import Arranged, Atom, Axis, product, without_batch
from mpscnn.converters.values.layout_pass import Arranger, separate_free, surroundings
from mpscnn.errors import UnsupportedError, WeightsError

_IMAGE_RANK = 4
_MAX_VALUES = 1024  # the engine concatenates at most this many tensors
_OPERATIONS_OF_VALUE = 30_000  # the cost of bringing a value into the layout of the others


def concat(a: Arranger, values: list[Arranged], axis: int) -> Arranged:
    """Concatenate values along an axis of the file."""
    first = values[0]
    if len(values) > _MAX_VALUES:
        raise UnsupportedError(f"joins {len(values)} tensors; supported are {_MAX_VALUES}")
    if any(value.rank != first.rank for value in values):
        raise WeightsError(f"damaged: joins {', '.join(value.shown for value in values)}")
    if len(values) == 1:
        return first
    a.budget.spend(Cost(0, _OPERATIONS_OF_VALUE * len(values)))
    values = [value.with_batch_as(first) for value in values]
    if any(atom.is_batch and atom.high != 1 for value in values for atom in value.axes[axis]):
        raise MixedImagesError(f"joins images along the batch: {ONE_IMAGE}")
    values = [value.with_batch_outside(axis).with_own_atoms() for value in values]
    if not all(map(_batch_of, values)):  # a batch of 1 is not on the same axis of all
        values = [_without_single_batch(value) for value in values]
    model = next((value for value in values if value.axes[axis]), values[0])
    own_atoms = [value.axes[axis] for value in values]
    model, others = _alike(model, values, axis)
    groups, place = _surroundings(a, model, axis)
    tensors = []
    for value, atoms in zip(others, own_atoms, strict=True):
        given = value.with_tensor(value.tensor, value.order)
        own = (*given.axes[:axis], atoms, *given.axes[axis + 1 :])
        wanted = [*groups[:place], atoms, *groups[place + 1 :]]
        tensors.append(a.physical(Arranged(given.tensor, own, given.order), wanted))
    y = a.network.concat(tensors, axis=-1 if place == len(groups) - 1 else place + 1, name=a.name(""))
    (new,) = a.atoms([y.shape[place + 1]])
    axes = (*model.axes[:axis], new, *model.axes[axis + 1 :])
    order = tuple(atom for group in (*groups[:place], new, *groups[place + 1 :]) for atom in group)
    return Arranged(y, axes, order, whole_numbers=any(value.whole_numbers for value in values))


def _batch_of(value: Arranged) -> Atom | None:
    return next((atom for axis in value.axes for atom in axis if atom.is_batch), None)


def _without_single_batch(value: Arranged) -> Arranged:
    batch = _batch_of(value)
    if batch is None or batch.high != 1:
        return value
    return replace(value, axes=tuple(map(without_batch, value.axes)))


def _alike(model: Arranged, values: list[Arranged], axis: int) -> tuple[Arranged, list[Arranged]]:
    """Return all values with the same atoms, except on the axis along which they are concatenated."""

    def without(value: Arranged) -> Arranged:
        return Arranged(value.tensor, (*value.axes[:axis], (), *value.axes[axis + 1 :]), value.order)

    refined = without(model)
    for value in values:
        if any(
            product(one) != product(other)
            for one, other in zip(without(value).axes, refined.axes, strict=True)
        ):
            raise WeightsError(f"damaged: joins {model.shown} and {value.shown} along axis {axis}")
        refined, _ = with_common_atoms(refined, without(value))
    others = [with_common_atoms(refined, without(value))[1] for value in values]
    return Arranged(
        refined.tensor, (*refined.axes[:axis], model.axes[axis], *refined.axes[axis + 1 :]), refined.order
    ), others


def _surroundings(a: Arranger, model: Arranged, axis: int) -> tuple[list[Axis], int]:
    """Return the axes of the tensors that are concatenated, and the number of the axis to concatenate along."""
    atoms = model.axes[axis]
    groups = a.grouping(model)
    if atoms:
        if groups and atoms in groups:
            return groups, groups.index(atoms)
        before, after = surroundings(model, atoms)
        return _axes(before, after)
    # An axis of extent 1 has no place in memory, so a place is chosen: as in NHWC images, or by the order of axes.
    place = {1: 2, 2: 0, 3: 1}[axis] if model.rank == _IMAGE_RANK and 1 <= axis <= 3 else -1
    if groups and len(groups) == 3 and place >= 0 and not groups[place]:
        return groups, place
    if axis == 1 and model.rank in (3, _IMAGE_RANK):
        return _axes(model.order, ())
    earlier = {atom for one in model.axes[:axis] for atom in one}
    cut = sum(atom in earlier for atom in model.order)
    if set(model.order[:cut]) <= earlier:
        return _axes(model.order[:cut], model.order[cut:])
    # Any place is right for an axis of extent 1. The first one after the batch is used.
    first = tuple(atom for atom in model.order[:1] if atom.is_batch)
    return _axes(first, model.order[len(first) :])


def _axes(before: Axis, after: Axis) -> tuple[list[Axis], int]:
    front = separate_free(before)
    return [*front, (), *separate_free(after)], len(front)
