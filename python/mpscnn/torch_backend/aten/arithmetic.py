"""Write ATen's arithmetic, comparisons and selections as ONNX nodes."""

from __future__ import annotations

from mpscnn.errors import UnsupportedError
from mpscnn.torch_backend.aten.writer import Operator, Writer


def _arithmetic(kind: str) -> Operator:
    def write(g: Writer, x: str | float, y: str | float, alpha: float = 1) -> str:
        second = g.operand(y)
        return g.add(kind, g.operand(x), second if alpha == 1 else g.add("Mul", second, g.number(alpha)))

    return write


def _sum_of_product(g: Writer, x: str, y: str, z: str, *, value: float = 1) -> str:
    return g.add("Add", x, g.scaled(g.add("Mul", y, z), value))


def _difference_from(g: Writer, x: str, y: str | float, alpha: float = 1) -> str:
    return g.add("Sub", g.operand(y), g.scaled(x, alpha))


def _quotient_of_mode(g: Writer, x: str, y: str | float, *, rounding_mode: str | None) -> str:
    if rounding_mode is not None:  # torch rounds the exact quotient, not the float32 number next to it
        raise UnsupportedError(f"a quotient with rounding_mode {rounding_mode!r}")
    return g.add("Div", x, g.operand(y))


def _power(g: Writer, x: str | float, exponent: str | float) -> str:
    return g.add("Pow", g.operand(x), g.operand(exponent))


def _comparison(kind: str) -> Operator:
    return lambda g, x, y: g.add(kind, g.operand(x), g.operand(y))


def _unequal(g: Writer, x: str, y: str | float) -> str:
    return g.add("Not", g.add("Equal", x, g.operand(y)))


def _where(g: Writer, condition: str, x: str | float, y: str | float) -> str:
    return g.add("Where", condition, g.operand(x), g.operand(y))


def _masked_fill(g: Writer, x: str, mask: str, value: str | float) -> str:
    return g.add("Where", mask, g.operand(value), x)


#: Operators that compare numbers.
COMPARISONS = frozenset(
    {f"{name}.{kind}" for name in ("gt", "ge", "lt", "le", "eq", "ne") for kind in ("Scalar", "Tensor")}
)

ARITHMETIC: dict[str, Operator] = {
    "add.Tensor": _arithmetic("Add"),
    "add.Scalar": _arithmetic("Add"),
    "addcmul.default": _sum_of_product,
    "sub.Tensor": _arithmetic("Sub"),
    "sub.Scalar": _arithmetic("Sub"),
    "rsub.Scalar": _difference_from,
    "rsub.Tensor": _difference_from,
    "mul.Tensor": _arithmetic("Mul"),
    "mul.Scalar": _arithmetic("Mul"),
    "div.Tensor": _arithmetic("Div"),
    "div.Scalar": _arithmetic("Div"),
    "div.Tensor_mode": _quotient_of_mode,
    "maximum.default": _arithmetic("Max"),
    "minimum.default": _arithmetic("Min"),
    "pow.Tensor_Scalar": _power,
    "pow.Tensor_Tensor": _power,
    "pow.Scalar": _power,
    "gt.Scalar": _comparison("Greater"),
    "gt.Tensor": _comparison("Greater"),
    "ge.Scalar": _comparison("GreaterOrEqual"),
    "ge.Tensor": _comparison("GreaterOrEqual"),
    "lt.Scalar": _comparison("Less"),
    "lt.Tensor": _comparison("Less"),
    "le.Scalar": _comparison("LessOrEqual"),
    "le.Tensor": _comparison("LessOrEqual"),
    "eq.Scalar": _comparison("Equal"),
    "eq.Tensor": _comparison("Equal"),
    "ne.Scalar": _unequal,
    "ne.Tensor": _unequal,
    "logical_not.default": lambda g, x: g.add("Not", x),
    "where.self": _where,
    "masked_fill.Scalar": _masked_fill,
    "masked_fill.Tensor": _masked_fill,
}
