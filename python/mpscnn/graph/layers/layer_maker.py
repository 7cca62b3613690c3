"""Define tensors, and the base class of the layer methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

from mpscnn._private.other_arguments import accept_foreign_arguments, argument_names
from mpscnn._private.other_names import Expected
from mpscnn.graph.layer_arguments import Activation

if TYPE_CHECKING:
    from mpscnn import _core

Shape = tuple[int | None, ...]
Arithmetic = Literal["add", "subtract", "multiply", "divide"]


class TensorMaker(Protocol):
    """The part of a graph builder that tensors need for arithmetic."""

    graph: _core.Graph

    def combined(self, operation: Arithmetic, a: Tensor | float, b: Tensor | float) -> Tensor:
        """Add the layer of an operation on two tensors, or on a tensor and a number."""


class Tensor(Expected):
    """The output of a layer (or an input) of a network. Layer methods take and return tensors.

    `shape` lists the batch first; None is an extent that is free until the network runs. `a + b`, `a - b`, `a * b` and
    `a / b` add a layer to the network; one operand may be a number. A divisor that is a number must not be 0; the
    layer multiplies by its reciprocal.
    """

    __slots__ = ("index", "maker", "name", "shape")

    __array_ufunc__ = None  # makes NumPy's arrays and numbers use this class's operators

    def __init__(self, maker: TensorMaker, index: int, name: str) -> None:
        # A tensor refers to the builder and not to the network, which holds tensors itself. Without a reference cycle,
        # the weights are freed as soon as the last reference to the network is gone.
        self.maker = maker
        self.index = index
        self.name = name
        self.shape: Shape = tuple(None if extent < 0 else extent for extent in maker.graph.shape(index))

    @property
    def graph(self) -> _core.Graph:
        """The graph to which the tensor belongs."""
        return self.maker.graph

    def __repr__(self) -> str:
        return f"<Tensor {self.name!r} {self.shape}>"

    def __add__(self, other: Tensor | float) -> Tensor:
        return self.maker.combined("add", self, other)

    def __radd__(self, other: float) -> Tensor:
        return self.maker.combined("add", other, self)

    def __sub__(self, other: Tensor | float) -> Tensor:
        return self.maker.combined("subtract", self, other)

    def __rsub__(self, other: float) -> Tensor:
        return self.maker.combined("subtract", other, self)

    def __mul__(self, other: Tensor | float) -> Tensor:
        return self.maker.combined("multiply", self, other)

    def __rmul__(self, other: float) -> Tensor:
        return self.maker.combined("multiply", other, self)

    def __truediv__(self, other: Tensor | float) -> Tensor:
        return self.maker.combined("divide", self, other)

    def __rtruediv__(self, other: float) -> Tensor:
        return self.maker.combined("divide", other, self)

    def __neg__(self) -> Tensor:
        return self.maker.combined("subtract", 0.0, self)

    if not TYPE_CHECKING:  # type checkers refuse these operators themselves

        def __pow__(self, exponent: object) -> NoReturn:
            raise TypeError("tensors have no operator **: x * x is a square, and net.power(x, y) a power")

        __rpow__ = __pow__

        def __matmul__(self, other: object) -> NoReturn:
            raise TypeError("tensors have no operator @: net.matmul(x, y) is the product of matrices")

        def __getitem__(self, index: object) -> NoReturn:
            raise TypeError("tensors have no [...]: net.slice(x, rows=(0, 8)) and net.split(x, 2) take parts")

        def __abs__(self) -> NoReturn:
            raise TypeError("tensors have no abs: net.activation(x, 'absolute') applies it")


class LayerMaker(ABC):
    """Base class of the layer methods: a network under construction."""

    def __init_subclass__(cls) -> None:
        """Let the layer methods also accept other frameworks' names of arguments."""
        super().__init_subclass__()
        for name, method in list(vars(cls).items()):
            if (
                isinstance(method, FunctionType)
                and not name.startswith("_")
                and "x" in argument_names(method)
            ):
                setattr(cls, name, accept_foreign_arguments(method))

    @abstractmethod
    def layer(
        self,
        operation: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        *,
        activation: Activation = None,
        name: str | None = None,
        default: str | None = None,
    ) -> Tensor:
        """Add a layer. Without a `name`, its name is `default` and a number."""

    @abstractmethod
    def with_bias(self, made: Tensor, use_bias: bool | None) -> Tensor:
        """Set whether a new layer has a bias, and return its tensor. None: it has one if its weights include one."""
