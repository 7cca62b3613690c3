"""Constants of a file with the methods of an array: each method computes the constant that results.

Each method counts its memory and its work before it computes anything. The budget of the file limits the sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpscnn.converters.opening.broadcast_views import is_filled, stored_operands
from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.values.array_functions import (
    ARITHMETIC,
    COMPARISONS,
    REDUCTIONS,
    SCATTERS,
    SUMS,
    array_function,
    exact,
)
from mpscnn.converters.values.constant_pair import Array, ConstantPair
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation

# The cost of an element in operations: for simple functions, functions such as exp, and functions in Python code.
CHEAP, FUNCTION, IN_PYTHON = 2, 16, 512
_RESULT = 64  # the minimum cost of a method, in elements and operations
# The maximum length of a list that has a number for each axis.
MAX_LISTED = 64
# The values of numpy.dtype.kind for text and objects.
_TEXT = "OSU"


class Constant(ConstantPair, Value):
    """A constant of a file. Its methods compute arrays; see `Value`. They take other numbers as constants or lists.

    Besides the errors of `Value`, methods raise UnsupportedError for text.
    """

    # ---- Computation -----------------------------------------------------------------------------------------------

    def compute(self, function: Callable[..., Array], *others: Any) -> Constant:
        """Return function(array, *others) for both arrays. Other constants become their arrays, too.

        The function counts its cost by `run` before it computes.
        """
        given = (self, *others)
        constants = [one for one in given if isinstance(one, ConstantPair)]
        if any(one.low.dtype.kind in _TEXT for one in constants):
            raise UnsupportedError("computes with text")
        low = np.asarray(function(*(one.low if isinstance(one, ConstantPair) else one for one in given)))
        if all(one.low is one.high for one in constants):
            return Constant(low, low, self.budget)
        high = np.asarray(function(*(one.high if isinstance(one, ConstantPair) else one for one in given)))
        return Constant(low, high, self.budget)

    def run(self, count: int, weight: int, function: Callable[[], Array], *, kept: int = 0) -> Array:
        """Count the cost of a function, then call it.

        Args:
            count: the number of elements of the result and of temporary arrays.
            weight: the operations for each of these elements.
            function: computes the result.
            kept: the number of further elements that take memory, but no work.
        """
        cost = Cost(_RESULT + count + kept, _RESULT + weight * count)
        with np.errstate(all="ignore"):  # infinities and NaN are results like others
            return self.budget.run(cost, function)

    def elementwise(
        self, function: Callable[..., Array], *others: Constant | None, weight: int = CHEAP
    ) -> Constant:
        """Apply a function of NumPy to each element. Elements that are equal by broadcasting are computed once.

        Args:
            function: a function of this constant and the others, which are broadcast.
            others: the other operands; None: an operand that is left out.
            weight: the operations that an element costs.
        """

        def compute(*arrays: Array | None) -> Array:
            own, shape = stored_operands([one for one in arrays if one is not None])
            count = math.prod(np.broadcast_shapes(*(one.shape for one in own)))
            left = iter(own)
            operands = [None if one is None else next(left) for one in arrays]
            made = self.run(count, weight * len(own), lambda: np.asarray(function(*operands)))
            return np.broadcast_to(made, shape) if made.shape != shape else made

        return self.compute(compute, *others)

    def combine(
        self, operation: str, other: Constant, suffix: str = "", activation: Activation = None
    ) -> Constant:
        """Apply an operation of two operands; see `Value.combine`. A power has the type of its base.

        There are also "floor_divide", "and", "or" and "xor".
        """
        del suffix  # it would name a layer
        if operation in COMPARISONS:
            made = self.elementwise(COMPARISONS[operation], other)
        else:
            weight = FUNCTION if operation == "power" else CHEAP
            made = self.elementwise(exact(ARITHMETIC[operation]), other, weight=weight)
        return made if activation is None else made.map(activation)

    def remainder(self, other: Constant, *, of_dividend: bool) -> Constant:
        """Return the rest of a division; see `composed_functions.remainder`."""
        return self.elementwise(exact(np.fmod if of_dividend else np.mod), other, weight=FUNCTION)

    def map(self, function: Activation, suffix: str = "") -> Constant:
        """Apply an activation to each element; see `Value.map`."""
        del suffix  # it would name a layer
        compute = array_function(function)
        weight = IN_PYTHON if function in ("erf", "gelu") else FUNCTION
        return self.elementwise(lambda x: compute(x).astype(x.dtype, copy=False), weight=weight)

    def sqrt(self) -> Constant:
        """Return the square root; see `Value.sqrt`."""
        return self.elementwise(lambda x: np.sqrt(x).astype(x.dtype, copy=False))

    def reciprocal(self) -> Constant:
        """Return 1 divided by each element."""
        return self.elementwise(np.reciprocal)

    def sin(self) -> Constant:
        """Return the sine of each element."""
        return self.elementwise(np.sin, weight=FUNCTION)

    def cos(self) -> Constant:
        """Return the cosine of each element."""
        return self.elementwise(np.cos, weight=FUNCTION)

    def logical_not(self) -> Constant:
        """Return whether each element is 0."""
        return self.elementwise(np.logical_not)

    def is_infinite(self, *, negative: bool = True, positive: bool = True) -> Constant:
        """Return whether each element is minus infinity or infinity; see `composed_functions.is_infinite`."""
        signs = [-1] * negative + [1] * positive
        return self.elementwise(lambda x: np.isinf(x) & np.isin(np.sign(x), signs))

    def where(self, chosen: Constant, other: Constant) -> Constant:
        """Return elements of `chosen` where this constant is true, and elements of `other` elsewhere."""
        return self.elementwise(
            lambda at, a, b: np.asarray(np.where(at, a, b)).astype(a.dtype, copy=False), chosen, other
        )

    def cast(self, convert: Callable[[Array], Array]) -> Constant:
        """Convert the elements to another type by a function."""
        return self.elementwise(convert, weight=FUNCTION)

    # ---- Shapes ----------------------------------------------------------------------------------------------------

    def reshape(self, shape: ConstantPair | Sequence[int]) -> Constant:
        """Reshape the array. One extent may be -1. An array is copied only if its elements are not in order."""

        def compute(x: Array, wanted: Any) -> Array:
            extents = listed(wanted, "its new shape")
            copied = 0 if x.flags.c_contiguous or is_filled(x) else x.size
            return self.run(copied, CHEAP, lambda: x.reshape(extents))

        return self.compute(compute, shape)

    def transpose(self, axes: Constant | Sequence[int]) -> Constant:
        """Reorder the axes: axis i of the result is axis axes[i]."""
        return self._view(lambda x, order: x.transpose(listed(order, "its axes")), axes)

    def squeeze(self, axes: Constant | Sequence[int] | None) -> Constant:
        """Drop axes, whose extents must be 1. None: all axes of extent 1."""
        return self._view(
            lambda x, dropped: np.squeeze(x, None if dropped is None else tuple(listed(dropped, "its axes"))),
            axes,
        )

    def expand_dims(self, axes: Constant | Sequence[int]) -> Constant:
        """Add axes of extent 1. `axes` has their numbers in the result."""
        return self._view(lambda x, added: np.expand_dims(x, tuple(listed(added, "its axes"))), axes)

    def merge_axes(self, first: int, last: int) -> Constant:
        """Return the constant with some axes merged into one; see `Value.merge_axes`."""
        low, high = (
            [*shape[:first], math.prod(shape[first:last]), *shape[last:]] for shape in self.trial_shapes()
        )
        return self.reshape(Constant.of_extents((low, high), self.budget))

    def slice(
        self, parts: Callable[..., Sequence[Any]], *ranges: ConstantPair | Sequence[int] | None
    ) -> Constant:
        """Return x[parts].

        Args:
            parts: a function that returns the indices of NumPy for a shape and the arrays of `ranges`.
            ranges: constants or lists, such as starts and ends.
        """
        return self._view(lambda x, *numbers: x[tuple(parts(x.shape, *numbers))], *ranges)

    def _view(self, function: Callable[..., Array], *others: Any) -> Constant:
        return self.compute(lambda *arrays: self.run(0, CHEAP, lambda: function(*arrays)), *others)

    def broadcast_to(self, shape: ConstantPair) -> Constant:
        """Broadcast the array and a shape. A single number becomes a broadcast view."""

        def compute(x: Array, target: Array) -> Array:
            wanted = np.broadcast_shapes(x.shape, extents_of(target))
            if x.size == 1:
                return self.budget.run(Cost.filled(math.prod(wanted)), lambda: np.broadcast_to(x, wanted))
            return self.run(
                math.prod(wanted), CHEAP, lambda: np.ascontiguousarray(np.broadcast_to(x, wanted))
            )

        return self.compute(compute, shape)

    def fill(self, shape: Constant) -> Constant:
        """Return a constant of a shape, each of whose elements is the single number of this one."""

        def compute(x: Array, target: Array) -> Array:
            extents = extents_of(target)
            if x.size != 1:
                raise WeightsError(f"damaged: its value has {x.size} elements, expected one")
            cost = Cost.filled(math.prod(max(extent, 1) for extent in extents))
            return self.budget.run(cost, lambda: np.broadcast_to(x.reshape(()), extents))

        return self.compute(compute, shape)

    # ---- Parts -----------------------------------------------------------------------------------------------------

    def concat(self, others: Sequence[Constant], axis: int) -> Constant:
        """Concatenate this constant and others along an axis."""
        return self._join(lambda *arrays: np.concatenate(arrays, axis), others)

    def stack(self, others: Sequence[Constant], axis: int) -> Constant:
        """Stack this constant and others along a new axis."""
        return self._join(lambda *arrays: np.stack(arrays, axis), others)

    def _join(self, function: Callable[..., Array], others: Sequence[Constant]) -> Constant:
        def compute(*arrays: Array) -> Array:
            return self.run(sum(one.size for one in arrays), CHEAP, lambda: function(*arrays))

        return self.compute(compute, *others)

    def take(self, axis: int, indices: ConstantPair) -> Constant:
        """Gather positions of an axis: the axes of the indices replace it. Negative ones count from the end."""

        def compute(x: Array, places: Array) -> Array:
            count = places.size * (x.size // max(x.shape[axis], 1))
            return self.run(count, CHEAP, lambda: np.take(x, places.astype(np.int64, copy=False), axis))

        return self.compute(compute, indices)

    def take_along_axis(self, axis: int, indices: Constant) -> Constant:
        """Gather elements as numpy.take_along_axis does. Along other axes the indices may have smaller extents."""

        def compute(x: Array, places: Array) -> Array:
            count = places.size * max(places.ndim, 1)
            return self.run(count, FUNCTION, lambda: np.asarray(x[_along(x, places, axis)]))

        return self.compute(compute, indices)

    def take_at(self, indices: Constant) -> Constant:
        """Gather elements, or parts, at places: the last axis of the indices has the coordinates of a place."""

        def compute(x: Array, places: Array) -> Array:
            axes = max(places.shape[-1], 1)
            count = places.size // axes * math.prod(x.shape[axes:]) + places.size
            return self.run(count, FUNCTION, lambda: np.asarray(x[tuple(np.moveaxis(places, -1, 0))]))

        return self.compute(compute, indices)

    def scatter_along_axis(
        self, axis: int, indices: Constant, updates: Constant, operation: str | None
    ) -> Constant:
        """Replace elements at the places that `take_along_axis` reads; see `flat_indices.scatter_at`."""
        return self._scatter(lambda x, places: _along(x, places, axis), indices, updates, operation)

    def scatter_at(self, indices: Constant, updates: Constant, operation: str | None) -> Constant:
        """Replace elements, or parts, at the places that `take_at` reads; see `flat_indices.scatter_at`."""
        return self._scatter(lambda _, places: tuple(np.moveaxis(places, -1, 0)), indices, updates, operation)

    def _scatter(
        self, find: Callable[[Array, Array], Any], indices: Constant, updates: Constant, operation: str | None
    ) -> Constant:
        def compute(x: Array, places: Array, new: Array) -> Array:
            def scatter() -> Array:
                result = np.array(x)
                if operation is None:
                    result[find(x, places)] = new
                else:
                    SCATTERS[operation].at(result, find(x, places), new)
                return result

            count = places.size * max(places.ndim, 1) + new.size
            return self.run(count, 4 * FUNCTION, scatter, kept=x.size)

        return self.compute(compute, indices, updates)

    def tile(self, times: Constant | Sequence[int]) -> Constant:
        """Repeat each axis as a whole as many times as `times` says."""

        def compute(x: Array, counts: Any) -> Array:
            repeats = listed(counts, "its repeats")
            count = x.size * math.prod(max(one, 1) for one in repeats)
            return self.run(count, CHEAP, lambda: np.tile(x, repeats))

        return self.compute(compute, times)

    def pad(self, sides: Sequence[tuple[int, int]], mode: str, value: float) -> Constant:
        """Pad each axis before and after it; negative sides crop. `mode` is numpy.pad's, `value` that of a constant."""
        pad: Callable[..., Array] = np.pad
        options = {"constant_values": value} if mode == "constant" else {}

        def compute(x: Array) -> Array:
            kept = x[tuple(slice(max(-first, 0), min(last, 0) or None) for first, last in sides)]
            added = [(max(first, 0), max(last, 0)) for first, last in sides]
            count = math.prod(extent + sum(pair) for extent, pair in zip(kept.shape, added, strict=True))
            return self.run(2 * count, FUNCTION, lambda: pad(kept, added, mode=mode, **options), kept=x.size)

        return self.compute(compute)

    def non_zero(self) -> Constant:
        """Return the places of the elements that are not 0, with a row for each axis."""

        def compute(x: Array) -> Array:
            count = x.size * max(x.ndim, 1)
            return self.run(
                count,
                CHEAP,
                lambda: (
                    np.array(np.nonzero(x), np.int64) if x.ndim else np.zeros((0, np.count_nonzero(x)), int)
                ),
            )

        return self.compute(compute)

    # ---- Along axes ------------------------------------------------------------------------------------------------

    def reduce(
        self, kind: str, axes: Constant | Sequence[int] | None, *, keeps_axes: bool = True
    ) -> Constant:
        """Reduce the array over axes; None: over all axes.

        Args:
            kind: "sum", "mean", "product", "max", "min", "l1_norm", "l2_norm", "sum_of_squares", "log_sum" or
                "log_sum_exp".
            axes: the numbers of the axes.
            keeps_axes: whether the axes are kept with the extent 1.
        """
        function = exact(REDUCTIONS[kind]) if kind in SUMS else REDUCTIONS[kind]

        def compute(x: Array, over: Any) -> Array:
            numbers = None if over is None else tuple(listed(over, "its axes"))
            return self.run(
                x.size, 2 * CHEAP, lambda: np.asarray(function(x, axis=numbers, keepdims=keeps_axes))
            )

        return self.compute(compute, axes)

    def argmax_or_argmin(
        self, axis: int, *, minimum: bool = False, last: bool = False, keeps_axis: bool = True
    ) -> Constant:
        """Return the index of the largest or smallest element of an axis: the first of equal ones, or the last."""
        find = np.argmin if minimum else np.argmax

        def compute(x: Array) -> Array:
            def places() -> Array:
                found = find(np.flip(x, axis) if last else x, axis=axis, keepdims=keeps_axis)
                return np.asarray(x.shape[axis] - 1 - found if last else found, np.int64)

            return self.run(x.size, 2 * CHEAP, places)

        return self.compute(compute)

    def cumsum(self, axis: Constant | int, *, exclusive: bool, backwards: bool) -> Constant:
        """Compute cumulative sums along an axis: without the element itself, or from the end."""

        def compute(x: Array, number: Array | int) -> Array:
            def sums() -> Array:
                place = int(np.reshape(number, ()))
                ordered = np.flip(x, place) if backwards else x
                made = np.cumsum(ordered, axis=place, dtype=x.dtype)
                if exclusive:
                    made = np.roll(made, 1, place)
                    np.moveaxis(made, place, 0)[:1] = 0
                return np.flip(made, place) if backwards else made

            return self.run(2 * x.size, CHEAP, sums)

        return self.compute(compute, axis)

    def softmax(self, axes: Sequence[int]) -> Constant:
        """Return exp(x) / sum(exp(x)) over these axes."""
        along = tuple(axes)

        def compute(x: Array) -> Array:
            def shares() -> Array:
                powers = np.exp(x - x.max(axis=along, keepdims=True)) if x.size else x
                made = powers / powers.sum(axis=along, keepdims=True)
                return np.asarray(made.astype(x.dtype, copy=False))

            return self.run(2 * x.size, FUNCTION, shares)

        return self.compute(compute)

    def matmul(self, other: Constant) -> Constant:
        """Multiply the matrices of the last two axes. Other axes are broadcast."""

        def compute(a: Array, b: Array) -> Array:
            columns = b.shape[-1:] if b.ndim > 1 else ()
            batches = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
            count = math.prod((*batches, *a.shape[-2:-1], *columns))
            multiply = np.dot if max(a.ndim, b.ndim) <= 2 else np.matmul
            # Each element costs a multiplication and an addition. The operands may be copied to make them contiguous.
            return self.run(
                max(count, 1),
                CHEAP * max(a.shape[-1], 1),
                lambda: np.asarray(multiply(a, b)).astype(a.dtype, copy=False),
                kept=a.size + b.size,
            )

        return self.compute(compute, other)

    def count_up_to(self, end: Constant, step: Constant) -> Constant:
        """Return the numbers from this one up to `end`, which is not included, in steps."""

        def compute(*arrays: Array) -> Array:
            first, last, by = (one.reshape(-1)[0].item() for one in arrays)
            count = max(math.ceil((last - first) / by), 0)
            return self.run(2 * count, CHEAP, lambda: np.arange(first, last, by).astype(arrays[0].dtype))

        return self.compute(compute, end, step)


def listed(numbers: Array | Sequence[int], what: str, *, at_most: int = MAX_LISTED) -> list[int]:
    """Return a list with a number for each axis. Raises WeightsError if it is longer than arrays have axes."""
    if not isinstance(numbers, np.ndarray):
        return list(numbers)
    if numbers.size > at_most:
        raise WeightsError(f"damaged: there are {numbers.size} numbers in {what}; the maximum is {at_most}")
    return [int(number) for number in numbers.reshape(-1)]


def extents_of(shape: Array) -> list[int]:
    """Return a shape as a list. Raises WeightsError for negative extents, and for more than arrays have axes."""
    extents = listed(shape, "its shape")
    if min(extents, default=0) < 0:
        raise WeightsError(f"damaged: its shape is {extents[:8]}")
    return extents


def _along(x: Array, indices: Array, axis: int) -> tuple[Array, ...]:
    """Return an index for each axis: each element's own position, except for the given index along `axis`."""
    if indices.ndim != x.ndim:
        raise WeightsError(f"damaged: it has indices {indices.shape} for {x.shape}")
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    return tuple(places)
