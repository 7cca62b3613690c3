"""Numbers that a reader takes from a constant of a file: lists of integers, shapes and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import stored
from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.layout import Atom, require_axes
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]

# The maximum length of a list of integers. Lists have an element for each axis, or for each result of an operator.
_MAX_LIST_LENGTH = 1 << 14
# The values of numpy.dtype.kind for numbers. Types that NumPy does not have, such as bfloat16, are of kind V.
_NUMBERS = "fiubV"
_EXACT_BYTES = 2  # float32 has all integers of this size


def as_float32(array: Array, what: str) -> NDArray[np.float32]:
    """Return an array as float32. Raises UnsupportedError for integers that float32 does not have."""
    result = array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize > _EXACT_BYTES:
        end = np.float32(2.0 ** (8 * array.dtype.itemsize - (array.dtype.kind == "i")))
        if not ((result < end).all() and (result.astype(array.dtype) == array).all()):
            raise UnsupportedError(f"{what} has integers that float32 does not have")
    return result


@dataclass(frozen=True, eq=False)
class ConstantPair:
    """A constant of a file as two arrays: with the first and with the second number of each free extent.

    A free extent is known only when the network runs, and two numbers represent it (`layout.Atom`). Elements that
    differ between the arrays depend on a free extent. Raises UnsupportedError for more than 32 axes.

    Attributes:
        low, high: both arrays. They are the same object if no free extent took part.
        budget: counts the cost of all constants of the file.
    """

    low: Array
    high: Array
    budget: Budget = field(repr=False)

    def __post_init__(self) -> None:
        require_axes(max(self.low.ndim, self.high.ndim))

    @classmethod
    def of(cls, array: Array, budget: Budget) -> Self:
        """Return an array as a constant."""
        return cls(array, array, budget)

    @classmethod
    def of_extents(cls, shapes: tuple[Sequence[int], Sequence[int]], budget: Budget) -> Self:
        """Return a shape as a vector: with the first, and with the second number of each free extent."""
        low, high = (np.asarray(shape, np.int64) for shape in shapes)
        return cls.of(low, budget) if np.array_equal(low, high) else cls(low, high, budget)

    @cached_property
    def is_fixed(self) -> bool:
        """True if the constant does not depend on free extents."""
        if self.low is self.high:
            return True
        return self.low.shape == self.high.shape and np.array_equal(stored(self.low), stored(self.high))

    def trial_shapes(self) -> tuple[list[int], list[int]]:
        """Return the shape twice: with the first and with the second number of each free extent."""
        return list(self.low.shape), list(self.high.shape)

    @property
    def size(self) -> int:
        """The number of elements, with the second number of each free extent."""
        return int(self.high.size)

    def view(self, what: str) -> Array:
        """Return the array, possibly as a broadcast view of any size.

        The caller may only compute with the elements that are stored (`broadcast_views`). Raises UnsupportedError if
        the constant depends on a free extent; `what` begins the message.
        """
        if not self.is_fixed:
            raise UnsupportedError(f"{what} depends on an extent that is free: {CHOOSE_SIZE}")
        self.budget.look(stored(self.low))
        return self.low

    def fixed(self, what: str) -> Array:
        """Return the array. Raises the errors of `view`, and UnsupportedError for a view of too many places."""
        array = self.view(what)
        self.budget.look(array)
        return array

    def real_view(self, what: str) -> NDArray[np.float32]:
        """Return the array as float32, possibly as a broadcast view; see `view`."""
        array = self.view(what)
        self._require_numbers(what)
        return self._float32(array, what)

    def real(self, what: str) -> NDArray[np.float32]:
        """Return the array as float32. Raises the errors of `fixed`."""
        array = self.real_view(what)
        self.budget.look(array)
        return array

    def number(self, what: str) -> float:
        """Return the single number of the array. Raises the errors of `fixed`."""
        array = self.real_view(what)
        if array.size != 1:
            raise WeightsError(f"damaged: {what} has the shape {array.shape}, expected one number")
        return float(array.reshape(-1)[0])

    def integers(self, what: str) -> list[int]:
        """Return integers as a list. Raises the errors of `fixed`."""
        return self._listed(self.view(what), what)

    def shapes(self, what: str) -> tuple[list[int], list[int]]:
        """Return integers that may depend on free extents, computed with the first and the second number of each."""
        return self._listed(self.low, what), self._listed(self.high, what)

    def of_one_image(
        self, rank: int | None, batch: Atom | None, what: str, place: tuple[int, int] | None = None
    ) -> NDArray[np.float32]:
        """Return the numbers without the batch. All images must have the same numbers.

        For a network without a batch the whole constant is returned.

        Args:
            rank: the number of axes to which it is extended by axes of extent 1 in front; None: no extension.
            batch: the atom of the network's batch; None: the network has no batch.
            what: the name of the operand in messages.
            place: the number of the axis with the batch, and the product of the factors before the batch in this axis.
                The result has two axes in its place: the factors before the batch and those after it. None: the batch
                is the first axis.
        """
        self._require_numbers(what)
        low, high = self.low, self.high
        if rank is not None and low.ndim < rank:
            low, high = (one.reshape((1,) * (rank - one.ndim) + one.shape) for one in (low, high))
        shape = low.shape
        self.budget.look(stored(low))
        if batch is None:
            if not self.is_fixed or low.size == 0:
                raise UnsupportedError(f"{what} is a constant of shape {shape}, which is not supported here")
            return self._finite(low, what)
        if place is not None and low.size and high.size:
            extents = batch.low, batch.high
            low, high = (
                _batch_first(one, place, extent) for one, extent in zip((low, high), extents, strict=True)
            )
        if low.ndim < 2 or low.size == 0 or low.shape[1:] != high.shape[1:]:
            raise UnsupportedError(f"{what} is a constant of shape {shape}, which is not supported here")
        one = low[:1]
        fits = self.is_fixed and len(low) == 1
        if not fits and (len(low), len(high)) == (batch.low, batch.high):
            fits = bool((stored(low) == stored(one)).all() and (stored(high) == stored(one)).all())
        if not fits:
            raise UnsupportedError(
                f"{what} is a constant of shape {shape}, other numbers for each image of the batch"
            )
        return self._finite(one[0], what)

    def _finite(self, array: Array, what: str) -> NDArray[np.float32]:
        """Return the array as float32. Raises UnsupportedError if an element is not finite."""
        result = self._float32(array, what)
        if not np.isfinite(stored(result)).all():
            raise UnsupportedError(f"{what} is a constant that is not finite")
        return result

    def _require_numbers(self, what: str) -> None:
        if self.low.dtype.kind not in _NUMBERS:
            raise UnsupportedError(f"{what} has the element type {self.low.dtype}, which is not a number")

    def _float32(self, array: Array, what: str) -> NDArray[np.float32]:
        """Return the array as float32. A broadcast view stays a view."""
        if array.dtype == np.float32:
            return array
        own = stored(array)
        made = self.budget.run(Cost(own.size, own.size), lambda: as_float32(own, what))
        return np.broadcast_to(made, array.shape) if own.size < array.size else made

    def _listed(self, array: Array, what: str) -> list[int]:
        if array.dtype.kind not in "iu":
            raise WeightsError(f"damaged: {what} is of {array.dtype}, expected whole numbers")
        if array.size > _MAX_LIST_LENGTH:
            raise WeightsError(f"damaged: there are {array.size} numbers in {what}")
        return self.budget.run(Cost.of_list(array.size), array.reshape(-1).tolist)


def _batch_first(array: Array, place: tuple[int, int], extent: int) -> Array:
    """Move the batch out of an axis to the front; the factors before and after it become two axes."""
    axis, before = place
    if array.ndim <= axis or array.shape[axis] % (before * extent):
        return array[:0]
    shape = array.shape
    apart = array.reshape(*shape[:axis], before, extent, -1, *shape[axis + 1 :])
    return np.moveaxis(apart, axis + 1, 0)
