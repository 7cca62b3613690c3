"""Tensors of a file with arithmetic in the file's axes: each method adds the layers that compute its result.

Operators (`a + b`, `a @ b`) and `map` name their layers after the operator of the file that is being converted. A
method with a suffix is for all layers of an operator but its last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import contractions, special_values
from mpscnn.converters.arrange import Arranger
from mpscnn.converters.broadcast import align
from mpscnn.converters.concat import joined
from mpscnn.converters.layout import Axis, Value, product
from mpscnn.converters.lookup import looked_up
from mpscnn.converters.slicing import bordered, part, taken, tiled
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


@dataclass(frozen=True)
class FileTensor(Value):
    """A value of a file that computes other values.

    Axes are the file's. All methods raise UnsupportedError if mpscnn cannot compute, move or repeat the elements as
    needed, and WeightsError if the operands do not fit each other.

    Attributes:
        arranger: adds the layers.
    """

    arranger: Arranger = field(kw_only=True, repr=False)

    @classmethod
    def plain(cls, arranger: Arranger, tensor: Tensor) -> FileTensor:
        """Return a tensor of the network with its own axes."""
        axes = arranger.atoms(tensor.shape[1:])
        order = tuple(atom for axis in axes for atom in axis)
        batch = () if arranger.batch is None else ((arranger.batch,),)
        return cls(tensor, (*batch, *axes), order, arranger=arranger)

    @classmethod
    def of_image(cls, arranger: Arranger, tensor: Tensor, rank: int = 4) -> FileTensor:
        """Return an image (n, height, width, channels) as (n, channels, height, width).

        With rank 3 it is (n, channels, width).
        """
        if arranger.batch is None:
            raise UnsupportedError("an image that has no batch")
        height, width, channels = arranger.atoms(tensor.shape[1:])
        spatial = (height, width) if rank == 4 else (width,)
        order = height + width + channels
        return cls(tensor, ((arranger.batch,), channels, *spatial), order, arranger=arranger)

    @property
    def network(self) -> Network:
        """The network that gets the layers."""
        return self.arranger.network

    def of(self, value: Value) -> FileTensor:
        """Return a value with arithmetic."""
        if isinstance(value, FileTensor):
            return value
        return FileTensor(value.tensor, value.axes, value.order, value.whole_numbers, arranger=self.arranger)

    def as_numbers(self) -> FileTensor:
        """Return integers or booleans of the file as numbers."""
        return replace(self, whole_numbers=False)

    # ---- Elements --------------------------------------------------------------------------------------------------

    def map(self, function: Activation, suffix: str = "") -> FileTensor:
        """Return a function of each element."""
        return self.holding(self.network.activation(self.tensor, function, name=self.arranger.name(suffix)))

    def linear(self, factor: float, offset: float = 0.0, suffix: str = "") -> FileTensor:
        """x * factor + offset."""
        return self.map({"kind": "linear", "a": factor, "b": offset}, suffix)

    def power(self, exponent: float) -> FileTensor:
        """x to the power of a number."""
        return self.holding(special_values.power(self.network, self.tensor, exponent, self.arranger.name))

    def exponential(self, base: float) -> FileTensor:
        """Return the power of a number whose exponents are the elements."""
        return self.holding(special_values.exponential(self.network, base, self.tensor, self.arranger.name))

    def root(self, *, inverse: bool = False) -> FileTensor:
        """Return the square root, or 1 divided by it: NaN for all numbers below zero."""
        return self.holding(
            special_values.root(self.network, self.tensor, self.arranger.name, inverse=inverse)
        )

    def reciprocal(self, dividend: float = 1.0, activation: Activation = None) -> FileTensor:
        """Return a number divided by each element."""
        made = special_values.quotient(self.network, dividend, self.tensor, self.arranger.name, activation)
        return self.holding(made)

    def is_not(self, number: float) -> FileTensor:
        """1 where the element is another number, or NaN; else 0."""
        constant = self._number(number)
        made = self.network.not_equal(self.tensor, constant, name=self.arranger.name(""))
        return self.holding(made).as_whole_numbers()

    def is_below(self, number: float, suffix: str) -> FileTensor:
        """1 where the element is less than a number, else 0."""
        constant = self._number(number)
        return self.holding(self.network.less(self.tensor, constant, name=self.arranger.name(suffix)))

    def _number(self, number: float) -> Tensor:
        return special_values.one_number(self.network, number, self.tensor, self.arranger.name("/number"))

    # ---- Two tensors -----------------------------------------------------------------------------------------------

    def combined(
        self, operation: str, other: Value, suffix: str = "", activation: Activation = None
    ) -> FileTensor:
        """Return the network's operation on two tensors, broadcast by the rules of NumPy.

        Args:
            operation: the name of a method of networks, such as "add".
            other: the second operand.
            suffix: of the layer's name.
            activation: the layer's.
        """
        both = align(self.arranger, self, other)
        compute = getattr(self.network, operation)
        name = self.arranger.name(suffix)
        return self.of(both.result(compute(both.first, both.second, activation=activation, name=name)))

    def __add__(self, other: Value) -> FileTensor:
        return self.combined("add", other)

    def __mul__(self, other: Value) -> FileTensor:
        return self.combined("multiply", other)

    def __matmul__(self, other: Value) -> FileTensor:
        """Multiply the matrices of the last two axes; those of an axis of extent 1 are repeated."""
        operands = contractions.with_as_many_matrices(self.arranger, self, other)
        return self.of(contractions.product_of(self.arranger, *operands))

    # ---- Along axes ------------------------------------------------------------------------------------------------

    def atoms_of(self, axes: Iterable[int]) -> Axis:
        """Return the atoms of several axes."""
        return tuple(atom for axis in axes for atom in self.axes[axis])

    def along(self, axes: Sequence[int], layer: Callable[..., Tensor], **settings: Any) -> FileTensor:
        """Return the result of a layer that computes along its channels, for which these axes are taken.

        Args:
            axes: of the file.
            layer: gets a tensor, the settings and a name.
            settings: arguments of the layer.
        """
        atoms = tuple(atom for atom in self.atoms_of(axes) if not atom.is_batch or atom.high != 1)
        if any(atom.is_batch for atom in atoms):
            raise UnsupportedError("compares images of the batch")
        tensor, rest, tail = self.arranger.channels_last(self, atoms)
        return self.lying(layer(tensor, **settings, name=self.arranger.name("")), rest + tail)

    def softmax(self, axes: Sequence[int]) -> FileTensor:
        """exp(x) / sum(exp(x)) over these axes."""
        return self.along(axes, self.network.softmax)

    def reduced(self, kind: str, axes: Sequence[int], *, pools: bool = True) -> FileTensor:
        """Return the tensor reduced over axes, which stay with the extent 1.

        Args:
            kind: of our reduction.
            axes: of the file.
            pools: whether a pooling may reduce a whole image.
        """
        atoms = self.atoms_of(axes)
        if any(atom.is_batch and atom.high != 1 for atom in atoms):
            raise UnsupportedError(
                f"reduces {self.shown} along the batch: choose a batch of 1 with --shape (shapes= in Python)"
            )
        batch, own = (
            tuple(atom for atom in atoms if atom.is_batch is is_batch) for is_batch in (True, False)
        )
        y = contractions.reduced(self.arranger, self, own, kind, pools=pools)
        kept = [() if axis in axes else y.axes[axis] for axis in range(self.rank)]
        if batch:
            kept[0] = batch + kept[0]
        return self.of(Value(y.tensor, tuple(kept), y.order))

    def place_of(self, axis: int, *, least: bool = False, last: bool = False) -> FileTensor:
        """Return the place of the largest or least element of an axis, which stays with the extent 1.

        `last` takes the last one of equals, not the first one.
        """
        if any(atom.is_batch for atom in self.axes[axis]):
            raise UnsupportedError("compares images of the batch")
        x = self
        if last:  # the first one from behind
            x = x.part(axis, range(x.known_extent(axis, "takes the last of equals of") - 1, -1, -1))
        atoms = x.axes[axis]
        rest = tuple(atom for atom in x.order if atom not in atoms)
        grouping = self.arranger.grouping(x)
        fits = grouping and grouping[-1] == atoms
        tensor = x.tensor if fits else self.arranger.physical(x, (rest, atoms))
        find = self.network.argmin if least else self.network.argmax
        y = find(tensor, name=self.arranger.name(""))
        axes = (*x.axes[:axis], (), *x.axes[axis + 1 :])
        places = self.of(Value(y, axes, rest, whole_numbers=True))
        return places.linear(-1.0, (self.shape[axis] or 1) - 1.0, "/index") if last else places

    def mapped(self, axis: int, results: int, matrix: Callable[[], NDArray[np.float32]]) -> FileTensor:
        """Multiply the elements of an axis by a constant matrix; see `contractions.mapped`."""
        return self.of(contractions.mapped(self.arranger, self, axis, results, matrix))

    def running_sums(self, axis: int, *, exclusive: bool, backwards: bool) -> FileTensor:
        """Add up the elements of an axis one after the other; see `contractions.running_sums`."""
        made = contractions.running_sums(self.arranger, self, axis, exclusive=exclusive, backwards=backwards)
        return self.of(made)

    # ---- Parts -----------------------------------------------------------------------------------------------------

    def known_extent(self, axis: int, what: str) -> int:
        """Return the extent of an axis. Raises UnsupportedError if it is free; `what` begins the message."""
        extent = self.shape[axis]
        if extent is None:
            raise UnsupportedError(f"{what} {self.shown}, whose size is free: {CHOOSE_SIZE}")
        return extent

    def part(self, axis: int, positions: range) -> FileTensor:
        """Take some of the positions of an axis, in steps that may be negative."""
        return self.of(part(self.arranger, self, axis, positions))

    def taken(self, axis: int, numbers: Sequence[int]) -> FileTensor:
        """Take positions of an axis in any order."""
        return self.of(taken(self.arranger, self, axis, numbers))

    def taken_by(self, axis: int, table: NDArray[Any]) -> FileTensor:
        """Take positions of an axis. The axes of the table that lists them replace it."""
        y = self.taken(axis, [int(number) for number in table.reshape(-1)])
        if table.ndim == 0:
            return y.without_axes([axis])
        if table.ndim == 1:
            return y
        low, high = ([*one[:axis], *table.shape, *one[axis + 1 :]] for one in y.stand_ins())
        return y.reshaped(low, high)

    def rows_of(self, table: NDArray[np.float32]) -> FileTensor:
        """Look up each number in the rows of a table, whose other axes follow the tensor's."""
        return self.of(looked_up(self.arranger, self, table, self.arranger.name))

    def tiled(self, times: Sequence[int]) -> FileTensor:
        """Repeat each axis."""
        return self.of(tiled(self.arranger, self, times))

    def bordered(self, axis: int, sides: tuple[int, int], settings: dict[str, Any]) -> FileTensor:
        """Add a border before and after an axis; see `slicing.bordered`."""
        return self.of(bordered(self.arranger, self, axis, sides, settings))

    def joined(self, others: Iterable[Value], axis: int) -> FileTensor:
        """Return this tensor and others, one after the other along an axis."""
        return self.of(joined(self.arranger, [self, *others], axis))

    # ---- Layouts ---------------------------------------------------------------------------------------------------

    def regrouped(self, low: Sequence[int], high: Sequence[int]) -> FileTensor:
        """Return `reshaped`. If the order in memory does not allow it, the elements are moved first."""
        return self.of(self.arranger.reshaped(self, low, high))

    def image(self) -> Tensor:
        """Return (n, channels, height, width) as a tensor (n, height, width, channels); see `Arranger.image`."""
        return self.arranger.image(self)

    def of_same_rank(self, image: Tensor) -> FileTensor:
        """Return a tensor (n, height, width, channels) that was computed from `image`."""
        return FileTensor.of_image(self.arranger, image, self.rank)

    def fixed_count(self, axes: Sequence[int]) -> int:
        """Return the number of elements along these axes. Raises UnsupportedError for the batch and free axes."""
        atoms = self.atoms_of(axes)
        count = product(atoms)
        if any(atom.is_batch for atom in atoms) or count is None:
            raise UnsupportedError(f"normalises {self.shown} along its batch or a free axis")
        return count
