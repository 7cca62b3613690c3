"""Write ATen's arithmetic, comparisons and selections as ONNX nodes."""

from __future__ import annotations

import math

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Kind, Writer, several
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError

_LARGEST = 3.4028234663852886e38  # of float32

#: The number with which an operator changes nothing.
_NEUTRAL: dict[ops.Binary, int] = {ops.add: 0, ops.subtract: 0, ops.multiply: 1, ops.divide: 1}


def _arithmetic(function: ops.Binary) -> Row:
    def write(g: Writer, x: str | float, y: str | float, alpha: float = 1) -> str:
        if isinstance(y, (int, float)) and alpha == 1 and y == _NEUTRAL.get(function):
            return g.operand(x)
        second = g.operand(y)
        if alpha != 1:
            second = ops.multiply(g, second, g.operand(alpha))
        return function(g, g.operand(x), second)

    return write


def _between(g: Writer, x: str, y: str, weight: str | float) -> str:
    """Write lerp: x + weight * (y - x)."""
    return ops.add(g, x, ops.multiply(g, ops.subtract(g, y, x), g.operand(weight)))


def _difference_from(g: Writer, x: str, y: str | float, alpha: float = 1) -> str:
    return ops.subtract(g, g.operand(y), g.scaled(g.operand(x), alpha))


def _quotient_of_mode(g: Writer, x: str | float, y: str | float, *, rounding_mode: str | None) -> str:
    """Write a quotient. PyTorch truncates the quotient in float32, but "floor" is that of the exact quotient."""
    first, second = g.operand(x), g.operand(y)
    quotient = ops.divide(g, first, second)
    if rounding_mode is None:
        return quotient
    if g.kind != "float":
        raise UnsupportedError("a rounded quotient of integers")
    if rounding_mode == "trunc":
        is_negative = ops.less(g, quotient, g.operand(0.0))
        return ops.where(g, is_negative, ops.ceil(g, quotient), ops.floor(g, quotient))
    # Without its rest the dividend is a multiple of the divisor, whose rounding changes the quotient by less than 1/2.
    multiple = ops.subtract(g, first, ops.modulo(g, first, second, fmod=0))
    whole = ops.round_to_even(g, ops.divide(g, multiple, second))
    return ops.where(g, ops.equal(g, second, g.operand(0.0)), quotient, whole)


def _floor_quotient(g: Writer, x: str | float, y: str | float) -> str:
    return _quotient_of_mode(g, x, y, rounding_mode="floor")


def _angle(g: Writer, y: str, x: str) -> str:
    """Write atan2: the angle of the point (x, y), from -pi to pi. Zeros have a sign: the angle of (-1, -0) is -pi."""
    zero = g.operand(0.0)
    below, left = (
        ops.logical_or(g, ops.less(g, one, zero), ops.less(g, ops.divide(g, g.operand(1.0), one), zero))
        for one in (y, x)
    )
    # The quotient of two infinities would be NaN. The angle of (1, 1) is that of (inf, inf).
    are_infinite = ops.logical_and(g, ops.is_infinite(g, y), ops.is_infinite(g, x))
    limits = (g.operand(-1.0), g.operand(1.0))
    high, wide = (ops.where(g, are_infinite, ops.clip(g, one, *limits), one) for one in (y, x))
    on_axis, at_origin = ops.equal(g, x, zero), ops.equal(g, y, zero)
    quarter, half = (
        ops.where(g, below, g.operand(-turn), g.operand(turn)) for turn in (math.pi / 2, math.pi)
    )
    upright = ops.where(g, at_origin, y, ops.where(g, ops.equal(g, y, y), quarter, y))
    angle = ops.where(g, on_axis, upright, ops.atan(g, ops.divide(g, high, wide)))
    is_turned = ops.logical_and(g, left, ops.logical_or(g, ops.logical_not(g, on_axis), at_origin))
    return ops.add(g, angle, ops.where(g, is_turned, half, zero))


def _remainder(*, of_dividend: bool) -> Row:
    """Return the function of the rest of a division with the sign of the divisor, or of the dividend."""

    def write(g: Writer, x: str | float, y: str | float) -> str:
        if g.kind != "float":
            raise UnsupportedError("a rest of integers")
        return ops.modulo(g, g.operand(x), g.operand(y), fmod=int(of_dividend))

    return write


def _finite(
    g: Writer, x: str, nan: float | None = None, highest: float | None = None, lowest: float | None = None
) -> str:
    """Write nan_to_num. Infinities become the largest numbers of float32, unless others are given."""
    high = _LARGEST if highest is None else highest
    low = -_LARGEST if lowest is None else lowest
    made = ops.where(g, ops.is_infinite(g, x, detect_negative=0), g.operand(high), x)
    made = ops.where(g, ops.is_infinite(g, x, detect_positive=0), g.operand(low), made)
    return ops.where(g, ops.is_nan(g, x), g.operand(nan or 0.0), made)


def _power(g: Writer, x: str | float, exponent: str | float) -> str:
    """Write a power. In PyTorch the exponents 1/2 and -1/2 mean the root, which minus infinity does not have."""
    if exponent in (0.5, -0.5) and isinstance(x, str):
        return (ops.sqrt if exponent == 0.5 else ops.inverse_root)(g, g.operand(x))
    return ops.power(g, g.operand(x), g.operand(exponent))


def _number_of(function: ops.Binary) -> Row:
    """Return the function of fmax or fmin: NaN is not the result if the other operand is a number."""

    def write(g: Writer, x: str, y: str) -> str:
        first = ops.where(g, ops.equal(g, x, x), x, y)
        return function(g, first, ops.where(g, ops.equal(g, y, y), y, x))

    return write


def _comparison(comparison: ops.Binary) -> Row:
    def write(g: Writer, x: str | float, y: str | float) -> str:
        kinds = [g.kind_of(one) for one in (x, y) if isinstance(one, str)]
        common: Kind = "float" if "float" in kinds or isinstance(y, float) else "int"
        return comparison(g, g.operand(x, common), g.operand(y, common))

    return write


def _unequal(g: Writer, x: str, y: str | float) -> str:
    return ops.logical_not(g, str(_comparison(ops.equal)(g, x, y)))


def _logic(function: ops.Unary | ops.Binary) -> Row:
    def write(g: Writer, x: str, *others: str | float) -> str:
        if g.kind != "bool":
            raise UnsupportedError("computes with the bits of integers")
        return function(g, *(g.operand(one, "bool") for one in (x, *others)))

    return write


def _where(g: Writer, condition: str, x: str | float, y: str | float) -> str:
    return ops.where(g, g.operand(condition, "bool"), g.operand(x), g.operand(y))


def _masked_fill(g: Writer, x: str, mask: str, value: str | float) -> str:
    return ops.where(g, g.operand(mask, "bool"), g.operand(value), g.operand(x))


#: Operators that tell something about numbers: their results are true or false.
COMPARISONS = frozenset(
    {
        "isfinite.default",
        "isinf.default",
        "isnan.default",
        *(f"{name}.{kind}" for name in ("gt", "ge", "lt", "le", "eq", "ne") for kind in ("Scalar", "Tensor")),
    }
)

_BOTH = ("Scalar", "Tensor")
_TWO = {"add": ops.add, "sub": ops.subtract, "mul": ops.multiply, "div": ops.divide}
_COMPARED = {
    "gt": ops.greater,
    "ge": ops.greater_or_equal,
    "lt": ops.less,
    "le": ops.less_or_equal,
    "eq": ops.equal,
}
_LOGIC: dict[str, ops.Binary] = {
    "and": ops.logical_and,
    "or": ops.logical_or,
    "xor": ops.logical_xor,
}

CHOICES: dict[str, Row] = {
    **{f"where.{form}": _where for form in ("self", "ScalarSelf", "ScalarOther", "Scalar")},
    "masked_fill.Scalar": _masked_fill,
    "masked_fill.Tensor": _masked_fill,
}
"""Operators whose results are elements of their operands."""

ARITHMETIC: dict[str, Row] = {
    **CHOICES,
    **{f"{name}.{form}": _arithmetic(function) for name, function in _TWO.items() for form in _BOTH},
    "addcmul.default": lambda g, x, y, z, *, value=1: ops.add(g, x, g.scaled(ops.multiply(g, y, z), value)),
    "addcdiv.default": lambda g, x, y, z, *, value=1: ops.add(g, x, g.scaled(ops.divide(g, y, z), value)),
    **{f"lerp.{form}": _between for form in _BOTH},
    **{f"rsub.{form}": _difference_from for form in _BOTH},
    **{f"div.{form}_mode": _quotient_of_mode for form in _BOTH},
    "atan2.default": _angle,
    "floor_divide.default": _floor_quotient,
    "floor_divide.Scalar": _floor_quotient,
    **{f"fmod.{form}": _remainder(of_dividend=True) for form in _BOTH},
    **{f"remainder.{form}": _remainder(of_dividend=False) for form in (*_BOTH, "Scalar_Tensor")},
    "nan_to_num.default": _finite,
    "true_divide.Tensor": _arithmetic(ops.divide),
    "multiply.Tensor": _arithmetic(ops.multiply),
    "subtract.Tensor": _arithmetic(ops.subtract),
    "max.other": _arithmetic(ops.maximum),
    "min.other": _arithmetic(ops.minimum),
    "maximum.default": _arithmetic(ops.maximum),
    "minimum.default": _arithmetic(ops.minimum),
    "fmax.default": _number_of(ops.maximum),
    "fmin.default": _number_of(ops.minimum),
    **{f"pow.{form}": _power for form in ("Tensor_Scalar", "Tensor_Tensor", "Scalar")},
    **{f"{name}.{form}": _comparison(function) for name, function in _COMPARED.items() for form in _BOTH},
    **{f"ne.{form}": _unequal for form in _BOTH},
    **{f"logical_{name}.default": _logic(function) for name, function in _LOGIC.items()},
    **several(_logic(ops.logical_not), "logical_not bitwise_not"),
    **{
        f"{name}.{form}": _logic(function)
        for own, function in _LOGIC.items()
        for name, form in (
            (f"bitwise_{own}", "Tensor"),
            (f"bitwise_{own}", "Scalar"),
            (f"__{own}__", "Tensor"),
        )
    },
}
