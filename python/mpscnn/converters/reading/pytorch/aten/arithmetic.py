"""Write ATen's arithmetic, comparisons and selections as ONNX nodes."""

from __future__ import annotations

import math

from mpscnn.converters.reading.pytorch.aten.writer import Kind, Operator, Writer
from mpscnn.errors import UnsupportedError

_LARGEST = 3.4028234663852886e38  # of float32

#: The number with which an operator changes nothing.
_NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}


def _arithmetic(kind: str) -> Operator:
    def write(g: Writer, x: str | float, y: str | float, alpha: float = 1) -> str:
        if isinstance(y, (int, float)) and alpha == 1 and y == _NEUTRAL.get(kind):
            return g.operand(x)
        second = g.operand(y)
        if alpha != 1:
            second = g.op("Mul", second, g.operand(alpha))
        return g.op(kind, g.operand(x), second)

    return write


def _between(g: Writer, x: str, y: str, weight: str | float) -> str:
    """Write lerp: x + weight * (y - x)."""
    return g.op("Add", x, g.op("Mul", g.op("Sub", y, x), g.operand(weight)))


def _difference_from(g: Writer, x: str, y: str | float, alpha: float = 1) -> str:
    return g.op("Sub", g.operand(y), g.scaled(g.operand(x), alpha))


def _quotient_of_mode(g: Writer, x: str | float, y: str | float, *, rounding_mode: str | None) -> str:
    """Write a quotient. PyTorch truncates the quotient in float32, but "floor" is that of the exact quotient."""
    first, second = g.operand(x), g.operand(y)
    quotient = g.op("Div", first, second)
    if rounding_mode is None:
        return quotient
    if g.kind != "float":
        raise UnsupportedError("a rounded quotient of integers")
    if rounding_mode == "trunc":
        is_negative = g.op("Less", quotient, g.operand(0.0))
        return g.op("Where", is_negative, g.op("Ceil", quotient), g.op("Floor", quotient))
    # Without its rest the dividend is a multiple of the divisor, whose rounding changes the quotient by less than 1/2.
    multiple = g.op("Sub", first, g.op("Mod", first, second, fmod=0))
    whole = g.op("Round", g.op("Div", multiple, second))
    return g.op("Where", g.op("Equal", second, g.operand(0.0)), quotient, whole)


def _floor_quotient(g: Writer, x: str | float, y: str | float) -> str:
    return _quotient_of_mode(g, x, y, rounding_mode="floor")


def _angle(g: Writer, y: str, x: str) -> str:
    """Write atan2: the angle of the point (x, y), from -pi to pi. Zeros have a sign: the angle of (-1, -0) is -pi."""
    zero = g.operand(0.0)
    below, left = (
        g.op("Or", g.op("Less", one, zero), g.op("Less", g.op("Div", g.operand(1.0), one), zero))
        for one in (y, x)
    )
    # The quotient of two infinities would be NaN. The angle of (1, 1) is that of (inf, inf).
    are_infinite = g.op("And", g.op("IsInf", y), g.op("IsInf", x))
    limits = (g.operand(-1.0), g.operand(1.0))
    high, wide = (g.op("Where", are_infinite, g.op("Clip", one, *limits), one) for one in (y, x))
    on_axis, at_origin = g.op("Equal", x, zero), g.op("Equal", y, zero)
    quarter, half = (
        g.op("Where", below, g.operand(-turn), g.operand(turn)) for turn in (math.pi / 2, math.pi)
    )
    upright = g.op("Where", at_origin, y, g.op("Where", g.op("Equal", y, y), quarter, y))
    angle = g.op("Where", on_axis, upright, g.op("Atan", g.op("Div", high, wide)))
    is_turned = g.op("And", left, g.op("Or", g.op("Not", on_axis), at_origin))
    return g.op("Add", angle, g.op("Where", is_turned, half, zero))


def _remainder(*, of_dividend: bool) -> Operator:
    """Return the function of the rest of a division with the sign of the divisor, or of the dividend."""

    def write(g: Writer, x: str | float, y: str | float) -> str:
        if g.kind != "float":
            raise UnsupportedError("a rest of integers")
        return g.op("Mod", g.operand(x), g.operand(y), fmod=int(of_dividend))

    return write


def _finite(
    g: Writer, x: str, nan: float | None = None, highest: float | None = None, lowest: float | None = None
) -> str:
    """Write nan_to_num. Infinities become the largest numbers of float32, unless others are given."""
    high = _LARGEST if highest is None else highest
    low = -_LARGEST if lowest is None else lowest
    made = g.op("Where", g.op("IsInf", x, detect_negative=0), g.operand(high), x)
    made = g.op("Where", g.op("IsInf", x, detect_positive=0), g.operand(low), made)
    return g.op("Where", g.op("IsNaN", x), g.operand(nan or 0.0), made)


def _power(g: Writer, x: str | float, exponent: str | float) -> str:
    """Write a power. In PyTorch the exponent 1/2 means the root, which minus infinity does not have."""
    if exponent == 0.5 and isinstance(x, str):
        return g.op("Sqrt", g.operand(x))
    return g.op("Pow", g.operand(x), g.operand(exponent))


def _number_of(kind: str) -> Operator:
    """Return the function of fmax or fmin: NaN is not the result if the other operand is a number."""

    def write(g: Writer, x: str, y: str) -> str:
        first = g.op("Where", g.op("Equal", x, x), x, y)
        return g.op(kind, first, g.op("Where", g.op("Equal", y, y), y, x))

    return write


def _comparison(kind: str) -> Operator:
    def write(g: Writer, x: str | float, y: str | float) -> str:
        kinds = [g.kind_of(one) for one in (x, y) if isinstance(one, str)]
        common: Kind = "float" if "float" in kinds or isinstance(y, float) else "int"
        return g.op(kind, g.operand(x, common), g.operand(y, common))

    return write


def _unequal(g: Writer, x: str, y: str | float) -> str:
    return g.op("Not", str(_comparison("Equal")(g, x, y)))


def _logic(kind: str) -> Operator:
    def write(g: Writer, x: str, *others: str | float) -> str:
        if g.kind != "bool":
            raise UnsupportedError("computes with the bits of integers")
        return g.op(kind, *(g.operand(one, "bool") for one in (x, *others)))

    return write


def _where(g: Writer, condition: str, x: str | float, y: str | float) -> str:
    return g.op("Where", g.operand(condition, "bool"), g.operand(x), g.operand(y))


def _masked_fill(g: Writer, x: str, mask: str, value: str | float) -> str:
    return g.op("Where", g.operand(mask, "bool"), g.operand(value), g.operand(x))


#: Operators that tell something about numbers: their results are true or false.
COMPARISONS = frozenset(
    {
        "isinf.default",
        "isnan.default",
        *(f"{name}.{kind}" for name in ("gt", "ge", "lt", "le", "eq", "ne") for kind in ("Scalar", "Tensor")),
    }
)

_BOTH = ("Scalar", "Tensor")
_TWO = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}
_COMPARED = {"gt": "Greater", "ge": "GreaterOrEqual", "lt": "Less", "le": "LessOrEqual", "eq": "Equal"}
_LOGIC = {"not": "Not", "and": "And", "or": "Or", "xor": "Xor"}

CHOICES: dict[str, Operator] = {
    **{f"where.{form}": _where for form in ("self", "ScalarSelf", "ScalarOther", "Scalar")},
    "masked_fill.Scalar": _masked_fill,
    "masked_fill.Tensor": _masked_fill,
}
"""Operators whose results are elements of their operands."""

ARITHMETIC: dict[str, Operator] = {
    **CHOICES,
    **{f"{name}.{form}": _arithmetic(kind) for name, kind in _TWO.items() for form in _BOTH},
    "addcmul.default": lambda g, x, y, z, *, value=1: g.op("Add", x, g.scaled(g.op("Mul", y, z), value)),
    "addcdiv.default": lambda g, x, y, z, *, value=1: g.op("Add", x, g.scaled(g.op("Div", y, z), value)),
    **{f"lerp.{form}": _between for form in _BOTH},
    **{f"rsub.{form}": _difference_from for form in _BOTH},
    **{f"div.{form}_mode": _quotient_of_mode for form in _BOTH},
    "atan2.default": _angle,
    "floor_divide.default": _floor_quotient,
    "floor_divide.Scalar": _floor_quotient,
    **{f"fmod.{form}": _remainder(of_dividend=True) for form in _BOTH},
    **{f"remainder.{form}": _remainder(of_dividend=False) for form in (*_BOTH, "Scalar_Tensor")},
    "nan_to_num.default": _finite,
    "true_divide.Tensor": _arithmetic("Div"),
    "multiply.Tensor": _arithmetic("Mul"),
    "subtract.Tensor": _arithmetic("Sub"),
    **{f"{name}.other": _arithmetic(name.capitalize()) for name in ("max", "min")},
    "maximum.default": _arithmetic("Max"),
    "minimum.default": _arithmetic("Min"),
    "fmax.default": _number_of("Max"),
    "fmin.default": _number_of("Min"),
    **{f"pow.{form}": _power for form in ("Tensor_Scalar", "Tensor_Tensor", "Scalar")},
    **{f"{name}.{form}": _comparison(kind) for name, kind in _COMPARED.items() for form in _BOTH},
    **{f"ne.{form}": _unequal for form in _BOTH},
    **{f"logical_{name}.default": _logic(kind) for name, kind in _LOGIC.items()},
    "bitwise_not.default": _logic("Not"),
    **{
        f"{name}.{form}": _logic(kind)
        for own, kind in (("and", "And"), ("or", "Or"), ("xor", "Xor"))
        for name, form in (
            (f"bitwise_{own}", "Tensor"),
            (f"bitwise_{own}", "Scalar"),
            (f"__{own}__", "Tensor"),
        )
    },
}
