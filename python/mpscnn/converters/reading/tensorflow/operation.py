"""An operator of a TensorFlow graph with its operands and attributes, for the functions that convert operators.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and operator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, NewType

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.tensorflow.values import Array
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.converters.values.rows import Finite, Ints, Parameter, Row, call
from mpscnn.converters.values.rows import Operand as OperandOfRow
from mpscnn.errors import UnsupportedError, WeightsError

PlaceNumber = NewType("PlaceNumber", int)
Place = Annotated[PlaceNumber, OperandOfRow()]
"""The number of an operand, which a row reads by itself."""
Number = Annotated[float, Finite()]
"""A setting that must be a finite number."""

_MAX_INTEGERS = 4096
_SHARED = 1 << 10  # operators share constants of at least this many bytes

Operand = str | Constant
"""The name of a blob (the result of an operator), or a constant of the file."""

Weights = dict[tuple[int, tuple[int, ...], tuple[int, ...]], tuple[Array, str]]
"""Constants and their names in the ONNX graph, by the identity of the array, the order of axes and the shape."""


Blocks = dict[str, tuple[int, ...]]
"""The extents of blocks of the batch along the axes between the batch and the channels, by the name of the blob."""


class Operation:
    """An operator.

    Args:
        builder: the graph of ONNX operators that is built.
        kind: TensorFlow's name of the operator.
        attributes: the attributes by name.
        operands: names of blobs, and constants.
        blocks: the blocks of blobs that are results of SpaceToBatchND, by the name of the blob.
        weights: the constants that are in the ONNX graph already.
    """

    def __init__(
        self,
        builder: Builder,
        kind: str,
        attributes: dict[str, Any],
        operands: Sequence[Operand],
        blocks: Blocks,
        weights: Weights,
    ) -> None:
        self.kind = kind
        self._b = builder
        self.attributes = attributes
        self._operands = list(operands)
        self._blocks = blocks
        self._weights = weights

    # ---- Operands --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._operands)

    def _operand(self, place: int) -> Operand:
        if not -len(self._operands) <= place < len(self._operands):
            raise WeightsError(f"damaged: it has {len(self._operands)} operands")
        return self._operands[place]

    def tensor(self, place: int = 0) -> str:
        """Return the name of an operand in the ONNX graph, constant or computed."""
        operand = self._operand(place)
        if isinstance(operand, str):
            return self._b.tensor(operand)
        return self._constant(f"operand{place}", operand.low)

    def tensors(self, first: int = 0, last: int | None = None) -> list[str]:
        """Return the names of several operands in the ONNX graph."""
        return [self.tensor(place) for place in range(len(self._operands))[first:last]]

    def array(self, place: int, what: str) -> Array:
        """Return a constant operand. Raises UnsupportedError if it is computed, or depends on a free size."""
        return _fixed(self._given(place, what), f"its {what} depend")

    def _given(self, place: int, what: str) -> Constant:
        operand = self._operand(place)
        found = self._b.constant_of(self._b.tensor(operand)) if isinstance(operand, str) else operand
        if found is None:
            raise UnsupportedError(f"the network computes its {what}, which is not supported")
        return found

    def weight(
        self,
        place: int,
        what: str,
        order: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> str:
        """Add a constant operand to the ONNX graph and return its name.

        Args:
            place: the place of the operand.
            what: the operand's role, for its name and for messages.
            order: the order of axes to which the operand is transposed; None: no transposition.
            shape: the shape that the operand gets after the transposition; None: its own.
        """
        array = self.array(place, what)
        if order is not None and array.ndim != len(order):
            raise WeightsError(f"damaged: its {what} have the shape {array.shape}")
        return self._constant(what, array, order, shape)

    def _constant(
        self, role: str, array: Array, order: Sequence[int] | None = None, shape: Sequence[int] | None = None
    ) -> str:
        """Add a constant to the ONNX graph. Operators share the constant of a large array."""
        key = id(array), tuple(order or ()), tuple(shape or ())
        if key not in self._weights or array.nbytes < _SHARED:
            values = numbers(array)
            values = values if order is None else values.transpose(order)
            values = values if shape is None else values.reshape(shape)
            self._weights[key] = (array, self._b.weight(role, np.asarray(values, order="C")))
        return self._weights[key][1]

    def shape(self, place: int, what: str) -> list[int | None]:
        """Return a constant vector of extents, with None for free extents."""
        constant = self._given(place, what)
        if constant.low.dtype.kind not in "iu" or constant.size > _MAX_INTEGERS:
            raise WeightsError(f"damaged: its {what} are not whole numbers")
        numbers = zip(constant.low.reshape(-1), constant.high.reshape(-1), strict=True)
        return [int(low) if low == high else None for low, high in numbers]

    def integers(self, place: int, what: str) -> list[int]:
        """Return a constant vector of whole numbers."""
        found = self.shape(place, what)
        if None in found:
            raise UnsupportedError(f"its {what} depend on a free size")
        return [one or 0 for one in found]

    def integer(self, place: int, what: str) -> int:
        """Return a constant whole number."""
        found = self.integers(place, what)
        if len(found) != 1:
            raise WeightsError(f"damaged: its {what} is {found[:5]}")
        return found[0]

    def number(self, place: int, what: str) -> float:
        """Return a constant finite number."""
        array = self.array(place, what)
        if array.size != 1 or not math.isfinite(float(array.reshape(()))):
            raise WeightsError(f"damaged: its {what} is {array.reshape(-1)[:5]}")
        return float(array.reshape(()))

    def block(self) -> tuple[int, ...] | None:
        """Return the block if the first operand comes from SpaceToBatchND; otherwise None."""
        operand = self._operand(0)
        return self._blocks.get(operand) if isinstance(operand, str) else None

    # ---- Rows ------------------------------------------------------------------------------------------------------

    def run(self, row: Row, settings: Mapping[str, Any] | None = None, operands: int | None = None) -> Any:
        """Return what a row makes of the operator.

        Args:
            row: the row.
            settings: the settings; None: all that the file states.
            operands: the number of the first operands that the row gets; None: all.
        """
        places = range(len(self) if operands is None else operands)
        stated = self.settings if settings is None else settings
        return call(row, places, stated, self._read, {Builder: self._b, Operation: self})

    def _read(self, parameter: Parameter, place: int) -> Any:
        kind, how = parameter.kind, parameter.operand
        assert how is not None
        if kind is str:
            return self.tensor(place)
        if kind is int:
            return self.integer(place, how.what)
        if kind is float:
            return self.number(place, how.what)
        return tuple(self.integers(place, how.what)) if kind == Ints else place

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The attributes as Python values. Those that name types, and those of TensorFlow's optimiser, are left out."""
        made = {name: _setting(value) for name, value in self.attributes.items() if not name.startswith("_")}
        return {name: value for name, value in made.items() if value is not None}

    def type(self, name: str) -> int:
        """Return an attribute that is an element type, as TensorFlow's number."""
        return int(self.attributes[name].type) if name in self.attributes else 0


def _setting(value: Any) -> Any:
    """Return an attribute's value; None if it is a type, a shape or a function, or empty."""
    field = next(iter(value.stated()), "")
    if field == "list":
        lists = [getattr(value.list, name) for name in _FIELDS if value.list.has(name)]
        return [*lists[0]] if lists else []
    return getattr(value, field) if field in _FIELDS else None


_FIELDS = ("s", "i", "f", "b")  # texts, whole numbers, numbers and truth values


def _fixed(constant: Constant, whose: str) -> Array:
    if not constant.is_fixed:
        raise UnsupportedError(f"{whose} on a free size")
    return constant.low


def numbers(array: Array) -> Array:
    """Return an array as one of the types that the ONNX graph uses: float32, int64 or bool."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return array if array.dtype.kind == "b" else array.astype(np.int64)


Layout = Literal["NHWC", "NCHW"]
"""The order of the axes of images."""


def is_channels_first(layout: Layout) -> bool:
    """Return True if images have their channels first."""
    return layout == "NCHW"


def channels_first(b: Builder, x: str, layout: Layout) -> str:
    """Return an image, transposed to (batch, channels, height, width) if necessary."""
    if b.rank(x) != 4:
        raise UnsupportedError(f"its input has {b.rank(x)} axes; supported are images")
    return x if is_channels_first(layout) else ops.transpose(b, x, perm=TO_NCHW)


def restore_layout(b: Builder, x: str, layout: Layout) -> str:
    """Transpose an image (batch, channels, height, width) back to the operator's order of axes."""
    return x if is_channels_first(layout) else ops.transpose(b, x, perm=TO_NHWC)
