"""Values: the tensors of a file, with methods that compute further values in any state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    from typing_extensions import Self

    from mpscnn.converters.values.constant_pair import ConstantPair
    from mpscnn.graph.layer_arguments import Activation


class Value(ABC):
    """A tensor of a file, in one of three states.

    The states are:

    - a constant, which is an array (`Constant`),
    - a pair of arrays, which is a constant that depends on a free extent (`Constant`, too),
    - a tensor that the network computes (`FileTensor`).

    Methods of constants count their memory and work, and then compute arrays. Methods of the network's tensors add
    layers. So a reader describes each operator once, for all states. The operands of a method have one state.

    Axes are the file's. All methods raise UnsupportedError for results that mpscnn cannot compute, or that would take
    more memory or work than the file's budget allows. They raise WeightsError, ValueError, LookupError and the like if
    operands or arguments contradict each other.
    """

    @abstractmethod
    def trial_shapes(self) -> tuple[list[int], list[int]]:
        """Return the shape twice: with the first and with the second number of each free extent."""

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.trial_shapes()[0])

    @property
    def shown(self) -> str:
        """The shape as a text for messages."""
        low, high = self.trial_shapes()
        return f"({', '.join(str(a) if a == b else '?' for a, b in zip(low, high, strict=False))})"

    def axis(self, number: int) -> int:
        """Return an axis number that is not negative. Raises WeightsError if there is no such axis."""
        if not -self.rank <= number < self.rank:
            raise WeightsError(f"damaged: axis {number} of {self.shown}")
        return number % self.rank

    def known_extent(self, axis: int, what: str) -> int:
        """Return the extent of an axis. Raises UnsupportedError if it is free; `what` begins the message."""
        low, high = (shape[axis] for shape in self.trial_shapes())
        if low != high:
            raise UnsupportedError(f"{what} {self.shown}, whose size is free: {CHOOSE_SIZE}")
        return low

    def mark_as_integers(self) -> Self:
        """Return the value with a mark as integers or booleans of the file. Arrays have a type instead."""
        return self

    def mark_as_floats(self) -> Self:
        """Return the value without the mark as integers or booleans of the file. Arrays have a type instead."""
        return self

    # ---- Elements --------------------------------------------------------------------------------------------------

    @abstractmethod
    def map(self, function: Activation, suffix: str = "") -> Self:
        """Apply an activation to each element. A layer that is not the last one of its operator needs a suffix."""

    @abstractmethod
    def sqrt(self) -> Self:
        """Return the square root: NaN for all numbers below zero."""

    @abstractmethod
    def reciprocal(self) -> Self:
        """Return 1 divided by each element."""

    @abstractmethod
    def logical_not(self) -> Self:
        """Return whether each element is 0."""

    def linear(self, factor: float, offset: float = 0.0, suffix: str = "") -> Self:
        """Return x * factor + offset."""
        return self.map({"kind": "linear", "a": factor, "b": offset}, suffix)

    # ---- Shapes ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def reshape(self, shape: ConstantPair | Sequence[int]) -> Self:
        """Return the same elements with another shape. One extent may be -1."""

    @abstractmethod
    def transpose(self, axes: Sequence[int]) -> Self:
        """Return the value with its axes in another order: axis i of the result is axis axes[i]."""

    @abstractmethod
    def squeeze(self, dropped: Sequence[int]) -> Self:
        """Return the value without these axes, whose extents must be 1."""

    @abstractmethod
    def expand_dims(self, added: Sequence[int]) -> Self:
        """Return the value with more axes of extent 1. `added` has the numbers of these axes in the result."""

    @abstractmethod
    def merge_axes(self, first: int, last: int) -> Self:
        """Return the value with the axes `first` to `last - 1` merged. If first == last, an axis of 1 is added."""

    @abstractmethod
    def broadcast_to(self, shape: ConstantPair) -> Self:
        """Return the value repeated along axes of extent 1 until it has this shape, by the rules of NumPy."""

    # ---- Parts -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def slice(
        self, parts: Callable[..., Sequence[Any]], *ranges: ConstantPair | Sequence[int] | None
    ) -> Self:
        """Return value[parts].

        Args:
            parts: a function that returns the indices of NumPy for a shape and the arrays of `ranges`.
            ranges: constants or lists, such as starts and ends.
        """

    def split(self, axis: int, sizes: Sequence[int]) -> Iterator[Self]:
        """Yield parts of these sizes along an axis. Their sum must be the extent of the axis."""
        extent = self.known_extent(axis, "splits")
        if not sizes or sum(sizes) != extent or min(sizes) < 0:
            raise WeightsError(f"damaged: splits {self.shown} along axis {axis} into {list(sizes[:5])}")
        for size, end in zip(sizes, accumulate(sizes), strict=True):
            part = slice(end - size, end)
            yield self.slice(lambda _, part=part: [*[slice(None)] * axis, part])

    @abstractmethod
    def take(self, axis: int, indices: Any) -> Self:
        """Gather positions of an axis: the axes of the indices replace it. Negative ones count from the end."""

    @abstractmethod
    def tile(self, times: Sequence[int]) -> Self:
        """Repeat each axis as a whole as many times as `times` says."""

    @abstractmethod
    def concat(self, others: Sequence[Self], axis: int) -> Self:
        """Concatenate this value and others along an axis."""

    @abstractmethod
    def stack(self, others: Sequence[Self], axis: int) -> Self:
        """Stack this value and others along a new axis."""

    # ---- Arithmetic ------------------------------------------------------------------------------------------------

    @abstractmethod
    def combine(self, operation: str, other: Self, suffix: str = "", activation: Activation = None) -> Self:
        """Apply an operation of two operands, which are broadcast by the rules of NumPy, and then an activation.

        `operation` is the name of a method of `Network`, such as "add". See `map` for the suffix.
        """

    @abstractmethod
    def softmax(self, axes: Sequence[int]) -> Self:
        """Return exp(x) / sum(exp(x)) over these axes."""

    @abstractmethod
    def reduce(self, kind: str, axes: Sequence[int]) -> Self:
        """Reduce the value over axes, which are kept with the extent 1. `kind` is that of the reduction layer."""

    @abstractmethod
    def argmax_or_argmin(self, axis: int, *, minimum: bool = False, last: bool = False) -> Self:
        """Return the index of the largest element of an axis, or with `minimum` that of the smallest.

        The axis is kept with the extent 1. Among equal elements, the first one is taken, or with `last` the last one.
        """

    @abstractmethod
    def cumsum(self, axis: int, *, exclusive: bool, backwards: bool) -> Self:
        """Compute cumulative sums along an axis: without the element itself, or from the end."""

    @abstractmethod
    def matmul(self, other: Self) -> Self:
        """Multiply the matrices of the last two axes. Other axes are broadcast."""
