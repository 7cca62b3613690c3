"""Tensors of a file with the methods of an array: each method adds the layers that compute its result.

Axes are those of the file. Layers get the name of the file's operator that is being converted. If an operator becomes
several layers, all but the last one need a suffix, which some methods take as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, ONE_IMAGE, MixedImagesError
from mpscnn.converters.values import contractions, positions, special_values
from mpscnn.converters.values.broadcast import align
from mpscnn.converters.values.concat import concat
from mpscnn.converters.values.constant_pair import ConstantPair
from mpscnn.converters.values.layout import Arranged, Axis, product
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.positions import look_up
from mpscnn.converters.values.slicing import as_slice, gather, pad, reverse, slice_axis, take_part, tile
from mpscnn.converters.values.strided_slice import expand_indices
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

_OF_ONE: dict[str, Activation] = {
    "deviation": {"kind": "linear", "a": 0.0},
    "l2_norm": "absolute",
    "sum_of_squares": {"kind": "power", "a": 1.0, "c": 2.0},
    "variance": {"kind": "linear", "a": 0.0},
}
"""The functions that reductions of single elements compute. Those of other kinds change nothing."""

_MAX_REPEATED = 4  # the maximum number of axes of tensors with which layers compare one number


_LOGIC = {"and": "multiply", "or": "maximum", "xor": "not_equal"}
"""The operations of the network on truth values, which are 0 and 1."""


@dataclass(frozen=True)
class FileTensor(Arranged, Value):
    """A tensor of a file that the network computes. Its methods add layers; see `Value` for their errors.

    Attributes:
        arranger: adds the layers.
    """

    arranger: Arranger = field(kw_only=True, repr=False)

    @classmethod
    def from_tensor(cls, arranger: Arranger, tensor: Tensor) -> FileTensor:
        """Return a tensor of the network as a tensor of the file with the same axes."""
        axes = arranger.atoms(tensor.shape[1:])
        order = tuple(atom for axis in axes for atom in axis)
        batch = () if arranger.batch is None else ((arranger.batch,),)
        return cls(tensor, (*batch, *axes), order, arranger=arranger)

    @classmethod
    def from_image(cls, arranger: Arranger, tensor: Tensor, rank: int = 4) -> FileTensor:
        """Return the network's tensor (n, height, width, channels) as the file's (n, channels, height, width).

        With rank 3 the file's tensor is (n, channels, width).
        """
        if arranger.batch is None:
            raise UnsupportedError("an image that has no batch")
        height, width, channels = arranger.atoms(tensor.shape[1:])
        if rank != 4 and height:
            raise UnsupportedError("makes an image with rows of one that has none")
        spatial = (height, width) if rank == 4 else (width,)
        order = height + width + channels
        return cls(tensor, ((arranger.batch,), channels, *spatial), order, arranger=arranger)

    @property
    def network(self) -> Network:
        """The network that gets the layers."""
        return self.arranger.network

    def wrap(self, value: Arranged) -> FileTensor:
        """Return a value as an object of this class."""
        if isinstance(value, FileTensor):
            return value
        return FileTensor(value.tensor, value.axes, value.order, value.whole_numbers, arranger=self.arranger)

    def mark_as_floats(self) -> FileTensor:
        """Return the tensor without its mark as integers or booleans of the file."""
        return replace(self, whole_numbers=False)

    # ---- Elements --------------------------------------------------------------------------------------------------

    def map(self, function: Activation, suffix: str = "") -> FileTensor:
        """Apply an activation to each element."""
        return self.with_same_layout(
            self.network.activation(self.tensor, function, name=self.arranger.name(suffix))
        )

    def logical_not(self) -> FileTensor:
        """Return 1 - x, whose elements are 1 where those of x are 0."""
        return self.linear(-1.0, 1.0)

    def truncate(self, suffix: str = "") -> FileTensor:
        """Return each number without its fraction, as a cast to integers does."""
        whole = self.map("absolute", "/magnitude").map("floor", "/whole")
        return self.map("sign", "/sign").combine("multiply", whole, suffix)

    def power(self, exponent: float) -> FileTensor:
        """Return x ** exponent."""
        return self.with_same_layout(
            special_values.power(self.network, self.tensor, exponent, self.arranger.name)
        )

    def exponential(self, base: float) -> FileTensor:
        """Return base ** x."""
        return self.with_same_layout(
            special_values.exponential(self.network, base, self.tensor, self.arranger.name)
        )

    def sqrt(self, *, inverse: bool = False) -> FileTensor:
        """Return the square root, or 1 divided by it: NaN for all numbers below zero."""
        return self.with_same_layout(
            special_values.sqrt(self.network, self.tensor, self.arranger.name, inverse=inverse)
        )

    def reciprocal(self, dividend: float = 1.0, activation: Activation = None) -> FileTensor:
        """Return a number divided by each element."""
        made = special_values.quotient(self.network, dividend, self.tensor, self.arranger.name, activation)
        return self.with_same_layout(made)

    def not_equal(self, number: float, suffix: str = "") -> FileTensor:
        """Return 1 for each element that is not this number, also for NaN, and 0 for the others."""
        return self._compared("not_equal", number, suffix).mark_as_integers()

    def less_than(self, number: float, suffix: str) -> FileTensor:
        """Return 1 for each element that is less than a number, and 0 for the others."""
        return self._compared("less", number, suffix)

    def _compared(self, operation: str, number: float, suffix: str) -> FileTensor:
        compare, name = getattr(self.network, operation), self.arranger.name(suffix)
        shape = self.tensor.shape
        if len(shape) <= _MAX_REPEATED:
            return self.with_same_layout(compare(self.tensor, self._number(number), name=name))
        # One number is not repeated along so many axes.
        flat = self.network.reshape(self.tensor, (-1,), name=self.arranger.name("/flat"))
        constant = special_values.one_number(self.network, number, flat, self.arranger.name("/number"))
        made = compare(flat, constant, name=name)
        extents = [-1 if extent is None else extent for extent in shape[1:]]
        return self.with_same_layout(self.network.reshape(made, extents, name=self.arranger.name("/axes")))

    def _number(self, number: float) -> Tensor:
        return special_values.one_number(self.network, number, self.tensor, self.arranger.name("/number"))

    # ---- Two tensors -----------------------------------------------------------------------------------------------

    def combine(
        self, operation: str, other: Arranged, suffix: str = "", activation: Activation = None
    ) -> FileTensor:
        """Apply an operation of two operands, which are broadcast by the rules of NumPy.

        Args:
            operation: the name of a method of `Network`, such as "add".
            other: the second operand.
            suffix: the suffix of the layer's name.
            activation: the layer's activation.
        """
        both = align(self.arranger, self, other)
        compute = getattr(self.network, _LOGIC.get(operation, operation))
        name = self.arranger.name(suffix)
        return self.wrap(both.result(compute(both.first, both.second, activation=activation, name=name)))

    def where(
        self,
        chosen: Callable[[], FileTensor] | None,
        other: Callable[[], FileTensor] | None,
        activation: Activation = None,
    ) -> FileTensor:
        """Return elements of one tensor where this one is 1, and elements of another where it is 0.

        It is the sum of two masked tensors, one of which is 0 at each position.

        Args:
            chosen, other: functions that return the tensors, and add their layers; None: zeros, which add nothing to
                the sum. At least one is not None.
            activation: the activation of the sum.
        """
        choices = [(name, one) for name, one in (("mask", chosen), ("mask_out", other)) if one is not None]
        suffix = "/part" if len(choices) > 1 else ""
        first, *others = [self.combine(method, one(), suffix) for method, one in choices]
        return first.combine("add", others[0], "", activation) if others else first

    def __add__(self, other: Arranged) -> FileTensor:
        return self.combine("add", other)

    def __mul__(self, other: Arranged) -> FileTensor:
        return self.combine("multiply", other)

    def __matmul__(self, other: Arranged) -> FileTensor:
        return self.matmul(other)

    def matmul(self, other: Arranged, scale: float = 1.0) -> FileTensor:
        """Multiply the matrices of the last two axes, and the products by `scale`. Other axes are broadcast."""
        operands = contractions.broadcast_matrices(self.arranger, self, other)
        return self.wrap(contractions.matmul(self.arranger, *operands, scale))

    # ---- Along axes ------------------------------------------------------------------------------------------------

    def atoms_of(self, axes: Iterable[int]) -> Axis:
        """Return the atoms of several axes."""
        return tuple(atom for axis in axes for atom in self.axes[axis])

    def apply_along(self, axes: Sequence[int], layer: Callable[..., Tensor], **settings: Any) -> FileTensor:
        """Apply a layer that computes along its channels, with these axes of the file as the channels.

        Args:
            axes: the numbers of the file's axes.
            layer: a function that gets a tensor, the settings and a name, and adds the layer.
            settings: arguments of the layer.
        """
        atoms = tuple(atom for atom in self.atoms_of(axes) if not atom.is_batch or atom.high != 1)
        if any(atom.is_batch for atom in atoms):
            raise MixedImagesError(f"compares images of the batch: {ONE_IMAGE}")
        tensor, rest, tail = self.arranger.channels_last(self, atoms)
        return self.with_tensor(layer(tensor, **settings, name=self.arranger.name("")), rest + tail)

    def softmax(self, axes: Sequence[int]) -> FileTensor:
        """Return exp(x) / sum(exp(x)) over these axes."""
        return self.apply_along(axes, self.network.softmax)

    def reduce(self, kind: str, axes: Sequence[int], *, pools: bool = True) -> FileTensor:
        """Reduce the tensor over axes, which are kept with the extent 1.

        Args:
            kind: the kind of mpscnn's reduction layer, "l1_norm" or "log_sum" (the logarithm of the sum).
            axes: the numbers of the file's axes.
            pools: whether a global pooling may replace the reduction of a whole image.
        """
        if kind == "l1_norm":
            return self.map("absolute", "/elements").reduce("sum", axes, pools=pools)
        if kind == "log_sum":
            return self.reduce("sum", axes, pools=pools).map("logarithm", "/sum")
        atoms = self.atoms_of(axes)
        if any(atom.is_batch and atom.high != 1 for atom in atoms):
            raise MixedImagesError(f"reduces {self.shown} along the batch: {ONE_IMAGE}")
        batch, own = (
            tuple(atom for atom in atoms if atom.is_batch is is_batch) for is_batch in (True, False)
        )
        y: Arranged = self.map(_OF_ONE[kind], "/elements") if not own and kind in _OF_ONE else self
        y = contractions.reduce(self.arranger, y, own, kind, pools=pools)
        kept = [() if axis in axes else y.axes[axis] for axis in range(self.rank)]
        if batch:
            kept[0] = batch + kept[0]
        return self.wrap(Arranged(y.tensor, tuple(kept), y.order))

    def argmax_or_argmin(self, axis: int, *, minimum: bool = False, last: bool = False) -> FileTensor:
        """Return the index of the largest element of an axis, or with `minimum` that of the smallest.

        The axis is kept with the extent 1. Among equal elements, the first one is taken, or with `last` the last one.
        """
        if any(atom.is_batch and atom.high != 1 for atom in self.axes[axis]):
            raise MixedImagesError(f"compares images of the batch: {ONE_IMAGE}")
        x = self.with_batch_outside(axis)
        if last:  # reverse the axis, so that the last of equal elements becomes the first
            x = x.slice_axis(axis, range(x.known_extent(axis, "takes the last of equals of") - 1, -1, -1))
        atoms = x.axes[axis]
        rest = tuple(atom for atom in x.order if atom not in atoms)
        grouping = self.arranger.grouping(x)
        fits = grouping and grouping[-1] == atoms
        tensor = x.tensor if fits else self.arranger.physical(x, (rest, atoms))
        find = self.network.argmin if minimum else self.network.argmax
        y = find(tensor, name=self.arranger.name(""))
        axes = (*x.axes[:axis], (), *x.axes[axis + 1 :])
        places = self.wrap(Arranged(y, axes, rest, whole_numbers=True))
        return places.linear(-1.0, (self.shape[axis] or 1) - 1.0, "/index") if last else places

    def top_k(self, axis: int, count: int, *, largest: bool) -> FileTensor:
        """Return the indices of the largest or smallest elements of an axis, the best first; see `Network.top_k`."""
        return self.wrap(positions.top_k(self.arranger, self, axis, count, largest=largest))

    def take_along_axis(self, axis: int, indices: Arranged) -> FileTensor:
        """Gather elements of an axis by computed indices; see `positions.take_along_axis`."""
        return self.wrap(positions.take_along_axis(self.arranger, self, axis, indices))

    def gather(self, axis: int, indices: Arranged, *, of_each_image: bool = False) -> FileTensor:
        """Gather positions of an axis by computed indices; see `positions.gather`."""
        return self.wrap(positions.gather(self.arranger, self, axis, indices, of_each_image=of_each_image))

    def multiply_by_matrix(
        self, axis: int, results: int, matrix: Callable[[], NDArray[np.float32]]
    ) -> FileTensor:
        """Multiply the elements of an axis by a constant matrix; see `contractions.multiply_by_matrix`."""
        return self.wrap(contractions.multiply_by_matrix(self.arranger, self, axis, results, matrix))

    def cumsum(self, axis: int, *, exclusive: bool, backwards: bool) -> FileTensor:
        """Compute cumulative sums along an axis; see `contractions.cumsum`."""
        made = contractions.cumsum(self.arranger, self, axis, exclusive=exclusive, backwards=backwards)
        return self.wrap(made)

    # ---- Parts -----------------------------------------------------------------------------------------------------

    def slice_axis(self, axis: int, positions: range) -> FileTensor:
        """Slice an axis: take the positions of a range, whose step may be negative."""
        return self.wrap(slice_axis(self.arranger, self, axis, positions))

    def reverse(self, axis: int) -> FileTensor:
        """Reverse an axis. Its extent may be free."""
        return self.wrap(reverse(self.arranger, self, axis))

    def slice(
        self, parts: Callable[..., Sequence[Any]], *ranges: ConstantPair | Sequence[int] | None
    ) -> FileTensor:
        """Return x[parts]; see `Value.slice`. An axis of free extent can only be taken as a whole, or reversed."""
        pairs = [(one.low, one.high) if isinstance(one, ConstantPair) else (one, one) for one in ranges]
        low, high = (
            expand_indices(parts(tuple(shape), *(pair[number] for pair in pairs)), self.rank)
            for number, shape in enumerate(self.trial_shapes())
        )
        x = self.wrap(self.expand_dims([axis for axis, entry in enumerate(low) if entry is None]))
        for axis, (first, second) in enumerate(zip(low, high, strict=True)):
            if first is not None and second is not None:
                x = self.wrap(take_part(self.arranger, x, axis, as_slice(first), as_slice(second)))
        return x.squeeze([axis for axis, entry in enumerate(low) if isinstance(entry, int)])

    def take(
        self, axis: int, indices: FileTensor | ConstantPair | Sequence[int] | NDArray[Any]
    ) -> FileTensor:
        """Gather positions of an axis: the axes of the indices replace it. Negative ones count from the end."""
        if isinstance(indices, FileTensor):
            return self.gather(axis, indices)
        given = indices.fixed("its positions") if isinstance(indices, ConstantPair) else np.asarray(indices)
        extent = self.known_extent(axis, "takes a part of")
        if given.dtype.kind not in "iu":
            raise WeightsError(f"damaged: its positions are {given.dtype} of shape {given.shape}")
        if not given.size:
            raise UnsupportedError(f"takes nothing of axis {axis} of {self.shown}")
        if int(given.min()) < -extent or int(given.max()) >= extent:
            raise WeightsError(
                f"damaged: takes positions {given.reshape(-1)[:5].tolist()} of axis {axis} of {self.shown}"
            )
        y = self.take_positions(axis, given.reshape(-1).astype(np.int64, copy=False) % extent)
        if given.ndim == 0:
            return y.squeeze([axis])
        if given.ndim == 1:
            return y
        return y.wrap(y.view(*([*one[:axis], *given.shape, *one[axis + 1 :]] for one in y.trial_shapes())))

    def take_positions(self, axis: int, positions: NDArray[np.int64]) -> FileTensor:
        """Gather positions of an axis, none of which is negative."""
        return self.wrap(gather(self.arranger, self, axis, positions))

    def wrap_negative_indices(self, extent: int) -> FileTensor:
        """Add the axis's extent to negative indices, which count from the end, so that all count from the start."""
        shift = self.less_than(0.0, "/below").linear(extent, suffix="/shift")
        return self.combine("add", shift, "/counted")

    def one_hot(self, axis: int, depth: int, on: float, off: float) -> FileTensor:
        """Return the tensor with a new axis of `depth` places: `on` at the place of each element, `off` elsewhere."""
        if depth < 1 or not (math.isfinite(on) and math.isfinite(off)):
            raise WeightsError(f"damaged: {depth} places with the numbers {on} and {off}")
        x, name = self.expand_dims([axis]), self.arranger.name("/places")
        tensor = self.arranger.constant(name, (depth,), lambda: np.arange(depth, dtype=np.float32))
        (atoms,) = self.arranger.atoms([depth])
        axes = [atoms if place == axis % x.rank else () for place in range(x.rank)]
        return x.combine("equal", Arranged(tensor, tuple(axes), atoms), "/same").linear(on - off, off)

    def look_up(self, table: NDArray[np.float32]) -> FileTensor:
        """Select a row of a table for each element, which is an index; see `lookup.look_up`."""
        return self.wrap(look_up(self.arranger, self, table, self.arranger.name))

    def tile(self, times: Sequence[int]) -> FileTensor:
        """Repeat each axis as a whole as many times as `times` says, at least once."""
        if len(times) != self.rank or min(times, default=1) < 1:
            raise UnsupportedError(f"repeats {self.shown} {list(times)} times")
        return self.wrap(tile(self.arranger, self, times))

    def broadcast_to(self, shape: ConstantPair) -> FileTensor:
        """Repeat the tensor along axes of extent 1 until it has this shape, by the rules of NumPy."""
        wanted = shape.shapes("its shape")
        if len(wanted[1]) < self.rank:
            raise WeightsError(f"damaged: repeats {self.shown} to {tuple(wanted[1])}")
        x = self.wrap(self.expand_dims(range(len(wanted[1]) - self.rank)))
        return x.tile([x._repeats(axis, *both) for axis, both in enumerate(zip(*wanted, strict=True))])

    def _repeats(self, axis: int, low: int, high: int) -> int:
        """Return how often an axis is repeated to get an extent, given with both numbers of each free extent."""
        extents = tuple(shape[axis] for shape in self.trial_shapes())
        if extents == (low, high):
            return 1
        if extents[0] != extents[1] or low != high:
            raise UnsupportedError(f"repeats {self.shown}, whose size is free: {CHOOSE_SIZE}")
        if extents[0] != 1 or low < 1:
            raise WeightsError(f"damaged: repeats axis {axis} of {self.shown} to {low}")
        return low

    def pad(self, axis: int, sides: tuple[int, int], settings: dict[str, Any]) -> FileTensor:
        """Pad an axis before and after; see `slicing.pad`."""
        return self.wrap(pad(self.arranger, self, axis, sides, settings))

    def concat(self, others: Iterable[Arranged], axis: int) -> FileTensor:
        """Concatenate this tensor and others along an axis."""
        return self.wrap(concat(self.arranger, [self, *others], axis))

    def stack(self, others: Iterable[Arranged], axis: int) -> FileTensor:
        """Stack this tensor and others along a new axis."""
        first, *rest = (one.expand_dims([axis]) for one in (self, *others))
        return self.wrap(first).concat(rest, first.axis(axis))

    # ---- Layouts ---------------------------------------------------------------------------------------------------

    def reshape(self, shape: ConstantPair | Sequence[int]) -> FileTensor:
        """Reshape the tensor as `Arranged.view` does. Move elements first if the memory order does not allow it."""
        both = shape.shapes("the new shape") if isinstance(shape, ConstantPair) else (shape, shape)
        return self.reshape_to(*both)

    def reshape_to(self, low: Sequence[int], high: Sequence[int]) -> FileTensor:
        """Reshape the tensor to a shape that is given with both numbers of each free extent."""
        return self.wrap(self.arranger.reshape(self, low, high))

    def image(self) -> Tensor:
        """Return the network's tensor (n, height, width, channels) for (n, channels, height, width) of the file."""
        return self.arranger.image(self)

    def wrap_image(self, image: Tensor) -> FileTensor:
        """Convert a result (n, height, width, channels) computed from `image` to a tensor of the file, of this rank."""
        return FileTensor.from_image(self.arranger, image, self.rank)

    def fixed_count(self, axes: Sequence[int]) -> int:
        """Return the product of the axes' extents. Raises UnsupportedError for the batch and for free axes."""
        atoms = self.atoms_of(axes)
        count = product(atoms)
        if any(atom.is_batch for atom in atoms) or count is None:
            raise UnsupportedError(f"normalises {self.shown} along its batch or a free axis")
        return count
