"""Describe how the axes of a file's tensor are laid out in the memory of the network's tensor.

Each axis of a file's tensor is a product of atoms: factors of its extent that are contiguous in memory. The network's
tensor holds the same elements, with the atoms in another order. For example, an NCHW image of the file is NHWC here.
Transposing or reshaping a tensor of the file then only changes this description. Elements are moved only if a later
layer needs another order.

A free extent (one that is known only when the network runs) is represented by two numbers. All arithmetic with shapes
is done with both numbers. A result that differs between the two depends on the free extent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, ONE_IMAGE, MixedImagesError
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
"""The transpositions of an image with the channels second to one with the channels last, and back."""

Pair = tuple[int, int]
#: The maximum number of axes of a file's tensor. Several functions of NumPy support no more, and the work for a tensor
#: grows with the square of its axes.
MAX_AXES = 32
_FREE_BATCH = (1, 1_094)  # their difference is a prime, as for other free extents


class Atom:
    """A factor of an axis's extent. Atoms are compared by identity, not by their extents.

    Args:
        low, high: the extent, or the two numbers that represent a free extent. high=None means the same as low.
        is_batch: whether the extent is the number of images.

    Attributes:
        is_free: whether the extent is known only when the network runs.
        extent: the extent, or None if it is free.
    """

    __slots__ = ("extent", "high", "is_batch", "is_free", "low")

    def __init__(self, low: int, high: int | None = None, *, is_batch: bool = False) -> None:
        self.low = low
        self.high = low if high is None else high
        self.is_batch = is_batch
        self.is_free = self.low != self.high
        self.extent = None if self.is_free else self.high


Axis = tuple[Atom, ...]
"""The atoms of an axis, the slowest first; none of them has the extent 1, but the batch may."""


class FreeExtents:
    """Creates atoms for free extents, each represented by a different pair of numbers.

    The two numbers have different remainders for all divisors from 2 to 10,000. If both are padded up to a multiple of
    4, 8, 16 or 32, the padding differs, and so does half of it. The difference shows that such padding depends on the
    free extent.
    """

    def __init__(self) -> None:
        self._count = 0
        self._distance = 10_000

    def atom(self) -> Atom:
        """Return an atom for a new free extent."""
        self._count += 1
        low = 8 * self._count + 5
        self._distance += 1
        while (low + self._distance) % 32 or not _is_prime(self._distance):
            self._distance += 1
        return Atom(low, low + self._distance)


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def batch_atom(extent: int | None) -> Atom:
    """Return the atom of the batch. `extent` is the file's, or None if it is free there."""
    return Atom(*_FREE_BATCH, is_batch=True) if extent is None else Atom(extent, is_batch=True)


def product(atoms: Iterable[Atom]) -> int | None:
    """Return the product of the atoms' extents; None if one of them is free."""
    result = 1
    for atom in atoms:
        if atom.extent is None:
            return None
        result *= atom.extent
    return result


def require_axes(count: int) -> None:
    """Raise UnsupportedError for a tensor or constant of too many axes."""
    if count > MAX_AXES:
        raise UnsupportedError(f"computes with {count} axes; supported are {MAX_AXES}")


def trial_shapes(axes: Sequence[Axis]) -> tuple[list[int], list[int]]:
    """Return the extents of axes twice: with the first and with the second number of each free extent."""
    low = [math.prod([atom.low for atom in axis]) for axis in axes]
    return low, [math.prod([atom.high for atom in axis]) for axis in axes]


def without_batch(axis: Axis) -> Axis:
    """Return the atoms of an axis without the batch."""
    return tuple(atom for atom in axis if not atom.is_batch)


@dataclass(frozen=True)
class Arranged:
    """A tensor of a file, and the tensor of the network under construction that holds its elements.

    Raises UnsupportedError for more than 32 axes.

    Attributes:
        tensor: the network's tensor with the elements.
        axes: the atoms of each axis of the file's tensor.
        order: all atoms in the memory order of `tensor`, without the batch, which always comes first in memory.
        whole_numbers: whether the file's tensor has integers or booleans.
    """

    tensor: Tensor
    axes: tuple[Axis, ...]
    order: Axis
    whole_numbers: bool = False

    def __post_init__(self) -> None:
        require_axes(self.rank)

    @property
    def rank(self) -> int:
        """The number of axes of the file's tensor."""
        return len(self.axes)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of the file's tensor, with None for free extents."""
        return tuple(product(axis) for axis in self.axes)

    @property
    def shown(self) -> str:
        """The shape as a text for messages."""
        names = [
            "n" if any(atom.is_batch for atom in axis) else str(product(axis) or "?") for axis in self.axes
        ]
        return f"({', '.join(names)})"

    @property
    def has_batch_first(self) -> bool:
        """True if the first axis is the batch, and nothing else."""
        return self.rank > 0 and len(self.axes[0]) == 1 and self.axes[0][0].is_batch

    def trial_shapes(self) -> tuple[list[int], list[int]]:
        """Return the shape twice: with the first and with the second number of each free extent."""
        return trial_shapes(self.axes)

    def axis(self, number: int) -> int:
        """Return an axis number that is not negative. Raises WeightsError if there is no such axis."""
        if not -self.rank <= number < self.rank:
            raise WeightsError(f"damaged: axis {number} of {self.shown}")
        return number % self.rank

    def with_same_layout(self, tensor: Tensor) -> Self:
        """Return the value with another tensor of the network that has the same layout."""
        return replace(self, tensor=tensor)

    def with_tensor(self, tensor: Tensor, order: Axis) -> Self:
        """Return the value with another tensor of the network, whose memory order is `order`."""
        return replace(self, tensor=tensor, order=order)

    def prepend_batch(self, batch: Atom | None) -> Self:
        """Return the value with a batch of 1 moved to the beginning of the first axis, or added there."""
        if batch is None or batch.high != 1 or not self.axes or self.axes[0][:1] == (batch,):
            return self
        return self._with_batch_on(0, batch)

    def with_batch_as(self, other: Arranged) -> Self:
        """Return the value with a batch of 1 on the axis where another value of the same rank has it."""
        place = next((i for i, axis in enumerate(other.axes) if any(atom.is_batch for atom in axis)), None)
        batch = next((atom for axis in self.axes for atom in axis if atom.is_batch), None)
        if place is None or batch is None or batch.high != 1 or batch in self.axes[place]:
            return self
        return self._with_batch_on(place, batch)

    def with_batch_outside(self, axis: int) -> Self:
        """Return the value with the batch, which must be 1, moved from this axis to another one.

        A batch of 1 does not change the axis, so reshapes in a file may have made it a part of any axis. If it is alone
        in this axis, or there is no other axis, the result has no batch; `prepend_batch` gives it back.
        """
        batch = next((atom for atom in self.axes[axis] if atom.is_batch), None)
        if batch is None:
            return self
        if batch.high != 1:
            raise MixedImagesError(f"changes the batch of {self.shown}: {ONE_IMAGE}")
        if len(self.axes[axis]) > 1 and self.rank > 1:
            return self._with_batch_on(0 if axis else 1, batch)
        return replace(self, axes=tuple(map(without_batch, self.axes)))

    def with_batch(self, batch: Atom) -> Self:
        """Return the value with another atom as its batch."""
        axes = (tuple(batch if atom.is_batch else atom for atom in axis) for axis in self.axes)
        return replace(self, axes=tuple(axes))

    def _with_batch_on(self, place: int, batch: Atom) -> Self:
        axes = [without_batch(axis) for axis in self.axes]
        axes[place] = (batch, *axes[place])
        return replace(self, axes=tuple(axes))

    def known_extent(self, axis: int, what: str) -> int:
        """Return the extent of an axis. Raises UnsupportedError if it is free; `what` begins the message."""
        extent = product(self.axes[axis])
        if extent is None and any(atom.is_batch for atom in self.axes[axis]):
            raise UnsupportedError(f"{what} {self.shown}, whose batch is free: {ONE_IMAGE}")
        if extent is None:
            raise UnsupportedError(f"{what} {self.shown}, whose size is free: {CHOOSE_SIZE}")
        return extent

    def mark_as_integers(self) -> Self:
        """Return the value marked as integers or booleans of the file."""
        return replace(self, whole_numbers=True)

    def with_own_atoms(self) -> Self:
        """Return the value with new atoms in place of its own.

        This is needed before two values computed from one source are combined, because both may contain the same atoms
        on different axes.
        """
        return self.with_atoms({atom: Atom(atom.low, atom.high) for atom in self.order})

    def with_atoms(self, new: Mapping[Atom, Atom]) -> Self:
        """Return the value with other atoms of the same extents in place of some of its own."""
        axes = tuple(tuple(new.get(atom, atom) for atom in axis) for axis in self.axes)
        return replace(self, axes=axes, order=tuple(new.get(atom, atom) for atom in self.order))

    # ---- Changes of the axes that move no element ------------------------------------------------------------------

    def transpose(self, axes: Sequence[int]) -> Self:
        """Return the value with its axes in another order: axis i of the result is axis axes[i]."""
        if sorted(axes) != list(range(self.rank)):
            raise WeightsError(f"damaged: axes {list(axes)} of {self.shown}")
        return self._settled(tuple(self.axes[axis] for axis in axes))

    def squeeze(self, dropped: Iterable[int]) -> Self:
        """Return the value without these axes, whose extents must be 1."""
        leaving = {self.axis(axis) for axis in dropped}
        if not leaving:
            return self
        batch: Axis = ()
        for axis in leaving:
            if self.known_extent(axis, "leaves out an axis of") != 1:
                raise WeightsError(f"damaged: axis {axis} of {self.shown} is left out, which is not 1")
            batch += self.axes[axis]
        kept = [axis for number, axis in enumerate(self.axes) if number not in leaving]
        if batch:
            if not kept and any(atom.high != 1 for atom in batch):
                raise UnsupportedError(f"leaves no axis of {self.shown}")
            kept[:1] = [batch + axis for axis in kept[:1]]
        return replace(self, axes=tuple(kept))

    def expand_dims(self, added: Iterable[int]) -> Self:
        """Return the value with more axes of extent 1. `added` has the numbers of these axes in the result."""
        numbers = list(added)
        if not numbers:
            return self
        rank = self.rank + len(numbers)
        places = {number % rank for number in numbers if -rank <= number < rank}
        if len(places) != len(numbers):
            raise WeightsError(f"damaged: axes {numbers} added to {self.shown}")
        rest = iter(self.axes)
        return self._settled(tuple(() if number in places else next(rest) for number in range(rank)))

    def merge_axes(self, first: int, last: int) -> Self:
        """Return the value with the axes `first` to `last - 1` merged.

        If first == last, an axis of extent 1 is added.
        """
        merged: Axis = tuple(atom for axis in self.axes[first:last] for atom in axis)
        return replace(self, axes=(*self.axes[:first], merged, *self.axes[last:]))

    def view(self, low: Sequence[int], high: Sequence[int]) -> Self:
        """Return the same elements with another shape.

        Args:
            low, high: the new shape, computed with the first and with the second number of each free extent. One extent
                may be -1.
        """
        wanted = self._resolved(high)
        result = self._divided(wanted) or self._coalesced()._divided(wanted)
        if result is None:
            raise self._no_reshape(wanted)
        made = result.trial_shapes()[0]
        if any(given not in (-1, extent) for given, extent in zip(low, made, strict=True)):
            raise UnsupportedError(
                f"the new shape of {self.shown} depends on an extent that is free: {CHOOSE_SIZE}"
            )
        return result

    def _divided(self, wanted: Sequence[int]) -> Self | None:
        """Return the value with axes of these extents. Return None if an extent would divide an atom unevenly."""
        order, axes = list(self.order), []
        pending = [atom for axis in reversed(self.axes) for atom in reversed(axis)]
        for place, extent in enumerate(wanted):
            group: list[Atom] = []
            have = 1
            free_next = wanted[place + 1 : place + 2] == [1]  # a batch of 1 can become the next axis
            while pending and (have != extent or (pending[-1].high == 1 and not (group and free_next))):
                atom = pending.pop()
                needed, remainder = divmod(extent, have)
                if remainder or (needed % atom.high and atom.high % needed):
                    return None
                if needed % atom.high:
                    first, rest = self._split(atom, needed)
                    where = order.index(atom)
                    order[where : where + 1] = [first, rest]
                    pending.append(rest)
                    atom = first
                group.append(atom)
                have *= atom.high
            if have != extent:
                return None
            axes.append(tuple(group))
        if any(atom.high != 1 for atom in pending):
            return None
        if pending:
            if not axes:
                raise UnsupportedError(f"leaves no axis of {self.shown}")
            axes[-1] += tuple(reversed(pending))
        return replace(self, order=tuple(order))._settled(tuple(axes))

    def _settled(self, axes: tuple[Axis, ...]) -> Self:
        """Return the value with these axes.

        If the first axis has no atoms and a batch of 1 is part of another axis, the batch becomes the first axis.
        """
        if axes and not axes[0]:
            batch = tuple(atom for axis in axes for atom in axis if atom.is_batch and atom.high == 1)
            rest = (tuple(atom for atom in axis if atom not in batch) for axis in axes[1:])
            shared = any(len(axis) > 1 and atom in axis for axis in axes for atom in batch)
            axes = (batch, *rest) if shared else axes
        return replace(self, axes=axes)

    def _coalesced(self) -> Self:
        """Return the value with adjacent atoms merged into one if they are adjacent both in the axes and in memory."""
        flat = [atom for axis in self.axes for atom in axis]
        position = {atom: place for place, atom in enumerate(self.order)}
        runs: list[list[Atom]] = []
        for atom in flat:
            before = runs[-1][-1] if runs else None
            joins = (
                before is not None
                and not (atom.is_batch or before.is_batch or atom.is_free or before.is_free)
                and position[atom] == position[before] + 1
            )
            if joins:
                runs[-1].append(atom)
            else:
                runs.append([atom])
        merged = {run[0]: run[0] if len(run) == 1 else Atom(math.prod(a.high for a in run)) for run in runs}
        order = tuple(merged[atom] for atom in self.order if atom in merged)
        return replace(self, axes=tuple((merged[run[0]],) for run in runs), order=order)

    def _resolved(self, wanted: Sequence[int]) -> list[int]:
        total = math.prod(self.trial_shapes()[1])
        known = math.prod(extent for extent in wanted if extent != -1)
        if wanted.count(-1) > 1 or any(extent < -1 for extent in wanted):
            raise WeightsError(f"damaged: the new shape is {list(wanted)}")
        if known == 0 or (-1 in wanted and total % known):
            raise self._no_reshape(wanted)
        return [total // known if extent == -1 else extent for extent in wanted]

    def _no_reshape(self, wanted: Sequence[int]) -> UnsupportedError:
        low, high = self.trial_shapes()
        if low != high and (free := [atom for atom in self.order if atom.is_free]):
            return UnsupportedError(
                f"a reshape of {self.shown}, of which {len(free)} extents are free: {CHOOSE_SIZE}"
            )
        shown = ", ".join("n" if extent == _FREE_BATCH[1] else str(extent) for extent in wanted)
        return UnsupportedError(
            f"a reshape of {self.shown} to ({shown}) that would move elements or change the batch"
        )

    def _split(self, atom: Atom, first: int) -> tuple[Atom, Atom]:
        if atom.is_batch:
            raise UnsupportedError(f"a reshape of {self.shown} that divides the batch")
        if atom.is_free:
            raise UnsupportedError(f"a reshape of {self.shown} that divides a free extent: {CHOOSE_SIZE}")
        return Atom(first), Atom(atom.high // first)


def in_memory_order(values: NDArray[Any], logical: Axis, physical: Axis, axis: int = 0) -> NDArray[Any]:
    """Bring numbers along an axis of an array, such as one for each channel, from the file's order into memory order.

    A broadcast view whose elements are equal along the axis stays a view.

    Args:
        values: an array with as many positions on the axis as the atoms have together.
        logical: the atoms in the file's order.
        physical: the same atoms in memory order.
        axis: the number of the axis of `values`.
    """
    if logical == physical or values.strides[axis] == 0:
        return values
    return values.take(positions(logical, physical), axis)


def positions(logical: Axis, physical: Axis) -> NDArray[np.int64]:
    """Return, for each element in memory order, its index on the file's axis.

    Args:
        logical: the atoms of the axis.
        physical: the same atoms in memory order.
    """
    numbers = np.arange(math.prod(atom.high for atom in logical)).reshape([atom.high for atom in logical])
    result: NDArray[np.int64] = numbers.transpose([logical.index(atom) for atom in physical]).reshape(-1)
    return result
