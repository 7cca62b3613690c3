"""The vocabulary of all readers: typed functions that add operators to a graph, and return the names of the results.

Each function takes the graph first, then its operands and settings. An operand is the name of a tensor, a number, or a
list of whole numbers. A setting that is left out has the default of the operator. Only this module and the reader of
ONNX know the names of ONNX' operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpscnn.converters.reading.onnx import near_zero
from mpscnn.converters.reading.onnx.expansions import Operand, Operators

# ---- Elementwise functions. Operands of other shapes are broadcast, as in NumPy -------------------------------------

Unary = Callable[[Operators, Operand], str]
"""Adds a function of one operand."""

Binary = Callable[[Operators, Operand, Operand], str]
"""Adds a function of two operands."""


def _unary(kind: str) -> Unary:
    def function(g: Operators, x: Operand) -> str:
        return _added(g, kind, x)

    return function


def _binary(kind: str) -> Binary:
    def function(g: Operators, x: Operand, y: Operand) -> str:
        return _added(g, kind, x, y)

    return function


absolute = _unary("Abs")
acos = _unary("Acos")
acosh = _unary("Acosh")
asin = _unary("Asin")
asinh = _unary("Asinh")
atan = _unary("Atan")
atanh = _unary("Atanh")
ceil = _unary("Ceil")
cos = _unary("Cos")
cosh = _unary("Cosh")
erf = _unary("Erf")
exp = _unary("Exp")
floor = _unary("Floor")
hard_swish = _unary("HardSwish")
identity = _unary("Identity")
is_nan = _unary("IsNaN")
log = _unary("Log")
logical_not = _unary("Not")
mish = _unary("Mish")
negate = _unary("Neg")
reciprocal = _unary("Reciprocal")
relu = _unary("Relu")
round_to_even = _unary("Round")
sigmoid = _unary("Sigmoid")
sign = _unary("Sign")
sin = _unary("Sin")
sinh = _unary("Sinh")
softplus = _unary("Softplus")
softsign = _unary("Softsign")
sqrt = _unary("Sqrt")
tan = _unary("Tan")
tanh = _unary("Tanh")

add = _binary("Add")
divide = _binary("Div")
equal = _binary("Equal")
greater = _binary("Greater")
greater_or_equal = _binary("GreaterOrEqual")
less = _binary("Less")
less_or_equal = _binary("LessOrEqual")
logical_and = _binary("And")
logical_or = _binary("Or")
logical_xor = _binary("Xor")
multiply = _binary("Mul")
power = _binary("Pow")
prelu = _binary("PRelu")
subtract = _binary("Sub")


PLAIN: dict[str, Unary] = {
    "abs": absolute,
    "acos": acos,
    "acosh": acosh,
    "asin": asin,
    "asinh": asinh,
    "atan": atan,
    "atanh": atanh,
    "ceil": ceil,
    "cos": cos,
    "cosh": cosh,
    "erf": erf,
    "exp": exp,
    "floor": floor,
    "log": log,
    "mish": mish,
    "neg": negate,
    "not": logical_not,
    "reciprocal": reciprocal,
    "relu": relu,
    "round": round_to_even,
    "sigmoid": sigmoid,
    "sign": sign,
    "sin": sin,
    "sinh": sinh,
    "softplus": softplus,
    "softsign": softsign,
    "sqrt": sqrt,
    "tan": tan,
    "tanh": tanh,
}
"""Functions by the names that many formats have for them."""

ANGLES = ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan")
"""The names of functions of angles and of hyperbolas."""


def where(g: Operators, condition: Operand, x: Operand, y: Operand) -> str:
    """Add x where the condition holds, otherwise y."""
    return _added(g, "Where", condition, x, y)


def maximum(g: Operators, *x: Operand) -> str:
    """Add the maximum of some tensors."""
    return _added(g, "Max", *x)


def minimum(g: Operators, *x: Operand) -> str:
    """Add the minimum of some tensors."""
    return _added(g, "Min", *x)


def modulo(g: Operators, x: Operand, y: Operand, *, fmod: int | None = None) -> str:
    """Add the rest of x / y. It has the sign of y, or with `fmod=1` the sign of x."""
    return _added(g, "Mod", x, y, fmod=fmod)


def inverse_root(g: Operators, x: Operand) -> str:
    """Add 1 / sqrt(x)."""
    return reciprocal(g, sqrt(g, x))


def clip(g: Operators, x: Operand, low: Operand, high: Operand) -> str:
    """Limit a tensor to [low, high]; None: there is no such limit."""
    return _added(g, "Clip", x, low, high)


def expm1(g: Operators, x: str) -> str:
    """Add e^x - 1, without loss of digits near 0."""
    return g.op(*near_zero.expm1(g, x))


def log1p(g: Operators, x: str) -> str:
    """Add ln(1 + x), without loss of digits near 0."""
    return g.op(*near_zero.log1p(g, x))


def is_infinite(
    g: Operators, x: Operand, *, detect_negative: int | None = None, detect_positive: int | None = None
) -> str:
    """Tell which elements are infinite: of both signs, or 0 leaves one sign out."""
    return _added(g, "IsInf", x, detect_negative=detect_negative, detect_positive=detect_positive)


def celu(g: Operators, x: Operand, *, alpha: float) -> str:
    """Add max(x, 0) + min(alpha (e^(x / alpha) - 1), 0)."""
    return _added(g, "Celu", x, alpha=alpha)


def elu(g: Operators, x: Operand, *, alpha: float | None = None) -> str:
    """Add x where it is positive, otherwise alpha (e^x - 1)."""
    return _added(g, "Elu", x, alpha=alpha)


def gelu(g: Operators, x: Operand, *, approximate: str | None = None) -> str:
    """Add x times the normal distribution's probability of numbers below x, exactly or by tanh."""
    return _added(g, "Gelu", x, approximate=approximate)


def hard_sigmoid(g: Operators, x: Operand, *, alpha: float, beta: float) -> str:
    """Add alpha x + beta, limited to [0, 1]."""
    return _added(g, "HardSigmoid", x, alpha=alpha, beta=beta)


def leaky_relu(g: Operators, x: Operand, *, alpha: float) -> str:
    """Add x where it is positive, otherwise alpha x."""
    return _added(g, "LeakyRelu", x, alpha=alpha)


def selu(g: Operators, x: Operand, *, alpha: float | None = None, gamma: float | None = None) -> str:
    """Add gamma times the ELU with alpha."""
    return _added(g, "Selu", x, alpha=alpha, gamma=gamma)


def swish(g: Operators, x: Operand, *, alpha: float | None = None) -> str:
    """Add x sigmoid(alpha x)."""
    return _added(g, "Swish", x, alpha=alpha)


# ---- Arrays --------------------------------------------------------------------------------------------------------

extents = _unary("Shape")


def progression(g: Operators, start: Operand, end: Operand, step: Operand) -> str:
    """Add the numbers from `start` on, with steps, before `end`."""
    return _added(g, "Range", start, end, step)


# ---- Matrices ------------------------------------------------------------------------------------------------------

matmul = _binary("MatMul")

# ---- Operators -----------------------------------------------------------------------------------------------------


def _added(g: Operators, kind: str, /, *operands: Operand, **settings: Any) -> str:
    """Add an operator of ONNX, without the settings that are None."""
    stated = {name: value for name, value in settings.items() if value is not None}
    return g.op(kind, *operands, **stated)
