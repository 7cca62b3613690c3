"""Add layers (reshape, transpose, ...) that bring a value into the memory order that another layer needs.

A value (`mpscnn.converters.values.layout.Arranged`) is a tensor of the file together with its memory order in the
network. Its axes consist of atoms, which are factors of an axis's extent that are contiguous in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.layout import Arranged, Atom, Axis, FreeExtents, positions, product
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


class Arranger:
    """Brings values into the layout that a layer needs. If necessary, it adds layers that move elements.

    Args:
        network: the network to which the needed layers are added.
        batch: the atom of the batch. With None, values have no batch, and each tensor is one image.
        name: a function that returns a layer's name for a suffix.
        budget: counts the weights and lists of positions that are made for layers, before they are made.
    """

    def __init__(
        self,
        network: Network,
        batch: Atom | None,
        name: Callable[[str], str],
        budget: Budget,
    ) -> None:
        self.network = network
        self.batch = batch
        self.name = name
        self.budget = budget
        self._free = FreeExtents()
        self._reshaped: dict[tuple[int, tuple[int | None, ...]], Tensor] = {}
        self._origin: dict[int, Tensor] = {}
        self._orders: dict[tuple[int, Axis, Axis], Tensor] = {}
        self._permutations: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    def atoms(self, extents: Sequence[int | None]) -> list[Axis]:
        """Return new axes of these extents, each of one atom."""
        return [
            () if extent == 1 else (self._free.atom() if extent is None else Atom(extent),)
            for extent in extents
        ]

    # ---- Weights that a reader makes -------------------------------------------------------------------------------

    def set_weight(
        self, layer: str, role: str, shape: Sequence[int], make: Callable[[], NDArray[np.generic]]
    ) -> None:
        """Set a weight that the reader makes. `make` is called after the weight's bytes have been counted."""
        self.budget.copy(4 * math.prod(shape))
        values = np.ascontiguousarray(make().reshape(shape), np.float32)
        self.network.graph.set_weight(layer, role, values)

    def constant(self, layer: str, shape: Sequence[int], make: Callable[[], NDArray[np.generic]]) -> Tensor:
        """Add a constant that the reader makes, with the name `layer`; see `set_weight`."""
        made = self.network.constant(self.network.inputs[0], shape, name=layer)
        self.set_weight(layer, "value", shape, make)
        return made

    # ---- Tensors of values -----------------------------------------------------------------------------------------

    def physical(self, value: Arranged, groups: Sequence[Axis]) -> Tensor:
        """Return the value as a tensor whose axes are the batch and one axis for each of these groups of atoms.

        If its elements have another order in memory, they are moved. Raises UnsupportedError for more axes than tensors
        of networks have.
        """
        if len(groups) > _MAX_AXES:
            raise UnsupportedError(
                f"{value.shown} has {len(groups)} axes after the batch, which is not supported; up to {_MAX_AXES} are"
            )
        wanted = tuple(atom for group in groups for atom in group)
        if wanted != value.order:
            value = self._moved(value, wanted)
        return self._regrouped(value, groups)

    def image(self, value: Arranged) -> Tensor:
        """Return a value of shape (n, channels, height, width) as a tensor (n, height, width, channels).

        A value of shape (n, channels, width) gets the height 1.
        """
        height, width, channels = image_axes(value)
        return self.physical(value, (height, width, channels))

    def image_in_any_order(self, value: Arranged) -> tuple[Tensor, Axis]:
        """Return an image as `image` does, but without moving channels that have another order in memory.

        The second result is the atoms of the channels in memory order.
        """
        height, width, channels = image_axes(value)
        tail = value.order[len(height + width) :]
        if value.order[: len(height + width)] != height + width or tail == channels:
            return self.image(value), channels
        return self.physical(value, (height, width, tail)), tail

    def make_contiguous(self, value: Arranged, atoms: Axis) -> Arranged:
        """Return the value with these atoms one after the other in memory."""
        before, after = surroundings(value, atoms)
        order = before + atoms + after
        return value if order == value.order else self._moved(value, order)

    def sort_axes(self, value: Arranged) -> Arranged:
        """Return the value with its elements in the order of the file's axes."""
        order = tuple(atom for axis in value.axes for atom in axis if not atom.is_batch)
        return value if order == value.order else self._moved(value, order)

    def reshape(self, value: Arranged, low: Sequence[int], high: Sequence[int]) -> Arranged:
        """Reshape a value as `Arranged.view` does, which moves no element.

        If the order in memory does not allow that, the elements are first moved into the order of the file's axes.
        """
        try:
            return value.view(low, high)
        except UnsupportedError:
            plain = self.sort_axes(value)
            if plain is value:
                raise
            return plain.view(low, high)

    def image_around(self, value: Arranged, atoms: Axis) -> tuple[Tensor, list[Axis], int]:
        """Return the value as an image with an axis that consists of these atoms.

        The atoms are made contiguous. Two free extents (known only when the network runs) never share an axis, because
        neither could be recovered from their product.

        Returns:
            The image, its axes, and the number of the axis with the atoms.
        """
        before, after = surroundings(value, atoms)
        fronts, backs = separate_free(before) or ((),), separate_free(after) or ((),)
        if len(fronts) + len(backs) > 2:
            if before and after:  # there are too many axes, so the atoms are moved to the end
                before, after = before + after, ()
                value = self._moved(value, before + atoms)
            fronts, backs = separate_free(before), separate_free(after)
        groups = [*fronts, atoms, *backs]
        if len(groups) != _IMAGE_RANK - 1:
            raise UnsupportedError(
                f"changes {value.shown}, of which too many extents are free: {CHOOSE_SIZE}"
            )
        return self.physical(value, groups), groups, len(fronts)

    def channels_last(self, value: Arranged, atoms: Axis) -> tuple[Tensor, Axis, Axis]:
        """Return the value as a tensor (n, ..., atoms), in which the atoms may have any order.

        Returns:
            The tensor, all other atoms of the value in memory order, and the given atoms in memory order.
        """
        count = len(value.order) - len(atoms)
        if set(value.order[count:]) != set(atoms):
            rest = tuple(atom for atom in value.order if atom not in atoms)
            value = self._moved(value, rest + atoms)
        rest, tail = value.order[:count], value.order[count:]
        groups = self.grouping(value)
        if groups is not None and groups[-1] == tail:
            return value.tensor, rest, tail
        return self.physical(value, (*split_rows(rest), tail)), rest, tail

    def grouping(self, value: Arranged) -> list[Axis] | None:
        """Return which atoms each axis of the value's tensor consists of, without the batch.

        The result is None if an atom is spread over several axes, or if free extents make the answer ambiguous.
        """
        found = _groupings(value.tensor.shape[1:], value.order)
        return found[0] if len(found) == 1 else None

    def _regrouped(self, value: Arranged, groups: Sequence[Axis]) -> Tensor:
        """Reshape the value's tensor to (n, group, group, ...). The atoms already have this order in memory.

        If several extents are free, a reshape can only keep their axes in place. Axes of extent 1 are therefore moved
        around them by transpositions.
        """
        tensor = self._origin.get(value.tensor.index, value.tensor)
        shape = tuple(product(group) for group in groups)
        if shape.count(None) < 2 or tensor.shape[1:] == shape:
            return self._shaped(tensor, [-1 if extent is None else extent for extent in shape], shape)
        have = self.grouping(value.with_same_layout(tensor))
        extents = None if have is None else _kept_extents(have, groups)
        if have is not None and extents is None:
            # Move axes of extent 1 to the end first, and from there to their places among the others.
            tensor, have = self._ones_last(tensor, have)
            wanted = [group for group in groups if group]
            ones = len(groups) - len(wanted)
            extents = _kept_extents(have, [*wanted, *[()] * ones])
            if extents is not None and ones:
                tensor = self._shaped(tensor, extents, (*(product(group) for group in wanted), *[1] * ones))
                return self._ones_placed(tensor, groups)
        if extents is None:
            raise UnsupportedError(
                f"makes {shape} of {tensor.shape[1:]}, of which the size is free: {CHOOSE_SIZE}"
            )
        return self._shaped(tensor, extents, shape)

    def _shaped(self, tensor: Tensor, extents: Sequence[int], shape: tuple[int | None, ...]) -> Tensor:
        """Reshape a tensor. If the tensor is itself the result of a reshape, reshape that layer's input instead."""
        tensor = self._origin.get(tensor.index, tensor)
        if tensor.shape[1:] == shape:
            return tensor
        if (tensor.index, shape) not in self._reshaped:
            made = self.network.reshape(tensor, extents, name=self.name("/reshape"))
            self._reshaped[tensor.index, shape] = made
            self._origin[made.index] = tensor
        return self._reshaped[tensor.index, shape]

    def _ones_last(self, tensor: Tensor, groups: list[Axis]) -> tuple[Tensor, list[Axis]]:
        order = sorted(range(len(groups)), key=lambda place: not groups[place])
        return self._permuted(tensor, order), [groups[place] for place in order]

    def _ones_placed(self, tensor: Tensor, groups: Sequence[Axis]) -> Tensor:
        """Transpose a tensor whose axes of extent 1 come last, so that each goes to the place of an empty group."""
        others = iter(range(sum(map(bool, groups))))
        ones = iter(range(sum(map(bool, groups)), len(groups)))
        return self._permuted(tensor, [next(others if group else ones) for group in groups])

    def _permuted(self, tensor: Tensor, order: Sequence[int]) -> Tensor:
        """Transpose a tensor: axis i of the result, without the batch, is axis order[i].

        Calls with the same arguments return the same tensor.
        """
        if list(order) == sorted(order):
            return tensor
        key = (tensor.index, tuple(order))
        if key not in self._permutations:
            axes = [place + 1 for place in order]
            self._permutations[key] = self.network.transpose(tensor, axes, name=self.name("/transpose"))
        return self._permutations[key]

    # ---- Moving elements -------------------------------------------------------------------------------------------

    def _moved(self, value: Arranged, order: Axis) -> Arranged:
        """Return the value with its atoms in another order. Calls with the same arguments return the same tensor."""
        key = (value.tensor.index, value.order, order)
        if key not in self._orders:
            self._orders[key] = self._move_atoms(value, order).tensor
        return replace(value, tensor=self._orders[key], order=order)

    def _move_atoms(self, value: Arranged, order: Axis) -> Arranged:
        if set(order) != set(value.order):
            raise AssertionError("other atoms than the value has")
        same = 0
        while value.order[same] is order[same]:
            same += 1
        before, moving = value.order[:same], value.order[same:]
        if before and (groups := _shuffled_groups(moving, order[same:])):
            x, _, _ = self.channels_last(value, moving)
            y = self.network.channel_shuffle(x, groups, name=self.name("/shuffle"))
            return replace(value, tensor=y, order=order)
        runs = _runs(value.order, order)
        if len(runs) <= _MAX_AXES and product(value.order) is not None:
            tensor = self._regrouped(value, runs)
            ends = sorted(range(len(runs)), key=lambda i: order.index(runs[i][0]))
            y = self.network.transpose(tensor, [i + 1 for i in ends], name=self.name("/transpose"))
            return replace(value, tensor=y, order=order)
        if (transposed := self._transposed(value, order)) is not None:
            return value.with_tensor(transposed, order)
        by_axes = self._moved_by_axes(value, order)
        if by_axes is not None:
            return value.with_tensor(by_axes, order)
        count = product(moving)
        if count is None or count > _MAX_MOVED:
            return self._moved_by_parts(value, order)
        x, _, _ = self.channels_last(value, moving)
        if len(x.shape) != _IMAGE_RANK:
            x = self.physical(value, ((), before, moving))
        name = self.name("/transpose")
        y = self.network.conv2d(x, count, 1, name=name)

        def permutation() -> NDArray[np.float32]:
            weight = np.zeros((count, count), np.float32)
            weight[np.arange(count), positions(moving, order[same:])] = 1.0
            return weight

        self.set_weight(name, "weight", (count, 1, 1, count), permutation)
        return replace(value, tensor=y, order=order)

    def _transposed(self, value: Arranged, order: Axis) -> Tensor | None:
        """Return the value's tensor with its own axes in another order, or None if the move needs more than that."""
        groups = self.grouping(value)
        if groups is None or len(groups) > _MAX_AXES:
            return None
        ends = {atom: place for place, atom in enumerate(order)}
        places = sorted(range(len(groups)), key=lambda place: ends[groups[place][0]] if groups[place] else -1)
        fits = order == tuple(atom for place in places for atom in groups[place])
        return self._permuted(value.tensor, places) if fits else None

    def _moved_by_axes(self, value: Arranged, order: Axis) -> Tensor | None:
        """Bring the atoms of a value with free extents into another order by one transposition of its tensor.

        The result is None if all extents are known, or if a transposition of the tensor's axes does not suffice.
        """
        groups = self.grouping(value)
        if groups is None or product(value.order) is not None:
            return None
        ends = {atom: place for place, atom in enumerate(order)}
        pieces: list[Axis] = []
        for group in groups:
            for place, atom in enumerate(group):
                if place and ends[atom] == ends[group[place - 1]] + 1:
                    pieces[-1] += (atom,)
                else:
                    pieces.append((atom,))
        if len(pieces) > _MAX_AXES:
            return None
        try:
            tensor = self._regrouped(value, pieces)
        except UnsupportedError:
            return None
        return self._permuted(tensor, sorted(range(len(pieces)), key=lambda place: ends[pieces[place][0]]))

    def _moved_by_parts(self, value: Arranged, order: Axis) -> Arranged:
        """Return the value in another order by moving one atom at a time.

        An atom is moved by slicing the tensor along it and concatenating the slices along another axis.
        """
        while value.order != order:
            same = 0
            while value.order[same] is order[same]:
                same += 1
            wanted, present = order[same], value.order[same]
            # An atom that is moved to the end may have to be moved to the front again later.
            if _is_short(present) and not (_is_short(wanted) and wanted.high <= 2 * present.high):
                value = self._moved_to_end(value, same)
            elif _is_short(wanted):
                value = self._moved_to_front(value, same, value.order.index(wanted))
            else:
                raise UnsupportedError(
                    f"needs the elements of {value.shown} in another order, of axes that are too long for that"
                )
        return value

    def _moved_to_front(self, value: Arranged, target: int, place: int) -> Arranged:
        """Return the value with the atom at `place` moved to the place `target`."""
        before, between = value.order[:target], value.order[target:place]
        atom, after = value.order[place], value.order[place + 1 :]
        size = product(after)
        if size is None:
            raise UnsupportedError(
                f"needs {value.shown} in another order, but its size is free: {CHOOSE_SIZE}"
            )
        x = self.physical(value, (before, between, (atom, *after)))
        parts = [self._slice(x, {"front": number * size, "channels": size}) for number in range(atom.high)]
        y = self.network.concat(parts, axis=2, name=self.name("/transpose"))
        return value.with_tensor(y, (*before, atom, *between, *after))

    def _moved_to_end(self, value: Arranged, place: int) -> Arranged:
        """Return the value with the atom at `place` moved to the last place."""
        before, atom, after = value.order[:place], value.order[place], value.order[place + 1 :]
        x = self.physical(value, (before, (atom,), after))
        extents = [-1 if extent is None else extent for extent in (product(before), product(after))]
        parts = [
            self.network.reshape(
                self._slice(x, {"left": number, "width": 1}), [*extents, 1], name=self.name("/part")
            )
            for number in range(atom.high)
        ]
        y = self.network.concat(parts, axis=-1, name=self.name("/transpose"))
        return value.with_tensor(y, (*before, *after, atom))

    def _slice(self, x: Tensor, part: dict[str, int]) -> Tensor:
        return self.network.layer("slice", [x], part, name=self.name("/part"))


def _groupings(extents: Sequence[int | None], atoms: Axis) -> list[list[Axis]]:
    """Return ways to divide these atoms, in order, into axes of these extents.

    The search ends when it has found more than one, because the division is then ambiguous.
    """
    if not extents:
        return [] if atoms else [[]]
    found: list[list[Axis]] = []
    for count in range(len(atoms) + 1):
        if product(atoms[:count]) == extents[0]:
            found += [[atoms[:count], *rest] for rest in _groupings(extents[1:], atoms[count:])]
        if len(found) > 1:
            break
    return found


def _kept_extents(have: Sequence[Axis], wanted: Sequence[Axis]) -> list[int] | None:
    """Return the extents for a reshape from the axes `have` to the axes `wanted`.

    A free axis that stays in its place has the extent 0, and one other free axis has -1. The result is None if several
    free axes change their places.
    """
    extents = []
    for place, group in enumerate(wanted):
        extent = product(group)
        stays = place < len(have) and have[place] == group
        extents.append(extent if extent is not None else 0 if stays else -1)
    return extents if extents.count(-1) < 2 else None


def _runs(before: Axis, after: Axis) -> list[Axis]:
    """Divide the atoms of `before` into runs that are also contiguous, in the same order, in `after`."""
    runs: list[Axis] = []
    for atom in before:
        follows = runs and after.index(atom) == after.index(runs[-1][-1]) + 1
        if follows:
            runs[-1] += (atom,)
        else:
            runs.append((atom,))
    return runs


def _shuffled_groups(before: Axis, after: Axis) -> int:
    """Return the number of groups if the move is a channel shuffle: two runs of atoms that are swapped.

    The result is 0 for other moves, and for too many groups.
    """
    runs = _runs(before, after)
    groups = product(runs[0]) if len(runs) == 2 and product(before) is not None else None
    return groups if groups is not None and groups <= _MAX_GROUPS else 0


def _is_short(atom: Atom) -> bool:
    """Return True if an atom has few enough slices to be moved by concatenating them."""
    return not atom.is_free and atom.high <= _MAX_PARTS


_IMAGE_RANK = 4
_MAX_ROWS = 16384
_MAX_GROUPS = 8  # channel shuffles with more groups are made by a transposition
_MAX_AXES = 5  # the maximum number of axes after the batch of a tensor of the engine
# The maximum number of elements that a product with a permutation matrix moves. The matrix has as many rows and
# columns.
_MAX_MOVED = 2048
# The maximum number of slices that are concatenated in another order, instead of such a product.
_MAX_PARTS = 256


def separate_free(atoms: Axis) -> tuple[Axis, ...]:
    """Divide the atoms into axes with at most one free extent each. The result is empty if there are no atoms."""
    free = [place for place, atom in enumerate(atoms) if atom.is_free][1:]
    ends = zip((0, *free), (*free, len(atoms)), strict=True)
    return tuple(atoms[first:last] for first, last in ends) if atoms else ()


def split_rows(atoms: Axis) -> tuple[Axis, ...]:
    """Return the atoms as one axis, or as two if one would be longer than a GPU's texture has rows.

    Several free extents get one axis each, because none could be recovered from their product. The result is empty if
    there are no atoms.
    """
    if len(parts := separate_free(atoms)) > 1:
        return parts
    cuts = [(atoms[:place], atoms[place:]) for place in range(1, len(atoms))]
    short = [cut for cut in cuts if all((product(part) or 0) <= _MAX_ROWS for part in cut)]
    if (product(atoms) or 0) > _MAX_ROWS and short:
        return short[-1]
    return (atoms,) if atoms else ()


def image_rows(atoms: Axis) -> tuple[Axis, Axis]:
    """Divide the atoms into the rows and columns of an image, see `split_rows`."""
    rows = split_rows(atoms)
    return (rows[0], rows[1]) if len(rows) == 2 else ((), atoms)


def surroundings(value: Arranged, atoms: Axis) -> tuple[Axis, Axis]:
    """Return the value's atoms before and after the given ones in memory.

    If the given atoms are not contiguous, all other atoms are returned as "before".
    """
    first = min((value.order.index(atom) for atom in atoms), default=len(value.order))
    last = first + len(atoms)
    if value.order[first:last] == atoms:
        return value.order[:first], value.order[last:]
    return tuple(atom for atom in value.order if atom not in atoms), ()


def image_axes(value: Arranged) -> tuple[Axis, Axis, Axis]:
    """Return the axes (height, width, channels) of a value (n, channels, height, width) or (n, channels, width).

    The height of (n, channels, width) is an axis without atoms, of extent 1.
    """
    if value.rank not in (3, 4) or not value.has_batch_first:
        raise UnsupportedError(
            f"its operand is {value.shown}; supported are images (n, channels, height, width) and "
            "(n, channels, width)"
        )
    channels, *spatial = value.axes[1:]
    height, width = spatial if len(spatial) == 2 else ((), spatial[0])
    return height, width, channels
