"""The elementwise functions. Operands of other shapes are broadcast, as in NumPy."""

from __future__ import annotations

from mpscnn.converters.reading.onnx import near_zero
from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.reading.vocabulary.adding import Unary, added, adds, binary, unary

absolute = unary("Abs")
acos = unary("Acos")
acosh = unary("Acosh")
asin = unary("Asin")
asinh = unary("Asinh")
atan = unary("Atan")
atanh = unary("Atanh")
ceil = unary("Ceil")
cos = unary("Cos")
cosh = unary("Cosh")
erf = unary("Erf")
exp = unary("Exp")
floor = unary("Floor")
hard_swish = unary("HardSwish")
identity = unary("Identity")
is_nan = unary("IsNaN")
log = unary("Log")
logical_not = unary("Not")
mish = unary("Mish")
negate = unary("Neg")
reciprocal = unary("Reciprocal")
relu = unary("Relu")
round_to_even = unary("Round")
sigmoid = unary("Sigmoid")
sign = unary("Sign")
sin = unary("Sin")
sinh = unary("Sinh")
softplus = unary("Softplus")
softsign = unary("Softsign")
sqrt = unary("Sqrt")
tan = unary("Tan")
tanh = unary("Tanh")

add = binary("Add")
divide = binary("Div")
equal = binary("Equal")
greater = binary("Greater")
greater_or_equal = binary("GreaterOrEqual")
less = binary("Less")
less_or_equal = binary("LessOrEqual")
logical_and = binary("And")
logical_or = binary("Or")
logical_xor = binary("Xor")
multiply = binary("Mul")
power = binary("Pow")
prelu = binary("PRelu")
subtract = binary("Sub")


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


@adds("Where")
def where(g: Operators, condition: Operand, x: Operand, y: Operand) -> str:
    """Add x where the condition holds, otherwise y."""
    return added(g, where, condition, x, y)


@adds("Max")
def maximum(g: Operators, *x: Operand) -> str:
    """Add the maximum of some tensors."""
    return added(g, maximum, *x)


@adds("Min")
def minimum(g: Operators, *x: Operand) -> str:
    """Add the minimum of some tensors."""
    return added(g, minimum, *x)


@adds("Mod")
def modulo(g: Operators, x: Operand, y: Operand, *, fmod: int | None = None) -> str:
    """Add the rest of x / y. It has the sign of y, or with `fmod=1` the sign of x."""
    return added(g, modulo, x, y, fmod=fmod)


def inverse_root(g: Operators, x: Operand) -> str:
    """Add 1 / sqrt(x)."""
    return reciprocal(g, sqrt(g, x))


@adds("Clip")
def clip(g: Operators, x: Operand, low: Operand, high: Operand) -> str:
    """Limit a tensor to [low, high]; None: there is no such limit."""
    return added(g, clip, x, low, high)


def expm1(g: Operators, x: str) -> str:
    """Add e^x - 1, without loss of digits near 0."""
    return g.op(*near_zero.expm1(g, x))


def log1p(g: Operators, x: str) -> str:
    """Add ln(1 + x), without loss of digits near 0."""
    return g.op(*near_zero.log1p(g, x))


@adds("IsInf")
def is_infinite(
    g: Operators, x: Operand, *, detect_negative: int | None = None, detect_positive: int | None = None
) -> str:
    """Tell which elements are infinite: of both signs, or 0 leaves one sign out."""
    return added(g, is_infinite, x, detect_negative=detect_negative, detect_positive=detect_positive)


@adds("Celu")
def celu(g: Operators, x: Operand, *, alpha: float) -> str:
    """Add max(x, 0) + min(alpha (e^(x / alpha) - 1), 0)."""
    return added(g, celu, x, alpha=alpha)


@adds("Elu")
def elu(g: Operators, x: Operand, *, alpha: float | None = None) -> str:
    """Add x where it is positive, otherwise alpha (e^x - 1)."""
    return added(g, elu, x, alpha=alpha)


@adds("Gelu")
def gelu(g: Operators, x: Operand, *, approximate: str | None = None) -> str:
    """Add x times the normal distribution's probability of numbers below x, exactly or by tanh."""
    return added(g, gelu, x, approximate=approximate)


@adds("HardSigmoid")
def hard_sigmoid(g: Operators, x: Operand, *, alpha: float, beta: float) -> str:
    """Add alpha x + beta, limited to [0, 1]."""
    return added(g, hard_sigmoid, x, alpha=alpha, beta=beta)


@adds("LeakyRelu")
def leaky_relu(g: Operators, x: Operand, *, alpha: float) -> str:
    """Add x where it is positive, otherwise alpha x."""
    return added(g, leaky_relu, x, alpha=alpha)


@adds("Selu")
def selu(g: Operators, x: Operand, *, alpha: float | None = None, gamma: float | None = None) -> str:
    """Add gamma times the ELU with alpha."""
    return added(g, selu, x, alpha=alpha, gamma=gamma)


@adds("Swish")
def swish(g: Operators, x: Operand, *, alpha: float | None = None) -> str:
    """Add x sigmoid(alpha x)."""
    return added(g, swish, x, alpha=alpha)
