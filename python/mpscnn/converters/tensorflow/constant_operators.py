"""Compute TensorFlow's operators whose operands are all constants, such as shapes and parts of variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from mpscnn.converters.constant import Constant, listed
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.strided_slice import from_begins_and_sizes
from mpscnn.converters.tensorflow.slices import Slices
from mpscnn.converters.tensorflow.values import FLOATS
from mpscnn.errors import UnsupportedError, WeightsError

Compute = Callable[[Sequence[Constant], dict[str, Any]], Constant | list[Constant] | None]

_MAX_NUMBERS = 1024  # the maximum number of elements of an array that may be a shape
_BEYOND = float(1 << 63)


def compute(kind: str, operands: Sequence[Constant], attributes: dict[str, Any]) -> Sequence[Constant] | None:
    """Return the results of an operator; None if its operands are not shapes, or it is not in `COMPUTED`."""
    function = COMPUTED.get(kind)
    if function is None or not (kind == "ConcatV2" or all(map(_is_shape, operands[kind in _OF_ANY :]))):
        return None
    made = function(operands, attributes)
    return made if isinstance(made, list | None) else [made]


def _is_shape(constant: Constant) -> bool:
    """Return True if a constant may be part of a shape: it is small and has integers or booleans."""
    return constant.size <= _MAX_NUMBERS and constant.low.dtype.kind in "iub"


def _whole(constant: Constant) -> int:
    (number,) = constant.integers("its axis")
    return number


def _attribute(attributes: dict[str, Any], name: str) -> int:
    return attributes[name].i if name in attributes else 0


def _exact(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function of 64-bit integers that raises WeightsError if a result is larger."""

    def compute(*arrays: Array) -> Array:
        about = function(*(one.astype(np.float64) for one in arrays))
        if (np.abs(about) >= _BEYOND).any():
            raise WeightsError("damaged: computes a whole number of more than 64 bits")
        return function(*(one.astype(np.int64) for one in arrays))

    return compute


def _arithmetic(function: Callable[..., Array], operands: Sequence[Constant], _: dict[str, Any]) -> Constant:
    first, second = operands
    return first.elementwise(_exact(function), second)


def _quotient(function: Callable[..., Array], operands: Sequence[Constant], _: dict[str, Any]) -> Constant:
    if not all(one.all() for one in (operands[1].low, operands[1].high)):
        raise WeightsError("damaged: divides by 0")
    return _arithmetic(function, operands, {})


def _product(operands: Sequence[Constant], attributes: dict[str, Any]) -> Constant:
    values, axes = operands
    keeps = "keep_dims" in attributes and bool(attributes["keep_dims"].b)
    about = values.cast(lambda x: x.astype(np.float64)).reduce("product", axes, keeps_axes=keeps)
    made = values.cast(lambda x: x.astype(np.int64)).reduce("product", axes, keeps_axes=keeps)
    if any((np.abs(one) >= _BEYOND).any() for one in (about.low, about.high)):
        raise WeightsError("damaged: computes a whole number of more than 64 bits")
    return made


def _cast(operands: Sequence[Constant], attributes: dict[str, Any]) -> Constant | None:
    """Keep the numbers of shapes, and floats that are cast to another type of floats."""
    (x,) = operands
    is_among_floats = x.low.dtype.kind == "f" and "DstT" in attributes and attributes["DstT"].type in FLOATS
    return x if is_among_floats or _is_shape(x) else None


def _pack(operands: Sequence[Constant], attributes: dict[str, Any]) -> Constant:
    first, *others = operands
    return first.stack(others, _attribute(attributes, "axis"))


def _unpack(operands: Sequence[Constant], attributes: dict[str, Any]) -> list[Constant]:
    (x,), axis = operands, _attribute(attributes, "axis")
    places = (Constant.of(np.asarray(place), x.budget) for place in range(x.low.shape[axis]))
    return [x.take(axis, place) for place in places]


def _concat(operands: Sequence[Constant], _: dict[str, Any]) -> Constant:
    first, *others, axis = operands
    return first.concat(others, _whole(axis))


def _gather(operands: Sequence[Constant], _: dict[str, Any]) -> Constant:
    return operands[0].take(_whole(operands[2]) if len(operands) > 2 else 0, operands[1])


def _squeeze(operands: Sequence[Constant], attributes: dict[str, Any]) -> Constant:
    axes = list(attributes["squeeze_dims"].list.i) if "squeeze_dims" in attributes else []
    return operands[0].squeeze(axes or None)


def _range(operands: Sequence[Constant], _: dict[str, Any]) -> Constant:
    begin, end, step = operands
    if any(
        not int(step_) or len(range(int(first), int(last), int(step_))) > _MAX_NUMBERS
        for first, last, step_ in ((begin.low, end.low, step.low), (begin.high, end.high, step.high))
    ):
        raise UnsupportedError("counts more numbers than a shape has")
    return begin.count_up_to(end, step)


def _fill(operands: Sequence[Constant], _: dict[str, Any]) -> Constant:
    shape, value = operands
    if any(math.prod(listed(one, "its shape")) > _MAX_NUMBERS for one in (shape.low, shape.high)):
        raise UnsupportedError("fills more numbers than a shape has")
    return value.fill(shape)


def _strided_slice(operands: Sequence[Constant], attributes: dict[str, Any]) -> Constant:
    def parts(_: tuple[int, ...], begin: Array, end: Array, strides: Array) -> list[Any]:
        return Slices(begin, end, strides, attributes).entries

    x, *ranges = operands
    return x.slice(parts, *ranges)


def _slice(operands: Sequence[Constant], _: dict[str, Any]) -> Constant:
    x, *ranges = operands
    return x.slice(lambda _, *numbers: from_begins_and_sizes(*numbers), *ranges)


COMPUTED: dict[str, Compute] = {
    "Add": partial(_arithmetic, np.add),
    "AddV2": partial(_arithmetic, np.add),
    "Cast": _cast,
    "ConcatV2": _concat,
    "ExpandDims": lambda operands, _: operands[0].expand_dims([_whole(operands[1])]),
    "Fill": _fill,
    "FloorDiv": partial(_quotient, np.floor_divide),
    "FloorMod": partial(_quotient, np.mod),
    "Gather": _gather,
    "GatherV2": _gather,
    "Maximum": partial(_arithmetic, np.maximum),
    "Minimum": partial(_arithmetic, np.minimum),
    "Mul": partial(_arithmetic, np.multiply),
    "Pack": _pack,
    "Prod": _product,
    "Range": _range,
    "Reshape": lambda operands, _: operands[0].reshape(operands[1]),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Sub": partial(_arithmetic, np.subtract),
    "Transpose": lambda operands, _: operands[0].transpose(operands[1]),
    "Unpack": _unpack,
}
"""The functions that compute an operator of constants, by operator."""

# Operators that do not compute with their first operand, which may be a constant of any size and type.
_OF_ANY = frozenset({"Cast", "ExpandDims", "Reshape", "Squeeze", "Transpose"})
